//! What of the cells is to be stored, and what of them need not stay in memory.

use super::{CellKey, Cells, Day, Packed, Stored, Sweep};
use std::collections::BTreeMap;

impl Cells {
    /// How many values have changed since the last [`Cells::store`].
    pub fn changed(&self) -> usize {
        self.changed.len() + self.changed_few.len()
    }

    /// Takes what has changed since the last call, to be stored, and what is to
    /// be swept from the shelf before.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn store(&mut self) -> Result<(Vec<Stored>, Vec<Sweep>), postcard::Error> {
        let few = std::mem::take(&mut self.changed_few);
        let mut stored = Vec::with_capacity(self.changed() + few.len());
        for key in std::mem::take(&mut self.changed).into_iter().chain(few) {
            let value = self.value(&key)?;
            stored.push((key, value));
        }
        Ok((stored, std::mem::take(&mut self.sweeps)))
    }

    /// A value as it is to be stored; none if it is gone.
    fn value(&mut self, key: &CellKey) -> Result<Option<Vec<u8>>, postcard::Error> {
        match key {
            CellKey::Day(owner, day, facility) => {
                let series = self.owners.get_mut(owner);
                let of_day = series.and_then(|series| series.hot.get_mut(day));
                let hot = of_day.and_then(|of| of.records.get_mut(facility));
                let hot = hot.map(|hot| {
                    hot.unstored = false;
                    &hot.record
                });
                let full = hot.filter(|record| !record.is_empty());
                full.map(postcard::to_stdvec).transpose()
            }
            CellKey::Total(owner, day) => {
                let series = self.owners.get_mut(owner);
                let of_day = series.and_then(|series| series.hot.get_mut(day));
                Ok(of_day.and_then(|of| {
                    of.unstored = false;
                    let full = !of.total.is_empty();
                    full.then(|| Packed::of(&of.total).bytes().to_vec())
                }))
            }
            CellKey::Facilities(owner) => {
                let series = self.owners.get_mut(owner).map(|series| {
                    series.unstored = false;
                    &series.facilities
                });
                series.map(postcard::to_stdvec).transpose()
            }
            CellKey::Call(key) => self.calls.store(key).map(postcard::to_stdvec).transpose(),
            CellKey::Slot(key) => self.slots.store(key).map(postcard::to_stdvec).transpose(),
            CellKey::Totals(owner) => self.totals.get(owner).map(postcard::to_stdvec).transpose(),
        }
    }

    /// Leaves to the shelf what [`Cells::store`] gave and is durable there now,
    /// whole days and the oldest first, until at most so many records and so
    /// many slots are in memory.
    pub fn cool(&mut self, most: usize) {
        if self.hot > most {
            let mut by_day: BTreeMap<Day, usize> = BTreeMap::new();
            for (&day, of) in self.owners.values().flat_map(|series| &series.hot) {
                *by_day.entry(day).or_default() += of.records.len();
            }
            for (day, records) in by_day {
                if self.hot <= most {
                    break;
                }
                if records > 0 {
                    self.cool_day(day);
                }
            }
        }
        self.slots.cool(most);
    }

    fn cool_day(&mut self, day: Day) {
        for series in self.owners.values_mut() {
            self.hot -= series.cool(day);
        }
        self.shelved_until = self.shelved_until.max(day);
    }
}
