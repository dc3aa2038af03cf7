//! The past as the meter of a partition asks for it: records of the log by their
//! offsets. What was read lately is kept, because most corrections come soon.

use crate::event::Event;
use crate::fingerprint::Fingerprints;
use crate::log::Offset;
use crate::meter::ledger::Whence;
use crate::meter::recall::{Lost, Recall};
use crate::wire;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Bytes of records that are kept, for each partition.
const RECENT_BYTES: usize = 16 << 20;

/// Reads single records of a partition of the log again.
pub trait Fetch: Send {
    /// The value of the record at an offset.
    ///
    /// # Errors
    /// It cannot be read, or is not there any more.
    fn fetch(
        &self,
        partition: u32,
        offset: Offset,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;
}

/// The record at an offset is not the one that was counted.
#[derive(Debug, thiserror::Error)]
#[error("the event at this offset is not the one that was counted")]
struct Another;

/// The records of a partition.
pub struct Past<F> {
    partition: u32,
    fingerprints: Fingerprints,
    fetch: F,
    recent: Mutex<Recent>,
}

/// The latest records, by offset.
#[derive(Default)]
struct Recent {
    records: VecDeque<(Offset, Box<[u8]>)>,
    bytes: usize,
}

impl Recent {
    fn push(&mut self, offset: Offset, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.records.push_back((offset, bytes.into()));
        while self.bytes > RECENT_BYTES
            && let Some((_, oldest)) = self.records.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    fn find(&self, offset: Offset) -> Option<&[u8]> {
        let at = self.records.binary_search_by_key(&offset, |(at, _)| *at);
        Some(&self.records.get(at.ok()?)?.1)
    }
}

impl<F: Fetch> Past<F> {
    /// Of this partition; fingerprints are taken as the meter's were.
    pub fn new(partition: u32, fingerprints: Fingerprints, fetch: F) -> Self {
        Self {
            partition,
            fingerprints,
            fetch,
            recent: Mutex::default(),
        }
    }

    /// Keeps a record for a while; each has a greater offset than the one before.
    pub fn keep(&self, offset: Offset, bytes: &[u8]) {
        self.recent.lock().push(offset, bytes);
    }

    fn bytes(&self, record: Whence) -> Result<Vec<u8>, Lost> {
        let Whence { address, content } = record;
        if let Some(found) = self.recent.lock().find(address) {
            return Ok(found.to_vec());
        }
        let fetched = self.fetch.fetch(self.partition, address);
        let bytes = fetched.map_err(|source| Lost { address, source })?;
        match self.fingerprints.content(&bytes) == content {
            true => Ok(bytes),
            false => Err(lost(address)(Another)),
        }
    }
}

impl<F: Fetch> Recall for Past<F> {
    fn event(&self, record: Whence) -> Result<Event, Lost> {
        wire::decode(&self.bytes(record)?).map_err(lost(record.address))
    }

    fn hash(&self, record: Whence) -> Result<[u8; 32], Lost> {
        Ok(wire::content_hash(&self.bytes(record)?))
    }
}

fn lost<E: std::error::Error + Send + Sync + 'static>(address: u64) -> impl FnOnce(E) -> Lost {
    move |source| Lost {
        address,
        source: source.into(),
    }
}
