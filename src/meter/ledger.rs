//! The identities that are known: for each, which version won, where its record
//! is, and until when it is remembered.
//!
//! A port's horizon holds tens of millions of them, so an entry is 40 bytes and
//! holds nothing that its record in the log can tell.

use super::cell::{DAY_MS, Day, utc_day_of};
use super::codes;
use super::names::NameId;
use super::pairing::Side;
use super::slab::Slab;
use super::tables::Tables;
use crate::event::Millis;
use crate::fingerprint::Fingerprint;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Where an identity's entry is; given to another identity once it is forgotten.
pub type EntryId = u32;

/// Where a record is in the log, in bytes.
pub type Address = u64;

/// A record of the past, and how to know that it is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whence {
    /// Where it is.
    pub address: Address,
    /// The fingerprint of its canonical bytes.
    #[serde(with = "codes::bits")]
    pub content: u64,
}

/// What is known of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Facility, source and event id.
    pub identity: Fingerprint,
    /// The source's name.
    pub source: NameId,
    /// The winner's revision; none if it is beyond [`REVISION_MAX`], then the
    /// record tells.
    pub revision: Option<i64>,
    /// Whether the winner says that it did not happen.
    pub retracted: bool,
    /// The winner's record.
    pub record: Whence,
    /// The UTC day of its latest record's append, duplicates and losers included.
    pub appended: Day,
    /// The latest UTC day that the winner speaks of; the least if it is a
    /// retraction.
    pub told: Day,
}

/// The greatest revision that an entry holds: milliseconds since 1970 fit until
/// the year 6400.
pub const REVISION_MAX: i64 = (1 << 47) - 2;

const BEYOND: u64 = (1 << 47) - 1;

impl Known {
    /// The UTC day at whose end it is forgotten.
    pub fn expires(&self, horizon_days: Day) -> Day {
        self.appended.max(self.told).saturating_add(horizon_days)
    }
}

/// [`Known`], packed. Days are of 1970 to 2149.
#[derive(Clone, Copy, Debug)]
struct Entry {
    identity: Fingerprint,
    source: NameId,
    content: [u32; 2],
    appended: u16,
    told: u16,
    // Revision above, retracted in the lowest bit: 48 bits.
    version_low: u32,
    version_high: u16,
    // 48 bits: 280 TB of log.
    address_high: u16,
    address_low: u32,
}

const VACANT: NameId = NameId::MAX;

impl Entry {
    const NONE: Self = Self {
        identity: Fingerprint([0; 3]),
        source: VACANT,
        content: [0; 2],
        appended: 0,
        told: 0,
        version_low: 0,
        version_high: 0,
        address_high: 0,
        address_low: 0,
    };

    fn pack(known: &Known) -> Self {
        let revision = known.revision.map_or(BEYOND, |revision| revision as u64);
        let version = revision << 1 | u64::from(known.retracted);
        let Whence { address, content } = known.record;
        Self {
            identity: known.identity,
            source: known.source,
            content: [(content >> 32) as u32, content as u32],
            appended: packed_day(known.appended),
            told: packed_day(known.told),
            version_low: version as u32,
            version_high: (version >> 32) as u16,
            address_high: (address >> 32) as u16,
            address_low: address as u32,
        }
    }

    fn unpack(&self) -> Known {
        let version = u64::from(self.version_high) << 32 | u64::from(self.version_low);
        let revision = version >> 1;
        Known {
            identity: self.identity,
            source: self.source,
            revision: (revision != BEYOND).then_some(revision as i64),
            retracted: version & 1 == 1,
            record: Whence {
                address: self.address(),
                content: u64::from(self.content[0]) << 32 | u64::from(self.content[1]),
            },
            appended: Day::from(self.appended),
            told: Day::from(self.told),
        }
    }

    fn address(&self) -> Address {
        u64::from(self.address_high) << 32 | u64::from(self.address_low)
    }

    fn last_day(&self) -> Day {
        Day::from(self.appended.max(self.told))
    }
}

fn packed_day(day: Day) -> u16 {
    day.clamp(0, i32::from(u16::MAX)) as u16
}

/// A place whose pair is frozen: its list and side.
pub type Mark = (Fingerprint, Side);

/// All known identities.
pub struct Ledger {
    horizon_days: Day,
    entries: Slab<Entry>,
    index: Tables<EntryId>,
    len: usize,
    // No entry is forgotten before the end of this day.
    earliest: Day,
    // Places whose pair is frozen, because the partner is forgotten: they pair
    // no more, whatever later versions say.
    settled: FxHashMap<EntryId, SmallVec<[Mark; 1]>>,
}

impl Ledger {
    /// An empty ledger with this correction horizon.
    pub fn new(horizon_ms: i64) -> Self {
        Self {
            horizon_days: (horizon_ms / DAY_MS) as Day,
            entries: Slab::new(Entry::NONE),
            index: Tables::new(),
            len: 0,
            earliest: Day::MAX,
            settled: FxHashMap::default(),
        }
    }

    /// How many days an identity is remembered after it was last heard of.
    pub fn horizon_days(&self) -> Day {
        self.horizon_days
    }

    /// How many identities are known.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The identity's place, if it is known.
    pub fn find(&self, identity: Fingerprint) -> Option<EntryId> {
        let entries = &self.entries;
        self.index
            .of(identity)
            .find(identity.hash(), |&id| entries[id].identity == identity)
            .copied()
    }

    /// What is known at a place that is in use.
    pub fn get(&self, id: EntryId) -> Known {
        self.entries[id].unpack()
    }

    /// Whose it is.
    pub fn source(&self, id: EntryId) -> NameId {
        self.entries[id].source
    }

    /// Changes what is known at a place; its identity stays.
    pub fn set(&mut self, id: EntryId, known: &Known) {
        self.entries[id] = Entry::pack(known);
        self.earliest = self.earliest.min(known.expires(self.horizon_days));
    }

    /// Adds an identity that is not known yet.
    pub fn insert(&mut self, known: &Known) -> EntryId {
        let id = self.entries.insert(Entry::pack(known));
        let entries = &self.entries;
        let index = self.index.of_mut(known.identity);
        index.insert_unique(known.identity.hash(), id, |&other| {
            entries[other].identity.hash()
        });
        self.len += 1;
        self.earliest = self.earliest.min(known.expires(self.horizon_days));
        id
    }

    /// The entries to forget now that the log clock has reached `today`, by the
    /// day that is over.
    pub fn due(&mut self, today: Day) -> Vec<(Day, EntryId)> {
        if self.earliest >= today {
            return Vec::new();
        }
        let (mut due, mut earliest) = (Vec::new(), Day::MAX);
        for (id, entry) in self.used() {
            let expires = entry.last_day() + self.horizon_days;
            if expires < today {
                due.push((expires, id));
            } else {
                earliest = earliest.min(expires);
            }
        }
        self.earliest = earliest;
        due.sort_unstable();
        due
    }

    /// The lowest address of a winner's record: the log is needed from there on.
    pub fn lowest_address(&self) -> Option<Address> {
        self.used().map(|(_, entry)| entry.address()).min()
    }

    /// Forgets an identity.
    pub fn remove(&mut self, id: EntryId) {
        let identity = self.entries[id].identity;
        let table = self.index.of_mut(identity);
        if let Ok(found) = table.find_entry(identity.hash(), |&other| other == id) {
            found.remove();
            self.entries.remove(id);
            self.settled.remove(&id);
            self.len -= 1;
        }
    }

    /// Freezes the pair of a place.
    pub fn settle(&mut self, id: EntryId, mark: Mark) {
        let marks = self.settled.entry(id).or_default();
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    }

    /// The places of an identity whose pairs are frozen.
    pub fn marks(&self, id: EntryId) -> &[Mark] {
        self.settled.get(&id).map_or(&[], |marks| marks)
    }

    fn used(&self) -> impl Iterator<Item = (EntryId, &Entry)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.source != VACANT)
    }
}

/// The latest UTC day that a statement speaks of.
pub fn told_day(occurred_at: Millis, slot_end: Option<Millis>) -> Day {
    utc_day_of(slot_end.map_or(occurred_at, |end| end.max(occurred_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZON_MS: i64 = 4 * DAY_MS;

    fn known(n: u32, day: Day) -> Known {
        Known {
            identity: Fingerprint([n, n, n]),
            source: 1,
            revision: Some(i64::from(n)),
            retracted: n.is_multiple_of(2),
            record: Whence {
                address: u64::from(n) << 20 | 0xf000_0000_0000,
                content: u64::from(n) << 40,
            },
            appended: day,
            told: day - 1,
        }
    }

    #[test]
    fn an_entry_is_small_and_keeps_what_it_is_given() {
        assert_eq!(size_of::<Entry>(), 40);
        let mut ledger = Ledger::new(HORIZON_MS);
        let large = Known {
            revision: None,
            ..known(3, 20_000)
        };
        let most = Known {
            revision: Some(REVISION_MAX),
            ..known(4, 20_000)
        };
        for one in [known(1, 20_000), known(2, 20_000), large, most] {
            let id = ledger.insert(&one);
            assert_eq!(ledger.get(id), one);
            assert_eq!(ledger.find(one.identity), Some(id));
        }
        assert_eq!(ledger.len(), 4);
        assert_eq!(ledger.find(Fingerprint([9; 3])), None);
    }

    #[test]
    fn what_is_due_comes_by_day_and_what_was_told_again_later() {
        let mut ledger = Ledger::new(HORIZON_MS);
        let ids = [3, 1, 2, 1].map(|day| ledger.insert(&known(day as u32 + 1, day)));
        assert_eq!(ledger.due(5), vec![]);
        ledger.set(ids[3], &known(2, 9));
        assert_eq!(ledger.due(7), vec![(5, ids[1]), (6, ids[2])]);
    }

    #[test]
    fn a_place_is_given_to_another_identity_without_its_marks() {
        let mut ledger = Ledger::new(HORIZON_MS);
        let id = ledger.insert(&known(1, 1));
        ledger.settle(id, (Fingerprint([1; 3]), Side::End));
        ledger.remove(id);
        assert_eq!(ledger.find(Fingerprint([1; 3])), None);
        assert_eq!(ledger.insert(&known(2, 1)), id);
        assert!(ledger.marks(id).is_empty());
        assert_eq!(ledger.len(), 1);
    }
}
