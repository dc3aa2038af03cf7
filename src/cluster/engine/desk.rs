//! The partitions that are being counted, and what of them is not committed.

use super::Error;
use super::traced::Traced;
use crate::cluster::mark::{self, KEY, Tally};
use crate::cluster::owned::{Counted, Owned, Terms};
use crate::cluster::records::Fetch;
use crate::failpoint;
use crate::log::Offset;
use crate::log::kafka::dead_letter::DeadLetter;
use crate::log::kafka::group::Group;
use crate::log::kafka::polled::Read;
use crate::log::kafka::ranges::Reader;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::trace::Tracer;
use crate::worker::past::Cause;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Reads single records of the log.
pub struct Events(Arc<Reader>);

impl Fetch for Events {
    fn fetch(&self, partition: u32, offset: Offset) -> Result<Vec<u8>, Cause> {
        Ok(self.0.record(partition, offset)?)
    }
}

/// Records that are none of ours and are held until the next commit.
const LETTERS_MAX: usize = 32;

/// What a transaction had.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Values of cells, of the ledger, and where that stands.
    pub values: usize,
    /// Records that were put away.
    pub dead_letters: usize,
}

/// What is being counted.
pub struct Desk {
    partitions: u32,
    events: Arc<Reader>,
    metrics: Arc<Metrics>,
    owned: BTreeMap<u32, Owned<Events>>,
    /// Records that are none of ours.
    letters: Vec<DeadLetter>,
    /// What of it is traced.
    traced: Traced,
    /// Whether a transaction is open: only while it is written.
    open: bool,
    /// Since when something is to be committed.
    since: Option<Instant>,
}

impl Desk {
    /// Nothing yet.
    pub fn new(
        partitions: u32,
        events: Arc<Reader>,
        metrics: Arc<Metrics>,
        tracer: Tracer,
    ) -> Self {
        Self {
            partitions,
            events,
            metrics,
            owned: BTreeMap::new(),
            letters: Vec::new(),
            traced: Traced::new(tracer),
            open: false,
            since: None,
        }
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Reads the log.
    pub fn events(&self) -> &Reader {
        &self.events
    }

    /// Since when something is to be committed.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Values that are to be committed.
    pub fn changed(&self) -> usize {
        self.owned.values().map(Owned::changed).sum()
    }

    /// How much is known of all partitions: chunks of the ledger, and places in pairing
    /// lists.
    pub fn sizes(&self) -> (usize, usize) {
        let sizes = self.owned.values().map(Owned::sizes);
        sizes.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
    }

    /// Whether as many records are to be put away as are held.
    pub fn is_full(&self) -> bool {
        self.letters.len() >= LETTERS_MAX
    }

    /// A transaction is about to be opened.
    pub fn opens(&mut self) {
        self.open = true;
    }

    /// The transaction that was open is committed, aborted, or nobody's any more.
    pub fn is_ended(&mut self) {
        self.open = false;
    }

    /// The partitions of which something is to be committed.
    pub fn dirty(&self) -> Vec<u32> {
        let dirty = self.owned.iter().filter(|(_, of)| of.is_dirty());
        dirty.map(|(&partition, _)| partition).collect()
    }

    /// The offset up to which a partition is committed.
    pub fn committed(&self, partition: u32) -> Offset {
        self.owned.get(&partition).map_or(0, Owned::committed)
    }

    /// The offset up to which all must be in a partition's slice before more is committed.
    pub fn settled(&self, partition: u32) -> Offset {
        self.owned.get(&partition).map_or(0, Owned::settled)
    }

    /// Takes a partition as it is committed; the offset from which it goes on.
    pub fn restore(
        &mut self,
        (partition, begins): (u32, Offset),
        slice: &Arc<Store>,
        terms: &Terms,
    ) -> Result<Offset, Error> {
        let events = Events(Arc::clone(&self.events));
        let owned = Owned::restore((partition, begins), slice, terms, events)?;
        let position = owned.position();
        self.owned.insert(partition, owned);
        Ok(position)
    }

    /// Whether a partition is counted here.
    pub fn owns(&self, partition: u32) -> bool {
        self.owned.contains_key(&partition)
    }

    /// Forgets a partition.
    pub fn drop(&mut self, partition: u32) {
        self.owned.remove(&partition);
    }

    /// Forgets all; which they were.
    pub fn abort(&mut self) -> Vec<u32> {
        self.since = None;
        self.letters.clear();
        self.traced.clear();
        std::mem::take(&mut self.owned).into_keys().collect()
    }

    /// Counts a record, or leaves it out and puts it away.
    pub fn take(&mut self, record: &Read<'_>) -> Result<(), Error> {
        let (partition, offset) = (record.partition(), record.offset());
        let Some(owned) = self.owned.get_mut(&partition) else {
            // It is read again once the partition is restored.
            return Ok(());
        };
        if offset < owned.position() {
            return Ok(());
        }
        self.since.get_or_insert_with(Instant::now);
        match record.event(self.partitions) {
            Ok(incoming) => {
                owned.count(Counted {
                    offset,
                    source: &incoming.source,
                    appended_at: incoming.appended_at,
                    event: &incoming.event,
                    canonical: record.value().unwrap_or_default(),
                })?;
                self.traced.note(&incoming.headers, (partition, offset));
            }
            Err(refused) => {
                tracing::debug!(
                    partition,
                    offset,
                    reason = refused.reason.code(),
                    "a record of the log is none of ours"
                );
                self.letters.push(record.dead(&refused));
                owned.skip(offset);
            }
        }
        Ok(())
    }

    /// Commits all that is counted. `settle` waits until what a partition had committed up
    /// to an offset is in its slice.
    pub fn commit(
        &mut self,
        group: &Group,
        settle: impl Fn(u32, Offset) -> Result<(), Error>,
    ) -> Result<Done, Error> {
        self.since = None;
        let mut done = Done::default();
        for letter in &self.letters {
            if !std::mem::replace(&mut self.open, true) {
                group.begin()?;
            }
            group.put_away(letter)?;
        }
        let mut read = Vec::new();
        for (&partition, owned) in &mut self.owned {
            if !owned.is_dirty() {
                continue;
            }
            let committed = owned.committed();
            let batch = owned.cut(|| settle(partition, committed))?;
            if !std::mem::replace(&mut self.open, true) {
                group.begin()?;
            }
            done.values += batch.len();
            let mut tally = Tally::default();
            for (table, key, value) in batch.into_puts() {
                let key = mark::key(table, &key);
                tally.take(&key, value.as_deref());
                group.put(partition, &key, value.as_deref())?;
            }
            failpoint::reached("kafka.mark.before");
            let (from, to) = (owned.committed(), owned.position());
            let mark = tally.mark((partition, self.partitions), from, to);
            let undecodable = |_| Error::Mark {
                partition,
                source: mark::Broken::Undecodable,
            };
            let mark = mark.encode().map_err(undecodable)?;
            group.put(partition, KEY, Some(&mark))?;
            read.push((partition, to));
        }
        if read.is_empty() {
            return Ok(done);
        }
        group.commit(&read)?;
        self.open = false;
        self.traced.committed();
        // One line for many: whoever writes them may write any number.
        let records = self.letters.len();
        done.dead_letters = records;
        if records > 0 {
            tracing::warn!(records, "put records away that are none of ours");
            self.letters.clear();
        }
        for (partition, _) in read {
            let owned = self.owned.get_mut(&partition);
            for (source, outcomes) in owned.map(Owned::is_committed).unwrap_or_default() {
                self.metrics.source(&source).applied(outcomes);
            }
        }
        Ok(done)
    }
}
