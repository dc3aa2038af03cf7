//! What a transaction did, told in cells: each as it was in the slice before, and as it
//! is now.

use super::{Error, Slice};
use crate::cluster::mark::Put;
use crate::cluster::naming::Naming;
use crate::meter::cell::{DayRecord, Followed, Moved, Totals, utc_day_of};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use crate::store::{Bytes, Store, Table};
use crate::view::Following;
use crate::view::position::Position;
use crate::worker::{checkpoint, keys};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// What the puts of a slice do, before they are written to it.
pub fn of(slice: &mut Slice, partition: u32, naming: &mut Naming) -> Result<Following, Error> {
    let known = naming.len();
    // The last put of a key counts.
    let mut puts: BTreeMap<(Table, &[u8]), &Option<Bytes>> = BTreeMap::new();
    for (table, key, value) in &slice.puts {
        puts.insert((*table, key), value);
    }
    let names = slice
        .puts
        .iter()
        .filter(|(table, ..)| *table == Table::Names);
    names.for_each(|put| learn(put, partition, naming));
    let reading = Reading {
        store: &slice.store,
        partition,
        naming,
    };
    let mut followed = Followed::default();
    let mut progress = match slice.begins_anew {
        true => checkpoint::Progress::default(),
        false => slice.progress.clone(),
    };
    for (&(table, key), value) in &puts {
        let value = value.as_deref();
        reading.cell(table, key, value, &mut followed)?;
        let told = value.map(|value| checkpoint::progress_in(table, key, value));
        if let Some(told) = told.transpose()?.flatten() {
            progress = told;
        }
    }
    if slice.begins_anew {
        // What was taken out had its old numbers.
        naming.forget(partition as usize);
    }
    followed.names = naming.names_from(known).collect();
    followed.clock = progress.clock.map(utc_day_of);
    let before = std::mem::replace(&mut slice.progress, progress);
    let after = &slice.progress;
    Ok(Following {
        followed,
        reach: Position::of([(partition, slice.reached.to)]),
        appended_at: after.clock.unwrap_or_default(),
        counts: after.counts - before.counts,
        sources: after.sources.clone(),
    })
}

/// Learns a name; what is none is found when something uses it.
fn learn((_, key, value): &Put, partition: u32, naming: &mut Naming) {
    let own = <[u8; 4]>::try_from(&**key).map(NameId::from_be_bytes);
    let name = value.as_deref().map(String::from_utf8_lossy);
    if let (Ok(own), Some(name)) = (own, name) {
        naming.learn(partition as usize, own, &name);
    }
}

/// A slice that is read beside the puts to it.
struct Reading<'a> {
    store: &'a Store,
    partition: u32,
    naming: &'a Naming,
}

impl Reading<'_> {
    fn cell(
        &self,
        table: Table,
        key: &[u8],
        value: Option<&[u8]>,
        to: &mut Followed,
    ) -> Result<(), Error> {
        let partition = self.partition as usize;
        match table {
            Table::Cells => {
                let (owner, day, facility) = keys::record_in(key).ok_or(strange("day record"))?;
                let owner = self.naming.owner(partition, owner);
                let facility = self.naming.common(partition, facility);
                let (owner, facility) = self.known(owner.zip(facility))?;
                let moved: Moved<DayRecord> = self.moved(table, key, value, "day record")?;
                to.records.push(((owner, day, facility), moved));
            }
            Table::Calls => {
                let call = checkpoint::decode(key, "vessel call's key")?;
                let call = self.known(self.naming.call(partition, call))?;
                let figures = value.map(|value| checkpoint::decode(value, "vessel call"));
                to.calls
                    .push((call, figures.transpose()?.unwrap_or_default()));
            }
            Table::Slots => {
                let slot = keys::slot_in(key).ok_or(strange("slot"))?;
                let slot = self.known(self.naming.slot(partition, slot))?;
                let moved: Moved<Figures> = self.moved(table, key, value, "slot")?;
                to.slots.push((slot, moved));
            }
            Table::Totals => {
                let owner = keys::owner_in(key).ok_or(strange("running total"))?;
                let owner = self.known(self.naming.owner(partition, owner))?;
                let moved: Moved<Totals> = self.moved(table, key, value, "running total")?;
                to.totals.push((owner, moved));
            }
            // Totals of days and lists of facilities follow from the records.
            Table::Meta | Table::Names | Table::Ledger | Table::Days | Table::Facilities => {}
        }
        Ok(())
    }

    fn moved<T: DeserializeOwned + Default>(
        &self,
        table: Table,
        key: &[u8],
        value: Option<&[u8]>,
        what: &'static str,
    ) -> Result<Moved<T>, Error> {
        let read = |bytes: Option<&[u8]>| {
            let decoded = bytes.map(|bytes| checkpoint::decode(bytes, what));
            Ok::<T, checkpoint::Error>(decoded.transpose()?.unwrap_or_default())
        };
        let was = self.store.get(table, key)?;
        Ok(Moved {
            was: read(was.as_deref())?,
            is: read(value)?,
        })
    }

    fn known<T>(&self, found: Option<T>) -> Result<T, Error> {
        let partition = self.partition;
        found.ok_or(Error::Nameless { partition })
    }
}

fn strange(what: &'static str) -> Error {
    Error::Value(checkpoint::Error::Key { what })
}
