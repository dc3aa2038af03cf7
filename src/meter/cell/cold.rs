//! Totals of an owner's days that are on the shelf, packed one after the other: a
//! ranking reads a month of them of every owner, so they should not be far apart.

use super::packed;
use super::{Day, Packed};
use crate::meter::figure::Figure;
use std::ops::Range;

/// When there is no room left: a part of what is held, and so many bytes.
const MORE_PART: usize = 8;
const MORE_BYTES: usize = 256;

/// Packed figures by day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cold {
    /// Ascending, each with where its bytes end.
    days: Vec<(Day, u32)>,
    bytes: Vec<u8>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedRef<'a>(&'a [u8]);

impl PackedRef<'_> {
    /// The figures, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Figure, i64)> + '_ {
        packed::figures(self.0)
    }
}

impl Cold {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Whether a day is there.
    pub fn contains(&self, day: Day) -> bool {
        self.find(day).is_ok()
    }

    /// Adds a day, or puts it in the place of what is there.
    pub fn insert(&mut self, day: Day, total: &Packed) {
        let bytes = total.bytes();
        let at = match self.find(day) {
            Ok(at) => {
                let within = self.within(at);
                self.shift(at, within.len(), bytes.len());
                self.bytes.splice(within, bytes.iter().copied());
                return;
            }
            Err(at) => at,
        };
        let start = self.start(at);
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            let more = self.bytes.len() / MORE_PART + MORE_BYTES;
            self.bytes.reserve_exact(bytes.len() + more);
        }
        self.bytes.splice(start..start, bytes.iter().copied());
        self.days.insert(at, (day, start as u32));
        self.shift(at, 0, bytes.len());
    }

    /// Takes a day away.
    pub fn remove(&mut self, day: Day) -> Option<Packed> {
        let at = self.find(day).ok()?;
        let within = self.within(at);
        let total = Packed::copied(&self.bytes[within.clone()]);
        self.shift(at, within.len(), 0);
        self.bytes.drain(within);
        self.days.remove(at);
        Some(total)
    }

    /// Takes all before a day away.
    pub fn remove_before(&mut self, day: Day) {
        let at = self.find(day).unwrap_or_else(|at| at);
        let start = self.start(at);
        self.bytes.drain(..start);
        self.days.drain(..at);
        for (_, end) in &mut self.days {
            *end -= start as u32;
        }
    }

    /// Some days, ascending.
    pub fn range(&self, days: Range<Day>) -> impl Iterator<Item = (Day, PackedRef<'_>)> {
        let from = self.find(days.start).unwrap_or_else(|at| at);
        let some = self.days[from..].iter().zip(from..);
        let some = some.take_while(move |((day, _), _)| *day < days.end);
        some.map(|(&(day, _), at)| (day, PackedRef(&self.bytes[self.within(at)])))
    }

    fn find(&self, day: Day) -> Result<usize, usize> {
        self.days.binary_search_by_key(&day, |&(day, _)| day)
    }

    fn start(&self, at: usize) -> usize {
        let before = at.checked_sub(1).map(|before| self.days[before].1);
        before.map_or(0, |end| end as usize)
    }

    fn within(&self, at: usize) -> Range<usize> {
        self.start(at)..self.days[at].1 as usize
    }

    /// Moves the ends from one day on: so many bytes become so many.
    fn shift(&mut self, at: usize, before: usize, after: usize) {
        for (_, end) in &mut self.days[at..] {
            *end = *end + after as u32 - before as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn packed(values: &[(u16, i64)]) -> Packed {
        let each = values.iter();
        Packed::of(
            &each
                .map(|&(n, value)| (Figure::numbered(n), value))
                .collect(),
        )
    }

    proptest! {
        #[test]
        fn it_is_a_map(
            steps in prop::collection::vec(
                (0..4u8, 0..12i32, prop::collection::vec((0..9u16, any::<i64>()), 0..4)),
                0..60,
            ),
        ) {
            let (mut cold, mut map) = (Cold::default(), BTreeMap::new());
            for (what, day, values) in steps {
                match what {
                    0 => prop_assert_eq!(cold.remove(day), map.remove(&day)),
                    1 => {
                        cold.remove_before(day);
                        map = map.split_off(&day);
                    }
                    _ => {
                        cold.insert(day, &packed(&values));
                        map.insert(day, packed(&values));
                    }
                }
                prop_assert_eq!(cold.contains(day), map.contains_key(&day));
                prop_assert_eq!(cold.is_empty(), map.is_empty());
                let found = cold.range(3..day.max(3)).map(|(day, of)| (day, of.iter().collect()));
                let meant = map.range(3..day.max(3)).map(|(&day, of)| (day, of.iter().collect()));
                let meant: Vec<(Day, Vec<(Figure, i64)>)> = meant.collect();
                prop_assert_eq!(found.collect::<Vec<_>>(), meant);
                prop_assert_eq!(cold.range(0..12).count(), map.len());
            }
        }
    }
}
