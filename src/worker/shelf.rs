//! The store as the shelf of cells that are not in memory, and what is swept
//! from it.

use super::checkpoint::Error;
use super::keys;
use crate::meter::cell::{Day, DayRecord, Owner, Records, Shelf, SlotKey, Sweep, Unread};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use crate::store::{Batch, Bytes, Store, Table};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;

/// Cells in the store.
pub struct OfStore(pub Arc<Store>);

impl Shelf for OfStore {
    fn record(
        &self,
        owner: Owner,
        day: Day,
        facility: NameId,
    ) -> Result<Option<DayRecord>, Unread> {
        let found = self
            .0
            .get(Table::Cells, &keys::record(owner, day, facility));
        let found = found.map_err(unread)?;
        found.map(|bytes| decode(&bytes, "day record")).transpose()
    }

    fn records(&self, owner: Owner, days: Range<Day>) -> Result<Records, Unread> {
        let range = keys::total(owner, days.start)..keys::total(owner, days.end);
        let found = self.0.range(Table::Cells, &range.start, &range.end);
        let read = found.map(|pair| {
            let (key, value) = pair.map_err(unread)?;
            let (_, day, facility) = keys::record_in(&key).ok_or_else(|| strange("day record"))?;
            Ok(((day, facility), decode(&value, "day record")?))
        });
        read.collect()
    }

    fn slot(&self, key: &SlotKey) -> Result<Option<Figures>, Unread> {
        let found = self.0.get(Table::Slots, &keys::slot(key)).map_err(unread)?;
        found.map(|bytes| decode(&bytes, "slot")).transpose()
    }

    fn slots(&self, day: Day, whose: Option<Owner>) -> Result<Vec<(SlotKey, Figures)>, Unread> {
        let (from, to) = match whose {
            Some(owner) => (
                keys::slots_of(owner, day).to_vec(),
                keys::after_slots_of(owner, day).to_vec(),
            ),
            None => (
                keys::day(day).to_vec(),
                keys::day(day.saturating_add(1)).to_vec(),
            ),
        };
        let found = self.0.range(Table::Slots, &from, &to);
        let read = found.map(|pair| {
            let (key, value) = pair.map_err(unread)?;
            let key = keys::slot_in(&key).ok_or_else(|| strange("slot"))?;
            Ok((key, decode(&value, "slot")?))
        });
        read.collect()
    }
}

/// Adds to a batch what sweeps what is out of retention.
///
/// # Errors
/// The store's; a stored value that is none.
pub fn sweep(store: &Store, sweeps: &[Sweep], batch: &mut Batch) -> Result<(), Error> {
    for sweep in sweeps {
        match *sweep {
            Sweep::Day(owner, day) => {
                for pair in day_of(store, owner, day) {
                    batch.put(Table::Cells, &pair?.0, None);
                }
                batch.put(Table::Days, &keys::total(owner, day), None);
            }
            Sweep::Quarters(owner, day) => {
                for pair in day_of(store, owner, day) {
                    let (key, value) = pair?;
                    let mut record: DayRecord = super::checkpoint::decode(&value, "day record")?;
                    record.quarters.clear();
                    let bare = super::checkpoint::encode(&record)?;
                    batch.put(Table::Cells, &key, Some(&bare));
                }
            }
            Sweep::Slots(before) => {
                let end = keys::day(before);
                for pair in store.range(Table::Slots, &[0], &end) {
                    batch.put(Table::Slots, &pair?.0, None);
                }
            }
        }
    }
    Ok(())
}

fn day_of(
    store: &Store,
    owner: Owner,
    day: Day,
) -> impl Iterator<Item = Result<(Bytes, Bytes), crate::store::Error>> + '_ {
    let range = keys::total(owner, day)..keys::total(owner, day.saturating_add(1));
    store.range(Table::Cells, &range.start, &range.end)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, Unread> {
    super::checkpoint::decode(bytes, what).map_err(unread)
}

fn strange(what: &'static str) -> Unread {
    unread(Error::Key { what })
}

fn unread<E: std::error::Error + Send + Sync + 'static>(error: E) -> Unread {
    Unread(Box::new(error))
}
