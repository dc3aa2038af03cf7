//! What became of single events, told from the log: which of an identity's
//! records holds, where it counts, what it pairs with, until when it is known;
//! and which events make up a cell.
//!
//! Only records that bear on the question are kept in memory. What these are
//! takes up to three passes over the log: the events that are asked about, who
//! shares a pairing list with them, and all records of both.

mod account;
mod search;
mod tale;

pub use account::{Account, CallShare, LifeAccount, Listed, Listing, PairAccount, Share};
pub use tale::{Fate, Told};

use super::{Error, Rules};
use crate::event::{Classifier, Millis, Role};
use crate::log::Offset;
use crate::log::readable::Readable;
use compact_str::CompactString;
use search::{Found, Keys, Members, Needles, Passed};
use std::collections::BTreeSet;
use tale::Tale;

/// Records of one identity that are told one by one: the latest.
pub const RECORDS_MAX: usize = 1_000;

/// Events that one cell may be made up of.
pub const EVENTS_MAX: usize = 100_000;

/// Other places at which an unknown event's id is pointed out.
pub const ELSEWHERE_MAX: usize = 10;

/// An event's identity within its facility.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Who reported it.
    pub source: CompactString,
    /// The reporter's id.
    pub event_id: CompactString,
}

/// Which cell, over an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Where.
    pub facility: CompactString,
    /// Whose.
    pub enterprise: CompactString,
    /// In which role.
    pub role: Role,
    /// Of which classifier.
    pub classifier: Classifier,
    /// From when on, in ms.
    pub from: Millis,
    /// Until when, exclusive, in ms.
    pub to: Millis,
}

/// Reads a log to explain what was counted from it.
pub struct Inquiry<'a> {
    /// The log.
    pub log: &'a dyn Readable,
    /// The settings that the numbers came about under.
    pub rules: &'a Rules,
    /// The position that is explained: records from there on are left out.
    pub end: Offset,
    /// Whether the answer is still wanted; asked now and then.
    pub wanted: &'a dyn Fn() -> bool,
}

impl Inquiry<'_> {
    /// What became of an event of a facility.
    ///
    /// # Errors
    /// The log's; too many events that it may pair with; nobody waits any more.
    pub fn event(&self, facility: &CompactString, of: &Identity) -> Result<Account, Error> {
        let mut elsewhere = BTreeSet::new();
        let mut keys = Keys::default();
        let mut tale = Tale::new(self.rules, facility, Some(of));
        let needles = Needles::of([&*of.event_id]);
        let passed = self.pass(&needles, &mut |found| {
            if found.event_id != of.event_id {
                return Ok(());
            }
            if found.facility == *facility && found.source() == of.source {
                found.event().into_iter().for_each(|event| keys.of(event));
                tale.take(found);
                return Ok(());
            }
            if elsewhere.len() < ELSEWHERE_MAX {
                elsewhere.insert((found.facility.clone(), found.source().clone()));
            }
            Ok(())
        })?;
        if !keys.is_empty() {
            let mut members: Members = [of.clone()].into_iter().collect();
            self.partners(facility, &keys, &mut members)?;
            if members.len() > 1 {
                tale = Tale::new(self.rules, facility, Some(of));
                self.collect(facility, &members, &mut tale)?;
            }
        }
        let elsewhere = elsewhere.into_iter().collect();
        Ok(tale.account(&passed, elsewhere))
    }

    /// The events that make up a cell.
    ///
    /// # Errors
    /// The log's; too many events; nobody waits any more.
    pub fn cell(&self, cell: &Cell) -> Result<Listing, Error> {
        let (mut members, mut keys) = (Members::default(), Keys::default());
        let needles = Needles::of([&*cell.enterprise]);
        let passed = self.pass(&needles, &mut |found| {
            if found.facility != cell.facility {
                return Ok(());
            }
            if let Some(event) = found.event().filter(|event| cell.may_count(event)) {
                keys.ends(event);
                members.insert(found.identity());
            }
            within(members.len(), EVENTS_MAX, "events of the cell")
        })?;
        self.partners(&cell.facility, &keys, &mut members)?;
        let mut tale = Tale::new(self.rules, &cell.facility, None);
        self.collect(&cell.facility, &members, &mut tale)?;
        Ok(tale.listing(cell, &passed))
    }

    /// Adds every identity that was ever in one of these lists.
    fn partners(
        &self,
        facility: &CompactString,
        keys: &Keys,
        members: &mut Members,
    ) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let needles = keys.needles(facility);
        self.pass(&needles, &mut |found| {
            if found.facility == *facility && found.event().is_some_and(|event| keys.meet(event)) {
                members.insert(found.identity());
            }
            within(members.len(), search::MEMBERS_MAX, "events that may pair")
        })?;
        Ok(())
    }

    /// Takes all records of some identities in.
    fn collect(
        &self,
        facility: &CompactString,
        members: &Members,
        tale: &mut Tale,
    ) -> Result<Passed, Error> {
        let ids = members.iter().map(|member| &*member.event_id);
        let needles = Needles::some(ids, facility);
        self.pass(&needles, &mut |found: &mut Found<'_>| {
            if found.facility == *facility && members.contains(&found.identity()) {
                tale.take(found);
            }
            Ok(())
        })
    }
}

fn within(count: usize, most: usize, what: &'static str) -> Result<(), Error> {
    if count <= most {
        return Ok(());
    }
    Err(Error::TooMany { what, most })
}
