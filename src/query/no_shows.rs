//! ListNoShows: slots that have ended, and who did not come.

use super::ask;
use super::asker::Asker;
use super::page::Fingerprint;
use super::plan::{self, Plan};
use super::selection::Selection;
use crate::event::Millis;
use crate::meter::cell::{Cells, Owner, SlotKey};
use crate::meter::figure::{Figure, Figures, Meaning};
use crate::pb::{self, AppointmentStage};
use compact_str::CompactString;
use jiff::tz::TimeZone;
use tonic::Status;

/// What tells a row from others, in the order of rows: slot start, slot end,
/// facility, enterprise, role, classifier.
type Key = (Millis, Millis, CompactString, CompactString, i32, i32);

/// A checked question.
pub struct Question {
    selection: Selection,
    plan: Plan,
    interval: (Millis, Millis),
    ended_by: Option<Millis>,
    after: Option<Key>,
    limit: usize,
    request: Fingerprint,
}

impl Question {
    /// What a request asks.
    pub fn parse(request: &pb::ListNoShowsRequest, asker: &Asker) -> Result<Self, Status> {
        let from = ask::instant("from", request.from)?;
        let to = ask::instant("to", request.to)?;
        let ended_by = request
            .ended_by
            .map(|at| ask::instant("ended_by", Some(at)))
            .transpose()?;
        let fingerprint = asker.asks(
            "ListNoShows",
            &pb::ListNoShowsRequest {
                page_size: 0,
                page_token: String::new(),
                at_least: String::new(),
                ..request.clone()
            },
        );
        Ok(Self {
            selection: Selection::parse(request.filter.as_ref(), asker.sight())?,
            // Slots are kept as long as quarter-hours.
            plan: Plan::new(
                &TimeZone::UTC,
                pb::Grain::Quarter,
                &TimeZone::UTC,
                (from, to),
            )?,
            interval: (from, to),
            ended_by,
            after: fingerprint.after(&request.page_token)?,
            limit: ask::page_size(request.page_size)?,
            request: fingerprint,
        })
    }

    /// A page, and the token of the next one.
    pub fn page(&self, cells: &Cells, now: Millis) -> Result<(Vec<pb::NoShowRow>, String), Status> {
        self.plan.check_reach(cells, self.selection.sight())?;
        let mut rows = self.rows(cells, self.ended_by.unwrap_or(now))?;
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let token = match rows.last() {
            Some((last, _)) if more => self.request.token(last),
            _ => String::new(),
        };
        Ok((rows.into_iter().map(|(_, row)| row).collect(), token))
    }

    /// More rows than a page holds, if there are so many; no row that is left
    /// out starts before one that is given.
    fn rows(&self, cells: &Cells, ended_by: Millis) -> Result<Vec<(Key, pb::NoShowRow)>, Status> {
        let mut wanted = self.selection.resolve(&cells.names);
        let (from, to) = self.interval;
        // A token of another version of this service may say any instant.
        let from = self.after.as_ref().map_or(from, |after| after.0.min(to));
        let (mut rows, mut visits): (Vec<(Key, pb::NoShowRow)>, _) = (Vec::new(), 0);
        let mut counted = Ok(());
        let sees_all = self.selection.sight().is_everything();
        cells.slots(from..to, &mut |slot, figures| {
            let is_wanted = wanted.owner(&slot.owner);
            // A limit that others' slots use up would tell of them.
            if sees_all || is_wanted {
                counted = plan::count(&mut visits, 1);
            }
            let full = rows.len() > self.limit;
            let behind = |last: &Key| last.0 < slot.start;
            if counted.is_err() || (full && rows.last().is_some_and(|(last, _)| behind(last))) {
                return false;
            }
            let asked = slot.end <= ended_by && is_wanted;
            if asked && wanted.facility(slot.facility) {
                let key = key(cells, slot);
                if self.after.as_ref().is_none_or(|after| key > *after) {
                    rows.extend(row(&key, figures).map(|row| (key, row)));
                }
            }
            true
        })?;
        counted.map(|()| rows)
    }
}

fn key(cells: &Cells, slot: &SlotKey) -> Key {
    let name = |id| cells.names.get(id).into();
    let Owner {
        enterprise,
        role,
        classifier,
    } = slot.owner;
    let (role, classifier) = (role.into(), classifier.into());
    (
        slot.start,
        slot.end,
        name(slot.facility),
        name(enterprise),
        role,
        classifier,
    )
}

/// A slot's row; none if nothing in it bears on no-shows.
fn row(key: &Key, figures: &Figures) -> Option<pb::NoShowRow> {
    let count = |stage| figures.get(Figure::of(Meaning::Appointment(stage)));
    let confirmed = count(AppointmentStage::Confirmed);
    let changed = count(AppointmentStage::Changed);
    let cancelled = count(AppointmentStage::Cancelled);
    let used = count(AppointmentStage::Used);
    let any = [confirmed, changed, cancelled, used]
        .iter()
        .any(|&count| count != 0);
    any.then(|| pb::NoShowRow {
        slot_start: Some(ask::message(key.0)),
        slot_end: Some(ask::message(key.1)),
        facility: key.2.to_string(),
        enterprise: key.3.to_string(),
        role: key.4,
        classifier: key.5,
        confirmed,
        changed,
        cancelled,
        used,
        no_shows: confirmed - changed - cancelled - used,
    })
}
