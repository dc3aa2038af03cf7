//! The one who writes the log: groups of frames, each group one write and one
//! sync.

use super::disk::File;
use super::embedded::{End, Log, Options};
use super::frame::Frame;
use super::recovery::{Tail, create};
use super::segment::{HEADER_BYTES, Header};
use super::{Address, Error, Offset};
use crate::failpoint;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Writes the log.
pub struct Appender {
    log: Log,
    options: Options,
    file: Box<dyn File>,
    /// How the durable part of the last segment ends.
    tail: Tail,
    failed: Option<Arc<Error>>,
}

/// A group of frames that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The first event's offset.
    pub first_offset: Offset,
    /// The address of its first byte.
    pub address: Address,
    /// When all of it was appended, in ms since 1970-01-01T00:00Z.
    pub appended_at: i64,
    /// Its bytes.
    pub bytes: u64,
    /// How long the write took.
    pub write: Duration,
    /// How long the sync took.
    pub sync: Duration,
}

impl Appender {
    pub(super) fn new(log: Log, options: Options, file: Box<dyn File>, tail: Tail) -> Self {
        Self {
            log,
            options,
            file,
            tail,
            failed: None,
        }
    }

    /// Appends frames in order and makes them durable, all or none. Their append
    /// time is `now` (ms since 1970-01-01T00:00Z), or that of the last record if
    /// that is later.
    ///
    /// # Errors
    /// [`Error::Refused`] if they could not be written (a full disk): nothing is
    /// left of them and the next append may succeed. Fatal ones, such as a failed
    /// sync, after which the disk's state is unknown: all later appends fail too.
    pub fn append(&mut self, frames: &mut [Frame], now: i64) -> Result<Written, Error> {
        if let Some(cause) = &self.failed {
            return Err(Error::Poisoned(cause.clone()));
        }
        let written = self.write(frames, now);
        if let Err(error) = &written
            && error.kind() == super::Kind::Fatal
        {
            self.failed = Some(Arc::new(error.clone()));
        }
        written
    }

    fn write(&mut self, frames: &mut [Frame], now: i64) -> Result<Written, Error> {
        let bytes = frames.iter().map(|frame| frame.bytes().len() as u64).sum();
        if self.tail.bytes > HEADER_BYTES && self.tail.bytes + bytes > self.options.segment_bytes {
            self.roll()?;
        }
        let first_offset = self.tail.end;
        let address = self.tail.address + self.tail.bytes;
        let appended_at = self.tail.appended_at.max(now);
        let mut end = first_offset;
        for frame in frames.iter_mut() {
            frame.place(end, appended_at);
            end += frame.events();
        }
        let start = Instant::now();
        self.put(frames)?;
        let write = start.elapsed();
        self.sync()?;
        let sync = start.elapsed() - write;
        self.tail = Tail {
            bytes: self.tail.bytes + bytes,
            end,
            appended_at,
            ..self.tail
        };
        self.log.set_end(End {
            offset: end,
            address: address + bytes,
        });
        Ok(Written {
            first_offset,
            address,
            appended_at,
            bytes,
            write,
            sync,
        })
    }

    fn put(&mut self, frames: &[Frame]) -> Result<(), Error> {
        let parts: Vec<&[u8]> = frames.iter().map(Frame::bytes).collect();
        failpoint::reached("log.append.before");
        let Err(source) = self.file.append(&parts) else {
            failpoint::reached("log.append.after");
            return Ok(());
        };
        let path = self.path();
        // A disk that takes nothing at all, not even a cut, has nothing to undo.
        let size = self.file.size().map_err(Error::disk("measure", &path))?;
        if size != self.tail.bytes {
            let cut = self.file.truncate(self.tail.bytes);
            cut.map_err(Error::disk("truncate", &path))?;
        }
        Err(Error::Refused {
            path,
            source: Arc::new(source),
        })
    }

    fn sync(&mut self) -> Result<(), Error> {
        failpoint::reached("log.sync.before");
        self.file.sync().map_err(|error| {
            // After a failed sync the page cache may show what the disk does not
            // hold, and a restart would believe it. Best effort: it is fatal
            // anyway.
            let _ = self.file.truncate(self.tail.bytes);
            Error::disk("sync", &self.path())(error)
        })?;
        failpoint::reached("log.sync.after");
        Ok(())
    }

    fn roll(&mut self) -> Result<(), Error> {
        failpoint::reached("log.roll.before");
        let header = Header {
            first_offset: self.tail.end,
            previous: Some((self.tail.first_offset, self.tail.bytes)),
            appended_at: self.tail.appended_at,
            address: self.tail.address + self.tail.bytes,
        };
        self.file = create(self.log.disk(), self.log.dir(), &header)?;
        self.tail.first_offset = header.first_offset;
        self.tail.address = header.address;
        self.tail.bytes = HEADER_BYTES;
        self.log.add_segment(header);
        failpoint::reached("log.roll.after");
        Ok(())
    }

    /// The segment that grows.
    pub(super) fn path(&self) -> PathBuf {
        self.log.path(self.tail.first_offset)
    }
}
