//! Follows the changelogs of all partitions: what is committed is shown to who asks,
//! and kept in the mirror.

use super::kept::{Kept, Reached};
use super::mirror::{self, Mirror};
use crate::log::kafka::failure::Failure;
use crate::log::kafka::tail::{Next, Tail};
use crate::meter::cell::Keeping;
use crate::view::View;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long is waited for a record at a time.
const POLLED: Duration = Duration::from_millis(50);

/// Records, and slots, that stay in memory.
const HOT_MAX: usize = 60_000;

/// How often it is seen whether there are more.
const COOL_EVERY: Duration = Duration::from_secs(5);

/// Why it stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers, or the client.
    #[error("follow the changelogs")]
    Kafka(#[from] Failure),
    /// What was read, or the store.
    #[error("follow the changelogs")]
    Mirror(#[from] mirror::Error),
    /// It was stopped while it was loading.
    #[error("load the changelogs: stopped")]
    Stopped,
}

/// What follows.
pub struct Follower {
    tail: Tail,
    mirror: Mirror,
    kept: Arc<Kept>,
    stop: Arc<AtomicBool>,
    cooled: Instant,
}

impl Follower {
    /// A follower whose tail begins where the mirror ends.
    pub fn new(tail: Tail, mirror: Mirror, stop: Arc<AtomicBool>) -> Self {
        let reach = mirror.reach();
        let places = (0..).zip(mirror.places());
        let reached = places.map(|(partition, place)| Reached {
            place,
            to: reach.in_partition(partition),
        });
        Self {
            tail,
            kept: Arc::new(Kept::new(reached.collect())),
            mirror,
            stop,
            cooled: Instant::now(),
        }
    }

    /// How far the mirror is.
    pub fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }

    /// Reads all that is committed, and gives the view of it.
    ///
    /// # Errors
    /// Those of the changelogs, of the store; it was stopped.
    pub fn load(&mut self, keeping: Keeping) -> Result<Arc<View>, Error> {
        let mut loading: BTreeSet<u32> = (0..self.mirror.places().len() as u32).collect();
        let started = Instant::now();
        while !loading.is_empty() {
            if self.is_stopped() {
                return Err(Error::Stopped);
            }
            let (mirror, loading) = (&mut self.mirror, &mut loading);
            self.tail.next(POLLED, |next| {
                match next {
                    Next::Record {
                        partition,
                        place,
                        key,
                        value,
                    } => drop(mirror.take(partition, place, (key, value))?),
                    // The end of what is stable may lie within a transaction, beside
                    // another one that is open; then another end comes.
                    Next::End { partition } if mirror.is_whole(partition) => {
                        loading.remove(&partition);
                    }
                    Next::End { .. } | Next::Nothing => {}
                }
                Ok::<(), mirror::Error>(())
            })??;
        }
        let state = self.mirror.load(keeping)?;
        for partition in 0..self.mirror.places().len() as u32 {
            self.tell(partition);
        }
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(seconds, "loaded the changelogs");
        Ok(Arc::new(View::new(state)))
    }

    /// Follows until it is stopped.
    ///
    /// # Errors
    /// Those of the changelogs, and of the store.
    pub fn run(mut self, view: &View) -> Result<(), Error> {
        while !self.is_stopped() {
            let mirror = &mut self.mirror;
            let kept = self.tail.next(POLLED, |next| match next {
                Next::Record {
                    partition,
                    place,
                    key,
                    value,
                } => {
                    let whole = mirror.take(partition, place, (key, value))?;
                    let Some(following) = whole else {
                        return Ok(None);
                    };
                    // What is in memory counts, so the shelf may be older, never newer.
                    view.follow(following);
                    mirror.keep(partition)?;
                    Ok::<_, mirror::Error>(Some(partition))
                }
                Next::End { .. } | Next::Nothing => Ok(None),
            })??;
            if let Some(partition) = kept {
                self.tell(partition);
            }
            self.cool(view);
        }
        Ok(())
    }

    fn tell(&self, partition: u32) {
        let place = self.mirror.places().get(partition as usize).copied();
        let to = self.mirror.reach().in_partition(partition);
        let place = place.unwrap_or_default();
        self.kept.set(partition, Reached { place, to });
    }

    /// Leaves to the mirror what is in it and was not changed lately.
    fn cool(&mut self, view: &View) {
        if self.cooled.elapsed() < COOL_EVERY {
            return;
        }
        self.cooled = Instant::now();
        // What was read ahead is not to be used beside what is left to the shelf now.
        view.cut();
        view.cool_slots(HOT_MAX);
        for part in view.coolable(HOT_MAX) {
            view.cool(&part);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
