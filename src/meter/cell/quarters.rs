//! The quarter-hours of a day, in one piece of memory: most have few figures, and
//! what an event adds to should not be far apart.

use super::Quarter;
use super::packed::{self, Bytes};
use crate::meter::figure::{Figure, Figures};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use std::fmt;
use std::ops::Range;

/// One figure of a quarter-hour, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct One {
    value: i64,
    quarter: Quarter,
    figure: Figure,
}

/// Figures by quarter-hour, ascending, none of them zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quarters(Vec<One>);

impl Quarters {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The earliest.
    pub fn first(&self) -> Option<Quarter> {
        self.0.first().map(|one| one.quarter)
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes those before one away.
    pub fn remove_before(&mut self, quarter: Quarter) {
        let end = self.0.partition_point(|one| one.quarter < quarter);
        self.0.drain(..end);
    }

    /// Adds figures to a quarter-hour; how many more there are, as one without
    /// figures is none.
    pub fn add(&mut self, quarter: Quarter, sum: &Figures) -> i64 {
        let Range { start, mut end } = self.within(quarter);
        let before = start < end;
        let mut at = start;
        for (figure, value) in sum.iter() {
            let found = self.0[at..end].binary_search_by_key(&figure, |one| one.figure);
            match found {
                Ok(further) => {
                    at += further;
                    let one = &mut self.0[at];
                    // As all figures do, so that taking back stays exact.
                    one.value = one.value.wrapping_add(value);
                    if one.value == 0 {
                        self.0.remove(at);
                        end -= 1;
                    }
                }
                Err(further) => {
                    at += further;
                    let one = One {
                        value,
                        quarter,
                        figure,
                    };
                    self.0.insert(at, one);
                    end += 1;
                }
            }
        }
        i64::from(start < end) - i64::from(before)
    }

    /// The figures of each, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Quarter, Figures)> + '_ {
        self.each()
            .map(|(quarter, ones)| (quarter, figures_of(ones).collect()))
    }

    /// The quarter-hours, ascending, whose figures are others in `later`, and how many more
    /// there are then: one that comes, or goes, or neither.
    pub fn changes<'a>(&'a self, later: &'a Self) -> impl Iterator<Item = (Quarter, i64)> + 'a {
        let (mut was, mut is) = (self.each().peekable(), later.each().peekable());
        std::iter::from_fn(move || {
            while was.peek().is_some() && was.peek() == is.peek() {
                was.next();
                is.next();
            }
            let [before, after] = [was.peek(), is.peek()].map(|of| of.map(|&(quarter, _)| quarter));
            let quarter = before.into_iter().chain(after).min()?;
            let was = was.next_if(|of| of.0 == quarter).is_some();
            let is = is.next_if(|of| of.0 == quarter).is_some();
            Some((quarter, i64::from(is) - i64::from(was)))
        })
    }

    /// Visits some of them, ascending.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn visit<E>(
        &self,
        quarters: Range<Quarter>,
        mut each: impl FnMut(Quarter, &Figures) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut figures = Figures::default();
        for (quarter, ones) in self.each().filter(|(q, _)| quarters.contains(q)) {
            figures.clear();
            figures.add_all(figures_of(ones));
            each(quarter, &figures)?;
        }
        Ok(())
    }

    fn each(&self) -> impl Iterator<Item = (Quarter, &[One])> {
        let each = self.0.chunk_by(|one, other| one.quarter == other.quarter);
        each.filter_map(|ones| Some((ones.first()?.quarter, ones)))
    }

    /// Where a quarter-hour is, or would be. Mostly it is the last.
    fn within(&self, quarter: Quarter) -> Range<usize> {
        let end = match self.0.last() {
            Some(last) if last.quarter > quarter => {
                self.0.partition_point(|one| one.quarter <= quarter)
            }
            _ => self.0.len(),
        };
        let (mut start, mut step) = (end, 8);
        while start > 0 && self.0[start - 1].quarter == quarter {
            start = start.saturating_sub(step);
            step *= 2;
        }
        let before = self.0[start..end].partition_point(|one| one.quarter < quarter);
        start + before..end
    }
}

fn figures_of(ones: &[One]) -> impl Iterator<Item = (Figure, i64)> {
    ones.iter().map(|one| (one.figure, one.value))
}

impl Serialize for Quarters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_seq(Some(self.each().count()))?;
        for (quarter, ones) in self.each() {
            let packed = packed::pack(figures_of(ones));
            out.serialize_element(&(quarter, Bytes(&packed)))?;
        }
        out.end()
    }
}

impl<'de> Deserialize<'de> for Quarters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Unpack)
    }
}

struct Unpack;

impl<'de> Visitor<'de> for Unpack {
    type Value = Quarters;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("quarter-hours with their figures")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Quarters, A::Error> {
        let mut quarters = Quarters::default();
        while let Some((quarter, figures)) = seq.next_element::<(Quarter, Figures)>()? {
            match quarters.0.last() {
                Some(last) if last.quarter >= quarter => {
                    quarters.add(quarter, &figures);
                }
                _ => quarters.0.extend(figures.iter().map(|(figure, value)| One {
                    value,
                    quarter,
                    figure,
                })),
            }
        }
        Ok(quarters)
    }
}

#[cfg(test)]
mod tests {
    use super::super::QUARTERS_PER_DAY;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map_of_figures_and_stored_as_one(
            steps in prop::collection::vec(
                (any::<bool>(), 0..QUARTERS_PER_DAY, prop::collection::vec((0..40u16, -2..3i64), 0..30)),
                0..60,
            ),
            (oldest, from, to) in (0..QUARTERS_PER_DAY, 0..50, 50..QUARTERS_PER_DAY),
        ) {
            let (mut quarters, mut map) = (Quarters::default(), BTreeMap::new());
            for (late, quarter, values) in steps {
                let quarter = if late { quarter } else { 90 };
                let each = values.into_iter();
                let sum: Figures = each.map(|(n, value)| (Figure::numbered(n), value)).collect();
                let before = map.len() as i64;
                map.entry(quarter).or_insert_with(Figures::default).merge(&sum);
                map.retain(|_, figures| !figures.is_empty());
                prop_assert_eq!(quarters.add(quarter, &sum), map.len() as i64 - before);
            }
            let all: Vec<(Quarter, Figures)> = map.clone().into_iter().collect();
            prop_assert_eq!(quarters.iter().collect::<Vec<_>>(), all.clone());
            prop_assert_eq!(quarters.is_empty(), map.is_empty());
            prop_assert_eq!(quarters.first(), map.keys().next().copied());
            let stored = postcard::to_stdvec(&quarters).unwrap();
            prop_assert_eq!(&stored, &postcard::to_stdvec(&all).unwrap());
            prop_assert_eq!(postcard::from_bytes(&stored), Ok(quarters.clone()));
            let mut visited = Vec::new();
            let done = quarters.visit(from..to, |quarter, figures| {
                visited.push((quarter, figures.clone()));
                Ok::<(), ()>(())
            });
            prop_assert_eq!(done, Ok(()));
            prop_assert!(visited.into_iter().eq(map.clone().into_iter().filter(|(q, _)| (from..to).contains(q))));
            let whole = quarters.clone();
            quarters.remove_before(oldest);
            let kept = map.split_off(&oldest);
            prop_assert!(quarters.iter().eq(kept.clone()));
            let gone: Vec<_> = map.keys().map(|&quarter| (quarter, -1)).collect();
            prop_assert_eq!(whole.changes(&quarters).collect::<Vec<_>>(), gone);
            let one = Figures::from_iter([(Figure::numbered(7), 1)]);
            let Some((&quarter, first)) = kept.first_key_value() else { return Ok(()) };
            let more = quarters.add(quarter, &one);
            prop_assert!(more == 0 || first.iter().count() == 1);
            map.insert(quarter, Figures::default());
            let mut changed: Vec<_> = map.keys().map(|&of| (of, -1)).collect();
            if let Some(last) = changed.last_mut() {
                last.1 = more;
            }
            prop_assert_eq!(whole.changes(&quarters).collect::<Vec<_>>(), changed.clone());
            let back: Vec<_> = changed.into_iter().map(|(of, more)| (of, -more)).collect();
            prop_assert_eq!(quarters.changes(&whole).collect::<Vec<_>>(), back);
        }
    }
}
