//! Writes checkpoints while the next records are applied, one at a time.

use super::{Error, Worker, checkpoint, retention};
use crate::event::Millis;
use crate::failpoint;
use crate::log::Address;
use crate::meter::cell::{Day, utc_day_of};
use crate::store::Batch;
use crate::view::View;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Records, and slots, that stay in memory once they are stored: more than a day of a
/// port of 400,000 events a day.
const HOT_MAX: usize = 60_000;

/// Most events that are applied while a checkpoint cannot be written: it bounds
/// what a restart has to replay, and what is remembered to be stored.
const OWED_EVENTS_MAX: u64 = 5_000_000;

/// Cells that are gathered at a time: it bounds how long that keeps publications
/// waiting.
const GATHER: usize = 512;

/// As many while questions are asked: it bounds how long one waits for the view's lock.
const GATHER_FEW: usize = 128;

/// The pause after them: else a question would find the view taken nearly always.
const GATHER_PAUSE: Duration = Duration::from_micros(500);

/// Why there is no checkpoint.
pub(super) enum Unwritten {
    /// It could not be gathered.
    Ungathered(checkpoint::Error),
    /// It was gathered.
    Owed(Box<Owed>),
}

/// A checkpoint that could not be written.
pub(super) struct Owed {
    batch: Batch,
    pub(super) cause: crate::store::Error,
    /// Whether that was not the first attempt.
    again: bool,
}

impl Worker {
    /// Begins to store what has changed, unless the last checkpoint is still
    /// being gathered or written: then its successor takes more.
    pub(super) fn checkpoint(&mut self) -> Result<(), Error> {
        self.last_checkpoint = Instant::now();
        if self.is_busy() {
            return Ok(());
        }
        self.written()?;
        if let Some(owed) = self.owed.take() {
            return self.write_again(*owed);
        }
        if self.position == self.stored_position {
            return Ok(());
        }
        // The cells must be where the meter is.
        self.publisher.finish()?;
        let (meter, position) = (&mut self.meter, self.position);
        let stored = (&mut self.stored, &*self.store);
        let sweeps = self.view.cut();
        let batch = self
            .view
            .scan(|state| checkpoint::begin(meter, state, &sweeps, stored, position))?;
        self.stored_position = position;
        let sizes = (&self.meter, self.stored.chunks.len());
        retention::tell_sizes(&self.metrics, sizes);
        // What the log must keep for it: the meter goes on and forgets more.
        let clock = self.meter.clock().unwrap_or(Millis::MIN);
        self.needed(utc_day_of(clock));
        self.write(batch, false)
    }

    /// Whether a checkpoint is being gathered or written.
    pub(super) fn is_busy(&self) -> bool {
        let writing = self.writing.as_ref();
        writing.is_some_and(|thread| !thread.is_finished())
    }

    /// Tries once more what could not be written, unless too much came since.
    fn write_again(&mut self, owed: Owed) -> Result<(), Error> {
        let events = self.position - self.stored_position;
        if events > OWED_EVENTS_MAX {
            let source = owed.cause;
            return Err(Error::Owed { events, source });
        }
        self.write(owed.batch, true)
    }

    /// Gathers the cells of a checkpoint, unless that was done, and writes it.
    fn write(&mut self, batch: Batch, again: bool) -> Result<(), Error> {
        let (view, store) = (Arc::clone(&self.view), Arc::clone(&self.store));
        let (metrics, retention) = (Arc::clone(&self.metrics), Arc::clone(&self.retention));
        let position = self.stored_position;
        let clock = self.meter.clock().unwrap_or(Millis::MIN);
        let needed = self.needed.1;
        let named = std::thread::Builder::new().name("checkpoint".into());
        let thread = named.spawn(move || {
            let started = Instant::now();
            let batch = match again {
                true => batch,
                false => gathered(&view, batch).map_err(Unwritten::Ungathered)?,
            };
            failpoint::reached("checkpoint.before");
            let kept = batch.clone();
            let opened = if again { store.reopen() } else { Ok(()) };
            let written = opened.and_then(|()| store.write(batch));
            written.map_err(|cause| {
                Unwritten::Owed(Box::new(Owed {
                    batch: kept,
                    cause,
                    again,
                }))
            })?;
            failpoint::reached("checkpoint.after");
            metrics
                .checkpoint_seconds
                .record(started.elapsed().as_secs_f64());
            metrics.checkpoint_offset.set(position as f64);
            if let Ok(bytes) = store.disk_bytes() {
                metrics.store_bytes.set(bytes as f64);
            }
            retention.remove(clock, position, needed);
            if again {
                tracing::info!("checkpoints can be written again");
            }
            Ok(())
        });
        self.writing = Some(thread.map_err(Error::Thread)?);
        Ok(())
    }

    /// Looks for the lowest address at which a record may have to be read again. It only
    /// rises, so a day's is good for that day.
    fn needed(&mut self, today: Day) {
        if self.needed.0 != today {
            let lowest = self.meter.lowest_address().unwrap_or(Address::MAX);
            self.needed = (today, lowest);
        }
    }

    /// Sees to the checkpoint that was being written, if it is: so what it stored
    /// is left to the shelf before the next one is due.
    pub(super) fn see_to_written(&mut self) -> Result<(), Error> {
        match self.writing.as_ref().is_some_and(JoinHandle::is_finished) {
            true => self.written(),
            false => Ok(()),
        }
    }

    /// Waits for the checkpoint that is being written. One for which there was
    /// no room is owed; every other fault is final.
    pub(super) fn written(&mut self) -> Result<(), Error> {
        let Some(thread) = self.writing.take() else {
            return Ok(());
        };
        let died = |_| Error::Died("write a checkpoint");
        let owed = match thread.join().map_err(died)? {
            Ok(()) => return self.publisher.cool(HOT_MAX),
            Err(Unwritten::Ungathered(error)) => return Err(error.into()),
            Err(Unwritten::Owed(owed)) => owed,
        };
        self.metrics.checkpoint_failures.increment(1);
        let passes = owed.cause.is_for_want_of_room() || owed.cause.is_of_before();
        if !passes {
            return Err(Error::Store(owed.cause));
        }
        if !owed.again {
            let cause: &dyn std::error::Error = &owed.cause;
            tracing::error!(
                cause,
                "checkpoints cannot be written and are tried again: a restart would replay the log"
            );
        }
        self.owed = Some(owed);
        Ok(())
    }
}

/// Adds all cells that were settled.
fn gathered(view: &View, mut batch: Batch) -> Result<Batch, checkpoint::Error> {
    loop {
        let is_asked = view.is_asked();
        let most = if is_asked { GATHER_FEW } else { GATHER };
        let (cells, done) = view.gather(most).map_err(checkpoint::Error::Encode)?;
        for (key, value) in cells {
            checkpoint::put(&mut batch, &key, value.as_deref())?;
        }
        if done {
            return Ok(batch);
        }
        if is_asked {
            std::thread::sleep(GATHER_PAUSE);
        }
    }
}
