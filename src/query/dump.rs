//! DumpCells: every cell of one grain in canonical order, some at a time. The
//! parts are of one state if they carry the same position.

use super::grain;
use super::throughput::{self, Key, MESSAGE_BYTES_MAX, Row};
use crate::meter::cell::{Cells, Day, Owner, QUARTER_MS, Unread};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use crate::{pb, status};
use tonic::Status;

/// The most cells in one message.
const CELLS_MAX: usize = 1_000;

/// A dump under way: what is left of it.
pub struct Dump {
    grain: pb::Grain,
    /// Facilities and owners in canonical order, as they were at the start.
    series: Option<std::vec::IntoIter<(NameId, Owner)>>,
    /// The series that was begun, and where it goes on: a day or quarter.
    begun: Option<((NameId, Owner), i32)>,
}

impl Dump {
    /// What a request asks.
    pub fn parse(request: &pb::DumpCellsRequest) -> Result<Self, Status> {
        match request.grain() {
            grain @ (pb::Grain::Quarter | pb::Grain::Day) => Ok(Self {
                grain,
                series: None,
                begun: None,
            }),
            _ => {
                let found = request.grain;
                Err(status::invalid(
                    "grain",
                    found,
                    "GRAIN_QUARTER (1) or GRAIN_DAY (3)",
                ))
            }
        }
    }

    /// The next cells; none at the end.
    ///
    /// # Errors
    /// Cells that cannot be read.
    pub fn part(&mut self, cells: &Cells) -> Result<Vec<Row>, Unread> {
        let mut series = self
            .series
            .take()
            .unwrap_or_else(|| series(cells).into_iter());
        let (mut part, mut bytes) = (Vec::new(), 0);
        while let Some((one, from)) = self
            .begun
            .take()
            .or_else(|| Some((series.next()?, i32::MIN)))
        {
            self.begun = self
                .append(cells, one, from, &mut part, &mut bytes)?
                .map(|next| (one, next));
            if self.begun.is_some() {
                break;
            }
        }
        self.series = Some(series);
        Ok(part)
    }

    /// Appends a series' cells from a day or quarter on; where to go on if the
    /// part is full.
    fn append(
        &self,
        cells: &Cells,
        (facility, owner): (NameId, Owner),
        from: i32,
        part: &mut Vec<Row>,
        bytes: &mut usize,
    ) -> Result<Option<i32>, Unread> {
        let zone = &cells.keeping().zone;
        let Some(series) = cells.owner(owner) else {
            return Ok(None);
        };
        let quarters = self.grain == pb::Grain::Quarter;
        let from_day = match from {
            i32::MIN => Day::MIN,
            from if quarters => grain::day_of(zone, i64::from(from) * QUARTER_MS),
            from => from,
        };
        for day in series.days(from_day) {
            let Some(record) = cells.record(owner, day, facility)? else {
                continue;
            };
            let units: Vec<(i32, Figures)> = match quarters {
                true => record.quarters.iter().collect(),
                false => vec![(day, record.day)],
            };
            for (unit, figures) in units.into_iter().filter(|(unit, _)| *unit >= from) {
                let start = if quarters {
                    i64::from(unit) * QUARTER_MS
                } else {
                    grain::day_start(zone, unit)
                };
                let name = |id| cells.names.get(id).into();
                let key = Key {
                    start,
                    facility: name(facility),
                    enterprise: name(owner.enterprise),
                    role: owner.role.into(),
                    classifier: owner.classifier.into(),
                };
                let row = (key, figures);
                *bytes += throughput::weight(&row);
                if part.len() == CELLS_MAX || (*bytes > MESSAGE_BYTES_MAX && !part.is_empty()) {
                    return Ok(Some(unit));
                }
                if !row.1.is_empty() {
                    part.push(row);
                }
            }
        }
        Ok(None)
    }
}

/// All series in canonical order: facility, enterprise, role, classifier.
fn series(cells: &Cells) -> Vec<(NameId, Owner)> {
    let mut series = Vec::new();
    for (owner, of) in cells.owners() {
        let facilities = of.facilities().iter();
        series.extend(facilities.map(|&facility| (facility, owner)));
    }
    let name = |id| cells.names.get(id);
    series.sort_unstable_by_key(|&(facility, owner)| {
        (
            name(facility),
            name(owner.enterprise),
            owner.role,
            owner.classifier,
        )
    });
    series
}
