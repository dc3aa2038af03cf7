//! Strings that recur (facilities, enterprises, sources), each as a small number.
//! They are kept for good, so nothing of which there are new ones every day may be
//! among them.

use compact_str::CompactString;
use hashbrown::HashMap;

/// A name's number. Numbers are given in order of first use, so they mean
/// nothing outside the table that gave them.
pub type NameId = u32;

/// Names and their numbers, both ways.
#[derive(Default)]
pub struct Names {
    by_name: HashMap<CompactString, NameId>,
    by_id: Vec<CompactString>,
}

impl Names {
    /// The name's number; a new one if it has none yet.
    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let id = self.by_id.len() as NameId;
        self.by_id.push(name.into());
        self.by_name.insert(name.into(), id);
        id
    }

    /// The name's number, if it has one.
    pub fn find(&self, name: &str) -> Option<NameId> {
        self.by_name.get(name).copied()
    }

    /// The name with this number; empty if there is none.
    pub fn get(&self, id: NameId) -> &str {
        self.by_id
            .get(id as usize)
            .map_or("", CompactString::as_str)
    }

    /// How many there are. The next new name gets this number.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
