//! The one writer of cells: takes durable batches, meters them, hands what that
//! changes to the thread that publishes it, and now and then stores it all as one
//! checkpoint. A crash replays the log since the last one.

pub mod checkpoint;
pub mod chunks;
pub mod inbox;
pub mod item;
pub mod keys;
pub mod past;
mod publisher;
mod replay;
pub mod retention;
pub mod seen;
pub mod shelf;
mod writing;

pub use item::{Batch, Item};

use crate::event::Millis;
use crate::failpoint;
use crate::fingerprint::Fingerprints;
use crate::log::archive::Archive;
use crate::log::embedded::Log;
use crate::log::frame::event_bytes;
use crate::log::{self, Address, Durable, Offset};
use crate::meter::cell::{Change, Day, Keeping, Unread};
use crate::meter::ledger::Whence;
use crate::meter::recall::Lost;
use crate::meter::{Meter, Record, Rules};
use crate::metrics::{Metrics, Outcomes};
use crate::store::Store;
use crate::trace::{Mark, Span, Tracer};
use crate::view::{State, View};
use crate::wire;
use compact_str::CompactString;
use inbox::Inbox;
use past::Past;
use publisher::{Part, Publisher};
use retention::Retention;
use seen::Seen;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use writing::{Owed, Unwritten};

/// Most events that are applied between two publications: it bounds how long one takes
/// the view's lock.
const PUBLISH_EVENTS_MAX: usize = 16_384;

/// As many while hardly any wait.
const PUBLISH_EVENTS_FEW: usize = 512;

/// Changed cells with which a checkpoint does not wait for its time: it bounds
/// what a checkpoint takes in memory.
const CHANGED_MAX: usize = 100_000;

/// Batches that became durable together.
pub type Group = Vec<Durable<Batch>>;

/// Why the worker stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// State could not be stored or restored.
    #[error("checkpoint")]
    Checkpoint(#[from] checkpoint::Error),
    /// The checkpoint store failed.
    #[error("write a checkpoint")]
    Store(#[from] crate::store::Error),
    /// The log could not be replayed.
    #[error("replay the log")]
    Log(#[from] log::Error),
    /// Written by another version of the program.
    #[error(
        "replay the log: unknown schema version {schema} at offset {offset}: this program reads version {}",
        wire::SCHEMA
    )]
    Schema {
        /// The record's first offset.
        offset: Offset,
        /// Its version.
        schema: u32,
    },
    /// A record that matters again could not be read.
    #[error("apply a record")]
    Lost(#[from] Lost),
    /// Cells that are to be changed could not be read.
    #[error("change cells")]
    Unread(#[from] Unread),
    /// The system gives no thread.
    #[error("start a thread of the worker")]
    Thread(#[source] std::io::Error),
    /// A thread died.
    #[error("{0}: the thread died")]
    Died(&'static str),
    /// Too much has been applied since the last checkpoint that could be
    /// written.
    #[error("{events} events are in no checkpoint, because none can be written")]
    Owed {
        /// How much.
        events: u64,
        /// What the last attempt met.
        source: crate::store::Error,
    },
}

/// What shapes a worker.
pub struct Options {
    /// The settings that shape numbers.
    pub rules: Rules,
    /// How long cells are kept.
    pub keeping: Keeping,
    /// How long to wait between two checkpoints.
    pub checkpoint_interval: Duration,
    /// How long the log is kept.
    pub log: retention::Limits,
}

/// The worker.
pub struct Worker {
    meter: Meter,
    view: Arc<View>,
    publisher: Publisher,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    position: Offset,
    appended_at: Option<Millis>,
    stored: checkpoint::Stored,
    stored_position: Offset,
    past: Past<Archive>,
    // On which UTC day it was looked for, and the lowest address at which the
    // log is needed.
    needed: (Day, Address),
    retention: Arc<Retention>,
    interval: Duration,
    last_checkpoint: Instant,
    writing: Option<JoinHandle<Result<(), Unwritten>>>,
    owed: Option<Box<Owed>>,
    changes: Vec<Change>,
    seen: Seen,
    tracer: Tracer,
    /// Of batches that are not published yet.
    spans: Vec<Span>,
}

impl Worker {
    /// A worker with the state of the last checkpoint, brought up to the log's
    /// end.
    ///
    /// # Errors
    /// The store's and the log's.
    pub fn open(
        store: Arc<Store>,
        log: &Log,
        options: Options,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let retention = Retention::new(log.clone(), options.log, Arc::clone(&metrics));
        let fingerprints = checkpoint::fingerprints(&store)?;
        let past = Past::new(Archive::new(log.clone()), fingerprints);
        let Options { rules, keeping, .. } = options;
        let restored = checkpoint::restore(&store, rules, keeping, fingerprints, &past)?;
        let appended_at = restored.meter.clock();
        let stored = checkpoint::Stored {
            names: restored.meter.names.len(),
            chunks: restored.chunks,
        };
        let position = restored.position;
        let counts = restored.meter.counts();
        let state = State::new(restored.cells, position, appended_at, counts);
        let view = Arc::new(View::new(state.having_seen(&restored.sources)));
        let publisher =
            Publisher::start(Arc::clone(&view), Arc::clone(&store), Arc::clone(&metrics));
        let mut worker = Self {
            meter: restored.meter,
            view,
            publisher: publisher.map_err(Error::Thread)?,
            store,
            metrics,
            position,
            appended_at,
            stored,
            stored_position: position,
            past,
            needed: (Day::MIN, 0),
            retention: Arc::new(retention),
            interval: options.checkpoint_interval,
            last_checkpoint: Instant::now(),
            writing: None,
            owed: None,
            changes: Vec::new(),
            seen: Seen::default(),
            tracer: Tracer::default(),
            spans: Vec::new(),
        };
        worker.replay(log)?;
        Ok(worker)
    }

    /// The same, tracing batches from now on: what was replayed is told of in the traces
    /// of the process that appended it.
    pub fn tracing(mut self, tracer: Tracer) -> Self {
        self.tracer = tracer;
        self
    }

    /// What queries read.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Takes fingerprints as the meter's are taken.
    pub fn fingerprints(&self) -> Fingerprints {
        self.meter.fingerprints()
    }

    /// The offset up to which records are applied.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// Applies what comes in until the sender is gone, then stores a last
    /// checkpoint.
    ///
    /// While the disk has no room, checkpoints are put off and tried again.
    ///
    /// # Errors
    /// A checkpoint that cannot be written for another reason, for too long, or
    /// at the end: nothing is lost, but the service must stop, because its
    /// memory is ahead of a store that no longer follows.
    pub fn run(mut self, inbox: &Inbox<Group>) -> Result<(), Error> {
        loop {
            let wait = self.interval.saturating_sub(self.last_checkpoint.elapsed());
            match inbox.take(PUBLISH_EVENTS_FEW..=PUBLISH_EVENTS_MAX, wait) {
                Ok(groups) => self.take(groups)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.see_to_written()?;
            if self.last_checkpoint.elapsed() >= self.interval || self.has_changed_much() {
                self.checkpoint()?;
            }
        }
        self.written()?;
        // First what is owed, if anything is.
        for _ in 0..2 {
            self.checkpoint()?;
            self.written()?;
            if let Some(owed) = self.owed.take() {
                return Err(Error::Store(owed.cause));
            }
        }
        Ok(())
    }

    fn take(&mut self, mut groups: Vec<Group>) -> Result<(), Error> {
        // Others come while these are counted.
        for batch in groups.iter_mut().flatten() {
            batch.payload.place = None;
        }
        let taken = self.tracer.is_on().then(SystemTime::now);
        let mut events = 0;
        for batch in groups.into_iter().flatten() {
            failpoint::reached("apply.before");
            let bytes = |item: &Item| event_bytes(item.bytes as usize);
            let mut address =
                batch.end_address - batch.payload.items.iter().map(bytes).sum::<u64>();
            let before = self.meter.counts();
            for item in &batch.payload.items {
                self.apply(&batch.source, batch.appended_at, item, address)?;
                address += bytes(item);
            }
            failpoint::reached("apply.after");
            let outcomes = Outcomes::between(before, self.meter.counts());
            self.metrics.source(&batch.source).applied(outcomes);
            self.position = batch.end_offset;
            if let Some((mark, since)) = batch.payload.mark.zip(taken) {
                self.trace(mark, since, &batch);
            }
            events += batch.payload.items.len();
            if events >= PUBLISH_EVENTS_MAX {
                self.publish()?;
                events = 0;
            }
        }
        self.publish()
    }

    /// Begins a batch's span that ends when it is published.
    fn trace(&mut self, mark: Mark, since: SystemTime, batch: &Durable<Batch>) {
        if let Some(mut span) = self.tracer.follow(mark, "publish", since) {
            span.note("quaymeter.offset", batch.first_offset);
            span.note("quaymeter.events", batch.payload.items.len() as u64);
            self.spans.push(span);
        }
    }

    fn apply(
        &mut self,
        source: &CompactString,
        at: Millis,
        item: &Item,
        address: Address,
    ) -> Result<(), Error> {
        let record = Record {
            source,
            appended_at: at,
            event: &item.event,
            identity: item.identity,
            whence: Whence {
                address,
                content: item.content,
            },
        };
        self.meter.apply(&record, &self.past, &mut self.changes)?;
        self.appended_at = self.meter.clock();
        self.seen.note(source, at, &item.event);
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Error> {
        let Some(appended_at) = self.appended_at else {
            return Ok(());
        };
        let next = self.publisher.list();
        self.publisher.publish(Part {
            changes: std::mem::replace(&mut self.changes, next),
            position: self.position,
            appended_at,
            counts: self.meter.counts(),
            sources: self.seen.take(),
            spans: std::mem::take(&mut self.spans),
        })
    }

    /// Whether it is worth a checkpoint before its time, if one can be written.
    fn has_changed_much(&self) -> bool {
        let busy = self.is_busy() || self.owed.is_some();
        !busy && self.view.changed() >= CHANGED_MAX
    }
}
