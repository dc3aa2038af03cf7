//! Cells that are not counted but taken over: whatever was stored, with what it was
//! before, as an instance follows another one's commits.

use crate::shelf::{InMemory, Shelved, decoded};
use compact_str::CompactString;
use quaymeter::meter::cell::{
    CellKey, Cells, DayRecord, Followed, Keeping, Moved, Parts, Shelf, Stored, Sweep,
};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What follows.
pub struct Follower {
    pub cells: Cells,
    mirror: Arc<InMemory>,
}

impl Follower {
    pub fn new(keeping: Keeping) -> Self {
        let mirror = Arc::new(InMemory::default());
        let shelf = Arc::clone(&mirror) as Arc<dyn Shelf>;
        Self {
            cells: Cells::shelved(keeping, shelf, Parts::default()),
            mirror,
        }
    }

    /// Takes over what the other one is about to store, or some of it is left to the
    /// mirror meanwhile.
    pub fn follow(&mut self, other: &Shelved, most: usize) {
        let batch = other.under_way();
        self.cells.follow(self.followed(other, batch));
        self.mirror.take(batch.clone());
        self.cells.cut();
        self.cells.cool_slots(most);
        for part in self.cells.coolable(most) {
            self.cells.cool_part(&part);
        }
    }

    fn followed(&self, other: &Shelved, (stored, sweeps): &(Vec<Stored>, Vec<Sweep>)) -> Followed {
        let names = &other.cells.names;
        let new = self.cells.names.len()..names.len();
        let mut followed = Followed {
            names: new
                .map(|id| CompactString::from(names.get(id as u32)))
                .collect(),
            clock: other.cells.clock,
            ..Followed::default()
        };
        let swept = sweeps.iter().flat_map(|sweep| self.swept(*sweep));
        let puts: BTreeMap<CellKey, Option<Vec<u8>>> = swept.chain(stored.clone()).collect();
        for (key, value) in puts {
            let value = value.as_deref();
            match key {
                CellKey::Day(owner, day, facility) => {
                    let moved = self.moved(&key, value);
                    followed.records.push(((owner, day, facility), moved));
                }
                CellKey::Slot(slot) => followed.slots.push((slot, self.moved(&key, value))),
                CellKey::Totals(owner) => followed.totals.push((owner, self.moved(&key, value))),
                CellKey::Call(call) => {
                    let figures = value.map(decoded).unwrap_or_default();
                    followed.calls.push((call, figures));
                }
                CellKey::Total(..) | CellKey::Facilities(_) => {}
            }
        }
        followed
    }

    /// What a sweep makes of what is in the mirror.
    fn swept(&self, sweep: Sweep) -> Vec<Stored> {
        let of = |key: &CellKey, bytes: &[u8]| match (sweep, key) {
            (Sweep::Day(owner, day), CellKey::Day(whose, of, _))
                if (owner, day) == (*whose, *of) =>
            {
                Some((key.clone(), None))
            }
            (Sweep::Quarters(owner, day), CellKey::Day(whose, of, _))
                if (owner, day) == (*whose, *of) =>
            {
                let mut record: DayRecord = decoded(bytes);
                record.quarters.clear();
                Some((key.clone(), Some(postcard::to_stdvec(&record).unwrap())))
            }
            (Sweep::Slots(before), CellKey::Slot(slot)) if slot.day() < before => {
                Some((key.clone(), None))
            }
            _ => None,
        };
        self.mirror.all(of)
    }

    fn moved<T: DeserializeOwned + Default>(
        &self,
        key: &CellKey,
        value: Option<&[u8]>,
    ) -> Moved<T> {
        Moved {
            was: self.mirror.find(key).unwrap_or_default(),
            is: value.map(decoded).unwrap_or_default(),
        }
    }
}
