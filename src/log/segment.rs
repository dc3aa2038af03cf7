//! A segment: one file of the log, `<20-digit first offset>.log`. A fixed
//! header, little-endian, then frames without gaps.
//!
//! | byte | holds |
//! |---|---|
//! | 0 | the mark `QUAYLOG` and a line feed |
//! | 8 | u32: the format's version |
//! | 12 | u64: the first event's offset |
//! | 20 | u64: the first offset of the segment before it; all ones if none |
//! | 28 | u64: bytes of the segment before it |
//! | 36 | i64: the append time of the record before it, ms since 1970-01-01T00:00Z |
//! | 44 | u64: the address of its own first byte |
//! | 52 | u32: CRC-32C of bytes 0 to 51 |
//! | 56 | frames |
//!
//! Addresses count the bytes of all segments from the log's very beginning.
//!
//! Naming the segment before it makes a lost or shortened one show without
//! reading it.

use super::disk::File;
use super::frame::{HEADER_BYTES as FRAME_HEADER_BYTES, Head, MARK as FRAME_MARK};
use super::{Address, Error, Offset};
use bytes::{Buf as _, BufMut as _, Bytes};
use std::path::{Path, PathBuf};

/// The format that is written and read.
pub const VERSION: u32 = 2;

/// Bytes of the header.
pub const HEADER_BYTES: u64 = 56;

const MARK: [u8; 8] = *b"QUAYLOG\n";

/// More than any log ever had, and so little that no file's bytes lead beyond what an
/// address can hold.
const ADDRESS_MAX: Address = Address::MAX / 2;

/// What is read at once, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The first event's offset.
    pub first_offset: Offset,
    /// The segment before it: its first offset and its bytes.
    pub previous: Option<(Offset, u64)>,
    /// The append time of the record before it; the least time if none.
    pub appended_at: i64,
    /// The address of its own first byte.
    pub address: Address,
}

/// What can be wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// It is another format's.
    Version(u32),
    /// It is none.
    Unreadable,
}

impl Header {
    /// The header as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (previous, bytes) = self.previous.unwrap_or((Offset::MAX, 0));
        let mut out = Vec::with_capacity(HEADER_BYTES as usize);
        out.put_slice(&MARK);
        out.put_u32_le(VERSION);
        out.put_u64_le(self.first_offset);
        out.put_u64_le(previous);
        out.put_u64_le(bytes);
        out.put_i64_le(self.appended_at);
        out.put_u64_le(self.address);
        out.put_u32_le(crc32c::crc32c(&out));
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// What is wrong with it. The version is judged first: another version's
    /// header may be of another shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let mut fields = bytes;
        if fields.len() < MARK.len() + 4 || !fields.starts_with(&MARK) {
            return Err(HeaderFault::Unreadable);
        }
        fields.advance(MARK.len());
        match fields.get_u32_le() {
            VERSION if bytes.len() >= HEADER_BYTES as usize => {}
            // Zeros are what a torn write leaves; no version has that number.
            0 | VERSION => return Err(HeaderFault::Unreadable),
            other => return Err(HeaderFault::Version(other)),
        }
        let first_offset = fields.get_u64_le();
        let previous = (fields.get_u64_le(), fields.get_u64_le());
        let appended_at = fields.get_i64_le();
        let address = fields.get_u64_le();
        if address > ADDRESS_MAX {
            return Err(HeaderFault::Unreadable);
        }
        if crc32c::crc32c(&bytes[..HEADER_BYTES as usize - 4]) != fields.get_u32_le() {
            return Err(HeaderFault::Unreadable);
        }
        Ok(Self {
            first_offset,
            previous: (previous.0 != Offset::MAX).then_some(previous),
            appended_at,
            address,
        })
    }
}

/// The file's name.
pub fn name(first_offset: Offset) -> String {
    format!("{first_offset:020}.log")
}

/// The offset in a file's name, if it is a segment's.
pub fn offset_in(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".log")?;
    let plain = digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// What stands at a place in a segment.
pub enum Step {
    /// A whole frame and its body.
    Frame(Head, Bytes),
    /// Nothing: the file ends here.
    End,
    /// Bytes that are no whole frame.
    Bad(&'static str),
}

/// Walks over a segment's frames.
pub struct Cursor {
    file: Box<dyn File>,
    path: PathBuf,
    /// The address of the file's first byte.
    first: Address,
    at: u64,
    chunk: Bytes,
}

impl Cursor {
    /// A cursor at the first frame of a segment that begins at an address.
    pub fn new(file: Box<dyn File>, path: &Path, first: Address) -> Self {
        Self {
            file,
            path: path.to_owned(),
            first,
            at: HEADER_BYTES,
            chunk: Bytes::new(),
        }
    }

    /// Where it stands, in bytes.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The address at which it stands.
    pub fn address(&self) -> Address {
        self.first + self.at
    }

    /// What stands here; it goes on only behind a whole frame.
    ///
    /// # Errors
    /// The disk's.
    pub fn step(&mut self) -> Result<Step, Error> {
        self.fill(FRAME_HEADER_BYTES)?;
        if self.chunk.is_empty() {
            return Ok(Step::End);
        }
        let head = match Head::parse(&self.chunk) {
            Ok(head) => head,
            Err(fault) => return Ok(Step::Bad(fault)),
        };
        let bytes = FRAME_HEADER_BYTES + head.body_bytes;
        // Also a damaged header can claim 64 MiB: nothing is held for what is not
        // there.
        self.fill(bytes)?;
        if self.chunk.len() < bytes {
            return Ok(Step::Bad("an incomplete frame"));
        }
        if !head.vouches_for(&self.chunk[FRAME_HEADER_BYTES..bytes]) {
            return Ok(Step::Bad("a frame with a wrong checksum"));
        }
        let body = self.chunk.split_to(bytes).slice(FRAME_HEADER_BYTES..);
        self.at += bytes as u64;
        Ok(Step::Frame(head, body))
    }

    /// Reads again what stands here: the file may have grown.
    pub fn look_again(&mut self) {
        self.chunk.clear();
    }

    /// Whether a whole frame stands anywhere behind here. It moves the cursor.
    ///
    /// # Errors
    /// The disk's.
    pub fn frame_behind(&mut self) -> Result<bool, Error> {
        let mut from = self.at + 1;
        loop {
            let window = self.bytes_at(from, CHUNK_BYTES)?;
            if window.len() < FRAME_HEADER_BYTES {
                return Ok(false);
            }
            // A header may lie across two windows.
            let inner = window.len() - (FRAME_HEADER_BYTES - 1);
            for index in 0..inner {
                // Most marks are no frame's: the header tells without reading more.
                let here = &window[index..];
                if here.starts_with(&FRAME_MARK) && Head::parse(here).is_ok() {
                    self.at = from + index as u64;
                    self.chunk.clear();
                    if matches!(self.step()?, Step::Frame(..)) {
                        return Ok(true);
                    }
                }
            }
            from += inner as u64;
        }
    }

    /// Has as many bytes at hand, if the file reaches so far.
    fn fill(&mut self, bytes: usize) -> Result<(), Error> {
        if self.chunk.len() < bytes {
            self.chunk = self.bytes_at(self.at, bytes.max(CHUNK_BYTES))?.into();
        }
        Ok(())
    }

    /// So many bytes from a place on, or what the file has of them.
    fn bytes_at(&self, at: u64, most: usize) -> Result<Vec<u8>, Error> {
        let size = self
            .file
            .size()
            .map_err(Error::disk("measure", &self.path))?;
        let there = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut buffer = vec![0; most.min(there)];
        let got = self.read_at(at, &mut buffer)?;
        buffer.truncate(got);
        Ok(buffer)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let read = self.file.read_at(at, buffer);
        read.map_err(Error::disk("read", &self.path))
    }
}
