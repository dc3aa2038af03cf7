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

    /// Settles that all that has changed until now is to be stored as it is now;
    /// what is to be swept from the shelf before. What was settled before must be
    /// gathered.
    pub fn cut(&mut self) -> Vec<Sweep> {
        self.post_all();
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

    /// What to leave to the shelf so that at most so many records are left in
    /// memory: whole days, the oldest first, in parts that take little time each. No
    /// cut may come before [`Cells::cool_part`] was given the last of them: what is
    /// gathered is not on the shelf before it is durable.
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

    /// Leaves records of a day to the shelf, those that did not change since the
    /// cut, of which all must be durable.
    pub fn cool_part(&mut self, part: &Cooling) {
        // What is still to be posted found its records in memory.
        self.post_all();
        self.shelved_until = self.shelved_until.max(part.day);
        for owner in &part.owners {
            if let Some(series) = self.owners.get_mut(owner) {
                self.hot -= series.cool(part.day);
            }
        }
    }

    /// Leaves slots to the shelf, whole UTC days and the earliest first, until at most
    /// so many are in memory. The same holds for them.
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
