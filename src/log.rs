//! The seam to the log: what is appended, what is read back and how it can
//! fail. An append that succeeded is durable; nothing else is promised of one
//! that failed or was not waited for.

pub mod appender;
pub mod archive;
pub mod committer;
pub mod dir;
pub mod disk;
pub mod embedded;
pub mod frame;
pub mod gauge;
pub mod hold;
pub mod kafka;
pub mod readable;
pub mod reader;
mod recovery;
pub mod scan;
pub mod segment;

use bytes::Bytes;
use compact_str::CompactString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The place of an event in the log: events count from 0.
pub type Offset = u64;

/// A place in the log in bytes, from its very beginning, whatever of it is still
/// there.
pub type Address = u64;

/// Events that are published together: one frame of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Who reports them.
    pub source: CompactString,
    /// What travels with them, by name.
    pub headers: Vec<(String, Bytes)>,
    /// The version of the events' schema.
    pub schema: u32,
    /// At least one; each a canonical protobuf event.
    pub events: Vec<Bytes>,
}

/// A batch as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The first event's offset; the others follow without gaps.
    pub first_offset: Offset,
    /// When it was appended, in ms since 1970-01-01T00:00Z; never less than in
    /// the record before.
    pub appended_at: i64,
    /// Who reported the events.
    pub source: CompactString,
    /// What travelled with them, by name.
    pub headers: Vec<(String, Bytes)>,
    /// The version of the events' schema.
    pub schema: u32,
    /// Each a canonical protobuf event.
    pub events: Vec<Bytes>,
    /// The address after its last byte.
    pub end_address: Address,
}

impl Record {
    /// The offset after its last event.
    pub fn end_offset(&self) -> Offset {
        self.first_offset + self.events.len() as u64
    }
}

/// Where a batch is, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first event's offset.
    pub first_offset: Offset,
    /// The offset after the last event.
    pub end_offset: Offset,
    /// When it was appended, in ms since 1970-01-01T00:00Z.
    pub appended_at: i64,
}

/// A durable batch on its way to the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable<T> {
    /// The first event's offset.
    pub first_offset: Offset,
    /// The offset after the last event.
    pub end_offset: Offset,
    /// The address after its last byte; see [`frame::event_bytes`].
    pub end_address: Address,
    /// When it was appended, in ms since 1970-01-01T00:00Z.
    pub appended_at: i64,
    /// Who reports it.
    pub source: CompactString,
    /// What the appender gave for the worker: the batch, already decoded.
    pub payload: T,
}

/// Whoever takes the durable batches takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing was appended, or it is not known whether it was; the same may
    /// succeed later, and counts once.
    Retry,
    /// This can never succeed; the log itself is well.
    Abort,
    /// The log is no longer to be trusted: stop, loudly.
    Fatal,
}

/// How the log fails.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The buffers stayed full for as long as the caller would wait.
    #[error("append to the log: no room within {wait:?}")]
    Overloaded {
        /// How long it waited.
        wait: Duration,
    },
    /// The log is closing and takes no more.
    #[error("append to the log: it is closing")]
    Closed,
    /// Nothing was written, for example because the disk is full.
    #[error("append to {}", path.display())]
    Refused {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: Arc<io::Error>,
    },
    /// A batch without events.
    #[error("append to the log: a batch without events")]
    Empty,
    /// A batch beyond the limit.
    #[error("append to the log: a batch of {bytes} bytes, {limit} are allowed")]
    TooLarge {
        /// Encoded, in bytes.
        bytes: u64,
        /// The most that is allowed, in bytes.
        limit: u64,
    },
    /// One event that is too large with all that travels with it.
    #[error("append to the log: event {index} takes {bytes} bytes, {limit} are allowed")]
    EventTooLarge {
        /// Its index in the batch.
        index: usize,
        /// With its key and headers, in bytes.
        bytes: u64,
        /// The most that is allowed, in bytes.
        limit: u64,
    },
    /// Not one facility for each event.
    #[error("append to the log: {facilities} facilities for {events} events")]
    Unkeyed {
        /// How many were given.
        facilities: usize,
        /// For how many.
        events: usize,
    },
    /// A header that cannot travel with the events.
    #[error("append to the log: a header must not be named {name:?}")]
    HeaderName {
        /// As it was given.
        name: String,
    },
    /// The brokers refused something, or did not answer in time. What they were
    /// given may be in the log or not.
    #[error("{operation} {subject}")]
    Broker {
        /// What was tried.
        operation: &'static str,
        /// With what: a topic, for example.
        subject: Arc<str>,
        /// What to do about it.
        kind: Kind,
        /// What the client library says; it never tells a secret.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The system gives no thread.
    #[error("start a thread for {purpose} {subject}")]
    Thread {
        /// What it is for.
        purpose: &'static str,
        /// And for which topic.
        subject: Arc<str>,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The disk failed.
    #[error("{operation} {}", path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the disk said.
        source: Arc<io::Error>,
    },
    /// What is on the disk is not what was written.
    #[error("corrupt log: {} at byte {at}: {fault}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        at: u64,
        /// What is wrong.
        fault: String,
    },
    /// Written by another version of the program.
    #[error("unknown format version {found} in {}: this program reads version {supported}", path.display())]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// What it carries.
        found: u32,
        /// What is understood.
        supported: u32,
    },
    /// The log does not reach an offset that it must.
    #[error("the log in {} holds offsets {start} to {end}, but {wanted} is needed", path.display())]
    OutOfReach {
        /// The log's directory.
        path: PathBuf,
        /// Its first offset.
        start: Offset,
        /// The offset after its last.
        end: Offset,
        /// What was asked for.
        wanted: Offset,
    },
    /// The worker is gone, so nothing durable can be applied any more.
    #[error("hand durable batches to the worker: it is gone")]
    WorkerGone,
    /// The committing thread ended by a panic.
    #[error("append to the log: the committing thread died")]
    Died,
    /// An earlier failure stopped the log.
    #[error("append to the log: it failed before")]
    Poisoned(#[source] Arc<Error>),
}

impl Error {
    /// What to do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Overloaded { .. } | Self::Closed | Self::Refused { .. } => Kind::Retry,
            Self::Empty
            | Self::TooLarge { .. }
            | Self::EventTooLarge { .. }
            | Self::Unkeyed { .. }
            | Self::HeaderName { .. } => Kind::Abort,
            Self::Broker { kind, .. } => *kind,
            Self::Disk { .. }
            | Self::Corrupt { .. }
            | Self::UnknownVersion { .. }
            | Self::OutOfReach { .. }
            | Self::Thread { .. }
            | Self::WorkerGone
            | Self::Died
            | Self::Poisoned(_) => Kind::Fatal,
        }
    }

    /// For `map_err`: the disk failed.
    fn disk(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk {
            operation,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }
}
