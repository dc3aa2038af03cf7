//! A partition that this instance owns: its meter and its cells, ahead of what is
//! committed by one transaction at most, which may be ahead of its slice by one more. If
//! that is aborted, all of this is dropped and restored from what is committed.

use super::records::{Fetch, Records};
use crate::event::{Event, Millis};
use crate::log::Offset;
use crate::meter::cell::{Change, Days, Keeping, Round, Sweep, Unread};
use crate::meter::ledger::Whence;
use crate::meter::recall::Lost;
use crate::meter::{Meter, Record, Rules};
use crate::metrics::Outcomes;
use crate::store::{self, Batch, Store, Table};
use crate::view::{Published, State, View};
use crate::worker::checkpoint;
use crate::worker::past::Past;
use crate::worker::seen::Seen;
use crate::worker::shelf::OfStore;
use compact_str::CompactString;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Under this key a slice has the settings that shaped it.
const SHAPING: &[u8] = b"shaping";

/// Changes that are taken to the cells at once.
const PUBLISH: usize = 4_096;

/// Changes that are posted to owners at once.
const POST: usize = 8_192;

/// Records, and slots, that stay in memory once they are committed.
const HOT_MAX: usize = 30_000;

/// How often it is seen whether there are more: what was left to the slice and changes
/// again is read again.
const COOL_EVERY: Duration = Duration::from_secs(5);

/// Why a partition cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its state could not be restored or written down.
    #[error("state of partition {partition}")]
    State {
        /// Which.
        partition: u32,
        /// Why.
        source: checkpoint::Error,
    },
    /// It was counted under other settings.
    #[error("partition {partition} was counted under other settings, which shape its numbers")]
    Shaping {
        /// Which.
        partition: u32,
    },
    /// A record that matters again could not be read.
    #[error("count partition {partition}")]
    Lost {
        /// Which.
        partition: u32,
        /// Why.
        source: Lost,
    },
    /// Cells that are to be changed could not be read.
    #[error("count partition {partition}")]
    Unread {
        /// Which.
        partition: u32,
        /// Why.
        source: Unread,
    },
}

impl Error {
    /// Whether it stays as long as the settings do.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Shaping { .. })
    }
}

/// How is counted, the same on every instance.
#[derive(Clone)]
pub struct Terms {
    /// The settings that shape numbers.
    pub rules: Rules,
    /// How long cells are kept.
    pub keeping: Keeping,
    /// All settings that shape numbers, as they are kept with the numbers.
    pub shaping: Arc<[u8]>,
}

/// A record of the log that is to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Who reported it.
    pub source: &'a str,
    /// When it was appended.
    pub appended_at: Millis,
    /// The event.
    pub event: &'a Event,
    /// Its canonical bytes.
    pub canonical: &'a [u8],
}

/// The state of a partition.
pub struct Owned<F> {
    partition: u32,
    meter: Meter,
    view: View,
    slice: Arc<Store>,
    past: Past<Records<F>>,
    stored: checkpoint::Stored,
    days: Days,
    /// What became of records that are not committed, by source.
    outcomes: Vec<(CompactString, Outcomes)>,
    /// What is committed once, with the first transaction of all.
    first: Batch,
    changes: Vec<Change>,
    seen: Seen,
    /// The offset of the next record that is to be counted.
    position: Offset,
    committed: Offset,
    /// What was committed before the last transaction.
    before: Offset,
    cooled: Instant,
}

impl<F: Fetch> Owned<F> {
    /// A partition as it is committed; if nothing is, from the log's record at `begins`.
    ///
    /// # Errors
    /// What is committed cannot be read.
    pub fn restore(
        (partition, begins): (u32, Offset),
        slice: &Arc<Store>,
        terms: &Terms,
        fetch: F,
    ) -> Result<Self, Error> {
        let failed = |source| Error::State { partition, source };
        let mut first = Batch::default();
        let fingerprints = match checkpoint::known_fingerprints(slice).map_err(failed)? {
            Some(known) => {
                let found = shaping(slice).map_err(|error| failed(error.into()))?;
                if found.as_deref() != Some(&terms.shaping) {
                    return Err(Error::Shaping { partition });
                }
                known
            }
            None => {
                first.put(Table::Meta, SHAPING, Some(&terms.shaping));
                checkpoint::draw_fingerprints(&mut first).map_err(failed)?
            }
        };
        let past = Past::new(Records::new(partition, fetch), fingerprints);
        let (rules, keeping) = (terms.rules, terms.keeping.clone());
        let days = Days::of(keeping.zone.clone());
        let restored = checkpoint::restore(slice, rules, keeping, fingerprints, &past);
        let restored = restored.map_err(failed)?;
        let (position, clock) = (restored.position.max(begins), restored.meter.clock());
        let state = State::new(restored.cells, position, clock, restored.meter.counts());
        Ok(Self {
            partition,
            stored: checkpoint::Stored {
                names: restored.meter.names.len(),
                chunks: restored.chunks,
            },
            meter: restored.meter,
            view: View::new(state.having_seen(&restored.sources)),
            slice: Arc::clone(slice),
            past,
            days,
            first,
            changes: Vec::new(),
            outcomes: Vec::new(),
            seen: Seen::default(),
            position,
            committed: position,
            before: position,
            cooled: Instant::now(),
        })
    }

    /// The offset of the next record that is to be counted.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// The offset up to which all is committed.
    pub fn committed(&self) -> Offset {
        self.committed
    }

    /// The offset up to which all must be in the slice before more is committed.
    pub fn settled(&self) -> Offset {
        self.before
    }

    /// Whether something is to be committed.
    pub fn is_dirty(&self) -> bool {
        self.position != self.committed
    }

    /// How much is known of what was counted: chunks of the ledger, and places in pairing
    /// lists.
    pub fn sizes(&self) -> (usize, usize) {
        (self.stored.chunks.len(), self.meter.points())
    }

    /// How many values are to be committed, as of the last publication.
    pub fn changed(&self) -> usize {
        self.view.changed()
    }

    /// Counts a record.
    ///
    /// # Errors
    /// What was counted before cannot be read.
    pub fn count(&mut self, of: Counted<'_>) -> Result<(), Error> {
        let fingerprints = self.meter.fingerprints();
        let content = fingerprints.content(of.canonical);
        let record = Record {
            source: of.source,
            appended_at: of.appended_at,
            event: of.event,
            identity: fingerprints.identity(&of.event.facility, of.source, &of.event.event_id),
            whence: Whence {
                address: of.offset,
                content,
            },
        };
        self.past.source().keep(of.offset, of.canonical);
        let (partition, before) = (self.partition, self.meter.counts());
        let counted = self.meter.apply(&record, &self.past, &mut self.changes);
        counted.map_err(|source| Error::Lost { partition, source })?;
        self.tell(of.source, Outcomes::between(before, self.meter.counts()));
        self.position = of.offset + 1;
        self.seen.note(&of.source.into(), of.appended_at, of.event);
        match self.changes.len() >= PUBLISH {
            true => self.publish(),
            false => Ok(()),
        }
    }

    fn tell(&mut self, source: &str, more: Outcomes) {
        match self.outcomes.last_mut().filter(|(of, _)| of == source) {
            Some((_, outcomes)) => outcomes.add(more),
            None => self.outcomes.push((source.into(), more)),
        }
    }

    /// Leaves a record out.
    pub fn skip(&mut self, offset: Offset) {
        self.position = offset + 1;
    }

    /// Takes changes to the cells.
    fn publish(&mut self) -> Result<(), Error> {
        let partition = self.partition;
        let Some(appended_at) = self.meter.clock() else {
            return Ok(());
        };
        let wanted = self.view.wanted(&self.changes);
        if !wanted.is_empty() {
            let read = wanted.read(&OfStore(Arc::clone(&self.slice)));
            let warm = read.map_err(|source| Error::Unread { partition, source })?;
            self.view.warm(warm);
        }
        let rounds = Round::cut(std::mem::take(&mut self.changes), &mut self.days);
        if rounds.iter().any(Round::moves_clock) || self.view.unposted() >= POST {
            // Nothing is called in between, so nothing fails.
            let _ = self.view.post(|| Ok::<(), Infallible>(()));
        }
        self.view.publish(Published {
            rounds,
            position: self.position,
            appended_at,
            counts: self.meter.counts(),
            sources: &self.seen.take(),
        });
        Ok(())
    }

    /// All that changed since the last time, to be committed with the position. Where it
    /// needs to find all that is committed in the slice, it calls `settle` first, which
    /// waits until that is so.
    ///
    /// # Errors
    /// Those of `settle`; what is committed cannot be read; a value that cannot be encoded.
    pub fn cut<E: From<Error>>(&mut self, settle: impl Fn() -> Result<(), E>) -> Result<Batch, E> {
        if self.cooled.elapsed() >= COOL_EVERY {
            settle()?;
            self.cool();
        }
        self.publish()?;
        let sweeps = self.view.cut();
        if !sweeps.is_empty() || self.stored.chunks.reads_old(&self.meter) {
            settle()?;
        }
        Ok(self.gather(&sweeps)?)
    }

    /// Gathers what was cut.
    fn gather(&mut self, sweeps: &[Sweep]) -> Result<Batch, Error> {
        let partition = self.partition;
        let failed = |source| Error::State { partition, source };
        let (meter, position) = (&mut self.meter, self.position);
        let stored = (&mut self.stored, &*self.slice);
        let begun = self
            .view
            .scan(|state| checkpoint::begin(meter, state, sweeps, stored, position));
        let mut batch = begun.map_err(failed)?;
        for (table, key, value) in std::mem::take(&mut self.first).into_puts() {
            batch.put(table, &key, value.as_deref());
        }
        let gathered = self.view.gather(usize::MAX);
        let (cells, _) = gathered.map_err(|error| failed(checkpoint::Error::Encode(error)))?;
        for (key, value) in cells {
            checkpoint::put(&mut batch, &key, value.as_deref()).map_err(failed)?;
        }
        Ok(batch)
    }

    /// What was cut is committed; what became of its records, by source.
    pub fn is_committed(&mut self) -> Vec<(CompactString, Outcomes)> {
        self.before = std::mem::replace(&mut self.committed, self.position);
        std::mem::take(&mut self.outcomes)
    }

    /// All that is committed is in the slice: most of it need not be in memory.
    fn cool(&mut self) {
        self.cooled = Instant::now();
        self.view.cool_slots(HOT_MAX);
        for part in self.view.coolable(HOT_MAX) {
            self.view.cool(&part);
        }
    }
}

/// The settings that shaped the numbers of a slice; none before the first transaction.
///
/// # Errors
/// The store's.
pub fn shaping(slice: &Store) -> Result<Option<Vec<u8>>, store::Error> {
    Ok(slice.get(Table::Meta, SHAPING)?.map(|bytes| bytes.to_vec()))
}
