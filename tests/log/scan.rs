//! What reads a log beside the process that writes it tells of damage, and not of what
//! that process is just doing.

use super::{SMALL, append, batch};
use quaymeter::log::disk::RealDisk;
use quaymeter::log::embedded::Log;
use quaymeter::log::scan::Scan;
use quaymeter::log::{Error, Record};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const BATCHES: u64 = 20;

/// A log on the real disk: its directory, and its segments in order.
fn written() -> (TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = Log::open(Arc::new(RealDisk), dir.path(), SMALL, 0).unwrap();
    for number in 0..BATCHES {
        append(&mut opened.appender, batch(number, 1), 0).unwrap();
    }
    let entries = fs::read_dir(dir.path()).unwrap();
    let mut segments: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    assert!(segments.len() > 3, "{segments:?}");
    (dir, segments)
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn scanned(dir: &TempDir) -> Result<Vec<Record>, Error> {
    let scan = Scan::open(dir.path())?;
    let mut records = scan.records(scan.start());
    let mut all = Vec::new();
    while let Some(record) = records.next_before(u64::MAX)? {
        all.push(record);
    }
    Ok(all)
}

#[track_caller]
fn assert_corrupt(dir: &TempDir, segment: &Path) {
    match scanned(dir) {
        Err(Error::Corrupt { path, .. }) => assert_eq!(path, segment),
        other => panic!("{:?}", other.map(|records| records.len())),
    }
}

#[test]
fn damage_at_the_end_of_a_segment_that_is_followed_is_told() {
    let (dir, segments) = written();
    let followed = &segments[1];
    let whole = fs::read(followed).unwrap();
    // The last frame: a flipped bit, a missing end, nothing but zeros.
    edit(followed, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_corrupt(&dir, followed);
    for left in 1..60 {
        let kept = whole.len() - left;
        fs::write(followed, [&whole[..kept], &vec![0; left]].concat()).unwrap();
        assert_corrupt(&dir, followed);
    }
    fs::write(followed, &whole).unwrap();
    assert_eq!(scanned(&dir).unwrap().len() as u64, BATCHES);
}

#[test]
fn a_segment_that_is_followed_ends_where_the_next_one_begins() {
    let (dir, segments) = written();
    let scan = Scan::open(dir.path()).unwrap();
    let mut records = scan.records(scan.start());
    records.next_before(u64::MAX).unwrap();
    // The files are shorter than they were when they were listed.
    edit(&segments[1], |bytes| bytes.truncate(56));
    let told = loop {
        match records.next_before(u64::MAX) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends at {}", records.position()),
            Err(error) => break error.to_string(),
        }
    };
    assert!(told.contains("corrupt log"), "{told}");
}

#[test]
fn a_torn_tail_of_the_last_segment_is_its_end() {
    let (dir, segments) = written();
    let last = segments.last().unwrap();
    edit(last, |bytes| bytes.truncate(bytes.len() - 3));
    assert_eq!(scanned(&dir).unwrap().len() as u64, BATCHES - 1);
    // One that was just begun has nothing yet.
    edit(last, |bytes| bytes.truncate(20));
    let before = scanned(&dir).unwrap().len();
    fs::remove_file(last).unwrap();
    assert_eq!(scanned(&dir).unwrap().len(), before);
}
