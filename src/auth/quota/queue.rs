//! What a caller has sent on streams and may not go on yet: one batch after the other,
//! and no more than he may send in a while.

use super::{Over, RETRY_AFTER, Taken};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What waits may take so long: twenty streams that are sent on as fast as they may be.
pub(super) const QUEUED_MAX: Duration = Duration::from_secs(20);

/// So long a batch waits at most, if his calls take what it waits for.
const TURN_WITHIN: Duration = Duration::from_secs(25);

/// All batches of a caller that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: AtomicU64,
    bytes: AtomicU64,
    turn: tokio::sync::Mutex<()>,
}

/// A batch that waits, until it is dropped.
#[derive(Debug)]
pub struct Queued {
    taken: Taken,
    events: usize,
    bytes: usize,
}

impl Queued {
    /// Behind all others of his.
    pub(super) fn behind(taken: &Taken, events: usize, bytes: usize) -> Result<Self, Over> {
        let queue = &taken.0.queue;
        let waiting = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (takes, limit) = taken.takes(waiting(&queue.events), waiting(&queue.bytes));
        if takes >= QUEUED_MAX {
            let wait = (takes - QUEUED_MAX).max(RETRY_AFTER);
            return Err(Over::Later { limit, wait });
        }
        queue.events.fetch_add(events as u64, Ordering::Relaxed);
        queue.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let taken = taken.clone();
        Ok(Self {
            taken,
            events,
            bytes,
        })
    }

    /// Takes the batch when its time has come.
    ///
    /// # Errors
    /// It does not come, or never can; it takes nothing.
    pub async fn turn(&self) -> Result<(), Over> {
        let until = Instant::now() + TURN_WITHIN;
        // If those before it take all the time, it is told how long it would take now.
        let _turn = tokio::time::timeout_at(until, self.taken.0.queue.turn.lock()).await;
        loop {
            match self.taken.batch(self.events, self.bytes) {
                Err(Over::Later { wait, .. }) if Instant::now() + wait <= until => {
                    tokio::time::sleep(wait).await;
                }
                taken => return taken,
            }
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let queue = &self.taken.0.queue;
        queue
            .events
            .fetch_sub(self.events as u64, Ordering::Relaxed);
        queue.bytes.fetch_sub(self.bytes as u64, Ordering::Relaxed);
    }
}
