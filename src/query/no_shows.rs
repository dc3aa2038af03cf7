//! ListNoShows: slots that have ended, and who did not come.

use super::ask;
use super::asker::Asker;
use super::page::Fingerprint;
use super::plan::{self, Plan};
use super::selection::Selection;
use crate::event::Millis;
use crate::meter::cell::{Cells, Owner, SlotKey, utc_day_of};
use crate::meter::figure::{Figure, Figures, Meaning};
use crate::pb::{self, AppointmentStage};
use compact_str::CompactString;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
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

    /// Whose cells must be posted for it: of whoever is asked for by name, the days tell
    /// where his slots are.
    pub fn owners(&self, cells: &Cells) -> Vec<Owner> {
        let named = self.selection.resolve(&cells.names).named();
        named.unwrap_or_default()
    }

    /// A page, and the token of the next one.
    pub fn page(&self, cells: &Cells, now: Millis) -> Result<(Vec<pb::NoShowRow>, String), Status> {
        self.plan.check_reach(cells, self.selection.sight())?;
        let mut first = self.first(cells, self.ended_by.unwrap_or(now))?;
        let next = match first.is_over() {
            true => first.0.pop_last(),
            false => None,
        };
        let token = match first.0.last_key_value() {
            Some((last, _)) if next.is_some() => self.request.token(last),
            _ => String::new(),
        };
        Ok((first.0.into_values().collect(), token))
    }

    /// The first rows after the page before: one more than a page holds, if there are so
    /// many.
    fn first(&self, cells: &Cells, ended_by: Millis) -> Result<First, Status> {
        let mut wanted = self.selection.resolve(&cells.names);
        let named = wanted.named();
        let (from, to) = self.interval;
        // A token of another version of this service may say any instant.
        let from = self.after.as_ref().map_or(from, |after| after.0.min(to));
        let (mut first, mut visits) = (First(BTreeMap::new(), self.limit + 1), 0);
        let mut counted = Ok(());
        cells.slots(from..to, named.as_deref(), &mut |slot, figures| {
            counted = plan::count(&mut visits, 1);
            if counted.is_err() || first.is_before(slot) {
                return false;
            }
            let is_within = (from..to).contains(&slot.start) && slot.end <= ended_by;
            let is_asked = is_within && wanted.owner(&slot.owner);
            if is_asked && first.may_have(slot) && wanted.facility(slot.facility) {
                let key = key(cells, slot);
                if self.after.as_ref().is_none_or(|after| key > *after) {
                    first.take(key, figures);
                }
            }
            true
        })?;
        counted.map(|()| first)
    }
}

/// The first rows of what comes in the order of days, and of a day in none; at most so
/// many.
struct First(BTreeMap<Key, pb::NoShowRow>, usize);

impl First {
    /// Whether there are as many as there may be.
    fn is_over(&self) -> bool {
        self.0.len() >= self.1
    }

    /// When the last of them starts, once nothing behind it is taken.
    fn end(&self) -> Option<Millis> {
        let last = self.0.last_key_value().filter(|_| self.is_over());
        last.map(|((start, ..), _)| *start)
    }

    /// Whether all of them are of days before a slot's.
    fn is_before(&self, slot: &SlotKey) -> bool {
        self.end().is_some_and(|end| utc_day_of(end) < slot.day())
    }

    /// Whether a slot's row may be one of them.
    fn may_have(&self, slot: &SlotKey) -> bool {
        self.end().is_none_or(|end| slot.start <= end)
    }

    fn take(&mut self, key: Key, figures: &Figures) {
        let last = self.0.last_key_value().filter(|_| self.is_over());
        if last.is_some_and(|(last, _)| key > *last) {
            return;
        }
        let Some(row) = row(&key, figures) else {
            return;
        };
        self.0.insert(key, row);
        if self.0.len() > self.1 {
            self.0.pop_last();
        }
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
