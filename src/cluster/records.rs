//! The records of a partition, for what asks for the past. What was read lately is kept,
//! because most corrections come soon.

use crate::log::Offset;
use crate::worker::past::{Cause, Source};
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
    fn fetch(&self, partition: u32, offset: Offset) -> Result<Vec<u8>, Cause>;
}

/// The records of a partition.
pub struct Records<F> {
    partition: u32,
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

impl<F: Fetch> Records<F> {
    /// Of this partition.
    pub fn new(partition: u32, fetch: F) -> Self {
        Self {
            partition,
            fetch,
            recent: Mutex::default(),
        }
    }

    /// Keeps a record for a while; each has a greater offset than the one before.
    pub fn keep(&self, offset: Offset, bytes: &[u8]) {
        self.recent.lock().push(offset, bytes);
    }
}

impl<F: Fetch> Source for Records<F> {
    fn bytes(&self, offset: Offset) -> Result<Vec<u8>, Cause> {
        if let Some(found) = self.recent.lock().find(offset) {
            return Ok(found.to_vec());
        }
        self.fetch.fetch(self.partition, offset)
    }
}
