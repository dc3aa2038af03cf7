//! The embedded log, on a disk that knows what is durable.

#[path = "log/committer.rs"]
mod committer;
#[path = "log/dir.rs"]
mod dir;
#[path = "log/disk.rs"]
mod disk;
#[path = "log/recovery.rs"]
mod recovery;
#[path = "log/retention.rs"]
mod retention;
#[path = "log/scan.rs"]
mod scan;

use bytes::Bytes;
use disk::MemoryDisk;
use quaymeter::log::appender::{Appender, Written};
use quaymeter::log::archive::Archive;
use quaymeter::log::disk::RealDisk;
use quaymeter::log::embedded::{Log, Opened, Options};
use quaymeter::log::frame::{Draft, FRAME_BYTES_MAX, event_bytes};
use quaymeter::log::{Batch, Error, Kind, Offset, Record};
use std::path::Path;
use std::sync::Arc;

/// Where the logs on the disk in memory are.
const DIR: &str = "/data/log";

/// So small that a few batches fill a segment.
const SMALL: Options = Options { segment_bytes: 400 };

fn batch(number: u64, events: u64) -> Batch {
    let event = |index| Bytes::from(format!("event {number}.{index}"));
    Batch {
        source: format!("source-{number}").into(),
        headers: vec![("key".to_owned(), Bytes::from_static(b"value"))],
        schema: 1,
        events: (0..events).map(event).collect(),
    }
}

fn open(disk: &MemoryDisk, verify_from: Offset) -> Result<Opened, Error> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), SMALL, verify_from)
}

fn append(appender: &mut Appender, batch: Batch, now: i64) -> Result<Written, Error> {
    appender.append(&mut [Draft::new(batch)?.encode()], now)
}

fn read(log: &Log, from: Offset) -> Vec<Record> {
    log.read_from(from)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// A disk with a log of so many batches of one, two or three events, appended
/// at 0, 1, 2 … ms, and its end.
fn filled(batches: u64) -> (MemoryDisk, Offset) {
    let disk = MemoryDisk::default();
    let mut opened = open(&disk, 0).unwrap();
    for number in 0..batches {
        append(
            &mut opened.appender,
            batch(number, 1 + number % 3),
            number as i64,
        )
        .unwrap();
    }
    (disk, opened.log.end())
}

fn assert_filled(records: &[Record], batches: u64) {
    let mut first_offset = 0;
    assert_eq!(records.len() as u64, batches);
    for (number, record) in (0..).zip(records) {
        let batch = batch(number, 1 + number % 3);
        let expected = Record {
            first_offset,
            appended_at: number as i64,
            source: batch.source,
            headers: batch.headers,
            schema: batch.schema,
            events: batch.events,
            end_address: record.end_address,
        };
        assert_eq!(*record, expected);
        first_offset = record.end_offset();
    }
}

#[test]
fn records_are_read_back_over_segments_and_reopening() {
    let (disk, end) = filled(40);
    assert!(disk.files().len() > 5, "{:?}", disk.files());
    let opened = open(&disk, 0).unwrap();
    assert_eq!((opened.truncated_bytes, opened.log.end()), (0, end));
    assert_filled(&read(&opened.log, 0), 40);
    let mut appender = opened.appender;
    append(&mut appender, batch(40, 2), 40).unwrap();
    let records = read(&opened.log, 0);
    assert_filled(&records, 41);
    assert!(disk.files().iter().all(|(_, bytes)| *bytes <= 400));
}

#[test]
fn a_reader_begins_with_the_record_that_holds_its_offset() {
    let (disk, end) = filled(40);
    let log = open(&disk, 0).unwrap().log;
    let records = read(&log, 0);
    for from in 0..end {
        let found = read(&log, from);
        let expected = records.iter().position(|record| record.end_offset() > from);
        assert_eq!(found, records[expected.unwrap()..], "from {from}");
    }
    assert_eq!(read(&log, end), []);
    let beyond = log.read_from(end + 1).err().unwrap();
    assert!(matches!(beyond, Error::OutOfReach { wanted, .. } if wanted == end + 1));
}

#[test]
fn a_reader_ends_where_the_log_was_durable_when_it_began() {
    let (disk, _) = filled(10);
    let Opened {
        log, mut appender, ..
    } = open(&disk, 0).unwrap();
    let mut reader = log.read_from(0).unwrap();
    let bounded = log.read_from(0).unwrap().until(4);
    let first = reader.next().unwrap().unwrap();
    for number in 10..20 {
        append(&mut appender, batch(number, 1 + number % 3), number as i64).unwrap();
    }
    let mut records = vec![first];
    records.extend(reader.map(Result::unwrap));
    assert_filled(&records, 10);
    assert_filled(&bounded.map(Result::unwrap).collect::<Vec<_>>(), 3);
    assert_filled(&read(&log, 0), 20);
}

#[test]
fn append_times_never_go_back_not_even_over_reopening() {
    let disk = MemoryDisk::default();
    for (now, expected) in [(5, 5), (3, 5), (9, 9), (-1, 9)] {
        let mut opened = open(&disk, 0).unwrap();
        let written = append(&mut opened.appender, batch(0, 1), now).unwrap();
        assert_eq!(written.appended_at, expected);
    }
    let times: Vec<i64> = read(&open(&disk, 0).unwrap().log, 0)
        .iter()
        .map(|record| record.appended_at)
        .collect();
    assert_eq!(times, [5, 5, 9, 9]);
}

#[test]
fn append_times_never_go_back_over_a_segment_without_frames() {
    let (disk, end) = filled(7);
    let mut opened = open(&disk, 0).unwrap();
    let files = disk.files().len();
    let last = disk.files().pop().unwrap().1;
    // A batch that only fits into a new segment, but not on the disk.
    disk.set_room(Some(60));
    let large = batch(7, 30);
    let refused = append(&mut opened.appender, large, 7).unwrap_err();
    assert_eq!(refused.kind(), Kind::Retry);
    assert_eq!(disk.files().len(), files + 1, "the last had {last} bytes");
    disk.set_room(None);
    let mut opened = open(&disk, end).unwrap();
    assert_eq!(opened.log.end(), end);
    let written = append(&mut opened.appender, batch(7, 2), 0).unwrap();
    assert_eq!(written.appended_at, 6);
}

/// Each event with its address, from what is read of the log.
fn addressed(log: &Log) -> Vec<(u64, Bytes)> {
    let mut addressed = Vec::new();
    for record in read(log, log.start()) {
        let bytes = |event: &Bytes| event_bytes(event.len());
        let mut at = record.end_address - record.events.iter().map(bytes).sum::<u64>();
        for event in record.events {
            let next = at + bytes(&event);
            addressed.push((at, event));
            at = next;
        }
    }
    addressed
}

#[test]
fn an_event_is_read_again_by_its_address_wherever_the_log_begins() {
    let (disk, end) = filled(40);
    let mut opened = open(&disk, 0).unwrap();
    let long = Batch {
        events: vec![vec![7; 5000].into(), vec![8; 3].into()],
        ..batch(40, 1)
    };
    let written = append(&mut opened.appender, long, 40).unwrap();
    let before = addressed(&opened.log);
    assert_eq!(before.len() as u64, end + 2);
    assert!(before.is_sorted_by(|one, other| one.0 < other.0));
    let last = read(&opened.log, end)[0].end_address;
    assert_eq!(last, written.address + written.bytes);
    let archive = Archive::new(opened.log.clone());
    for (address, event) in before.iter().rev() {
        assert_eq!(archive.event(*address).unwrap(), event[..]);
        assert!(archive.event(address + 1).is_err());
    }
    assert!(opened.log.remove_before(20, end, u64::MAX).unwrap() > 0);
    let log = open(&disk.after_power_failure(), end).unwrap().log;
    let after = addressed(&log);
    assert!(!after.is_empty() && before.ends_with(&after));
    let gone = Archive::new(log).event(before[0].0).unwrap_err();
    assert!(gone.to_string().contains("before the log's beginning"));
}

#[test]
fn old_segments_go_when_their_records_are_old_and_applied() {
    let (disk, end) = filled(40);
    let log = open(&disk, 0).unwrap().log;
    let segments = disk.files().len();
    assert_eq!(log.remove_before(0, end, u64::MAX).unwrap(), 0);
    assert_eq!(log.remove_before(i64::MAX, 0, u64::MAX).unwrap(), 0);
    // The first segment may still be read from.
    assert_eq!(log.remove_before(i64::MAX, end, 0).unwrap(), 0);
    let removed = log.remove_before(20, end, u64::MAX).unwrap();
    assert_eq!(disk.files().len(), segments - removed);
    let records = read(&log, log.start());
    let young = records.iter().filter(|record| record.appended_at >= 20);
    assert_eq!((removed > 0, young.count()), (true, 20));
    assert!(log.read_from(0).is_err());
    assert_eq!(
        log.remove_before(i64::MAX, end, u64::MAX).unwrap(),
        segments - removed - 1
    );
    let start = log.start();
    let reopened = open(&disk.after_power_failure(), start).unwrap().log;
    assert_eq!((reopened.start(), reopened.end()), (start, end));
    let short = open(&disk, start - 1).err().unwrap();
    assert!(matches!(short, Error::OutOfReach { .. }), "{short}");
}

#[test]
fn a_batch_beyond_the_limits_is_refused() {
    let empty = Draft::new(batch(0, 0)).unwrap_err();
    assert!(matches!(empty, Error::Empty) && empty.kind() == Kind::Abort);
    let mut large = batch(0, 1);
    large.events = vec![Bytes::from(vec![0; FRAME_BYTES_MAX])];
    let large = Draft::new(large).unwrap_err();
    assert!(matches!(large, Error::TooLarge { .. }) && large.kind() == Kind::Abort);
}

#[test]
fn the_largest_and_the_most_frames_are_read_back_from_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("log");
    let disk = Arc::new(RealDisk);
    let mut opened = Log::open(disk.clone(), &dir, Options::default(), 0).unwrap();
    let mut large = batch(0, 1);
    let overhead = Draft::new(large.clone()).unwrap().bytes() - large.events[0].len();
    // The event's length takes three more bytes than before, the body's none.
    large.events = vec![Bytes::from(vec![7; FRAME_BYTES_MAX - overhead - 3])];
    assert_eq!(Draft::new(large.clone()).unwrap().bytes(), FRAME_BYTES_MAX);
    append(&mut opened.appender, large.clone(), 0).unwrap();
    let drafts = (1..=3000).map(|number| Draft::new(batch(number, 1)).unwrap());
    let mut frames: Vec<_> = drafts.map(Draft::encode).collect();
    let written = opened.appender.append(&mut frames, 1).unwrap();
    assert_eq!(written.first_offset, 1);
    drop(opened);
    let opened = Log::open(disk, &dir, Options::default(), 0).unwrap();
    let records = read(&opened.log, 0);
    assert_eq!(records.len(), 3001);
    assert_eq!(records[0].events, large.events);
    assert_eq!(records[3000].events, batch(3000, 1).events);
}
