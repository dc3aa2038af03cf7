//! Durable batches on their way to the worker, bounded by their events: if too many
//! wait, appends wait, and with them the clients. So acknowledgements run ahead of
//! what is counted by no more than this, and memory with them.

use crate::log::Closed;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The end at which groups of batches come in.
pub struct Outlet<T>(Arc<Shared<T>>);

/// The end at which the worker takes them.
pub struct Inbox<T>(Arc<Shared<T>>);

struct Shared<T> {
    events_max: usize,
    waiting: Mutex<Waiting<T>>,
    came: Condvar,
    left: Condvar,
}

struct Waiting<T> {
    /// Each with its events.
    groups: VecDeque<(T, usize)>,
    events: usize,
    /// No more groups come.
    ended: bool,
    /// Nobody takes them any more.
    gone: bool,
}

/// An inbox in which so many events may wait; a group with more waits alone.
pub fn inbox<T>(events_max: usize) -> (Outlet<T>, Inbox<T>) {
    let waiting = Waiting {
        groups: VecDeque::new(),
        events: 0,
        ended: false,
        gone: false,
    };
    let shared = Arc::new(Shared {
        events_max,
        waiting: Mutex::new(waiting),
        came: Condvar::new(),
        left: Condvar::new(),
    });
    (Outlet(Arc::clone(&shared)), Inbox(shared))
}

impl<T> Outlet<T> {
    /// Puts a group of so many events in; waits for room.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn send(&self, group: T, events: usize) -> Result<(), Closed> {
        let mut waiting = self.0.waiting.lock();
        self.0.left.wait_while(&mut waiting, |waiting| {
            let full = waiting.events + events > self.0.events_max;
            full && !waiting.groups.is_empty() && !waiting.gone
        });
        if waiting.gone {
            return Err(Closed);
        }
        waiting.events += events;
        waiting.groups.push_back((group, events));
        drop(waiting);
        self.0.came.notify_one();
        Ok(())
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        self.0.waiting.lock().ended = true;
        self.0.came.notify_one();
    }
}

impl<T> Inbox<T> {
    /// Takes the groups that came first: about a quarter of the events that wait, within
    /// these limits, but at least one group. What piled up is taken at once, because
    /// many small parts cost more than a large one; while little waits, parts are small,
    /// because each keeps readers waiting.
    ///
    /// # Errors
    /// There is none, in this time or any more.
    pub fn take(
        &self,
        events: RangeInclusive<usize>,
        within: Duration,
    ) -> Result<Vec<T>, RecvTimeoutError> {
        let mut waiting = self.0.waiting.lock();
        let empty = |waiting: &mut Waiting<T>| waiting.groups.is_empty() && !waiting.ended;
        self.0.came.wait_while_for(&mut waiting, empty, within);
        if waiting.groups.is_empty() {
            return Err(match waiting.ended {
                true => RecvTimeoutError::Disconnected,
                false => RecvTimeoutError::Timeout,
            });
        }
        let most = (waiting.events / 4).clamp(*events.start(), *events.end());
        let (mut taken, mut sum) = (Vec::new(), 0);
        while let Some((group, events)) = waiting
            .groups
            .pop_front_if(|(_, events)| taken.is_empty() || sum + *events <= most)
        {
            sum += events;
            taken.push(group);
        }
        waiting.events -= sum;
        drop(waiting);
        self.0.left.notify_one();
        Ok(taken)
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.gone = true;
        waiting.groups.clear();
        drop(waiting);
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn no_more_than_so_many_wait_and_all_come_in_order() {
        const GROUPS: usize = 5_000;
        let (outlet, inbox) = inbox(100);
        let (sent, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for group in 0..GROUPS {
                    outlet.send(group, 30).unwrap();
                    sent.fetch_add(1, Ordering::SeqCst);
                    let waiting = sent.load(Ordering::SeqCst) - taken.load(Ordering::SeqCst);
                    // Two may be between being taken and being noted.
                    assert!(waiting <= 100 / 30 + 2, "{waiting} wait");
                }
                drop(outlet);
            });
            let mut next = 0;
            while next < GROUPS {
                let groups = inbox.take(60..=60, LONG).unwrap();
                assert!(groups.len() <= 60 / 30, "{groups:?}");
                assert!(groups.iter().copied().eq(next..next + groups.len()));
                next += groups.len();
                taken.store(next, Ordering::SeqCst);
            }
            let end = inbox.take(60..=60, LONG);
            assert_eq!(end, Err(RecvTimeoutError::Disconnected));
        });
    }

    #[test]
    fn what_piled_up_is_taken_at_once_as_far_as_it_fits() {
        let (outlet, inbox) = inbox(1_000);
        for (group, events) in [("a", 20), ("b", 20), ("c", 50), ("d", 1)] {
            outlet.send(group, events).unwrap();
        }
        assert_eq!(inbox.take(40..=40, LONG), Ok(vec!["a", "b"]));
        // More than was asked for, but none would never be.
        assert_eq!(inbox.take(40..=40, LONG), Ok(vec!["c"]));
        assert_eq!(inbox.take(40..=40, LONG), Ok(vec!["d"]));
    }

    #[test]
    fn the_more_waits_the_more_is_taken() {
        let (outlet, inbox) = inbox(1_000);
        for group in 0..100 {
            outlet.send(group, 10).unwrap();
        }
        let taken = || inbox.take(30..=200, LONG).unwrap().len();
        assert_eq!([(); 4].map(|()| taken()), [20, 20, 15, 11]);
        while inbox.take(30..=200, Duration::ZERO).is_ok() {}
        for group in 0..10 {
            outlet.send(group, 10).unwrap();
        }
        assert_eq!(inbox.take(30..=200, LONG).unwrap().len(), 3);
    }

    #[test]
    fn a_larger_group_waits_alone() {
        let (outlet, inbox) = inbox(10);
        outlet.send("large", 1_000).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| outlet.send("small", 1).unwrap());
            assert_eq!(inbox.take(1..=1, LONG), Ok(vec!["large"]));
            assert_eq!(inbox.take(1..=1, LONG), Ok(vec!["small"]));
        });
        let none = inbox.take(1..=1, Duration::ZERO);
        assert_eq!(none, Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn who_waits_for_room_hears_that_nobody_takes_any_more() {
        let (outlet, inbox) = inbox(10);
        outlet.send((), 10).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| outlet.send((), 1));
            drop(inbox);
            assert_eq!(waiting.join().unwrap(), Err(Closed));
        });
        assert_eq!(outlet.send((), 1), Err(Closed));
    }
}
