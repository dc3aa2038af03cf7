//! Passes over the log, in which most records are passed over by their bytes.

use super::{Cell, Identity, Inquiry};
use crate::audit::feed::reached;
use crate::audit::peek::peek;
use crate::audit::told::spots;
use crate::audit::{Day, Error, Reach, utc_day};
use crate::event::{Detail, Event, Millis};
use crate::log::{self, Offset};
use crate::pb::DurationKind;
use crate::wire;
use aho_corasick::AhoCorasick;
use bytes::Bytes;
use compact_str::CompactString;
use rustc_hash::FxHashSet;

/// Events that are kept in memory for one question, with those that they may
/// pair with.
pub(super) const MEMBERS_MAX: usize = 400_000;

/// Texts that are looked for at once; with more, all of the facility's events
/// are looked at.
const NEEDLES_MAX: usize = 1_000;

/// Identities of one facility.
pub(super) type Members = std::collections::HashSet<Identity, rustc_hash::FxBuildHasher>;

/// Texts of which a record must hold one to be looked at: the log's encoding
/// keeps every text as it is.
pub(super) struct Needles(Option<AhoCorasick>);

impl Needles {
    /// Records with one of these.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        // Should they be too many for it, all records are looked at.
        Self(AhoCorasick::new(texts.into_iter().map(str::as_bytes)).ok())
    }

    /// Records with one of these, or with another text if these are many.
    pub fn some<'t>(texts: impl IntoIterator<Item = &'t str>, other: &'t str) -> Self {
        let some: Vec<&str> = texts.into_iter().take(NEEDLES_MAX + 1).collect();
        match some.len() {
            0..=NEEDLES_MAX => Self::of(some),
            _ => Self::of([other]),
        }
    }

    fn hit(&self, bytes: &[u8]) -> bool {
        self.0
            .as_ref()
            .is_none_or(|needles| needles.is_match(bytes))
    }
}

/// Pairing lists: durations' kinds, and what their starts and ends have in
/// common.
#[derive(Default)]
pub(super) struct Keys(FxHashSet<(DurationKind, CompactString)>);

impl Keys {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the lists that an event is in.
    pub fn of(&mut self, event: &Event) {
        self.add(event, |_| true);
    }

    /// Adds the lists in which an event is an end.
    pub fn ends(&mut self, event: &Event) {
        self.add(event, |end| end);
    }

    /// Whether an event is in one of these lists.
    pub fn meet(&self, event: &Event) -> bool {
        let detail = event.statement.as_ref().map(|told| &told.detail);
        let mut spots = detail.map(spots).into_iter().flatten();
        spots.any(|spot| self.0.contains(&(spot.kind, spot.key.into())))
    }

    pub fn needles(&self, facility: &str) -> Needles {
        Needles::some(self.0.iter().map(|(_, key)| &**key), facility)
    }

    fn add(&mut self, event: &Event, wanted: impl Fn(bool) -> bool) {
        let detail = event.statement.as_ref().map(|told| &told.detail);
        let spots = detail.map(spots).into_iter().flatten();
        let spots = spots.filter(|spot| wanted(spot.end));
        self.0
            .extend(spots.map(|spot| (spot.kind, spot.key.into())));
    }
}

impl Cell {
    /// Whether this version would count in the cell, or end a duration there.
    pub(super) fn may_count(&self, event: &Event) -> bool {
        let Some(told) = &event.statement else {
            return false;
        };
        let at = match &told.detail {
            Detail::AppointmentStep(step) => step.slot_start,
            _ => told.occurred_at,
        };
        let mine = |party: &crate::event::Party| {
            party.role == self.role && party.enterprise == self.enterprise
        };
        told.classifier == self.classifier && self.holds(at) && told.parties.iter().any(mine)
    }

    /// Whether an instant lies in its interval.
    pub(super) fn holds(&self, at: Millis) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// What is known after a pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    /// How far back the log reaches.
    pub reach: Reach,
    /// The log clock's day at the position that is explained.
    pub clock: Option<Day>,
}

/// A record that may matter.
pub(super) struct Found<'a> {
    record: &'a log::Record,
    bytes: &'a Bytes,
    event: Option<Event>,
    pub offset: Offset,
    /// The log clock's day when it was appended.
    pub day: Day,
    pub facility: CompactString,
    pub event_id: CompactString,
}

impl Found<'_> {
    pub fn source(&self) -> &CompactString {
        &self.record.source
    }

    pub fn appended_at(&self) -> Millis {
        self.record.appended_at
    }

    pub fn identity(&self) -> Identity {
        Identity {
            source: self.source().clone(),
            event_id: self.event_id.clone(),
        }
    }

    /// The event; none of bytes that cannot be decoded, which count nowhere.
    pub fn event(&mut self) -> Option<&Event> {
        if self.event.is_none() {
            self.event = wire::decode(self.bytes).ok();
        }
        self.event.as_ref()
    }
}

impl Inquiry<'_> {
    /// Reads the log up to the position, and gives the events in whose bytes a
    /// needle is.
    pub(super) fn pass(
        &self,
        needles: &Needles,
        take: &mut dyn FnMut(&mut Found<'_>) -> Result<(), Error>,
    ) -> Result<Passed, Error> {
        let start = self.log.start();
        let mut passed = Passed::default();
        passed.reach.start = start;
        let mut records = self.log.read()?;
        while let Some(record) = records.next_before(self.end)? {
            if !(self.wanted)() {
                return Err(Error::Cancelled);
            }
            if record.schema != wire::SCHEMA {
                let (offset, schema) = (record.first_offset, record.schema);
                return Err(Error::Schema { offset, schema });
            }
            passed.reach.first.get_or_insert(record.appended_at);
            passed.tick(&record);
            self.look(&record, &passed, needles, take)?;
        }
        reached(&*records, self.end)?;
        Ok(passed)
    }

    fn look(
        &self,
        record: &log::Record,
        passed: &Passed,
        needles: &Needles,
        take: &mut dyn FnMut(&mut Found<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (offset, bytes) in (record.first_offset..self.end).zip(&record.events) {
            if !needles.hit(bytes) {
                continue;
            }
            let Some((facility, event_id)) = peek(bytes) else {
                continue;
            };
            take(&mut Found {
                record,
                bytes,
                event: None,
                offset,
                day: passed.clock.unwrap_or(utc_day(record.appended_at)),
                facility,
                event_id,
            })?;
        }
        Ok(())
    }
}

impl Passed {
    /// A record that is no event moves no clock.
    fn tick(&mut self, record: &log::Record) {
        let today = utc_day(record.appended_at);
        let later = self.clock.is_none_or(|clock| today > clock);
        if later && record.events.iter().any(|bytes| peek(bytes).is_some()) {
            self.clock = Some(today);
        }
    }
}
