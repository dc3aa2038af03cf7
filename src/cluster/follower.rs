//! Follows the changelogs of all partitions: what is committed is shown to who asks,
//! and kept in the mirror.

mod patience;

use super::kept::{Kept, Reached};
use super::mark::Broken;
use super::mirror::{self, Mirror, Place};
use crate::log::kafka::failure::Failure;
use crate::log::kafka::tail::{Next, Tail};
use crate::meter::cell::Keeping;
use crate::metrics::Metrics;
use crate::view::View;
use patience::{Course, Patience};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long is waited for a record at a time.
const POLLED: Duration = Duration::from_millis(50);

/// How often a start that takes long tells what it waits for.
const TOLD_EVERY: Duration = Duration::from_secs(10);

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
    /// Changelogs have not ended, and nothing comes of them.
    #[error("load the changelogs: those of partitions {loading:?} do not end, and nothing comes")]
    Silent {
        /// Which.
        loading: BTreeSet<u32>,
    },
    /// It was stopped while it was loading.
    #[error("load the changelogs: stopped")]
    Stopped,
}

/// What follows.
pub struct Follower {
    tail: Tail,
    mirror: Mirror,
    kept: Arc<Kept>,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    cooled: Instant,
}

impl Follower {
    /// A follower whose tail begins where the mirror ends.
    pub fn new(tail: Tail, mirror: Mirror, metrics: Arc<Metrics>, stop: Arc<AtomicBool>) -> Self {
        let reach = mirror.reach();
        let places = (0..).zip(mirror.places());
        let reached = places.map(|(partition, place)| Reached {
            place,
            to: reach.in_partition(partition),
        });
        let kept = Kept::new(reached.collect());
        for (partition, place) in mirror.doubted() {
            kept.doubt(partition, place);
        }
        Self {
            tail,
            kept: Arc::new(kept),
            mirror,
            metrics,
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
    /// Those of the changelogs, of the store; nothing comes of them; it was stopped.
    pub fn load(&mut self, keeping: Keeping) -> Result<Arc<View>, Error> {
        let started = Instant::now();
        self.read(started)?;
        let state = self.mirror.load(keeping)?;
        for partition in 0..self.mirror.places().len() as u32 {
            self.tell(partition);
        }
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(seconds, "loaded the changelogs");
        Ok(Arc::new(View::new(state)))
    }

    /// Reads all changelogs to their ends.
    fn read(&mut self, started: Instant) -> Result<(), Error> {
        let mut loading: BTreeSet<u32> = (0..self.mirror.places().len() as u32).collect();
        let (mut told, mut patience) = (started, Patience::new(started));
        while !loading.is_empty() {
            if self.is_stopped() {
                return Err(Error::Stopped);
            }
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                let seconds = started.elapsed().as_secs();
                tracing::warn!(
                    ?loading,
                    seconds,
                    "the changelogs of partitions have not ended yet"
                );
            }
            if self.load_next(&mut loading)? {
                patience.came(Instant::now());
            }
            match patience.course(Instant::now()) {
                Course::GoOn => {}
                Course::Anew => {
                    tracing::warn!(?loading, "nothing comes of changelogs: opened anew");
                    self.tail.open_anew(&self.mirror.places())?;
                }
                Course::GiveUp => return Err(Error::Silent { loading }),
            }
        }
        Ok(())
    }

    /// Takes what comes next; whether the load is further then. The records of partitions
    /// that have ended may come for ever, and bring it no further.
    fn load_next(&mut self, loading: &mut BTreeSet<u32>) -> Result<bool, Error> {
        let mirror = &mut self.mirror;
        let (further, doubt) = self.tail.next(POLLED, |next| {
            Ok::<_, mirror::Error>(match next {
                Next::Record {
                    partition,
                    place,
                    key,
                    value,
                } => {
                    let taken = mirror.take(partition, place, (key, value));
                    (loading.contains(&partition), doubted(taken)?.err())
                }
                // The end of what is stable may lie within a transaction, beside
                // another one that is open; then another end comes.
                Next::End { partition } if mirror.is_whole(partition) => {
                    (loading.remove(&partition), None)
                }
                Next::End { .. } | Next::Nothing => (false, None),
            })
        })??;
        if let Some(doubt) = doubt {
            self.doubt(&doubt)?;
        }
        Ok(further)
    }

    /// Follows until it is stopped.
    ///
    /// # Errors
    /// Those of the changelogs, and of the store.
    pub fn run(mut self, view: &View) -> Result<(), Error> {
        while !self.is_stopped() {
            let (mirror, metrics) = (&mut self.mirror, &self.metrics);
            let taken = self.tail.next(POLLED, |next| match next {
                Next::Record {
                    partition,
                    place,
                    key,
                    value,
                } => {
                    let taken = doubted(mirror.take(partition, place, (key, value)))?;
                    let Some(following) = taken.transpose() else {
                        return Ok(None);
                    };
                    // What is in memory counts, so the shelf may be older, never newer.
                    following
                        .map(|following| {
                            let appended_at = following.appended_at;
                            view.follow(following);
                            metrics.fresh(appended_at);
                        })
                        .map_or_else(
                            |doubt| Ok(Some(Err(doubt))),
                            |()| {
                                mirror.keep(partition)?;
                                Ok::<_, mirror::Error>(Some(Ok(partition)))
                            },
                        )
                }
                Next::End { .. } | Next::Nothing => Ok(None),
            })??;
            match taken {
                Some(Ok(partition)) => {
                    self.tell(partition);
                    self.measure(view);
                }
                Some(Err(doubt)) => self.doubt(&doubt)?,
                None => {}
            }
            self.cool(view);
        }
        Ok(())
    }

    /// Leaves a partition whose chain is broken as it is, until it is counted anew.
    fn doubt(&mut self, doubt: &Doubt) -> Result<(), Error> {
        let Doubt {
            partition, place, ..
        } = *doubt;
        self.metrics.changelog_breaks.increment(1);
        let broken = &doubt.broken;
        tracing::error!(partition, place, %broken, "the changelog of a partition is broken");
        self.mirror.doubt(partition, place)?;
        self.kept.doubt(partition, place);
        Ok(())
    }

    /// Tells what is counted.
    fn measure(&self, view: &View) {
        let (counts, names) = view.scan(|state| (state.counts, state.cells.names.len()));
        self.metrics.names.set(names as f64);
        let reach = self.mirror.reach().sum();
        self.metrics.applied(reach, counts);
    }

    fn tell(&self, partition: u32) {
        let place = self.mirror.places().get(partition as usize).copied();
        let to = self.mirror.reach().in_partition(partition);
        let place = place.unwrap_or_default();
        self.kept.set(partition, Reached { place, to });
        if !self.mirror.is_doubted(partition) {
            self.kept.settle(partition);
        }
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

/// A chain that is broken.
struct Doubt {
    partition: u32,
    place: Place,
    broken: Broken,
}

/// What was taken, or where the chain is broken; all other errors are none of a
/// partition's.
fn doubted<T>(taken: Result<T, mirror::Error>) -> Result<Result<T, Doubt>, mirror::Error> {
    match taken {
        Ok(taken) => Ok(Ok(taken)),
        // Another version's instances would take the same for ours.
        Err(
            error @ mirror::Error::Broken {
                broken: Broken::Version { .. },
                ..
            },
        ) => Err(error),
        Err(mirror::Error::Broken {
            partition,
            place,
            broken,
        }) => Ok(Err(Doubt {
            partition,
            place,
            broken,
        })),
        Err(error) => Err(error),
    }
}
