//! By what an event is judged beside its form: the clock, and how far back it
//! may reach.

use crate::event::fault::{Fault, Path};
use crate::event::{Classifier, Event, Millis};
use crate::pb::Reason;
use crate::pseudonym::{Day, InForce, Pseudonyms};
use compact_str::{CompactString, ToCompactString};
use pbjson_types::Timestamp;

/// How far ahead of the clock an ACTUAL event may be: senders' clocks differ.
pub const ACTUAL_AHEAD_MS: i64 = 10 * 60 * 1000;

/// How far ahead of the clock plans, estimates and slots may be.
pub const PLANNED_AHEAD_MS: i64 = 400 * 86_400_000;

/// Plans and estimates are under the key of so many days earlier: else one that was
/// told before a key was added could be of a day on which that key is in force, and
/// would pair with nothing that is told afterwards.
const PLANS_LAG_DAYS: Day = 401;

/// Where jiff's instants end, late in 9999: each instant that is accepted has a
/// date in every zone.
const SECONDS_MAX: i64 = 253_402_207_199;

/// By what events are judged.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The server's clock.
    pub now: Millis,
    /// The correction horizon.
    pub horizon_ms: i64,
    /// How long day cells are kept.
    pub day_retention_ms: i64,
    /// Events older than the horizon are accepted.
    pub backfill: bool,
    /// What would be a warning is refused.
    pub strict: bool,
    /// What plates and drivers are replaced by.
    pub pseudonyms: &'a Pseudonyms,
}

/// An event that may enter the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event, normalised.
    pub event: Event,
    /// What is odd about it, in the order of its fields; at most
    /// [`super::WARNINGS_MAX`].
    pub warnings: Vec<Fault>,
}

impl<'a> Judge<'a> {
    /// The keys of an event: they go by its own day, so that they are the same
    /// whenever it is sent.
    pub(super) fn keys(&self, classifier: Classifier, occurred_at: Millis) -> InForce<'a> {
        let told = occurred_at.div_euclid(86_400_000) as Day;
        self.pseudonyms.in_force(match classifier {
            Classifier::Planned | Classifier::Estimated => told - PLANS_LAG_DAYS,
            Classifier::Actual | Classifier::Unspecified => told,
        })
    }

    /// Judges when an event happened.
    pub(super) fn occurred(&self, at: Millis, classifier: Classifier) -> Result<(), Fault> {
        let field = "occurred_at";
        match classifier {
            Classifier::Planned | Classifier::Estimated => self.planned(at, field)?,
            _ if at > self.now.saturating_add(ACTUAL_AHEAD_MS) => {
                let expected = "at most 10 minutes ahead of the server's clock";
                return Err(Fault::new(Reason::Future, field, shown(at), expected));
            }
            _ => {}
        }
        self.old(at, field)
    }

    /// Judges a slot. It is as old as its start, where it is counted.
    pub(super) fn slot(&self, start: Millis, end: Millis) -> Result<(), Fault> {
        self.planned(start, "appointment_step.slot_start")?;
        self.old(start, "appointment_step.slot_start")?;
        self.planned(end, "appointment_step.slot_end")
    }

    fn planned(&self, at: Millis, field: &'static str) -> Result<(), Fault> {
        if at <= self.now.saturating_add(PLANNED_AHEAD_MS) {
            return Ok(());
        }
        let expected = "at most 400 days ahead of the server's clock";
        Err(Fault::new(Reason::Future, field, shown(at), expected))
    }

    fn old(&self, at: Millis, field: &'static str) -> Result<(), Fault> {
        let expected = if at < self.now.saturating_sub(self.day_retention_ms) {
            "not older than day figures are kept"
        } else if at < self.now.saturating_sub(self.horizon_ms) && !self.backfill {
            "not older than the correction horizon, or backfill"
        } else {
            return Ok(());
        };
        Err(Fault::new(Reason::TooOld, field, shown(at), expected))
    }
}

/// An instant, truncated to milliseconds.
pub(super) fn millis(instant: Option<Timestamp>, field: impl Into<Path>) -> Result<Millis, Fault> {
    let expected = "an instant";
    let Some(Timestamp { seconds, nanos }) = instant else {
        return Err(Fault::missing(field, expected));
    };
    if !(0..1_000_000_000).contains(&nanos) {
        let expected = "0 to 999,999,999 nanoseconds";
        return Err(Fault::malformed(
            field,
            &nanos.to_compact_string(),
            expected,
        ));
    }
    if !(0..=SECONDS_MAX).contains(&seconds) {
        let found = seconds.to_compact_string();
        return Err(Fault::new(
            Reason::OutOfRange,
            field,
            found,
            "the years 1970 to 9999",
        ));
    }
    Ok(seconds * 1000 + i64::from(nanos / 1_000_000))
}

/// An instant for people.
fn shown(at: Millis) -> CompactString {
    jiff::Timestamp::from_millisecond(at).map_or_else(
        |_| at.to_compact_string(),
        |instant| instant.to_compact_string(),
    )
}
