//! What comes in, and what becomes of it.

use super::ledger::Whence;
use crate::event::{Event, Millis};
use crate::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};

/// One record of the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Who reported it.
    pub source: &'a str,
    /// When it was appended to the log.
    pub appended_at: Millis,
    /// What was reported.
    pub event: &'a Event,
    /// The fingerprint of its facility, source and event id.
    pub identity: Fingerprint,
    /// Where it is in the log, and the fingerprint of its canonical bytes.
    pub whence: Whence,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its identity is new.
    New,
    /// The same version is known.
    Duplicate,
    /// It replaced an older statement, or brought a retracted one back.
    Revised,
    /// It took its identity back, known or not.
    Retracted,
    /// A newer version is known.
    Superseded,
    /// The same revision says something else; the greater content hash wins.
    Conflict {
        /// Whether this one won.
        won: bool,
    },
}

/// What became of all records. All but `identities` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records applied.
    pub events: i64,
    /// Of these: the same version was known.
    pub duplicates: i64,
    /// Of these: replaced an older statement.
    pub revisions: i64,
    /// Of these: took an identity back.
    pub retractions: i64,
    /// Of these: a newer version was known.
    pub superseded: i64,
    /// Of these: the same revision said something else.
    pub conflicts: i64,
    /// Pairs taken back again.
    pub repaired: i64,
    /// Identities forgotten.
    pub forgotten: i64,
    /// Identities known now.
    pub identities: i64,
}

impl Counts {
    fn zip(self, other: Self, each: fn(i64, i64) -> i64) -> Self {
        Self {
            events: each(self.events, other.events),
            duplicates: each(self.duplicates, other.duplicates),
            revisions: each(self.revisions, other.revisions),
            retractions: each(self.retractions, other.retractions),
            superseded: each(self.superseded, other.superseded),
            conflicts: each(self.conflicts, other.conflicts),
            repaired: each(self.repaired, other.repaired),
            forgotten: each(self.forgotten, other.forgotten),
            identities: each(self.identities, other.identities),
        }
    }
}

/// Of the records of several partitions.
impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, |one, other| one + other)
    }
}

/// What came since.
impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        self.zip(before, |now, before| now - before)
    }
}
