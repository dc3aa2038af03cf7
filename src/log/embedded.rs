//! The durable log on the local disk: a directory of segments, one appender,
//! any number of readers.

use super::appender::Appender;
use super::disk::{Disk, File};
use super::hold::{Hold, Holds};
use super::reader::Reader;
use super::recovery::recover;
use super::segment::{self, Cursor, Header};
use super::{Address, Error, Offset};
use crate::failpoint;
use parking_lot::RwLock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// How the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A segment that would grow beyond this is followed by a new one.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
        }
    }
}

/// An open log.
pub struct Opened {
    /// For readers.
    pub log: Log,
    /// For the one who writes.
    pub appender: Appender,
    /// Bytes of a torn tail that were cut off; nobody was told of them.
    pub truncated_bytes: u64,
}

/// The log, for reading. Clones are the same log.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Ascending, never empty.
    segments: RwLock<Vec<Header>>,
    /// After the last durable event.
    end: RwLock<End>,
    /// Who reads what retention would remove.
    holds: Holds,
}

/// How far the log is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The offset after the last event.
    pub offset: Offset,
    /// The address after its last byte.
    pub address: Address,
}

/// What is durable of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The segment's first offset.
    pub first_offset: Offset,
    /// How many of its bytes, header included.
    pub bytes: u64,
}

impl Log {
    /// Opens the log in a directory, which is made if it is not there. Frames
    /// are verified from the segment that holds `verify_from` on, the offset
    /// from which they will be read; of the segments before it only the headers
    /// and lengths are. A torn tail is cut off. What is found is synced before
    /// it counts as durable: after a kill it may be in the page cache alone.
    ///
    /// # Errors
    /// The disk's; an unknown format version; corruption anywhere but in a torn
    /// tail, with file and byte; a log that does not reach to `verify_from`.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        verify_from: Offset,
    ) -> Result<Opened, Error> {
        let found = recover(&*disk, dir, verify_from)?;
        let end = End {
            offset: found.tail.end,
            address: found.tail.address + found.tail.bytes,
        };
        let log = Self(Arc::new(Inner {
            disk,
            dir: dir.to_owned(),
            segments: RwLock::new(found.segments),
            end: RwLock::new(end),
            holds: Holds::default(),
        }));
        Ok(Opened {
            log: log.clone(),
            appender: Appender::new(log, options, found.file, found.tail),
            truncated_bytes: found.truncated_bytes,
        })
    }

    /// The first offset that is kept.
    pub fn start(&self) -> Offset {
        self.0
            .segments
            .read()
            .first()
            .map_or(0, |first| first.first_offset)
    }

    /// The offset after the last durable event.
    pub fn end(&self) -> Offset {
        self.0.end.read().offset
    }

    /// Bytes of what is kept.
    pub fn bytes(&self) -> u64 {
        let segments = self.0.segments.read();
        self.bytes_from(segments.first())
    }

    /// All that is durable now, by segment, and where it ends.
    pub fn parts(&self) -> (Vec<Part>, End) {
        // A new segment is listed before anything in it is durable, so the end
        // lies within those that are listed.
        let segments = self.0.segments.read();
        let end = *self.0.end.read();
        let ends = segments.iter().skip(1).map(|next| next.address);
        let ends = ends.chain([Address::MAX]);
        let parts = segments.iter().zip(ends).map(|(segment, next)| Part {
            first_offset: segment.first_offset,
            bytes: next.min(end.address).saturating_sub(segment.address),
        });
        (parts.filter(|part| part.bytes > 0).collect(), end)
    }

    /// Keeps retention from removing anything that is there now, until the hold
    /// is dropped, but no longer than until an instant.
    pub fn hold(&self, until: Instant) -> Hold {
        // Nothing is removed between the look at the start and the hold.
        let segments = self.0.segments.read();
        let start = segments.first().map_or(0, |first| first.first_offset);
        let number = self.0.holds.add(start, until);
        Hold::new(self.clone(), number)
    }

    /// A segment's file, to be read as far as it is durable.
    ///
    /// # Errors
    /// The disk's; a segment that is not kept any more.
    pub fn segment(&self, first_offset: Offset) -> Result<Box<dyn File>, Error> {
        let segments = self.0.segments.read();
        let found = segments.binary_search_by_key(&first_offset, |segment| segment.first_offset);
        drop(segments);
        found.map_err(|_| self.out_of_reach(first_offset))?;
        let path = self.path(first_offset);
        let file = self.0.disk.open(&path);
        file.map_err(Error::disk("open", &path))
    }

    /// Reads what is durable now, from the record that holds this offset on.
    ///
    /// # Errors
    /// An offset before the log's start or after its end.
    pub fn read_from(&self, offset: Offset) -> Result<Reader, Error> {
        let end = self.end();
        let segments = self.0.segments.read();
        let after = segments.partition_point(|segment| segment.first_offset <= offset);
        match after.checked_sub(1) {
            Some(index) if offset <= end => {
                let first = segments[index].first_offset;
                Ok(Reader::new(self.clone(), first, offset, end))
            }
            _ => {
                drop(segments);
                Err(self.out_of_reach(offset))
            }
        }
    }

    /// Removes the oldest segments whose records were all appended before a time
    /// (ms since 1970-01-01T00:00Z), and all end at or before an offset, the one
    /// that a restart reads from, and an address, the lowest that may be read
    /// again. Says how many.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove_before(
        &self,
        appended_at: i64,
        offset: Offset,
        address: Address,
    ) -> Result<usize, Error> {
        self.remove_while(offset, address, |_, next| next.appended_at < appended_at)
    }

    /// Removes the oldest segments while more than so many bytes are kept, and
    /// all that was said of offset and address in [`Log::remove_before`] holds.
    /// Says how many.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove_beyond(
        &self,
        bytes_max: u64,
        offset: Offset,
        address: Address,
    ) -> Result<usize, Error> {
        let beyond = |first: &Header, _: &Header| self.bytes_from(Some(first)) > bytes_max;
        self.remove_while(offset, address, beyond)
    }

    /// Removes the oldest segment as long as it is not wanted, as the header of
    /// it and of the next one tell, and nobody needs it.
    fn remove_while(
        &self,
        offset: Offset,
        address: Address,
        unwanted: impl Fn(&Header, &Header) -> bool,
    ) -> Result<usize, Error> {
        let mut removed = 0;
        loop {
            let mut segments = self.0.segments.write();
            let held = self.0.holds.lowest(Instant::now());
            let old = match &segments[..] {
                [first, next, ..] => {
                    unwanted(first, next)
                        && next.first_offset <= offset
                        && next.first_offset <= held
                        && next.address <= address
                }
                _ => false,
            };
            if !old {
                return Ok(removed);
            }
            let path = self.path(segments.remove(0).first_offset);
            drop(segments);
            failpoint::reached("retention.before");
            let gone = self.0.disk.remove(&path);
            gone.map_err(Error::disk("remove", &path))?;
            // One by one, or a crash might leave a gap.
            let synced = self.0.disk.sync_dir(&self.0.dir);
            synced.map_err(Error::disk("sync directory", &self.0.dir))?;
            failpoint::reached("retention.after");
            removed += 1;
        }
    }

    /// Bytes from a segment on.
    fn bytes_from(&self, first: Option<&Header>) -> u64 {
        let first = first.map_or(0, |first| first.address);
        self.0.end.read().address.saturating_sub(first)
    }

    pub(super) fn holds(&self) -> &Holds {
        &self.0.holds
    }

    /// The segment that holds an address, and the address of its first byte.
    pub(super) fn segment_of(&self, address: Address) -> Option<(Offset, Address)> {
        let segments = self.0.segments.read();
        let after = segments.partition_point(|segment| segment.address <= address);
        let segment = segments[after.checked_sub(1)?];
        Some((segment.first_offset, segment.address))
    }

    /// A cursor over the segment that begins at this offset, and its path.
    pub(super) fn open_segment(&self, first_offset: Offset) -> Result<(PathBuf, Cursor), Error> {
        let segments = self.0.segments.read();
        let found = segments.binary_search_by_key(&first_offset, |segment| segment.first_offset);
        let Ok(address) = found.map(|index| segments[index].address) else {
            drop(segments);
            return Err(self.out_of_reach(first_offset));
        };
        let path = self.path(first_offset);
        let file = self
            .0
            .disk
            .open(&path)
            .map_err(Error::disk("open", &path))?;
        let cursor = Cursor::new(file, &path, address);
        Ok((path, cursor))
    }

    /// Tells the readers of a new segment, which is durable.
    pub(super) fn add_segment(&self, header: Header) {
        self.0.segments.write().push(header);
    }

    /// Tells the readers how far the log is durable.
    pub(super) fn set_end(&self, end: End) {
        *self.0.end.write() = end;
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.0.disk
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0.dir
    }

    pub(super) fn path(&self, first_offset: Offset) -> PathBuf {
        self.0.dir.join(segment::name(first_offset))
    }

    fn out_of_reach(&self, wanted: Offset) -> Error {
        Error::OutOfReach {
            path: self.0.dir.clone(),
            start: self.start(),
            end: self.end(),
            wanted,
        }
    }
}
