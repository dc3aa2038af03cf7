//! Appointment slots: in memory those that changed lately or lie ahead.

use super::outbox::{Mark, Outbox, Value};
use super::{CellKey, DAY_MS, SlotKey, Unread, Wanted, shelf::Shelf};
use crate::event::Millis;
use crate::meter::figure::Figures;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

/// Figures, and when they changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hot {
    pub(super) figures: Figures,
    pub(super) mark: Mark,
}

/// All slots.
#[derive(Default)]
pub struct Slots {
    /// One without figures is gone, which the shelf does not know yet.
    hot: BTreeMap<SlotKey, Hot>,
    /// Slots that start before this instant may be on the shelf.
    shelved_before: Millis,
}

impl Slots {
    /// None in memory; those that start before an instant may be on the shelf.
    pub fn shelved(shelved_before: Millis) -> Self {
        Self {
            hot: BTreeMap::new(),
            shelved_before,
        }
    }

    /// Asks for a slot that must be read before it is changed.
    pub fn want(&self, key: &SlotKey, wanted: &mut Wanted) {
        if key.start < self.shelved_before && !self.hot.contains_key(key) {
            wanted.slots.push(*key);
        }
    }

    /// Takes what was read.
    pub fn warm(&mut self, key: SlotKey, figures: Figures) {
        self.hot.entry(key).or_insert(Hot { figures, mark: 0 });
    }

    /// Takes over what another meter stored.
    pub fn take_over(&mut self, key: SlotKey, figures: Figures) {
        self.hot.insert(key, Hot { figures, mark: 0 });
    }

    /// A slot's figures, to be changed.
    pub fn change(&mut self, key: SlotKey, out: &mut Outbox) -> &mut Figures {
        let hot = match self.hot.entry(key) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(new) => new.insert(Hot::default()),
        };
        let value = || Value::Figures(&hot.figures);
        hot.mark = out.change(hot.mark, || CellKey::Slot(key), value);
        &mut hot.figures
    }

    /// Encodes a slot unless that was done; none if it is not in memory.
    pub fn turn(&mut self, key: &SlotKey, out: &mut Outbox) -> Option<()> {
        let hot = self.hot.get_mut(key)?;
        let figures = Value::Figures(&hot.figures);
        hot.mark = out.turn(hot.mark, &CellKey::Slot(*key), &figures);
        Some(())
    }

    /// Drops what starts before an instant.
    pub fn drop_before(&mut self, start: Millis) {
        let gone = self.hot.extract_if(..SlotKey::first(start), |_, _| true);
        gone.for_each(drop);
    }

    /// Leaves stored slots to the shelf, the earliest first and whole UTC days,
    /// until few enough are left.
    pub fn cool(&mut self, most: usize) {
        while self.hot.len() > most {
            let Some((first, _)) = self.hot.first_key_value() else {
                return;
            };
            let end = (first.start.div_euclid(DAY_MS) + 1) * DAY_MS;
            let before = self.hot.len();
            let cooled = self
                .hot
                .extract_if(..SlotKey::first(end), |_, hot| hot.mark == 0);
            cooled.for_each(drop);
            self.shelved_before = self.shelved_before.max(end);
            if self.hot.len() == before {
                return;
            }
        }
    }

    /// Visits the slots that start in an interval, in order, until `each` says
    /// that it is enough.
    ///
    /// # Errors
    /// The shelf's.
    pub fn visit(
        &self,
        shelf: &dyn Shelf,
        starts: Range<Millis>,
        each: &mut dyn FnMut(&SlotKey, &Figures) -> bool,
    ) -> Result<(), Unread> {
        let mut from = starts.start;
        while from < starts.end {
            // A day at a time, so that a page does not read a month.
            let to = match from.div_euclid(DAY_MS).checked_add(1) {
                Some(next) if from < self.shelved_before => (next * DAY_MS).min(starts.end),
                _ => starts.end,
            };
            let shelved = match from < self.shelved_before {
                true => shelf.slots(from..to)?,
                false => Vec::new(),
            };
            if !self.merge(shelved, from..to, each) {
                return Ok(());
            }
            from = to;
        }
        Ok(())
    }

    /// Visits slots of the shelf and of memory in order; what is in memory
    /// counts. False once it is enough.
    fn merge(
        &self,
        shelved: Vec<(SlotKey, Figures)>,
        starts: Range<Millis>,
        each: &mut dyn FnMut(&SlotKey, &Figures) -> bool,
    ) -> bool {
        let mut shelved = shelved.into_iter().peekable();
        for (key, hot) in self
            .hot
            .range(SlotKey::first(starts.start)..SlotKey::first(starts.end))
        {
            while let Some((cold, figures)) = shelved.next_if(|(cold, _)| cold < key) {
                if !each(&cold, &figures) {
                    return false;
                }
            }
            shelved.next_if(|(cold, _)| cold == key);
            if !hot.figures.is_empty() && !each(key, &hot.figures) {
                return false;
            }
        }
        shelved.all(|(key, figures)| each(&key, &figures))
    }
}
