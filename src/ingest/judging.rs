//! Judging is the work of ingest, and a batch of it keeps a thread for milliseconds. So
//! the batches of one source are judged on half of the threads at most: however many
//! streams it has, others find a thread at once.

use compact_str::CompactString;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Sources after which those that are gone are forgotten, at first.
const SWEEP_MIN: usize = 64;

/// The turns of all sources.
pub struct Judging {
    /// Batches of a source that are judged at the same time.
    at_once: usize,
    sources: Mutex<Sources>,
}

#[derive(Default)]
struct Sources {
    turns: HashMap<CompactString, Weak<Semaphore>>,
    sweep_at: usize,
}

impl Judging {
    /// On so many threads.
    pub fn new(threads: usize) -> Self {
        Self {
            at_once: (threads / 2).max(1),
            sources: Mutex::default(),
        }
    }

    /// A place in which a batch of a source waits for its turn.
    pub fn queue<T>(&self, source: &str) -> Queue<T> {
        let turns = self.of(source);
        let waiting = None;
        Queue { turns, waiting }
    }

    /// The turn of a batch, once it has come.
    pub async fn turn<T>(&self, source: &str, of: T) -> Turn<T> {
        let _permit = self.of(source).acquire_owned().await.ok();
        Turn { of, _permit }
    }

    fn of(&self, source: &str) -> Arc<Semaphore> {
        let mut sources = self.sources.lock();
        if let Some(turns) = sources.turns.get(source).and_then(Weak::upgrade) {
            return turns;
        }
        if sources.turns.len() >= sources.sweep_at {
            sources.turns.retain(|_, turns| turns.strong_count() > 0);
            sources.sweep_at = (sources.turns.len() * 2).max(SWEEP_MIN);
        }
        let turns = Arc::new(Semaphore::new(self.at_once));
        sources.turns.insert(source.into(), Arc::downgrade(&turns));
        turns
    }
}

/// Where one batch waits for the turns of its source, which are given in order.
pub struct Queue<T> {
    turns: Arc<Semaphore>,
    waiting: Option<(T, BoxFuture<'static, Permit>)>,
}

type Permit = Result<OwnedSemaphorePermit, AcquireError>;

/// A batch that is to be judged now; its turn is over when this is dropped.
pub struct Turn<T> {
    /// The batch.
    pub of: T,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<T> Queue<T> {
    /// Whether nothing waits, so that something may.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_none()
    }

    /// The turn of a batch, or none: then it waits for [`Queue::next`].
    pub fn enter(&mut self, of: T) -> Option<Turn<T>> {
        let turns = Arc::clone(&self.turns);
        match Arc::clone(&turns).try_acquire_owned() {
            Err(TryAcquireError::NoPermits) => {
                self.waiting = Some((of, Box::pin(turns.acquire_owned())));
                None
            }
            // It is never closed.
            permit => Some(Turn {
                of,
                _permit: permit.ok(),
            }),
        }
    }

    /// The turn of what waits, once it has come; never if nothing does. May be given up
    /// at any time: it keeps its place.
    pub async fn next(&mut self) -> Turn<T> {
        let permit = match &mut self.waiting {
            Some((_, turn)) => turn.await.ok(),
            None => std::future::pending().await,
        };
        match self.waiting.take() {
            Some((of, _)) => Turn {
                of,
                _permit: permit,
            },
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    fn turn(of: &mut Queue<u32>, batch: u32) -> Option<Turn<u32>> {
        of.enter(batch)
    }

    #[tokio::test]
    async fn a_source_has_half_of_the_threads_and_others_theirs() {
        let judging = Judging::new(4);
        let mut of_one: Vec<Queue<u32>> = (0..3).map(|_| judging.queue("one")).collect();
        let held: Vec<_> = (0..2).map(|at| turn(&mut of_one[at], 0).unwrap()).collect();
        let third = &mut of_one[2];
        assert!(turn(third, 7).is_none() && !third.is_empty());
        assert!(turn(&mut judging.queue("other"), 0).is_some());
        let given_up = timeout(Duration::from_millis(1), third.next()).await;
        assert!(given_up.is_err());
        drop(held);
        assert_eq!(third.next().await.of, 7);
        assert!(third.is_empty());
        assert!(turn(&mut Judging::new(1).queue("one"), 0).is_some());
    }

    #[test]
    fn sources_that_are_gone_are_forgotten() {
        let judging = Judging::new(2);
        let mut kept = judging.queue("kept");
        let _held = turn(&mut kept, 0).unwrap();
        for number in 0..10_000 {
            judging.of(&number.to_string());
        }
        assert!(judging.sources.lock().turns.len() <= 2 * SWEEP_MIN);
        assert!(turn(&mut judging.queue("kept"), 0).is_none());
    }
}
