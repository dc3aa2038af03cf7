//! Appointment slots: in memory those that changed lately or lie ahead.

use super::outbox::{Mark, Outbox, Value};
use super::{CellKey, Day, Owner, SlotKey, Unread, Wanted, shelf::Shelf};
use crate::meter::figure::Figures;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

/// Figures, and when they changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hot {
    pub(super) figures: Figures,
    pub(super) mark: Mark,
}

/// All slots.
#[derive(Default)]
pub struct Slots {
    /// By the UTC day on which they start. One without figures is gone, which the
    /// shelf does not know yet.
    hot: BTreeMap<Day, OfDay>,
    /// Slots that start before this UTC day may be on the shelf.
    shelved_before: Day,
}

/// Those of a day, an owner's together.
type OfDay = BTreeMap<SlotKey, Hot>;

impl Slots {
    /// None in memory; those that start before a UTC day may be on the shelf.
    pub fn shelved(shelved_before: Day) -> Self {
        Self {
            hot: BTreeMap::new(),
            shelved_before,
        }
    }

    /// Asks for a slot that must be read before it is changed.
    pub fn want(&self, key: &SlotKey, wanted: &mut Wanted) {
        let day = key.day();
        let is_hot = || self.hot.get(&day).is_some_and(|of| of.contains_key(key));
        if day < self.shelved_before && !is_hot() {
            wanted.slots.push(*key);
        }
    }

    /// Takes what was read.
    pub fn warm(&mut self, key: SlotKey, figures: Figures) {
        let of_day = self.hot.entry(key.day()).or_default();
        of_day.entry(key).or_insert(Hot { figures, mark: 0 });
    }

    /// Takes over what another meter stored.
    pub fn take_over(&mut self, key: SlotKey, figures: Figures) {
        let of_day = self.hot.entry(key.day()).or_default();
        of_day.insert(key, Hot { figures, mark: 0 });
    }

    /// A slot's figures, to be changed.
    pub fn change(&mut self, key: SlotKey, out: &mut Outbox) -> &mut Figures {
        let hot = match self.hot.entry(key.day()).or_default().entry(key) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(new) => new.insert(Hot::default()),
        };
        let value = || Value::Figures(&hot.figures);
        hot.mark = out.change(hot.mark, || CellKey::Slot(key), value);
        &mut hot.figures
    }

    /// Encodes a slot unless that was done; none if it is not in memory.
    pub fn turn(&mut self, key: &SlotKey, out: &mut Outbox) -> Option<()> {
        let hot = self.hot.get_mut(&key.day())?.get_mut(key)?;
        let figures = Value::Figures(&hot.figures);
        hot.mark = out.turn(hot.mark, &CellKey::Slot(*key), &figures);
        Some(())
    }

    /// Drops what starts before a UTC day.
    pub fn drop_before(&mut self, day: Day) {
        self.hot = self.hot.split_off(&day);
    }

    /// Leaves stored slots to the shelf, the earliest days first, until few enough are
    /// left, or a day has some that are not stored.
    pub fn cool(&mut self, most: usize) {
        let mut left: usize = self.hot.values().map(BTreeMap::len).sum();
        while left > most
            && let Some(mut first) = self.hot.first_entry()
        {
            let before = first.get().len();
            first.get_mut().retain(|_, hot| hot.mark != 0);
            left -= before - first.get().len();
            self.shelved_before = self.shelved_before.max(first.key().saturating_add(1));
            if !first.get().is_empty() {
                return;
            }
            first.remove();
        }
    }

    /// Visits the slots that start on a UTC day, all or an owner's, in order, until
    /// `each` says that it is enough; whether it never did.
    ///
    /// # Errors
    /// The shelf's.
    pub fn visit(
        &self,
        shelf: &dyn Shelf,
        (day, whose): (Day, Option<Owner>),
        each: &mut dyn FnMut(&SlotKey, &Figures) -> bool,
    ) -> Result<bool, Unread> {
        let shelved = match day < self.shelved_before {
            true => shelf.slots(day, whose)?,
            false => Vec::new(),
        };
        let none = OfDay::new();
        let of_day = self.hot.get(&day).unwrap_or(&none);
        let within = whose.map_or((Bound::Unbounded, Bound::Unbounded), |owner| {
            let [first, last] = SlotKey::ends_of(owner);
            (Bound::Included(first), Bound::Included(last))
        });
        Ok(merge(shelved, of_day.range(within), each))
    }
}

/// Visits slots of the shelf and of memory in order; what is in memory counts. False once
/// it is enough.
fn merge<'a>(
    shelved: Vec<(SlotKey, Figures)>,
    hot: impl Iterator<Item = (&'a SlotKey, &'a Hot)>,
    each: &mut dyn FnMut(&SlotKey, &Figures) -> bool,
) -> bool {
    let mut shelved = shelved.into_iter().peekable();
    for (key, hot) in hot {
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
