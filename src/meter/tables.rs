//! Hash tables by fingerprint, of which no one takes long to grow, and no two at
//! the same time: a table that grows moves all it has while everybody waits.

use crate::fingerprint::Fingerprint;
use hashbrown::HashTable;

const TABLES: usize = 1024;

/// Many small tables as one. A table doubles when it is full, so those of equal
/// shares would all do so at once; these have shares from one to two, in steps of
/// an equal factor, and so are full one after the other.
pub struct Tables<T>(Vec<HashTable<T>>);

impl<T> Tables<T> {
    /// Empty ones.
    pub fn new() -> Self {
        Self((0..TABLES).map(|_| HashTable::new()).collect())
    }

    /// The one in which a key is.
    pub fn of(&self, key: Fingerprint) -> &HashTable<T> {
        &self.0[number(key)]
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, key: Fingerprint) -> &mut HashTable<T> {
        &mut self.0[number(key)]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &HashTable<T>> {
        self.0.iter()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut HashTable<T>> {
        self.0.iter_mut()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.iter().map(HashTable::len).sum()
    }
}

/// Of the keys in order, the share of table n begins at 2^(n/TABLES) − 1.
fn number(key: Fingerprint) -> usize {
    // 24 bits, as many as the type holds exactly.
    let part = (key.0[0] >> 8) as f32 / (1 << 24) as f32;
    (((1.0 + part).log2() * TABLES as f32) as usize).min(TABLES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Fingerprints;

    #[test]
    fn tables_grow_one_after_the_other_while_entries_double() {
        const FEW: usize = 200_000;
        const STEPS: usize = 20;
        let fingerprints = Fingerprints::new(&[7; 16]);
        let mut tables = Tables::new();
        let mut grown = [0_usize; STEPS];
        for n in 0..2 * FEW {
            let key = fingerprints.identity("CNNBO", "ygt", &n.to_string());
            let table = tables.of_mut(key);
            let before = table.capacity();
            table.insert_unique(key.hash(), key, |key| key.hash());
            if n >= FEW && table.capacity() > before {
                let doubled = (n as f64 / FEW as f64).log2();
                grown[(doubled * STEPS as f64) as usize] += 1;
            }
        }
        assert_eq!(tables.len(), 2 * FEW);
        // Each table grew about once.
        assert!(
            (900..1150).contains(&grown.iter().sum::<usize>()),
            "{grown:?}"
        );
        let most = grown.iter().max().unwrap();
        assert!(*most < 3 * TABLES / STEPS, "{grown:?}");
    }
}
