//! What is removed from the log's beginning, and what never is.

use super::disk::MemoryDisk;
use super::{assert_filled, filled, open, read};
use quaymeter::log::embedded::Log;
use quaymeter::log::{Error, Offset};

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
