//! The slices of all partitions as the shelf of what answers: each cell is in the slice
//! of its facility's partition, under that partition's numbers.

use super::naming::Naming;
use crate::meter::cell::{Day, DayRecord, Owner, Records, Shelf, SlotKey, Unread};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use crate::worker::shelf::OfStore;
use parking_lot::RwLock;
use std::ops::Range;
use std::sync::Arc;

/// All slices.
pub struct OfSlices {
    /// By partition.
    pub slices: Vec<OfStore>,
    /// The numbers of their names.
    pub naming: Arc<RwLock<Naming>>,
}

impl Shelf for OfSlices {
    fn record(
        &self,
        owner: Owner,
        day: Day,
        facility: NameId,
    ) -> Result<Option<DayRecord>, Unread> {
        for (partition, slice) in self.slices.iter().enumerate() {
            let own = {
                let naming = self.naming.read();
                let owner = naming.own_owner(partition, owner);
                owner.zip(naming.own(partition, facility))
            };
            let Some((owner, facility)) = own else {
                continue;
            };
            if let Some(record) = slice.record(owner, day, facility)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn records(&self, owner: Owner, days: Range<Day>) -> Result<Records, Unread> {
        let mut all = Records::new();
        for (partition, slice) in self.slices.iter().enumerate() {
            let own = self.naming.read().own_owner(partition, owner);
            let Some(own) = own else { continue };
            let records = slice.records(own, days.clone())?;
            let naming = self.naming.read();
            all.extend(records.into_iter().filter_map(|((day, facility), record)| {
                Some(((day, naming.common(partition, facility)?), record))
            }));
        }
        all.sort_unstable_by_key(|(at, _)| *at);
        Ok(all)
    }

    fn slot(&self, key: &SlotKey) -> Result<Option<Figures>, Unread> {
        for (partition, slice) in self.slices.iter().enumerate() {
            let own = self.naming.read().own_slot(partition, key);
            let Some(own) = own else { continue };
            if let Some(figures) = slice.slot(&own)? {
                return Ok(Some(figures));
            }
        }
        Ok(None)
    }

    fn slots(&self, day: Day, whose: Option<Owner>) -> Result<Vec<(SlotKey, Figures)>, Unread> {
        let mut all = Vec::new();
        for (partition, slice) in self.slices.iter().enumerate() {
            let own = |owner| self.naming.read().own_owner(partition, owner);
            let own = whose.map(own);
            if own == Some(None) {
                continue;
            }
            let slots = slice.slots(day, own.flatten())?;
            let naming = self.naming.read();
            all.extend(
                slots
                    .into_iter()
                    .filter_map(|(slot, figures)| Some((naming.slot(partition, slot)?, figures))),
            );
        }
        all.sort_unstable_by_key(|(key, _)| *key);
        Ok(all)
    }
}
