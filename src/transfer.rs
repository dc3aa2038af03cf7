//! Moves events into a log in Kafka: of an embedded log ([`import`]), of other topics
//! ([`migrate`]), of the dead letters ([`requeue`]).
//!
//! The first two copy what was appended as it was appended, because forgetting depends on
//! the day of that, and each event exactly once. A copy that was interrupted is begun
//! again and goes on where it ended.

pub mod import;
pub mod migrate;
pub mod requeue;

use crate::log::kafka::copy::Copy;
use crate::log::kafka::failure::Failure;
use crate::log::{self, Offset, Record};
use crate::wire;
use std::time::{Duration, Instant};

/// Events with which a transaction is committed, and the time after which it is.
const EVENTS_MAX: usize = 5_000;
const OPEN_MAX: Duration = Duration::from_secs(2);

/// Why events are not, or not all, copied. What is committed is, and known to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers, or the client.
    #[error("copy events")]
    Kafka(#[from] Failure),
    /// The log that is copied.
    #[error("read the log that is copied")]
    Log(#[from] log::Error),
    /// Records are there already that no copy of this kind has put there.
    #[error(
        "topic {topic} holds {records} records that did not come from here: copy into new topics"
    )]
    NotEmpty {
        /// Which.
        topic: String,
        /// How many.
        records: u64,
    },
    /// The beginning of the log is gone.
    #[error(
        "{what} begins at offset {start}: what was counted of the records before it would be missing; allow it if that is meant"
    )]
    Cut {
        /// The log.
        what: String,
        /// Where it begins.
        start: Offset,
    },
    /// What is in the log is no event.
    #[error("offset {offset} of the log is no event of this version")]
    NoEvent {
        /// Where.
        offset: Offset,
        /// What is wrong.
        source: wire::Error,
    },
    /// Written by another version of the program.
    #[error(
        "offset {offset} of the log has schema {schema}, but {} is understood",
        wire::SCHEMA
    )]
    Schema {
        /// Where.
        offset: Offset,
        /// Its version.
        schema: u32,
    },
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Events that were copied now.
    pub events: u64,
    /// Events, or records, that an earlier copy had copied.
    pub before: u64,
    /// Records that are no events, and were left.
    pub left: u64,
}

/// Puts events and commits them now and then.
struct Putting {
    copy: Copy,
    uncommitted: usize,
    since: Instant,
    events: u64,
}

impl Putting {
    fn new(copy: Copy) -> Self {
        Self {
            copy,
            uncommitted: 0,
            since: Instant::now(),
            events: 0,
        }
    }

    /// Puts all events of a record but the first `skip`.
    fn put(&mut self, record: &Record, skip: usize) -> Result<(), Error> {
        if record.schema != wire::SCHEMA {
            let (offset, schema) = (record.first_offset, record.schema);
            return Err(Error::Schema { offset, schema });
        }
        for (offset, event) in (record.first_offset..).zip(&record.events).skip(skip) {
            let read = wire::decode(event);
            let read = read.map_err(|source| Error::NoEvent { offset, source })?;
            if self.uncommitted == 0 {
                self.since = Instant::now();
            }
            self.copy.put(&read.facility, record, event)?;
            self.uncommitted += 1;
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.uncommitted >= EVENTS_MAX || self.uncommitted > 0 && self.since.elapsed() >= OPEN_MAX
    }

    fn commit(&mut self, read: &[(u32, Offset)]) -> Result<(), Error> {
        self.copy.commit(read)?;
        self.events += std::mem::take(&mut self.uncommitted) as u64;
        Ok(())
    }
}
