//! Reads a file of a trail line by line, as far as each follows from the one before it.

use super::chain::Head;
use jiff::Timestamp;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

/// Bytes of a line: the longest that is written is a question's.
const LINE_BYTES_MAX: u64 = 256 << 10;

/// What every line has, and what the first of a file has.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What it tells.
    pub kind: String,
    /// Of the first of a file: the hash before it.
    previous: Option<String>,
    /// Of one that tells of a removed file: the hash of that one's last record.
    pub last_hash: Option<String>,
}

/// What was found in a file.
#[derive(Debug)]
pub struct Walked {
    /// Before its first record.
    pub before: Head,
    /// After its last record that follows.
    pub head: Head,
    /// Records that follow.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first and the last of them were written.
    pub written: Option<(Timestamp, Timestamp)>,
    /// What the last of them tells.
    pub last_kind: String,
    /// What comes after them, if anything does.
    pub fault: Option<Fault>,
}

/// Where a file does not go on as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: &'static str,
    /// It is the last one and has no end: whoever wrote it was stopped.
    pub torn: bool,
}

/// Reads a file; `each` gets every line that follows, as it stands there.
///
/// # Errors
/// The disk's.
pub fn walk(path: &Path, mut each: impl FnMut(&str, &Line, Head)) -> io::Result<Walked> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut found = Walked {
        before: Head::START,
        head: Head::START,
        records: 0,
        bytes: 0,
        written: None,
        last_kind: String::new(),
        fault: None,
    };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(found);
        }
        let torn = !bytes.ends_with(b"\n") && reader.fill_buf()?.is_empty();
        match found.follow(&bytes) {
            Ok((text, line)) => each(text, &line, found.head),
            Err(what) => {
                let line = found.records + 1;
                found.fault = Some(Fault { line, what, torn });
                return Ok(found);
            }
        }
    }
}

impl Walked {
    fn follow<'a>(&mut self, bytes: &'a [u8]) -> Result<(&'a str, Line), &'static str> {
        let text = bytes.strip_suffix(b"\n").ok_or("it has no end")?;
        let text = std::str::from_utf8(text).map_err(|_| "it is no text")?;
        let line: Line = serde_json::from_str(text).map_err(|_| "it is no record")?;
        if self.records == 0 {
            self.before = before(&line).ok_or("it does not say what it follows from")?;
            self.head = self.before;
        }
        self.head = self.head.follow(text, line.seq)?;
        self.records += 1;
        self.bytes += bytes.len() as u64;
        let first = self.written.map_or(line.at, |(first, _)| first);
        self.written = Some((first, line.at));
        self.last_kind.clone_from(&line.kind);
        Ok((text, line))
    }
}

/// The head that a file's first line says is before it.
fn before(line: &Line) -> Option<Head> {
    let mut hash = [0; 32];
    hex::decode_to_slice(line.previous.as_ref()?, &mut hash).ok()?;
    let seq = line.seq.checked_sub(1)?;
    Some(Head { seq, hash })
}
