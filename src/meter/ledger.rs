//! The identities that are known: for each its winning version, what it
//! contributed, and until when it is remembered.

use super::cell::{DAY_MS, Day};
use super::contribution::{Contribution, PointKey};
use super::names::{NameId, Names};
use crate::event::Millis;
use compact_str::CompactString;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

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
    // An entry is listed under each day that ever was its last; those that are
    // out of date are passed over when the day comes.
    expiring: BTreeMap<Day, Vec<EntryId>>,
}

impl Ledger {
    /// An empty ledger with this correction horizon.
    pub fn new(horizon_ms: i64) -> Self {
        let (slots, free, index, expiring) = Default::default();
        Self {
            horizon_ms,
            slots,
            free,
            index,
            expiring,
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
            .find(hash(facility, source, event_id), same)
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
        let hashed = hash(key.facility, key.source, &key.event_id);
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as EntryId
        });
        self.slots[id as usize] = Some(entry);
        let slots = &self.slots;
        self.index.insert_unique(hashed, id, |&other| {
            slots[other as usize].as_ref().map_or(0, |entry| {
                hash(
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
        let due = self.expiring.entry(day).or_default();
        if due.last() != Some(&id) {
            due.push(id);
        }
    }

    /// The entries to forget, now that the log clock has reached `today`.
    pub fn due(&mut self, today: Day) -> Vec<EntryId> {
        let later = self.expiring.split_off(&today);
        let past = std::mem::replace(&mut self.expiring, later);
        let mut due: Vec<EntryId> = past.into_values().flatten().collect();
        due.sort_unstable();
        due.dedup();
        due.retain(|&id| {
            self.get(id)
                .is_some_and(|e| e.expires(self.horizon_ms) < today)
        });
        due
    }

    /// Forgets an identity.
    pub fn remove(&mut self, id: EntryId) -> Option<Entry> {
        let entry = self.slots.get_mut(id as usize)?.take()?;
        let key = &entry.identity;
        let hashed = hash(key.facility, key.source, &key.event_id);
        if let Ok(found) = self.index.find_entry(hashed, |&other| other == id) {
            found.remove();
        }
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

fn hash(facility: NameId, source: NameId, event_id: &str) -> u64 {
    let mut hasher = FxHasher::default();
    (facility, source).hash(&mut hasher);
    event_id.hash(&mut hasher);
    hasher.finish()
}
