//! Reads a log's directory without opening the log: nothing is written, locked
//! or cut off, so it works beside the process that appends.
//!
//! What was told to be durable is whole; behind it a batch may stand that is
//! still being written, so whoever reads beside a service stops at a position
//! that the service has answered with.

use super::disk;
use super::readable::{self, Readable};
use super::segment::{self, Cursor, HEADER_BYTES, Header, HeaderFault, Step};
use super::{Error, Offset, Record};
use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A log's directory as it was listed.
#[derive(Clone, Debug)]
pub struct Scan {
    dir: PathBuf,
    /// Ascending.
    segments: Vec<(Header, u64)>,
}

impl Scan {
    /// Lists the segments and reads their headers.
    ///
    /// # Errors
    /// The disk's; an unknown format version; a segment that does not follow the
    /// one before it; a directory without any segment.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let segments = list(dir)?;
        if segments.is_empty() {
            return Err(Error::OutOfReach {
                path: dir.to_owned(),
                start: 0,
                end: 0,
                wanted: 0,
            });
        }
        Ok(Self {
            dir: dir.to_owned(),
            segments,
        })
    }

    /// The first offset that is kept.
    pub fn start(&self) -> Offset {
        self.segments
            .first()
            .map_or(0, |(first, _)| first.first_offset)
    }

    /// Bytes of all segments, when they were listed.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, bytes)| bytes).sum()
    }

    /// The segments: first offset and bytes, when they were listed.
    pub fn segments(&self) -> impl Iterator<Item = (Offset, u64)> + '_ {
        let segments = self.segments.iter();
        segments.map(|(header, bytes)| (header.first_offset, *bytes))
    }

    /// The offset of a segment from which on all records are that were appended
    /// at or after a time (ms since 1970-01-01T00:00Z).
    pub fn since(&self, appended_at: i64) -> Offset {
        let after = |(header, _): &(Header, u64)| header.appended_at < appended_at;
        let last = self.segments.partition_point(after).saturating_sub(1);
        self.segments
            .get(last)
            .map_or(0, |(header, _)| header.first_offset)
    }

    /// All records from a segment's first offset on.
    pub fn records(&self, from: Offset) -> Records {
        Records {
            dir: self.dir.clone(),
            segment: None,
            read: from,
            next: from,
            before: 0,
        }
    }
}

impl Readable for Scan {
    fn start(&self) -> Offset {
        Self::start(self)
    }

    fn amount(&self) -> u64 {
        self.bytes()
    }

    fn read(&self) -> Result<Box<dyn readable::Records + '_>, Error> {
        Ok(Box::new(self.records(Self::start(self))))
    }
}

/// Records in order, as far as they are asked for.
pub struct Records {
    dir: PathBuf,
    segment: Option<(PathBuf, Cursor)>,
    /// The first offset of the segment that is read.
    read: Offset,
    /// Where the next frame begins.
    next: Offset,
    /// Bytes of the segments that were read to their end.
    before: u64,
}

impl Records {
    /// The next record if it begins before an offset; none at that offset and at
    /// the end of the log.
    ///
    /// # Errors
    /// The disk's; whatever is not as it was written, but for an incomplete
    /// batch at the very end of the last segment.
    pub fn next_before(&mut self, end: Offset) -> Result<Option<Record>, Error> {
        while self.next < end {
            let Some((path, mut cursor)) = self.open()? else {
                return Ok(None);
            };
            let at = cursor.at();
            let corrupt = |fault: String| Error::Corrupt {
                path: path.clone(),
                at,
                fault,
            };
            match self.step(&mut cursor)? {
                (Step::Frame(head, _), _) if head.first_offset != self.next => {
                    let found = head.first_offset;
                    let fault = format!("offset {found} where {} belongs", self.next);
                    return Err(corrupt(fault));
                }
                (Step::Frame(head, body), _) => {
                    let record = head.record(body, cursor.address()).map_err(corrupt)?;
                    self.next = head.end_offset;
                    self.segment = Some((path, cursor));
                    return Ok(Some(record));
                }
                // One without frames begins where it ends.
                (Step::End, Some(next)) if next == self.next && at > HEADER_BYTES => {
                    self.before += at;
                }
                (Step::End, Some(next)) => {
                    let end = self.next;
                    let fault = format!("offset {end} ends it, the next segment begins at {next}");
                    return Err(corrupt(fault));
                }
                (Step::End, None) => {
                    self.segment = Some((path, cursor));
                    return Ok(None);
                }
                (Step::Bad(fault), next) if next.is_some() || cursor.frame_behind()? => {
                    return Err(corrupt(fault.to_owned()));
                }
                (Step::Bad(_), _) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// What stands at a cursor, and, if it is no whole frame, the first offset of the
    /// next segment. If there is one, the cursor looks once more: the process that
    /// appends may have filled this one and begun the next since it was read.
    fn step(&self, cursor: &mut Cursor) -> Result<(Step, Option<Offset>), Error> {
        let step = cursor.step()?;
        if matches!(step, Step::Frame(..)) {
            return Ok((step, None));
        }
        let Some(next) = self.followed()? else {
            return Ok((step, None));
        };
        cursor.look_again();
        Ok((cursor.step()?, Some(next)))
    }

    /// The offset after the last record that was read.
    pub fn position(&self) -> Offset {
        self.next
    }

    /// Bytes that were read, headers included.
    pub fn bytes(&self) -> u64 {
        let at = self.segment.as_ref().map_or(0, |(_, cursor)| cursor.at());
        self.before + at
    }

    /// The first offset of the first segment behind the one that is read.
    fn followed(&self) -> Result<Option<Offset>, Error> {
        let behind = offsets(&self.dir)?.into_iter();
        Ok(behind.filter(|&first| first > self.read).min())
    }

    fn open(&mut self) -> Result<Option<(PathBuf, Cursor)>, Error> {
        if let Some(segment) = self.segment.take() {
            return Ok(Some(segment));
        }
        let path = self.dir.join(segment::name(self.next));
        let file = open(&path)?;
        let mut header = [0; HEADER_BYTES as usize];
        let got = disk::File::read_at(&file, 0, &mut header);
        let got = got.map_err(Error::disk("read", &path))?;
        self.read = self.next;
        match Header::parse(&header[..got]) {
            Ok(header) => {
                check_offset(&header, self.next, &path)?;
                let cursor = Cursor::new(Box::new(file), &path, header.address);
                Ok(Some((path, cursor)))
            }
            // One that is just being made holds nothing yet.
            Err(_) if is_begun(&file, &path)? && self.followed()?.is_none() => Ok(None),
            Err(_) => Err(corrupt(&path, "an unreadable segment header")),
        }
    }
}

impl readable::Records for Records {
    fn next_before(&mut self, end: Offset) -> Result<Option<Record>, Error> {
        Self::next_before(self, end)
    }

    fn position(&self) -> Offset {
        Self::position(self)
    }

    fn amount(&self) -> u64 {
        self.bytes()
    }
}

/// The first offsets of the segments, in any order.
fn offsets(dir: &Path) -> Result<Vec<Offset>, Error> {
    let names = fs::read_dir(dir).map_err(Error::disk("list", dir))?;
    let mut offsets = Vec::new();
    for entry in names {
        let entry = entry.map_err(Error::disk("list", dir))?;
        offsets.extend(segment::offset_in(&entry.file_name().to_string_lossy()));
    }
    Ok(offsets)
}

/// Whether a segment has no more than a header can have.
fn is_begun(file: &ReadOnly, path: &Path) -> Result<bool, Error> {
    let bytes = disk::File::size(file).map_err(Error::disk("measure", path))?;
    Ok(bytes <= HEADER_BYTES)
}

fn list(dir: &Path) -> Result<Vec<(Header, u64)>, Error> {
    let mut offsets = offsets(dir)?;
    offsets.sort_unstable();
    let mut segments: Vec<(Header, u64)> = Vec::with_capacity(offsets.len());
    let count = offsets.len();
    for (index, offset) in offsets.into_iter().enumerate() {
        let path = dir.join(segment::name(offset));
        let file = open(&path)?;
        let bytes = disk::File::size(&file).map_err(Error::disk("measure", &path))?;
        let mut header = [0; HEADER_BYTES as usize];
        let got = disk::File::read_at(&file, 0, &mut header);
        let got = got.map_err(Error::disk("read", &path))?;
        match Header::parse(&header[..got]) {
            Ok(header) => {
                check_offset(&header, offset, &path)?;
                let before = segments.last();
                let before = before.map(|(before, bytes)| (before.first_offset, *bytes));
                if before.is_some() && header.previous != before {
                    return Err(corrupt(&path, "the segment before it is another one"));
                }
                segments.push((header, bytes));
            }
            Err(HeaderFault::Version(found)) => {
                return Err(Error::UnknownVersion {
                    path,
                    found,
                    supported: segment::VERSION,
                });
            }
            // One that is just being made holds nothing yet.
            Err(HeaderFault::Unreadable) if index + 1 == count && bytes <= HEADER_BYTES => {}
            Err(HeaderFault::Unreadable) => {
                return Err(corrupt(&path, "an unreadable segment header"));
            }
        }
    }
    Ok(segments)
}

/// A segment is called as its header says.
fn check_offset(header: &Header, offset: Offset, path: &Path) -> Result<(), Error> {
    if header.first_offset == offset {
        return Ok(());
    }
    let fault = format!("its header says offset {}", header.first_offset);
    Err(corrupt(path, &fault))
}

fn corrupt(path: &Path, fault: &str) -> Error {
    Error::Corrupt {
        path: path.to_owned(),
        at: 0,
        fault: fault.to_owned(),
    }
}

fn open(path: &Path) -> Result<ReadOnly, Error> {
    let file = fs::File::open(path).map_err(Error::disk("open", path))?;
    Ok(ReadOnly(file))
}

/// A file that is only read.
struct ReadOnly(fs::File);

impl disk::File for ReadOnly {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn append(&mut self, _: &[&[u8]]) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
