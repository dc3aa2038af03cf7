//! Names have numbers of their own in each partition; what answers has one number for
//! each, whatever the partition.

use crate::meter::cell::{CallKey, Owner, SlotKey};
use crate::meter::names::{NameId, Names};
use compact_str::CompactString;
use rustc_hash::FxHashMap;

/// The numbers of all partitions.
pub struct Naming {
    names: Names,
    partitions: Vec<OfPartition>,
}

/// The numbers of one, both ways.
#[derive(Default)]
struct OfPartition {
    common: Vec<NameId>,
    own: FxHashMap<NameId, NameId>,
}

impl Naming {
    /// No names yet, of so many partitions.
    pub fn new(partitions: usize) -> Self {
        Self {
            names: Names::default(),
            partitions: (0..partitions).map(|_| OfPartition::default()).collect(),
        }
    }

    /// The common names, in the order of their numbers, from one on.
    pub fn names_from(&self, first: usize) -> impl Iterator<Item = CompactString> + '_ {
        (first..self.names.len()).map(|id| self.names.get(id as NameId).into())
    }

    /// How many common names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// A partition gave a name the next number; false if that is not its next.
    pub fn learn(&mut self, partition: usize, own: NameId, name: &str) -> bool {
        let common = self.names.intern(name);
        let Some(of) = self.partitions.get_mut(partition) else {
            return false;
        };
        match of.common.get(own as usize) {
            // Heard before.
            Some(&known) => known == common,
            None if of.common.len() == own as usize => {
                of.common.push(common);
                of.own.insert(common, own);
                true
            }
            None => false,
        }
    }

    /// A partition gives its numbers anew.
    pub fn forget(&mut self, partition: usize) {
        if let Some(of) = self.partitions.get_mut(partition) {
            *of = OfPartition::default();
        }
    }

    /// The common number of a partition's; none if it has no such name.
    pub fn common(&self, partition: usize, own: NameId) -> Option<NameId> {
        let of = self.partitions.get(partition)?;
        of.common.get(own as usize).copied()
    }

    /// A partition's number of a common one; none if it does not know the name.
    pub fn own(&self, partition: usize, common: NameId) -> Option<NameId> {
        let of = self.partitions.get(partition)?;
        of.own.get(&common).copied()
    }

    /// An owner, by common numbers.
    pub fn owner(&self, partition: usize, owner: Owner) -> Option<Owner> {
        let enterprise = self.common(partition, owner.enterprise)?;
        Some(Owner {
            enterprise,
            ..owner
        })
    }

    /// An owner, by a partition's numbers.
    pub fn own_owner(&self, partition: usize, owner: Owner) -> Option<Owner> {
        let enterprise = self.own(partition, owner.enterprise)?;
        Some(Owner {
            enterprise,
            ..owner
        })
    }

    /// A vessel call, by common numbers.
    pub fn call(&self, partition: usize, call: CallKey) -> Option<CallKey> {
        let facility = self.common(partition, call.facility)?;
        Some(CallKey { facility, ..call })
    }

    /// A slot, by common numbers.
    pub fn slot(&self, partition: usize, slot: SlotKey) -> Option<SlotKey> {
        Some(SlotKey {
            facility: self.common(partition, slot.facility)?,
            owner: self.owner(partition, slot.owner)?,
            ..slot
        })
    }

    /// A slot, by a partition's numbers.
    pub fn own_slot(&self, partition: usize, slot: &SlotKey) -> Option<SlotKey> {
        Some(SlotKey {
            facility: self.own(partition, slot.facility)?,
            owner: self.own_owner(partition, slot.owner)?,
            ..*slot
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_number_the_same_names_differently() {
        let mut naming = Naming::new(2);
        for (partition, own, name) in [(0, 0, "a"), (1, 0, "b"), (1, 1, "a"), (0, 1, "c")] {
            assert!(naming.learn(partition, own, name));
        }
        let names: Vec<_> = naming.names_from(0).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(naming.common(0, 1), Some(2));
        assert_eq!(naming.common(1, 1), Some(0));
        assert_eq!(naming.own(1, 0), Some(1));
        assert_eq!(naming.own(1, 2), None);
        assert!(naming.learn(0, 1, "c"), "heard again");
        assert!(!naming.learn(0, 1, "b"), "another name");
        assert!(!naming.learn(0, 5, "d"), "a number left out");
        assert!(!naming.learn(2, 0, "a"), "no such partition");
    }
}
