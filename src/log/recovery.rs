//! Finds out what a log's directory holds, when it is opened. It cuts off a torn
//! tail, of which nobody was told that it is durable: bytes at the end of the
//! last segment that are no whole frame and have no whole frame behind them.
//! Whatever else is not as it was written is an error.

use super::disk::{Disk, File};
use super::segment::{self, Cursor, HEADER_BYTES, Header, HeaderFault, Step};
use super::{Address, Error, Offset};
use crate::failpoint;
use std::path::Path;
use std::sync::Arc;

/// What was found, made durable.
pub(super) struct Recovered {
    /// Ascending, never empty.
    pub segments: Vec<Header>,
    /// The last segment.
    pub file: Box<dyn File>,
    /// How it ends.
    pub tail: Tail,
    /// What was cut off.
    pub truncated_bytes: u64,
}

/// How a segment ends.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    /// Its first offset.
    pub first_offset: Offset,
    /// Bytes up to the end of its last whole frame.
    pub bytes: u64,
    /// The offset after its last event.
    pub end: Offset,
    /// The append time of its last record, or of the one before it.
    pub appended_at: i64,
    /// The address of its first byte.
    pub address: Address,
}

/// Opens what a directory holds; makes a log if it holds none.
pub(super) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    verify_from: Offset,
) -> Result<Recovered, Error> {
    make_dir(disk, dir)?;
    let (mut segments, begun) = load(disk, dir)?;
    if segments.is_empty() && verify_from == 0 {
        let first = Header {
            first_offset: 0,
            previous: None,
            appended_at: i64::MIN,
            address: 0,
        };
        create(disk, dir, &first)?;
        segments.push(first);
    }
    let tail = verify(disk, dir, &segments, verify_from)?;
    let path = dir.join(segment::name(tail.first_offset));
    if let Some(begun) = &begun {
        drop_begun(disk, dir, begun, &tail)?;
    }
    let mut file = disk.open(&path).map_err(Error::disk("open", &path))?;
    let size = file.size().map_err(Error::disk("measure", &path))?;
    if tail.bytes < size {
        let cut = file.truncate(tail.bytes);
        cut.map_err(Error::disk("truncate", &path))?;
    }
    file.sync().map_err(Error::disk("sync", &path))?;
    sync_dir(disk, dir)?;
    Ok(Recovered {
        segments,
        file,
        tail,
        truncated_bytes: begun.map_or(0, |begun| begun.bytes) + size.saturating_sub(tail.bytes),
    })
}

/// Makes a segment durable, still without frames.
///
/// # Errors
/// [`Error::Refused`] if it could not be written, and nothing is left of it;
/// what cannot be removed again is fatal.
pub(super) fn create(disk: &dyn Disk, dir: &Path, header: &Header) -> Result<Box<dyn File>, Error> {
    let path = dir.join(segment::name(header.first_offset));
    let written = disk.create(&path).and_then(|mut file| {
        file.append(&[&header.encode()])?;
        Ok(file)
    });
    let mut file = match written {
        Ok(file) => file,
        Err(source) => {
            undo(disk, dir, header.first_offset)?;
            return Err(Error::Refused {
                path,
                source: Arc::new(source),
            });
        }
    };
    failpoint::reached("log.roll.written");
    file.sync().map_err(Error::disk("sync", &path))?;
    sync_dir(disk, dir)?;
    Ok(file)
}

/// Removes what there may be of a segment that could not be made.
fn undo(disk: &dyn Disk, dir: &Path, first_offset: Offset) -> Result<(), Error> {
    let name = segment::name(first_offset);
    let names = disk.list(dir).map_err(Error::disk("list", dir))?;
    // A disk that takes nothing makes no file, and removes none.
    if !names.contains(&name) {
        return Ok(());
    }
    let path = dir.join(name);
    disk.remove(&path).map_err(Error::disk("remove", &path))
}

fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let made = disk.create_dir(dir);
    made.map_err(Error::disk("create directory", dir))?;
    match dir.parent() {
        Some(parent) if parent != Path::new("") => sync_dir(disk, parent),
        _ => Ok(()),
    }
}

fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let synced = disk.sync_dir(dir);
    synced.map_err(Error::disk("sync directory", dir))
}

/// A last segment whose header was never finished: it holds nothing.
struct Begun {
    first_offset: Offset,
    bytes: u64,
}

/// Removes it. It was begun when the one before it was whole and durable, so that one
/// has no torn tail: what is missing there was acknowledged.
fn drop_begun(disk: &dyn Disk, dir: &Path, begun: &Begun, tail: &Tail) -> Result<(), Error> {
    if begun.first_offset != tail.end {
        let path = dir.join(segment::name(tail.first_offset));
        let fault = ends_early(tail.end, begun.first_offset);
        return Err(corrupt(&path, tail.bytes, &fault));
    }
    if begun.first_offset == tail.first_offset {
        // It was the only one, and was made anew.
        return Ok(());
    }
    let path = dir.join(segment::name(begun.first_offset));
    disk.remove(&path).map_err(Error::disk("remove", &path))
}

fn ends_early(end: Offset, next: Offset) -> String {
    format!("offset {end} ends it, the next segment begins at {next}")
}

/// Reads the segments' headers and checks that each follows the one before it.
/// Beside them, a last one that was only begun.
fn load(disk: &dyn Disk, dir: &Path) -> Result<(Vec<Header>, Option<Begun>), Error> {
    let names = disk.list(dir).map_err(Error::disk("list", dir))?;
    let mut offsets: Vec<Offset> = names
        .iter()
        .filter_map(|name| segment::offset_in(name))
        .collect();
    offsets.sort_unstable();
    let mut segments: Vec<Header> = Vec::with_capacity(offsets.len());
    let mut before = None;
    for (index, &offset) in offsets.iter().enumerate() {
        let path = dir.join(segment::name(offset));
        let (header, size) = read_header(disk, &path)?;
        let header = match header {
            Ok(header) => header,
            Err(HeaderFault::Version(found)) => {
                return Err(Error::UnknownVersion {
                    path,
                    found,
                    supported: segment::VERSION,
                });
            }
            Err(HeaderFault::Unreadable) if index + 1 == offsets.len() && size <= HEADER_BYTES => {
                let (first_offset, bytes) = (offset, size);
                return Ok((
                    segments,
                    Some(Begun {
                        first_offset,
                        bytes,
                    }),
                ));
            }
            Err(HeaderFault::Unreadable) => {
                return Err(corrupt(&path, 0, "an unreadable segment header"));
            }
        };
        if header.first_offset != offset {
            let fault = format!("its header says offset {}", header.first_offset);
            return Err(corrupt(&path, 0, &fault));
        }
        if before.is_some() && header.previous != before {
            let fault = gap(header.previous, before);
            return Err(corrupt(&path, 0, &fault));
        }
        let follows = |last: &Header| {
            Some(last.address) == before.map(|(_, bytes)| header.address.wrapping_sub(bytes))
        };
        if !segments.last().is_none_or(follows) {
            let fault = format!("its header says address {}", header.address);
            return Err(corrupt(&path, 0, &fault));
        }
        before = Some((offset, size));
        segments.push(header);
    }
    Ok((segments, None))
}

fn gap(told: Option<(Offset, u64)>, found: Option<(Offset, u64)>) -> String {
    let text = |segment: Option<(Offset, u64)>| match segment {
        Some((offset, bytes)) => format!("{} of {bytes} bytes", segment::name(offset)),
        None => "none".to_owned(),
    };
    format!(
        "the segment before it was {}, found {}",
        text(told),
        text(found)
    )
}

type ParsedHeader = Result<Header, HeaderFault>;

fn read_header(disk: &dyn Disk, path: &Path) -> Result<(ParsedHeader, u64), Error> {
    let file = disk.open(path).map_err(Error::disk("open", path))?;
    let size = file.size().map_err(Error::disk("measure", path))?;
    let mut bytes = [0; HEADER_BYTES as usize];
    let read = file.read_at(0, &mut bytes);
    let read = read.map_err(Error::disk("read", path))?;
    Ok((Header::parse(&bytes[..read]), size))
}

/// Reads all frames from the segment on that holds an offset; says how the last
/// segment ends.
fn verify(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Header],
    verify_from: Offset,
) -> Result<Tail, Error> {
    let reach = |end| Error::OutOfReach {
        path: dir.to_owned(),
        start: segments.first().map_or(0, |first| first.first_offset),
        end,
        wanted: verify_from,
    };
    let after = segments.partition_point(|segment| segment.first_offset <= verify_from);
    let first = after.checked_sub(1);
    let unverified =
        first.ok_or_else(|| reach(segments.last().map_or(0, |last| last.first_offset)))?;
    let mut last = None;
    for (index, header) in segments.iter().enumerate().skip(unverified) {
        let path = dir.join(segment::name(header.first_offset));
        let tail = scan(disk, &path, header, index + 1 == segments.len())?;
        if let Some(next) = segments
            .get(index + 1)
            .filter(|next| next.first_offset != tail.end)
        {
            let fault = ends_early(tail.end, next.first_offset);
            return Err(corrupt(&path, tail.bytes, &fault));
        }
        last = Some(tail);
    }
    match last {
        Some(tail) if tail.end >= verify_from => Ok(tail),
        other => Err(reach(other.map_or(0, |tail| tail.end))),
    }
}

/// Reads a segment's frames. Only the last one may have a torn tail.
fn scan(disk: &dyn Disk, path: &Path, header: &Header, last: bool) -> Result<Tail, Error> {
    let file = disk.open(path).map_err(Error::disk("open", path))?;
    let mut cursor = Cursor::new(file, path, header.address);
    let mut tail = Tail {
        first_offset: header.first_offset,
        bytes: HEADER_BYTES,
        end: header.first_offset,
        appended_at: header.appended_at,
        address: header.address,
    };
    loop {
        match cursor.step()? {
            Step::Frame(head, _) if head.first_offset != tail.end => {
                let fault = format!("offset {} where {} belongs", head.first_offset, tail.end);
                return Err(corrupt(path, tail.bytes, &fault));
            }
            Step::Frame(head, _) => {
                tail.bytes = cursor.at();
                tail.end = head.end_offset;
                tail.appended_at = head.appended_at;
            }
            Step::End => return Ok(tail),
            Step::Bad(fault) if !last || cursor.frame_behind()? => {
                return Err(corrupt(path, tail.bytes, fault));
            }
            Step::Bad(_) => return Ok(tail),
        }
    }
}

fn corrupt(path: &Path, at: u64, fault: &str) -> Error {
    Error::Corrupt {
        path: path.to_owned(),
        at,
        fault: fault.to_owned(),
    }
}
