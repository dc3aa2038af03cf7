//! A batch whose events are under way. Each event carries a reference to it; the
//! report of the last one answers whoever waits.

use super::Ends;
use crate::log::Error;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// What the appender is told.
pub type Answer = Result<Ends, Error>;

/// A batch under way.
pub struct Pending(Mutex<Under>);

struct Under {
    outstanding: usize,
    /// A batch is of few partitions.
    ends: Ends,
    /// The first that was told.
    fault: Option<Error>,
    /// Until the last report. If none comes, they go with the batch itself.
    waiting: Option<(oneshot::Sender<Answer>, OwnedSemaphorePermit)>,
}

impl Pending {
    /// A batch of so many events, at least one, that holds so much room.
    pub fn new(
        events: usize,
        room: OwnedSemaphorePermit,
    ) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let under = Under {
            outstanding: events,
            ends: Ends::new(),
            fault: None,
            waiting: Some((answer, room)),
        };
        (Arc::new(Self(Mutex::new(under))), answered)
    }

    /// One event is in the log, at this place.
    pub fn delivered(&self, partition: u32, offset: u64) {
        let mut under = self.0.lock();
        let end = offset + 1;
        match under.ends.iter_mut().find(|(known, _)| *known == partition) {
            Some((_, known)) => *known = end.max(*known),
            None => under.ends.push((partition, end)),
        }
        under.report(1);
    }

    /// So many events failed.
    pub fn failed(&self, events: usize, fault: impl FnOnce() -> Error) {
        let mut under = self.0.lock();
        under.fault.get_or_insert_with(fault);
        under.report(events);
    }
}

impl Under {
    fn report(&mut self, events: usize) {
        self.outstanding = self.outstanding.saturating_sub(events);
        if self.outstanding > 0 {
            return;
        }
        let Some((answer, room)) = self.waiting.take() else {
            return;
        };
        drop(room);
        self.ends.sort_unstable();
        let ends = std::mem::take(&mut self.ends);
        // Whoever stopped waiting needs no answer.
        let _ = answer.send(match self.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(ends),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    fn under_way(events: usize) -> (Arc<Pending>, oneshot::Receiver<Answer>, Arc<Semaphore>) {
        let room = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&room).try_acquire_owned().unwrap();
        let (pending, answered) = Pending::new(events, held);
        (pending, answered, room)
    }

    #[test]
    fn it_answers_with_the_last_report_and_the_greatest_end_of_each_partition() {
        let (pending, mut answered, room) = under_way(4);
        for (partition, offset) in [(7, 3), (2, 9), (7, 1)] {
            pending.delivered(partition, offset);
            assert!(answered.try_recv().is_err());
            assert_eq!(room.available_permits(), 0);
        }
        pending.delivered(2, 11);
        assert_eq!(answered.try_recv().unwrap().unwrap(), [(2, 12), (7, 4)]);
        assert_eq!(room.available_permits(), 1);
    }

    #[test]
    fn one_event_that_failed_fails_the_batch_but_the_others_are_waited_for() {
        let (pending, mut answered, room) = under_way(4);
        pending.failed(2, || Error::Closed);
        pending.failed(1, || Error::Died);
        assert!(answered.try_recv().is_err());
        pending.delivered(0, 0);
        let fault = answered.try_recv().unwrap().unwrap_err();
        assert!(matches!(fault, Error::Closed), "the first: {fault}");
        assert_eq!(room.available_permits(), 1);
    }

    #[test]
    fn room_is_given_back_even_if_reports_never_come() {
        let (pending, mut answered, room) = under_way(2);
        pending.delivered(0, 0);
        drop(pending);
        assert!(answered.try_recv().is_err());
        assert_eq!(room.available_permits(), 1);
    }
}
