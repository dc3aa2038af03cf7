//! What keeps the events and counts them: the log of this machine with its worker, or
//! Kafka with an instance of the group.

mod kafka;

use super::Error;
use super::options::{committer_options, store_options, worker_options};
use crate::cluster::assigned::Assigned;
use crate::config::Config;
use crate::config::LogKind;
use crate::fingerprint::Fingerprints;
use crate::ingest::{Appends, Clock};
use crate::log::appender::Appender;
use crate::log::committer::{Committer, Handle};
use crate::log::dir::DataDir;
use crate::log::disk::Disk;
use crate::log::embedded::{self, Log};
use crate::log::gauge::Gauge;
use crate::metrics::Metrics;
use crate::pseudonym::Pseudonyms;
use crate::store::Store;
use crate::trace::Tracer;
use crate::view::View;
use crate::worker::{self, Batch, Worker, checkpoint};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Events that are durable and wait for the worker: a sixth of a second's, if they
/// come as fast as they can.
const UNCOUNTED_MAX: usize = 50_000;

/// What keeps and counts.
pub(super) enum Keeper {
    /// On this machine.
    Embedded(Box<Embedded>),
    /// With others.
    Kafka(Box<kafka::Kafka>),
}

/// What is at hand.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) dir: &'a DataDir,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: &'a Clock,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) pseudonyms: &'a Pseudonyms,
    pub(super) tracer: &'a Tracer,
}

impl Keeper {
    /// Restores the state, brings it up to the log's end and starts the threads that
    /// append and apply.
    pub(super) fn open(parts: &Parts<'_>) -> Result<Self, Error> {
        match parts.config.log.kind {
            LogKind::Embedded => Ok(Self::Embedded(Box::new(Embedded::open(parts)?))),
            LogKind::Kafka => Ok(Self::Kafka(Box::new(kafka::Kafka::open(parts)?))),
        }
    }

    /// What questions read.
    pub(super) fn view(&self) -> &Arc<View> {
        match self {
            Self::Embedded(of) => &of.view,
            Self::Kafka(of) => of.view(),
        }
    }

    /// Takes fingerprints as what counts here takes them.
    pub(super) fn fingerprints(&self) -> Fingerprints {
        match self {
            Self::Embedded(of) => of.fingerprints,
            // Each partition's owner takes its own, of what it reads.
            Self::Kafka(_) => Fingerprints::new(&[0; 16]),
        }
    }

    /// Where ingest appends, with so many bytes waiting.
    pub(super) fn appends(&self, buffered_bytes: usize) -> Appends {
        match self {
            Self::Embedded(of) => Appends::embedded(of.handle.clone(), buffered_bytes),
            Self::Kafka(of) => Appends::kafka(of.producer(), buffered_bytes),
        }
    }

    /// Tells how many bytes wait to be durable.
    pub(super) fn gauge(&self) -> Gauge {
        match self {
            Self::Embedded(of) => of.handle.gauge(),
            Self::Kafka(of) => of.producer().gauge(),
        }
    }

    /// The partitions that are counted here, if others count too.
    pub(super) fn assigned(&self) -> Option<Arc<Assigned>> {
        match self {
            Self::Embedded(_) => None,
            Self::Kafka(of) => Some(Arc::clone(of.assigned())),
        }
    }

    /// The log and the store of this machine, if it keeps the events.
    pub(super) fn embedded(&self) -> Option<(&Log, &Arc<Store>)> {
        match self {
            Self::Embedded(of) => Some((&of.log, &of.store)),
            Self::Kafka(_) => None,
        }
    }

    /// Resolves when it has stopped by itself; an error if it is known why.
    pub(super) async fn failed(&mut self) -> Result<(), Error> {
        match self {
            Self::Embedded(of) => tokio::select! {
                error = of.handle.failed() => Err(Error::Log(error)),
                _ = &mut of.worker_gone => Ok(()),
            },
            Self::Kafka(of) => of.failed().await,
        }
    }

    /// Appends what was taken, counts it, stores the state and stops; what waits for
    /// brokers, at `until` at the latest.
    pub(super) async fn stop(self, until: Instant) -> Result<(), Error> {
        match self {
            Self::Embedded(of) => of.stop().await,
            Self::Kafka(of) => of.stop(until).await,
        }
    }
}

/// The log of this machine, and its worker.
pub(super) struct Embedded {
    view: Arc<View>,
    fingerprints: Fingerprints,
    handle: Handle<Batch>,
    store: Arc<Store>,
    log: Log,
    worker: JoinHandle<Result<(), worker::Error>>,
    worker_gone: oneshot::Receiver<()>,
}

impl Embedded {
    fn open(parts: &Parts<'_>) -> Result<Self, Error> {
        let &Parts {
            config,
            dir,
            metrics,
            ..
        } = parts;
        dir.has_own_log()?;
        let store = Arc::new(Store::open_with(&dir.store(), store_options(config))?);
        let (log, appender) = open_log(config, dir, Arc::clone(&parts.disk), &store)?;
        // Else both would be 0 until something is written.
        metrics.log_end_offset.set(log.end() as f64);
        let stored = checkpoint::progress(&store)?.position;
        metrics.checkpoint_offset.set(stored as f64);
        let worker = Worker::open(
            Arc::clone(&store),
            &log,
            worker_options(config),
            Arc::clone(metrics),
        )?
        .tracing(parts.tracer.clone());
        let (view, fingerprints) = (Arc::clone(worker.view()), worker.fingerprints());
        let (to_worker, inbox) = worker::inbox::inbox(UNCOUNTED_MAX);
        let (gone, worker_gone) = oneshot::channel();
        let worker = std::thread::Builder::new()
            .name("worker".into())
            .spawn(move || {
                let _gone: oneshot::Sender<()> = gone;
                worker.run(&inbox)
            })
            .map_err(Error::Thread)?;
        let now = Arc::clone(parts.clock);
        let handle = Committer::start(
            appender,
            move || now(),
            committer_options(config, metrics),
            move |mut group: worker::Group| {
                group.iter_mut().for_each(|batch| batch.payload.durable());
                let events = group.iter().map(|batch| batch.payload.items.len()).sum();
                to_worker.send(group, events)
            },
        )?;
        Ok(Self {
            view,
            fingerprints,
            handle,
            store,
            log,
            worker,
            worker_gone,
        })
    }

    async fn stop(self) -> Result<(), Error> {
        let closed = self.handle.close().await.map_err(Error::Log);
        drop(self.handle);
        let worker = self.worker;
        let worked = tokio::task::spawn_blocking(move || worker.join()).await;
        let worked = worked.map_err(|_| Error::Died)?.map_err(|_| Error::Died)?;
        // A log without its worker fails too, but knows nothing of the cause.
        worked.map_err(Error::Worker).and(closed)
    }
}

/// The log of a data directory, from the last checkpoint on.
pub(super) fn open_log(
    config: &Config,
    dir: &DataDir,
    disk: Arc<dyn Disk>,
    store: &Store,
) -> Result<(Log, Appender), Error> {
    let from = checkpoint::progress(store)?.position;
    let options = embedded::Options {
        segment_bytes: config.log_segment_bytes,
    };
    let opened = Log::open(disk, &dir.log(), options, from)?;
    if opened.truncated_bytes > 0 {
        let bytes = opened.truncated_bytes;
        tracing::warn!(
            bytes,
            "cut off a torn tail of the log: it was never acknowledged"
        );
    }
    Ok((opened.log, opened.appender))
}
