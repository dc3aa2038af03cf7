//! What is removed from the log's beginning, and what never is.

use super::disk::MemoryDisk;
use super::{assert_filled, filled, open, read};
use quaymeter::log::embedded::Log;
use quaymeter::log::{Error, Offset};
use std::time::{Duration, Instant};

/// Each segment's first offset and the append time of the record before it.
fn segments(disk: &MemoryDisk, log: &Log) -> Vec<(Offset, i64)> {
    let files = disk.files().into_iter();
    let offsets = files.map(|(path, _)| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        name.parse::<Offset>().unwrap()
    });
    let records = read(log, log.start());
    let before = |offset| {
        let before = records.iter().rfind(|record| record.end_offset() <= offset);
        before.map_or(i64::MIN, |record| record.appended_at)
    };
    offsets.map(|offset| (offset, before(offset))).collect()
}

#[test]
fn whole_segments_go_that_are_older_than_a_time_and_stored_in_a_checkpoint() {
    let (disk, end) = filled(40);
    let log = open(&disk, 0).unwrap().log;
    let all = segments(&disk, &log);
    assert!(all.len() > 4);
    for (index, &(first, before)) in all.iter().enumerate().skip(1) {
        // A segment goes when all its records are older, and not a ms sooner.
        for (appended_at, offset, removed) in [
            (before, end, index - 1),
            (before + 1, end, index),
            (i64::MAX, first - 1, index - 1),
            (i64::MAX, first, index),
        ] {
            let disk = disk.copy();
            let log = open(&disk, 0).unwrap().log;
            assert_eq!(
                log.remove_before(appended_at, offset, u64::MAX).unwrap(),
                removed
            );
            assert_eq!(log.start(), all[removed].0);
            assert_eq!(disk.files().len(), all.len() - removed);
            let reopened = open(&disk.after_power_failure(), offset).unwrap().log;
            assert_eq!((reopened.start(), reopened.end()), (all[removed].0, end));
        }
    }
    assert_filled(&read(&log, 0), 40);
}

#[test]
fn the_segment_that_grows_is_never_removed() {
    let (disk, end) = filled(40);
    let mut opened = open(&disk, 0).unwrap();
    opened
        .log
        .remove_before(i64::MAX, Offset::MAX, u64::MAX)
        .unwrap();
    assert_eq!(disk.files().len(), 1);
    super::append(&mut opened.appender, super::batch(40, 1), 40).unwrap();
    assert_eq!(opened.log.end(), end + 1);
    let last = read(&opened.log, end).pop().unwrap();
    assert_eq!(last.first_offset, end);
}

#[test]
fn who_reads_what_is_removed_meanwhile_is_told() {
    let (disk, end) = filled(40);
    let log = open(&disk, 0).unwrap().log;
    let mut reader = log.read_from(0).unwrap();
    reader.next().unwrap().unwrap();
    log.remove_before(i64::MAX, end, u64::MAX).unwrap();
    let last = reader.last().unwrap().unwrap_err();
    assert!(matches!(last, Error::OutOfReach { .. }), "{last}");
    let refused = log.read_from(0).err().unwrap();
    assert!(
        matches!(refused, Error::OutOfReach { wanted: 0, .. }),
        "{refused}"
    );
}

#[test]
fn whole_segments_go_until_the_rest_keeps_to_a_size() {
    let (disk, end) = filled(40);
    let log = open(&disk, 0).unwrap().log;
    let all = segments(&disk, &log);
    let sizes: Vec<u64> = disk
        .files()
        .iter()
        .map(|(_, bytes)| *bytes as u64)
        .collect();
    let kept = |from: usize| sizes[from..].iter().sum::<u64>();
    assert_eq!(log.bytes(), kept(0));
    for from in 1..all.len() {
        // One byte less than all that there is from the one before it on.
        for (bytes_max, first) in [(kept(from - 1) - 1, from), (kept(from), from)] {
            let disk = disk.copy();
            let log = open(&disk, 0).unwrap().log;
            let removed = log.remove_beyond(bytes_max, end, u64::MAX).unwrap();
            assert_eq!((removed, log.start()), (first, all[first].0));
            assert_eq!(log.bytes(), kept(first));
        }
    }
    // What a restart reads from stays, however large.
    let needed = all[2].0;
    assert_eq!(log.remove_beyond(0, needed, u64::MAX).unwrap(), 2);
    assert_eq!(log.start(), needed);
}

#[test]
fn what_somebody_reads_is_kept_for_as_long_as_it_is_held() {
    let (disk, end) = filled(40);
    let log = open(&disk, 0).unwrap().log;
    let all = segments(&disk, &log);
    let now = Instant::now();
    let hold = log.hold(now + Duration::from_secs(3600));
    let other = log.hold(now + Duration::from_secs(3600));
    let remove = || log.remove_before(i64::MAX, end, u64::MAX).unwrap();
    assert_eq!(remove(), 0);
    assert_eq!(log.remove_beyond(0, end, u64::MAX).unwrap(), 0);
    hold.release(all[3].0);
    assert_eq!(remove(), 0, "the other one holds it");
    drop(other);
    assert_eq!(remove(), 3);
    assert!(log.segment(all[2].0).is_err());
    assert!(log.segment(all[3].0).is_ok());
    drop(hold);
    let over = log.hold(now);
    assert_eq!(remove(), all.len() - 4, "a hold whose time is over");
    drop(over);
}

#[test]
fn the_parts_are_what_is_durable() {
    let (disk, end) = filled(40);
    let mut opened = open(&disk, 0).unwrap();
    let whole = |log: &Log| {
        let (parts, end) = log.parts();
        let sizes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
        (sizes, end.offset)
    };
    let sizes = |disk: &MemoryDisk| {
        let files = disk.files().into_iter();
        files.map(|(_, bytes)| bytes as u64).collect::<Vec<_>>()
    };
    assert_eq!(whole(&opened.log), (sizes(&disk), end));
    super::append(&mut opened.appender, super::batch(40, 1), 40).unwrap();
    assert_eq!(whole(&opened.log), (sizes(&disk), end + 1));
}

#[test]
fn what_may_be_read_again_stays_however_old_and_large() {
    let (disk, end) = filled(40);
    let log = open(&disk, 0).unwrap().log;
    let all = segments(&disk, &log);
    let sizes = disk.files().into_iter().map(|(_, bytes)| bytes as u64);
    // Addresses count the bytes of all segments.
    let third: u64 = sizes.take(3).sum();
    assert_eq!(log.remove_before(i64::MAX, end, third - 1).unwrap(), 2);
    assert_eq!(log.remove_beyond(0, end, third - 1).unwrap(), 0);
    assert_eq!(log.remove_beyond(0, end, third).unwrap(), 1);
    assert_eq!(log.start(), all[3].0);
}
