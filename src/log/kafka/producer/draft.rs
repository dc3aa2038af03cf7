//! A batch within the limits, not yet sent.

use super::super::record;
use crate::log::{Batch, Error};
use bytes::Bytes;

/// The most bytes of a record: key, value and headers. Far more than a valid
/// event has, and far below what brokers take (1 MiB unless told otherwise).
pub const RECORD_BYTES_MAX: usize = 256 << 10;

/// What the library keeps for a record beside its bytes: the message itself.
pub const BESIDE_RECORD: u32 = 256;

/// And for each header, which is an allocation of its own.
const BESIDE_HEADER: usize = 96;

/// A batch within the limits, with the facility of each event.
#[derive(Debug)]
pub struct Draft<'a, K> {
    facilities: &'a [K],
    batch: Batch,
    bytes: u32,
}

impl<'a, K: AsRef<str>> Draft<'a, K> {
    /// Checks the limits, so that no event of the batch is sent if one cannot be.
    ///
    /// # Errors
    /// No events, not as many facilities, one event or all of them too large, or
    /// a header that cannot travel.
    pub fn new(facilities: &'a [K], batch: Batch, limit: u32) -> Result<Self, Error> {
        let events = batch.events.len();
        if events == 0 {
            return Err(Error::Empty);
        }
        if facilities.len() != events {
            let facilities = facilities.len();
            return Err(Error::Unkeyed { facilities, events });
        }
        let mut names = batch.headers.iter().map(|(name, _)| name);
        if let Some(name) = names.find(|name| !record::can_travel(name)) {
            let name = name.clone();
            return Err(Error::HeaderName { name });
        }
        let mut draft = Self {
            facilities,
            batch,
            bytes: 0,
        };
        draft.bytes = draft.measure(limit)?;
        Ok(draft)
    }

    /// What it takes in memory until it is acknowledged.
    fn measure(&self, limit: u32) -> Result<u32, Error> {
        let headers = record::headers(&self.batch, i64::MAX);
        let header_bytes = headers.iter().map(|(name, value)| name.len() + value.len());
        let header_bytes: usize = header_bytes.sum();
        let beside = BESIDE_RECORD as usize + BESIDE_HEADER * headers.len();
        let mut all = 0;
        for (index, (facility, event)) in self.records().enumerate() {
            let bytes = facility.len() + event.len() + header_bytes;
            if bytes > RECORD_BYTES_MAX {
                return Err(Error::EventTooLarge {
                    index,
                    bytes: bytes as u64,
                    limit: RECORD_BYTES_MAX as u64,
                });
            }
            all += (bytes + beside) as u64;
        }
        u32::try_from(all)
            .ok()
            .filter(|bytes| *bytes <= limit)
            .ok_or(Error::TooLarge {
                bytes: all,
                limit: u64::from(limit),
            })
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// How many events it has.
    pub fn events(&self) -> usize {
        self.batch.events.len()
    }

    /// The batch.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Each event with its facility.
    pub fn records(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        let facilities = self.facilities.iter().map(AsRef::as_ref);
        facilities.zip(&self.batch.events)
    }
}
