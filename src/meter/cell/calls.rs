//! The cells of vessel calls. All of them are in memory.

use super::outbox::{Outbox, Value};
use super::slots::Hot;
use super::{CallKey, CellKey, Day};
use crate::meter::figure::Figures;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A vessel call as events name it. It has no number: a port has new ones every
/// day, and so its text goes with its cells.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// The call's id.
    pub id: CompactString,
    /// The vessel: an IMO number, else a call sign.
    pub vessel: CompactString,
}

/// Figures by call, classifier and day.
#[derive(Default)]
pub struct Calls {
    /// One without figures is gone, which the store does not know yet.
    cells: BTreeMap<CallKey, Hot>,
}

impl Calls {
    /// Those that were stored.
    pub fn stored(cells: BTreeMap<CallKey, Figures>) -> Self {
        let cells = cells.into_iter();
        Self {
            cells: cells
                .map(|(key, figures)| (key, Hot { figures, mark: 0 }))
                .collect(),
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&CallKey, &Figures)> {
        let all = self.cells.iter().map(|(key, hot)| (key, &hot.figures));
        all.filter(|(_, figures)| !figures.is_empty())
    }

    /// A call's figures, to be changed.
    pub fn change(&mut self, key: &CallKey, out: &mut Outbox) -> &mut Figures {
        let hot = self.cells.entry(key.clone()).or_default();
        let value = || Value::Figures(&hot.figures);
        hot.mark = out.change(hot.mark, || CellKey::Call(key.clone()), value);
        &mut hot.figures
    }

    /// Takes over what another meter stored.
    pub fn take_over(&mut self, key: CallKey, figures: Figures) {
        match figures.is_empty() {
            true => self.cells.remove(&key),
            false => self.cells.insert(key, Hot { figures, mark: 0 }),
        };
    }

    /// Encodes a call unless that was done; none if it is gone.
    pub fn turn(&mut self, key: &CallKey, out: &mut Outbox) -> Option<()> {
        let hot = self.cells.get_mut(key)?;
        let figures = Value::Figures(&hot.figures);
        hot.mark = out.turn(hot.mark, &CellKey::Call(key.clone()), &figures);
        if hot.mark == 0 && hot.figures.is_empty() {
            self.cells.remove(key);
        }
        Some(())
    }

    /// Drops the days before one; those whose end is to be stored, and is not yet
    /// known to be.
    pub fn drop_before(&mut self, oldest: Day) -> impl Iterator<Item = CallKey> {
        let gone = self.cells.extract_if(.., move |key, _| key.day < oldest);
        gone.filter(|(_, hot)| hot.mark == 0).map(|(key, _)| key)
    }
}
