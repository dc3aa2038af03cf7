//! The one writer of cells: takes durable batches, applies them, publishes what
//! changed, and now and then stores it all as one checkpoint. A crash replays
//! the log since the last one.

pub mod checkpoint;
pub mod chunks;
pub mod item;
mod keys;
pub mod past;
mod replay;
pub mod retention;
pub mod shelf;
mod writing;

pub use item::Item;

use crate::event::{Classifier, Millis};
use crate::failpoint;
use crate::fingerprint::Fingerprints;
use crate::log::embedded::Log;
use crate::log::frame::event_bytes;
use crate::log::{self, Address, Durable, Offset};
use crate::meter::cell::{Change, Day, Keeping, Unread, Wanted, Warm};
use crate::meter::ledger::Whence;
use crate::meter::recall::Lost;
use crate::meter::{Meter, Record, Rules};
use crate::metrics::Metrics;
use crate::store::Store;
use crate::view::{Published, SourceSeen, State, View};
use crate::wire;
use compact_str::CompactString;
use past::Past;
use retention::Retention;
use shelf::OfStore;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use writing::Owed;

/// Most events that are applied between two publications: it bounds how long a
/// query waits for the view's lock.
const PUBLISH_EVENTS_MAX: usize = 4096;

/// Changed cells with which a checkpoint does not wait for its time: it bounds
/// what a checkpoint takes in memory.
const CHANGED_MAX: usize = 50_000;

/// Cells that are gathered for a checkpoint at a time: it bounds how long that
/// keeps publications and queries waiting.
const GATHER: usize = 512;

/// Cells that are gathered for each event that is published meanwhile: more than
/// it changes, so that every checkpoint comes to its end.
const GATHER_PER_EVENT: usize = 4;

/// How long to wait for a batch before more is gathered: queries come in between.
const GATHER_EVERY: Duration = Duration::from_millis(1);

/// How often, and after what pause, a store that is closed for want of room is
/// opened again when a cell is needed from it.
const OPENED_AGAIN_MAX: usize = 240;
const OPEN_AGAIN: Duration = Duration::from_millis(500);

/// What ingest hands over with a batch: its accepted events, already decoded.
pub type Batch = Vec<Item>;

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
    /// The system gives no thread that writes checkpoints.
    #[error("start the thread that writes checkpoints")]
    Thread(#[source] std::io::Error),
    /// The thread that writes checkpoints died.
    #[error("write a checkpoint: its thread died")]
    Died,
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
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    position: Offset,
    published: Offset,
    appended_at: Option<Millis>,
    stored: checkpoint::Stored,
    stored_position: Offset,
    past: Past,
    // On which UTC day it was looked for, and the lowest address at which the
    // log is needed.
    needed: (Day, Address),
    retention: Arc<Retention>,
    interval: Duration,
    last_checkpoint: Instant,
    /// A checkpoint of which not all cells are gathered.
    gathering: Option<crate::store::Batch>,
    writing: Option<JoinHandle<Result<(), Box<Owed>>>>,
    owed: Option<Box<Owed>>,
    changes: Vec<Change>,
    seen: Vec<(CompactString, SourceSeen)>,
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
        let past = Past::new(log.clone(), fingerprints);
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
        let view = View::new(state.having_seen(&restored.sources));
        let mut worker = Self {
            meter: restored.meter,
            view: Arc::new(view),
            store,
            metrics,
            position,
            published: position,
            appended_at,
            stored,
            stored_position: position,
            past,
            needed: (Day::MIN, 0),
            retention: Arc::new(retention),
            interval: options.checkpoint_interval,
            last_checkpoint: Instant::now(),
            gathering: None,
            writing: None,
            owed: None,
            changes: Vec::new(),
            seen: Vec::new(),
        };
        worker.replay(log)?;
        Ok(worker)
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
    pub fn run(mut self, inbox: &Receiver<Vec<Durable<Batch>>>) -> Result<(), Error> {
        loop {
            let wait = match self.gathering {
                Some(_) => GATHER_EVERY,
                None => self.interval.saturating_sub(self.last_checkpoint.elapsed()),
            };
            match inbox.recv_timeout(wait) {
                Ok(batches) => self.take(batches)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.gather(GATHER)?;
            if self.last_checkpoint.elapsed() >= self.interval || self.has_changed_much() {
                self.checkpoint()?;
            }
        }
        self.gather(usize::MAX)?;
        self.written()?;
        // First what is owed, if anything is.
        for _ in 0..2 {
            self.checkpoint()?;
            self.gather(usize::MAX)?;
            self.written()?;
            if let Some(owed) = self.owed.take() {
                return Err(Error::Store(owed.cause));
            }
        }
        Ok(())
    }

    fn take(&mut self, batches: Vec<Durable<Batch>>) -> Result<(), Error> {
        let mut events = 0;
        for batch in batches {
            failpoint::reached("apply.before");
            let bytes = |item: &Item| event_bytes(item.bytes as usize);
            let mut address = batch.end_address - batch.payload.iter().map(bytes).sum::<u64>();
            for item in &batch.payload {
                self.apply(&batch.source, batch.appended_at, item, address)?;
                address += bytes(item);
            }
            failpoint::reached("apply.after");
            self.position = batch.end_offset;
            events += batch.payload.len();
            if events >= PUBLISH_EVENTS_MAX {
                self.publish()?;
                events = 0;
            }
        }
        self.publish()
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
        let instant = item
            .event
            .statement
            .as_ref()
            .filter(|s| s.classifier == Classifier::Actual);
        let instant = instant.map(|statement| statement.occurred_at);
        match self.seen.last_mut().filter(|(last, _)| last == source) {
            Some((_, seen)) => {
                seen.last_active = seen.last_active.max(at);
                seen.latest_actual = seen.latest_actual.max(instant);
            }
            // One source may be noted several times; the view takes the latest.
            None => {
                let seen = SourceSeen {
                    last_active: at,
                    latest_actual: instant,
                };
                self.seen.push((source.clone(), seen));
            }
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Error> {
        let Some(appended_at) = self.appended_at else {
            return Ok(());
        };
        let wanted = self.view.wanted(&self.changes);
        if !wanted.is_empty() {
            self.view.warm(self.read(&wanted)?);
        }
        failpoint::reached("publish.before");
        self.view.publish(Published {
            changes: &self.changes,
            position: self.position,
            appended_at,
            counts: self.meter.counts(),
            sources: &self.seen,
        });
        failpoint::reached("publish.after");
        self.changes.clear();
        self.seen.clear();
        self.tell();
        let events = self.position.saturating_sub(self.published) as usize;
        self.published = self.position;
        self.gather(events.saturating_mul(GATHER_PER_EVENT))
    }

    /// Reads cells from the store. One that is closed for want of room is opened
    /// again; meanwhile nothing is applied.
    fn read(&self, wanted: &Wanted) -> Result<Warm, Unread> {
        let shelf = OfStore(Arc::clone(&self.store));
        for _ in 0..OPENED_AGAIN_MAX {
            match wanted.read(&shelf) {
                Err(_) if !self.store.is_open() => {
                    std::thread::sleep(OPEN_AGAIN);
                    // Whether it worked shows when it is read again.
                    let _ = self.store.reopen();
                }
                read => return read,
            }
        }
        wanted.read(&shelf)
    }

    /// Whether it is worth a checkpoint before its time, if one can be written.
    fn has_changed_much(&self) -> bool {
        let busy = self.is_busy() || self.owed.is_some();
        !busy && self.view.read(|state| state.cells.changed()) >= CHANGED_MAX
    }

    /// Tells what is applied, as absolute totals: a restart loses no count.
    fn tell(&self) {
        let (counts, metrics) = (self.meter.counts(), &self.metrics);
        let total = |of: i64| of.unsigned_abs();
        metrics.applied_offset.set(self.position as f64);
        metrics.applied_events.absolute(total(counts.events));
        metrics
            .applied_duplicates
            .absolute(total(counts.duplicates));
        metrics.applied_revisions.absolute(total(counts.revisions));
        metrics
            .applied_retractions
            .absolute(total(counts.retractions));
        metrics
            .applied_superseded
            .absolute(total(counts.superseded));
        metrics.applied_conflicts.absolute(total(counts.conflicts));
        metrics.repaired_durations.absolute(total(counts.repaired));
        metrics
            .forgotten_identities
            .absolute(total(counts.forgotten));
        metrics.identities.set(counts.identities as f64);
    }
}
