//! Which cells answer a question, and to which row each belongs.

use super::grain;
use super::selection::Selection;
use super::sight::Sight;
use crate::event::Millis;
use crate::meter::cell::{Ahead, Cells, Day, Owner, QUARTER_MS, ToRead, Total, Whose};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use crate::pb::Grain;
use crate::status;
use jiff::tz::TimeZone;
use std::ops::Range;
use tonic::Status;

/// The most owners and cells that one question may visit under the view's lock:
/// three years of days of some 9,000 (enterprise, role, facility). A visit was
/// measured at 0.6 µs on a busy machine, so the writer waits 6 s at worst, and
/// what it has to publish waits with it; acknowledgements do not. A cell that is
/// on the shelf takes longer: it is read from the store and decoded.
pub const VISITS_MAX: usize = 10_000_000;

/// The most owners' days that are read before a question is evaluated: what needs
/// more of them reads them under the view's lock.
const READ_AHEAD_MAX: usize = 128;

/// Which cells are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Quarter-hour cells.
    Quarter,
    /// Day cells of the reporting zone.
    Day,
}

/// Rows, and the cells that they are summed from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which cells.
    pub unit: Unit,
    grain: Grain,
    zone: TimeZone,
    reporting: TimeZone,
    /// Where rows start in ms, and the end.
    starts: Vec<Millis>,
    /// The same in units.
    edges: Vec<i32>,
}

impl Plan {
    /// Rows of a grain in a zone over [from, to). Day cells are read if all rows
    /// start at midnights of the reporting zone, quarter-hours otherwise.
    pub fn new(
        reporting: &TimeZone,
        grain: Grain,
        zone: &TimeZone,
        (from, to): (Millis, Millis),
    ) -> Result<Self, Status> {
        let starts = grain::edges(grain, zone, from, to).map_err(|error| {
            let (field, found) = match error {
                grain::Error::Misaligned { field: "from", .. } => ("from", grain::show(from)),
                grain::Error::Offset(_) => ("zone", zone.iana_name().unwrap_or_default().into()),
                _ => ("to", grain::show(to)),
            };
            status::invalid(field, found, error)
        })?;
        let midnight =
            |&at: &Millis| grain::day_start(reporting, grain::day_of(reporting, at)) == at;
        let days = starts.iter().all(midnight);
        let unit = if days { Unit::Day } else { Unit::Quarter };
        let edge = |&at: &Millis| match unit {
            Unit::Day => grain::day_of(reporting, at),
            Unit::Quarter => (at / QUARTER_MS) as i32,
        };
        let edges = starts.iter().map(edge).collect();
        let (zone, reporting) = (zone.clone(), reporting.clone());
        Ok(Self {
            unit,
            grain,
            zone,
            reporting,
            starts,
            edges,
        })
    }

    /// How many rows of time there are.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// When a row starts.
    pub fn start(&self, row: usize) -> Millis {
        self.starts[row]
    }

    /// The first row that starts at `at` or later.
    pub fn row_from(&self, at: Millis) -> usize {
        self.starts
            .partition_point(|&start| start < at)
            .min(self.rows())
    }

    /// The row in which an instant lies, if it lies in any.
    pub fn row_at(&self, at: Millis) -> Option<usize> {
        let row = self.starts.partition_point(|&start| start <= at);
        row.checked_sub(1).filter(|&row| row < self.rows())
    }

    /// Refuses a question that reaches back beyond what is kept.
    pub fn check_reach(&self, cells: &Cells, sight: &Sight) -> Result<(), Status> {
        let oldest = match self.unit {
            Unit::Day => sight.oldest_day(cells),
            Unit::Quarter => sight.oldest_quarter(cells),
        };
        if self.edges[0] >= oldest {
            return Ok(());
        }
        let (kept_from, why) = match self.unit {
            Unit::Day => (
                grain::day_start(&self.reporting, oldest),
                "days are kept no longer",
            ),
            Unit::Quarter => (
                i64::from(oldest) * QUARTER_MS,
                "quarter-hours are kept no longer, whole days of the reporting zone are",
            ),
        };
        let earliest = grain::ceil(self.grain, &self.zone, kept_from).unwrap_or(kept_from);
        let (from, earliest) = (grain::show(self.starts[0]), grain::show(earliest));
        Err(status::beyond_retention("from", &from, &earliest, why))
    }

    /// Visits the selected cells of some rows: row, facility, owner, figures.
    /// Errors: more than [`VISITS_MAX`] visits; cells that cannot be read.
    pub fn visit(
        &self,
        (cells, ahead): (&Cells, &Ahead),
        selection: &Selection,
        rows: Range<usize>,
        visits: &mut usize,
        mut each: impl FnMut(usize, NameId, Owner, &Figures),
    ) -> Result<(), Status> {
        let mut wanted = selection.resolve(&cells.names);
        let days = self.days(&rows);
        for (owner, _) in wanted.owners(cells) {
            count(visits, 1)?;
            cells.records_ahead(ahead, owner, days.clone(), |day, facility, record| {
                count(visits, 1)?;
                if !wanted.facility(facility) {
                    return Ok(());
                }
                if self.unit == Unit::Day {
                    each(self.row_of(day, &rows), facility, owner, &record.day);
                    return Ok(());
                }
                let (from, to) = (self.edges[rows.start], self.edges[rows.end]);
                record.quarters.visit(from..to, |quarter, figures| {
                    count(visits, 1)?;
                    each(self.row_of(quarter, &rows), facility, owner, figures);
                    Ok::<(), Status>(())
                })
            })?;
        }
        Ok(())
    }

    /// Whether [`Plan::visit_totals`] has any.
    pub fn has_totals(&self, selection: &Selection) -> bool {
        self.unit == Unit::Day && selection.is_everywhere()
    }

    /// Visits the totals over all facilities of the selected owners' days: row,
    /// owner, total. Several of one day add up to it: what is to be posted comes apart.
    /// None if day cells or the selection do not allow it.
    /// Errors: more than [`VISITS_MAX`] visits.
    pub fn visit_totals(
        &self,
        cells: &Cells,
        selection: &Selection,
        rows: Range<usize>,
        visits: &mut usize,
        mut each: impl FnMut(usize, Owner, Total<'_>),
    ) -> Result<Option<()>, Status> {
        if !self.has_totals(selection) {
            return Ok(None);
        }
        let days = self.days(&rows);
        let wanted = selection.resolve(&cells.names);
        for (owner, series) in wanted.owners(cells) {
            count(visits, 1)?;
            for (day, total) in series.totals(days.clone()) {
                count(visits, 1)?;
                each(self.row_of(day, &rows), owner, total);
            }
        }
        let (named, is_wanted) = (wanted.named(), |owner: &Owner| wanted.owner(owner));
        let whose = named.as_deref();
        let whose = whose.map_or(Whose::All(&is_wanted), Whose::Named);
        cells.unposted_totals(days, &whose, |owner, day, more| {
            count(visits, 1)?;
            each(self.row_of(day, &rows), owner, Total::Hot(more));
            Ok::<(), Status>(())
        })?;
        Ok(Some(()))
    }

    /// What [`Plan::visit`] will need from the shelf.
    pub fn to_read(&self, cells: &Cells, selection: &Selection, rows: Range<usize>) -> ToRead {
        let wanted = selection.resolve(&cells.names);
        let owners = wanted.owners(cells).into_iter().map(|(owner, _)| owner);
        let owners = owners.take_while(|_| !rows.is_empty());
        cells.to_read(owners, self.days(&rows), READ_AHEAD_MAX)
    }

    /// The days of the reporting zone that hold the cells of some rows.
    fn days(&self, rows: &Range<usize>) -> Range<Day> {
        let (from, to) = (self.starts[rows.start], self.starts[rows.end]);
        grain::day_of(&self.reporting, from)..grain::day_of(&self.reporting, to - 1) + 1
    }

    fn row_of(&self, unit: i32, rows: &Range<usize>) -> usize {
        let edges = &self.edges[rows.start..=rows.end];
        rows.start + edges.partition_point(|&edge| edge <= unit) - 1
    }
}

/// Counts visits. Errors: more than [`VISITS_MAX`].
pub fn count(visits: &mut usize, more: usize) -> Result<(), Status> {
    *visits += more;
    if *visits <= VISITS_MAX {
        return Ok(());
    }
    let advice = "ask for less time, fewer enterprises or a coarser grain";
    Err(status::too_large(
        "cells for one question",
        VISITS_MAX,
        advice,
    ))
}
