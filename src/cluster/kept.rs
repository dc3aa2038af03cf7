//! How far the mirror has what is committed, for who must wait for it.

use super::mirror::Place;
use crate::log::Offset;
use parking_lot::{Condvar, Mutex};
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
    changed: Condvar,
}

impl Kept {
    /// So far, by partition.
    pub fn new(partitions: Vec<Reached>) -> Self {
        Self {
            partitions: Mutex::new(partitions),
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

    /// Waits until a partition is counted up to an offset, at most so long; whether it
    /// is.
    pub fn wait(&self, partition: u32, to: Offset, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut partitions = self.partitions.lock();
        loop {
            let reached = partitions.get(partition as usize);
            if reached.is_some_and(|reached| reached.to >= to) {
                return true;
            }
            if self.changed.wait_until(&mut partitions, until).timed_out() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_once_it_is_kept_or_too_late() {
        let kept = Kept::new(vec![Reached::default(); 2]);
        assert!(kept.wait(1, 0, Duration::ZERO));
        assert!(!kept.wait(1, 7, Duration::from_millis(1)));
        assert!(!kept.wait(2, 0, Duration::ZERO), "no such partition");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| kept.wait(1, 7, Duration::from_secs(60)));
            kept.set(0, Reached { place: 1, to: 9 });
            kept.set(1, Reached { place: 2, to: 7 });
            assert!(waiting.join().unwrap());
        });
        assert_eq!(kept.of(1), Reached { place: 2, to: 7 });
    }
}
