//! How far the mirror has what is committed, for who must wait for it.

use super::mirror::Place;
use crate::log::Offset;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How far a partition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The place of the next record of its changelog.
    pub place: Place,
    /// The log's records before this offset are counted.
    pub to: Offset,
}

/// How far all partitions are.
pub struct Kept {
    partitions: Mutex<Vec<Reached>>,
    /// Partitions whose chain is broken, where, and whether that was told.
    doubted: Mutex<BTreeMap<u32, (Place, bool)>>,
    changed: Condvar,
}

impl Kept {
    /// So far, by partition.
    pub fn new(partitions: Vec<Reached>) -> Self {
        Self {
            partitions: Mutex::new(partitions),
            doubted: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A partition is this far now.
    pub fn set(&self, partition: u32, reached: Reached) {
        if let Some(of) = self.partitions.lock().get_mut(partition as usize) {
            *of = reached;
        }
        self.changed.notify_all();
    }

    /// How far a partition is.
    pub fn of(&self, partition: u32) -> Reached {
        let partitions = self.partitions.lock();
        partitions
            .get(partition as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Waits until all before an offset of the log is kept; false if it is not in time,
    /// or the partition's chain is broken.
    pub fn wait(&self, partition: u32, to: Offset, wait: Duration) -> bool {
        self.wait_until(partition, |reached| reached.to >= to, wait)
    }

    /// Whether [`Kept::wait`] would wait.
    pub fn is_awaited(&self, partition: u32, to: Offset) -> bool {
        !self.is_doubted(partition) && self.of(partition).to < to
    }

    /// Waits until all before a place of the changelog is kept; false if it is not in
    /// time, or the partition's chain is broken.
    pub fn wait_for_place(&self, partition: u32, place: Place, wait: Duration) -> bool {
        self.wait_until(partition, |reached| reached.place >= place, wait)
    }

    fn wait_until(
        &self,
        partition: u32,
        is_kept: impl Fn(&Reached) -> bool,
        wait: Duration,
    ) -> bool {
        let until = Instant::now() + wait;
        let mut partitions = self.partitions.lock();
        loop {
            if self.is_doubted(partition) {
                return false;
            }
            if partitions.get(partition as usize).is_some_and(&is_kept) {
                return true;
            }
            if self.changed.wait_until(&mut partitions, until).timed_out() {
                return false;
            }
        }
    }

    /// A partition's chain is broken at a place.
    pub fn doubt(&self, partition: u32, place: Place) {
        // Who waits looks at it under this lock.
        let _partitions = self.partitions.lock();
        self.doubted.lock().insert(partition, (place, false));
        self.changed.notify_all();
    }

    /// It is counted anew.
    pub fn settle(&self, partition: u32) {
        let _partitions = self.partitions.lock();
        self.doubted.lock().remove(&partition);
        self.changed.notify_all();
    }

    /// Waits until a partition is counted anew; false if it is not in time.
    pub fn wait_settled(&self, partition: u32, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut partitions = self.partitions.lock();
        while self.is_doubted(partition) {
            if self.changed.wait_until(&mut partitions, until).timed_out() {
                return false;
            }
        }
        true
    }

    /// Whether its chain is broken.
    pub fn is_doubted(&self, partition: u32) -> bool {
        self.doubted.lock().contains_key(&partition)
    }

    /// Partitions whose chain is broken, and where, of which nobody was told yet.
    pub fn untold(&self) -> Vec<(u32, Place)> {
        let doubted = self.doubted.lock();
        let untold = doubted.iter().filter(|(_, (_, told))| !told);
        untold
            .map(|(&partition, &(place, _))| (partition, place))
            .collect()
    }

    /// Somebody who can do something about it knows of it.
    pub fn is_told(&self, partition: u32) {
        if let Some((_, told)) = self.doubted.lock().get_mut(&partition) {
            *told = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_once_it_is_kept_or_too_late() {
        let kept = Kept::new(vec![Reached::default(); 2]);
        assert!(kept.wait(1, 0, Duration::ZERO) && !kept.is_awaited(1, 0));
        assert!(!kept.wait(1, 7, Duration::from_millis(1)) && kept.is_awaited(1, 7));
        assert!(!kept.wait(2, 0, Duration::ZERO), "no such partition");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| kept.wait(1, 7, Duration::from_secs(60)));
            kept.set(0, Reached { place: 1, to: 9 });
            kept.set(1, Reached { place: 2, to: 7 });
            assert!(waiting.join().unwrap());
        });
        assert_eq!(kept.of(1), Reached { place: 2, to: 7 });
    }

    #[test]
    fn nobody_waits_for_a_chain_that_is_broken() {
        let kept = Kept::new(vec![Reached::default(); 2]);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| kept.wait_for_place(1, 7, Duration::from_secs(60)));
            kept.doubt(1, 5);
            assert!(!waiting.join().unwrap());
        });
        assert!(kept.is_doubted(1) && !kept.is_doubted(0));
        assert!(!kept.is_awaited(1, 7) && kept.is_awaited(0, 7));
        // Until it is told, which may fail.
        for _ in 0..2 {
            assert_eq!(kept.untold(), [(1, 5)]);
        }
        kept.is_told(1);
        assert_eq!(kept.untold(), []);
        kept.settle(1);
        kept.set(1, Reached { place: 7, to: 0 });
        assert!(kept.wait_for_place(1, 7, Duration::ZERO));
    }
}
