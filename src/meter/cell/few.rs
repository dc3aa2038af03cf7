//! A map of few entries in one piece of memory: what an event adds to should not
//! be far apart.

use smallvec::SmallVec;
use std::ops::Range;

/// Keys that are held in place.
const INLINE: usize = 4;

/// Entries by ascending key. Keys and values are apart: to find one among many
/// takes few cache lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<K: Copy, V> {
    keys: SmallVec<[K; INLINE]>,
    values: Vec<V>,
}

impl<K: Copy, V> Default for Few<K, V> {
    fn default() -> Self {
        Self {
            keys: SmallVec::new(),
            values: Vec::new(),
        }
    }
}

impl<K: Ord + Copy, V> Few<K, V> {
    /// How many.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A key's value.
    pub fn get(&self, key: K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.values[at])
    }

    /// A key's value, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.find(key).ok().map(|at| &mut self.values[at])
    }

    /// A key's value, made if it is not there.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = self.find(key).unwrap_or_else(|at| {
            self.keys.insert(at, key);
            self.values.insert(at, make());
            at
        });
        &mut self.values[at]
    }

    /// Takes a key's value away.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let at = self.find(key).ok()?;
        self.keys.remove(at);
        Some(self.values.remove(at))
    }

    /// Takes all entries before a key away.
    pub fn remove_before(&mut self, key: K) -> impl Iterator<Item = V> {
        let end = self.find(key).unwrap_or_else(|at| at);
        self.keys.drain(..end);
        self.values.drain(..end)
    }

    /// The entries, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.keys.iter().copied().zip(&self.values)
    }

    /// The entries within a range of keys, ascending.
    pub fn range(&self, keys: Range<K>) -> impl Iterator<Item = (K, &V)> {
        let start = self.find(keys.start).unwrap_or_else(|at| at);
        let from = self.keys[start..].iter().copied();
        from.zip(&self.values[start..])
            .take_while(move |(key, _)| *key < keys.end)
    }

    /// The values, by ascending key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter()
    }

    /// The entries, ascending, their values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.keys.iter().copied().zip(&mut self.values)
    }

    /// Where a key is, or where it would be. Mostly it is the last.
    fn find(&self, key: K) -> Result<usize, usize> {
        match self.keys.last() {
            Some(last) if *last == key => Ok(self.keys.len() - 1),
            Some(last) if *last < key => Err(self.keys.len()),
            _ => self.keys.binary_search(&key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..4u8, 0..12i32, any::<u16>()), 0..60)) {
            let (mut few, mut map) = (Few::default(), BTreeMap::new());
            for (what, key, value) in steps {
                match what {
                    0 => prop_assert_eq!(few.remove(key), map.remove(&key)),
                    1 => {
                        let gone: Vec<u16> = few.remove_before(key).collect();
                        let kept = map.split_off(&key);
                        prop_assert!(gone.iter().eq(std::mem::replace(&mut map, kept).values()));
                    }
                    _ => {
                        *few.get_or_insert_with(key, || value) ^= value;
                        *map.entry(key).or_insert(value) ^= value;
                    }
                }
                prop_assert_eq!(few.get(key), map.get(&key));
                prop_assert_eq!(few.get_mut(key), map.get_mut(&key));
                prop_assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
                prop_assert!(few.values().eq(map.values()));
                let all: Vec<(i32, u16)> = map.iter().map(|(&key, &value)| (key, value)).collect();
                prop_assert!(few.iter().map(|(key, &value)| (key, value)).eq(all.iter().copied()));
                let within = all.iter().copied().filter(|(of, _)| (3..key).contains(of));
                prop_assert!(few.range(3..key).map(|(key, &value)| (key, value)).eq(within));
            }
        }
    }
}
