//! The partitions that this instance counts, for who tells of them: what the engine
//! alone decides, others read.

use crate::log::kafka::group::Ends;
use crate::log::kafka::partition::partition_of;
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};

/// The partitions that are counted here, and where the log ends in them.
pub struct Assigned {
    partitions: u32,
    counted: RwLock<BTreeMap<u32, Ends>>,
}

impl Assigned {
    /// None of so many.
    pub fn new(partitions: u32) -> Self {
        let counted = RwLock::default();
        Self {
            partitions,
            counted,
        }
    }

    /// These are counted from now on, and no others.
    pub fn set(&self, partitions: &BTreeSet<u32>) {
        let mut counted = self.counted.write();
        counted.retain(|partition, _| partitions.contains(partition));
        for &partition in partitions {
            counted.entry(partition).or_default();
        }
    }

    /// Where the log ends, in those partitions that are counted.
    pub fn end(&self, ends: impl IntoIterator<Item = (u32, Ends)>) {
        let mut counted = self.counted.write();
        for (partition, end) in ends {
            counted.entry(partition).and_modify(|known| *known = end);
        }
    }

    /// The partitions that are counted, and where the log ends in them.
    pub fn ends(&self) -> Vec<(u32, Ends)> {
        let counted = self.counted.read();
        counted.iter().map(|(&of, &ends)| (of, ends)).collect()
    }

    /// Which enterprises are told of here: each belongs to the partition in which it
    /// would lie if it were a facility, so exactly one instance of a group has it.
    pub fn enterprises(&self) -> impl Fn(&str) -> bool + use<> {
        let counted: BTreeSet<u32> = self.counted.read().keys().copied().collect();
        let partitions = self.partitions;
        move |id| counted.contains(&partition_of(id, partitions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_enterprise_is_one_instances_and_goes_with_its_partition() {
        let (here, there) = (Assigned::new(4), Assigned::new(4));
        let ids: Vec<String> = (0..100).map(|n| format!("ygt:{n}")).collect();
        let count = |of: &Assigned| {
            let has = of.enterprises();
            ids.iter().filter(|id| has(id)).count()
        };
        assert_eq!((count(&here), count(&there)), (0, 0));
        here.set(&BTreeSet::from([0, 3]));
        there.set(&BTreeSet::from([1, 2]));
        assert_eq!(count(&here) + count(&there), 100);
        assert!(count(&here) > 0 && count(&there) > 0);
        here.set(&BTreeSet::new());
        assert_eq!(count(&here), 0);
    }

    #[test]
    fn ends_are_those_of_partitions_that_are_counted() {
        let assigned = Assigned::new(4);
        let ends = Ends {
            high_watermark: 9,
            last_stable: 7,
        };
        assigned.set(&BTreeSet::from([0, 3]));
        assigned.end([(3, ends), (1, ends)]);
        assert_eq!(assigned.ends(), [(0, Ends::default()), (3, ends)]);
        assigned.set(&BTreeSet::from([0]));
        assert_eq!(assigned.ends(), [(0, Ends::default())]);
    }
}
