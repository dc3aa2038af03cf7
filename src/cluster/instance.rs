//! An instance: its mirror and what follows the changelogs, its engine, and the view of
//! what is committed.

use super::assigned::Assigned;
use super::engine::{self, Engine, Setup};
use super::follower::{self, Follower};
use super::mirror::{self, Clock, Mirror};
use super::owned::{self, Terms};
use crate::log::kafka::connection::Connection;
use crate::log::kafka::failure::Failure;
use crate::log::kafka::group::Member;
use crate::log::kafka::tail::Tail;
use crate::metrics::Metrics;
use crate::store::{self, Store};
use crate::trace::Tracer;
use crate::view::View;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;

/// The most partitions: as many as a store has slices.
pub const PARTITIONS_MAX: u32 = 1024;

/// What an instance is made of.
pub struct Parts {
    /// The brokers.
    pub connection: Connection,
    /// What it is called, and the topics.
    pub member: Member,
    /// How many partitions there are.
    pub partitions: u32,
    /// How is counted.
    pub terms: Terms,
    /// The time between two commits.
    pub interval: Duration,
    /// Where is told what goes on.
    pub metrics: Arc<Metrics>,
    /// Traces what is counted.
    pub tracer: Tracer,
}

/// Why there is no instance, or why it stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers, or the client.
    #[error("join the group")]
    Kafka(#[from] Failure),
    /// The store failed.
    #[error("mirror of the changelogs")]
    Store(#[from] store::Error),
    /// The mirror.
    #[error("mirror of the changelogs")]
    Mirror(#[from] mirror::Error),
    /// What follows the changelogs.
    #[error("answer from the changelogs")]
    Follower(#[from] follower::Error),
    /// What counts.
    #[error("engine")]
    Engine(#[from] engine::Error),
    /// The numbers came about under other settings.
    #[error(
        "the numbers of partition {partition} came about under other settings: {found}; these are {ours}"
    )]
    Shaping {
        /// Which.
        partition: u32,
        /// Those.
        found: String,
        /// These.
        ours: String,
    },
    /// The system gives no thread.
    #[error("start a thread")]
    Thread(#[source] io::Error),
    /// A thread died.
    #[error("{0}: the thread died")]
    Died(&'static str),
}

/// Tells, by being dropped, that a thread has ended, also if it died.
#[derive(Clone)]
struct Alive(Arc<parking_lot::Mutex<Option<oneshot::Sender<()>>>>);

impl Drop for Alive {
    fn drop(&mut self) {
        drop(self.0.lock().take());
    }
}

/// A running instance.
pub struct Instance {
    view: Arc<View>,
    assigned: Arc<Assigned>,
    stop_engine: Arc<AtomicBool>,
    stop_follower: Arc<AtomicBool>,
    engine: JoinHandle<Result<(), engine::Error>>,
    follower: JoinHandle<Result<(), follower::Error>>,
    gone: oneshot::Receiver<()>,
}

impl Instance {
    /// Loads what is committed, and begins to count and to follow.
    ///
    /// # Errors
    /// The brokers', the store's; changelogs that were made under other settings.
    pub fn start(parts: Parts, store: &Store, clock: Clock) -> Result<Self, Error> {
        let mirror = Mirror::open(store, parts.partitions as u16, clock)?;
        let slices = mirror.slices();
        let tail = Tail::open(&parts.connection, &parts.member.cells, &mirror.places())?;
        tracing::info!("assigned the changelogs");
        let [stop_engine, stop_follower] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let mut follower = Follower::new(
            tail,
            mirror,
            Arc::clone(&parts.metrics),
            Arc::clone(&stop_follower),
        );
        let view = follower.load(parts.terms.keeping.clone())?;
        for (partition, slice) in (0..).zip(&slices) {
            compare(partition, slice, &parts.terms)?;
        }
        let assigned = Arc::new(Assigned::new(parts.partitions));
        let engine = Engine::join(Setup {
            connection: parts.connection,
            member: parts.member,
            partitions: parts.partitions,
            terms: parts.terms,
            interval: parts.interval,
            metrics: parts.metrics,
            tracer: parts.tracer,
            assigned: Arc::clone(&assigned),
            slices,
            kept: Arc::clone(follower.kept()),
            stop: Arc::clone(&stop_engine),
        })?;
        // Whichever ends first tells of it by what it drops.
        let (alive, gone) = oneshot::channel::<()>();
        let alive = Alive(Arc::new(parking_lot::Mutex::new(Some(alive))));
        let (also, follows) = (alive.clone(), Arc::clone(&view));
        let counting = named("engine", move || {
            let _also = also;
            engine.run()
        })?;
        let following = named("follower", move || {
            let _alive = alive;
            follower.run(&follows)
        })?;
        Ok(Self {
            view,
            assigned,
            stop_engine,
            stop_follower,
            engine: counting,
            follower: following,
            gone,
        })
    }

    /// What questions read.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// What is counted here.
    pub fn assigned(&self) -> &Arc<Assigned> {
        &self.assigned
    }

    /// Resolves when it has stopped by itself.
    pub async fn gone(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.gone).await;
    }

    /// Commits what is counted, and stops.
    ///
    /// # Errors
    /// Why it had stopped, or stopped now.
    pub fn stop(self) -> Result<(), Error> {
        self.stop_engine.store(true, Ordering::Relaxed);
        let counted = self.engine.join().map_err(|_| Error::Died("count"))?;
        self.stop_follower.store(true, Ordering::Relaxed);
        let followed = self.follower.join().map_err(|_| Error::Died("follow"))?;
        followed?;
        Ok(counted?)
    }
}

fn named<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(Error::Thread)
}

/// Other settings are other numbers.
fn compare(partition: u32, slice: &Store, terms: &Terms) -> Result<(), Error> {
    match owned::shaping(slice)? {
        Some(found) if *found != *terms.shaping => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Err(Error::Shaping {
                partition,
                found: text(&found),
                ours: text(&terms.shaping),
            })
        }
        _ => Ok(()),
    }
}
