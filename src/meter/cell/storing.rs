//! What of the cells is to be stored, and what of them need not stay in memory.

use super::outbox::{Outbox, Value};
use super::{CellKey, Cells, Day, Owner, Series, Stored, Sweep};
use std::collections::BTreeMap;

/// Owners whose records are left to the shelf at a time: it bounds how long that
/// keeps queries waiting.
const COOLED: usize = 128;

/// Owners whose records of a day are left to the shelf.
pub struct Cooling {
    day: Day,
    owners: Vec<Owner>,
}

impl Cells {
    /// How many values have changed since the last [`Cells::cut`].
    pub fn changed(&self) -> usize {
        self.out.changed()
    }

    /// Takes what has changed since the last call, to be stored, and what is to
    /// be swept from the shelf before.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn store(&mut self) -> Result<(Vec<Stored>, Vec<Sweep>), postcard::Error> {
        let sweeps = self.cut();
        let (stored, _) = self.gather(usize::MAX)?;
        Ok((stored, sweeps))
    }

    /// Settles that all that has changed until now is to be stored as it is now;
    /// what is to be swept from the shelf before. What was settled before must be
    /// gathered.
    pub fn cut(&mut self) -> Vec<Sweep> {
        self.out.cut();
        std::mem::take(&mut self.sweeps)
    }

    /// Gathers at most so many values of those that were settled: gives them and
    /// those that had to be gathered since the last call, because they changed,
    /// and whether that is all.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn gather(&mut self, most: usize) -> Result<(Vec<Stored>, bool), postcard::Error> {
        self.encode(most);
        self.out.take()
    }

    /// Encodes at most so many of the values that were settled.
    pub(super) fn encode(&mut self, most: usize) {
        for _ in 0..most {
            let Some(key) = self.out.next() else { return };
            if self.turn(&key).is_none() {
                self.out.turn_of_none(key);
            }
        }
    }

    /// Encodes a value unless that was done; none if it is gone.
    fn turn(&mut self, key: &CellKey) -> Option<()> {
        let out = &mut self.out;
        match key {
            CellKey::Call(call) => self.calls.turn(call, out),
            CellKey::Slot(slot) => self.slots.turn(slot, out),
            CellKey::Day(owner, ..)
            | CellKey::Total(owner, _)
            | CellKey::Facilities(owner)
            | CellKey::Totals(owner) => turn_of(self.owners.get_mut(owner)?, key, out),
        }
    }

    /// Leaves to the shelf what [`Cells::store`] gave and is durable there now,
    /// whole days and the oldest first, until at most so many records and so
    /// many slots are in memory.
    pub fn cool(&mut self, most: usize) {
        for part in self.coolable(most) {
            self.cool_part(&part);
        }
        self.cool_slots(most);
    }

    /// The days of which to leave records to the shelf so that at most so many are
    /// left, in parts that take little time each, the oldest first.
    pub fn coolable(&self, most: usize) -> Vec<Cooling> {
        let mut left = self.hot;
        if left <= most {
            return Vec::new();
        }
        let mut by_day: BTreeMap<Day, Vec<(Owner, usize)>> = BTreeMap::new();
        for (&owner, series) in &self.owners {
            for (day, of) in series.hot.iter().filter(|(_, of)| !of.records.is_empty()) {
                by_day
                    .entry(day)
                    .or_default()
                    .push((owner, of.records.len()));
            }
        }
        let mut parts = Vec::new();
        for (day, owners) in by_day {
            if left <= most {
                break;
            }
            left -= owners.iter().map(|(_, records)| records).sum::<usize>();
            parts.extend(owners.chunks(COOLED).map(|owners| Cooling {
                day,
                owners: owners.iter().map(|&(owner, _)| owner).collect(),
            }));
        }
        parts
    }

    /// Leaves records of a day to the shelf, those that are stored.
    pub fn cool_part(&mut self, part: &Cooling) {
        self.shelved_until = self.shelved_until.max(part.day);
        for owner in &part.owners {
            if let Some(series) = self.owners.get_mut(owner) {
                self.hot -= series.cool(part.day);
            }
        }
    }

    /// The same for slots.
    pub fn cool_slots(&mut self, most: usize) {
        self.slots.cool(most);
    }
}

/// The same for a value of an owner.
fn turn_of(series: &mut Series, key: &CellKey, out: &mut Outbox) -> Option<()> {
    match key {
        CellKey::Day(_, day, facility) => {
            let hot = series.hot.get_mut(*day)?.records.get_mut(*facility)?;
            hot.mark = out.turn(hot.mark, key, &Value::Record(&hot.record));
        }
        CellKey::Total(_, day) => {
            let of_day = series.hot.get_mut(*day)?;
            of_day.mark = out.turn(of_day.mark, key, &Value::Total(of_day.total()));
        }
        CellKey::Facilities(_) => {
            series.mark = out.turn(series.mark, key, &Value::Facilities(&series.facilities));
        }
        CellKey::Totals(_) => {
            let totals = Value::Totals(&series.totals);
            series.totals_mark = out.turn(series.totals_mark, key, &totals);
        }
        CellKey::Call(_) | CellKey::Slot(_) => {}
    }
    Some(())
}
