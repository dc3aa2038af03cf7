//! Logs, in memory and as files, and what is served of them.

use crate::disk::MemoryDisk;
use bytes::Bytes;
use quaymeter::log::embedded::{Log, Opened, Options};
use quaymeter::log::frame::Draft;
use quaymeter::log::scan::Scan;
use quaymeter::log::{Batch, Error, Record};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the logs in memory are.
pub const DIR: &str = "/data/log";

/// So small that a few batches fill a segment.
const SMALL: Options = Options { segment_bytes: 400 };

pub fn open(disk: &MemoryDisk) -> Result<Opened, Error> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), SMALL, 0)
}

/// A log of so many batches, and where each of their frames is.
pub fn filled(batches: u64) -> (MemoryDisk, Vec<(Record, PathBuf, std::ops::Range<usize>)>) {
    let disk = MemoryDisk::default();
    let mut opened = open(&disk).unwrap();
    let mut frames = Vec::new();
    for number in 0..batches {
        let event = |index| Bytes::from(format!("event {number}.{index}"));
        let batch = Batch {
            source: format!("source-{number}").into(),
            headers: vec![("key".to_owned(), Bytes::from_static(b"value"))],
            schema: 1,
            events: (0..1 + number % 3).map(event).collect(),
        };
        let mut frame = [Draft::new(batch).unwrap().encode()];
        opened.appender.append(&mut frame, number as i64).unwrap();
        let (path, end) = disk.files().pop().unwrap();
        frames.push((path, end - frame[0].bytes().len()..end));
    }
    let records = opened.log.read_from(0).unwrap();
    let records = records.map(Result::unwrap).zip(frames);
    let frames = records.map(|(record, (path, bytes))| (record, path, bytes));
    (disk, frames.collect())
}

/// All that an open log serves, and how that ended.
pub fn served(log: &Log) -> (Vec<Record>, Result<(), Error>) {
    let mut records = Vec::new();
    let reader = match log.read_from(log.start()) {
        Ok(reader) => reader,
        Err(error) => return (records, Err(error)),
    };
    for record in reader {
        match record {
            Ok(record) => records.push(record),
            Err(error) => return (records, Err(error)),
        }
    }
    (records, Ok(()))
}

/// The bytes of a disk's files.
pub fn contents(disk: &MemoryDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let files = disk.files().into_iter();
    let of = |path: PathBuf| {
        let mut content = Vec::new();
        disk.edit(&path, |bytes| content.clone_from(bytes));
        (path, content)
    };
    files.map(|(path, _)| of(path)).collect()
}

/// What a scan of the same files tells, and how that ended.
pub fn scanned(files: &[(PathBuf, Vec<u8>)]) -> (Vec<Record>, Result<(), Error>) {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        fs::write(dir.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    let mut told = Vec::new();
    let ended = Scan::open(dir.path()).and_then(|scan| {
        let mut records = scan.records(scan.start());
        while let Some(record) = records.next_before(u64::MAX)? {
            told.push(record);
        }
        Ok(())
    });
    (told, ended)
}

/// Records follow each other.
pub fn follow(records: &[Record]) {
    for two in records.windows(2) {
        assert_eq!(two[1].first_offset, two[0].end_offset());
        assert!(two[1].end_address > two[0].end_address);
    }
}
