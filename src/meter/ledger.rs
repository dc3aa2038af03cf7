//! The identities that are known: for each its winning version, what it
//! contributed, and until when it is remembered.

use super::cell::{DAY_MS, Day};
use super::contribution::{Contribution, PointKey};
use super::names::{NameId, Names};
use crate::event::Millis;
use compact_str::CompactString;
use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::BuildHasher;

/// Where an identity's entry is; given to another identity once it is forgotten.
pub type EntryId = u32;

/// What an event is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The facility's name.
    pub facility: NameId,
    /// The source's name.
    pub source: NameId,
    /// The source's own id.
    pub event_id: CompactString,
}

/// A version of an event: the greatest wins. A retraction beats a statement of
/// the same revision; of two statements the greater content hash wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// The reporter's revision.
    pub revision: i64,
    /// Whether it says that the event did not happen.
    pub retracted: bool,
    /// The first 16 bytes of the canonical encoding's SHA-256; zero in a
    /// retraction, so that two retractions are the same.
    pub content: [u8; 16],
}

/// What is known of an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its identity.
    pub identity: Identity,
    /// The version that won.
    pub version: Version,
    /// What that version contributes; nothing if it is a retraction.
    pub contribution: Option<Box<Contribution>>,
    /// The append time of its latest record, duplicates and losers included.
    pub appended_at: Millis,
    /// Places whose pair is frozen, because the partner is forgotten: they pair
    /// no more, whatever later versions say.
    pub settled: Vec<PointKey>,
}

impl Entry {
    /// The UTC day at whose end it is forgotten.
    pub fn expires(&self, horizon_ms: i64) -> Day {
        let told = self.contribution.as_ref().map_or(Millis::MIN, |c| {
            c.occurred_at
                .max(c.slot.map_or(Millis::MIN, |(_, end)| end))
        });
        let last = self.appended_at.max(told);
        last.saturating_add(horizon_ms)
            .div_euclid(DAY_MS)
            .clamp(i64::from(Day::MIN), i64::from(Day::MAX)) as Day
    }

    /// Whether the pair of this place is frozen.
    pub fn is_settled(&self, point: &PointKey) -> bool {
        self.settled.contains(point)
    }
}

/// All known identities.
pub struct Ledger {
    horizon_ms: i64,
    slots: Vec<Option<Entry>>,
    free: Vec<EntryId>,
    index: HashTable<EntryId>,
    // Seeded at random: event ids are their senders' choice, and so would be
    // their collisions.
    hasher: DefaultHashBuilder,
    // An entry is listed under a day that is not after its last one, and listed
    // anew when that day comes too early: so it does not matter how often it is
    // told of again.
    expiring: BTreeMap<Day, Vec<EntryId>>,
    // By place, the day under which its entry is listed; other listings of it
    // are out of date.
    listed: Vec<Day>,
}

impl Ledger {
    /// An empty ledger with this correction horizon.
    pub fn new(horizon_ms: i64) -> Self {
        let (slots, free, index, hasher, expiring, listed) = Default::default();
        Self {
            horizon_ms,
            slots,
            free,
            index,
            hasher,
            expiring,
            listed,
        }
    }

    /// How many identities are known.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The identity's place, if it is known.
    pub fn find(&self, facility: NameId, source: NameId, event_id: &str) -> Option<EntryId> {
        let same = |&id: &EntryId| {
            self.get(id).is_some_and(|entry| {
                let known = &entry.identity;
                known.facility == facility && known.source == source && known.event_id == event_id
            })
        };
        self.index
            .find(hash(&self.hasher, facility, source, event_id), same)
            .copied()
    }

    /// The entry at a place.
    pub fn get(&self, id: EntryId) -> Option<&Entry> {
        self.slots.get(id as usize)?.as_ref()
    }

    /// The entry at a place, to change. Call [`Ledger::schedule`] after.
    pub fn get_mut(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    /// Adds an identity that is not known yet.
    pub fn insert(&mut self, entry: Entry) -> EntryId {
        let key = &entry.identity;
        let hashed = hash(&self.hasher, key.facility, key.source, &key.event_id);
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.listed.push(Day::MAX);
            (self.slots.len() - 1) as EntryId
        });
        self.slots[id as usize] = Some(entry);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hashed, id, |&other| {
            slots[other as usize].as_ref().map_or(0, |entry| {
                hash(
                    hasher,
                    entry.identity.facility,
                    entry.identity.source,
                    &entry.identity.event_id,
                )
            })
        });
        self.schedule(id);
        id
    }

    /// Notes when the entry is to be forgotten.
    pub fn schedule(&mut self, id: EntryId) {
        let Some(entry) = self.get(id) else { return };
        let day = entry.expires(self.horizon_ms);
        if day < self.listed[id as usize] {
            self.list(id, day);
        }
    }

    fn list(&mut self, id: EntryId, day: Day) {
        self.listed[id as usize] = day;
        self.expiring.entry(day).or_default().push(id);
    }

    /// The entries to forget next, now that the log clock has reached `today`:
    /// those of the earliest day that is over. None when there is no such day.
    pub fn due(&mut self, today: Day) -> Option<Vec<EntryId>> {
        let first = self.expiring.first_entry();
        let (day, listed) = first.filter(|day| *day.key() < today)?.remove_entry();
        let mut due = Vec::new();
        for id in listed {
            if self.listed[id as usize] != day {
                continue;
            }
            match self.get(id).map(|entry| entry.expires(self.horizon_ms)) {
                Some(last) if last > day => self.list(id, last),
                Some(_) => due.push(id),
                None => {}
            }
        }
        due.sort_unstable();
        due.dedup();
        Some(due)
    }

    /// Forgets an identity.
    pub fn remove(&mut self, id: EntryId) -> Option<Entry> {
        let entry = self.slots.get_mut(id as usize)?.take()?;
        let key = &entry.identity;
        let hashed = hash(&self.hasher, key.facility, key.source, &key.event_id);
        if let Ok(found) = self.index.find_entry(hashed, |&other| other == id) {
            found.remove();
        }
        self.listed[id as usize] = Day::MAX;
        self.free.push(id);
        Some(entry)
    }

    /// Compares two identities of one facility in byte order.
    pub fn compare(&self, a: EntryId, b: EntryId, names: &Names) -> Ordering {
        let bytes = |id| {
            self.get(id).map(|entry: &Entry| {
                (
                    names.get(entry.identity.source).as_bytes(),
                    entry.identity.event_id.as_bytes(),
                )
            })
        };
        bytes(a).cmp(&bytes(b))
    }

    /// All places that are in use.
    pub fn ids(&self) -> impl Iterator<Item = EntryId> + '_ {
        (0..self.slots.len() as EntryId).filter(|&id| self.get(id).is_some())
    }
}

fn hash(hasher: &DefaultHashBuilder, facility: NameId, source: NameId, event_id: &str) -> u64 {
    hasher.hash_one((facility, source, event_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZON_MS: i64 = 4 * DAY_MS;

    fn entry(event_id: &str, day: i64) -> Entry {
        let (facility, source, retracted) = (0, 1, true);
        Entry {
            identity: Identity {
                facility,
                source,
                event_id: event_id.into(),
            },
            version: Version {
                revision: 0,
                retracted,
                content: [0; 16],
            },
            contribution: None,
            appended_at: day * DAY_MS,
            settled: Vec::new(),
        }
    }

    fn tell_again(ledger: &mut Ledger, id: EntryId, day: i64) {
        if let Some(entry) = ledger.get_mut(id) {
            entry.appended_at = day * DAY_MS;
        }
        ledger.schedule(id);
    }

    #[test]
    fn an_entry_that_is_told_of_again_and_again_is_listed_once() {
        let mut ledger = Ledger::new(HORIZON_MS);
        let ids = ["a", "b"].map(|id| ledger.insert(entry(id, 0)));
        for day in 0..1000 {
            for id in ids {
                tell_again(&mut ledger, id, day / 500);
            }
        }
        assert_eq!(ledger.expiring.values().map(Vec::len).sum::<usize>(), 2);
        assert_eq!(ledger.due(5), Some(vec![]));
        assert_eq!(ledger.due(5), None);
        assert_eq!(ledger.due(6), Some(ids.to_vec()));
    }

    #[test]
    fn a_place_given_to_another_identity_is_due_when_that_one_is() {
        let mut ledger = Ledger::new(HORIZON_MS);
        let id = ledger.insert(entry("a", 5));
        // It moves to an earlier day, and leaves a listing behind.
        tell_again(&mut ledger, id, 0);
        assert_eq!(ledger.due(5), Some(vec![id]));
        ledger.remove(id);
        assert_eq!(ledger.insert(entry("b", 5)), id);
        assert_eq!(ledger.due(9), None);
        assert_eq!(ledger.due(10), Some(vec![id]));
    }
}
