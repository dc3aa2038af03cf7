//! What opening a log finds after a crash, or after something worse.

use super::disk::MemoryDisk;
use super::{DIR, append, assert_filled, batch, filled, open, read};
use quaymeter::log::embedded::Opened;
use quaymeter::log::{Error, Kind};
use std::path::PathBuf;

/// The last segment, its length, and the length of one of its frames, which it
/// gets here as its last.
fn with_a_last_frame(disk: &MemoryDisk, number: u64) -> (PathBuf, usize, usize) {
    let mut opened = open(disk, 0).unwrap();
    let (_, before) = disk.files().pop().unwrap();
    append(&mut opened.appender, batch(number, 1), number as i64).unwrap();
    let (path, after) = disk.files().pop().unwrap();
    assert!(after > before, "it began a new segment");
    (path, before, after - before)
}

fn refused(disk: &MemoryDisk) -> Error {
    let before = disk.files();
    let error = open(disk, 0).err().expect("it opened");
    assert_eq!(error.kind(), Kind::Fatal);
    assert_eq!(disk.files(), before, "a refused log was changed");
    error
}

fn assert_corrupt(error: &Error, file: &PathBuf, byte: usize, what: &str) {
    match error {
        Error::Corrupt { path, at, .. } => {
            assert_eq!((path, *at), (file, byte as u64), "{what}: {error}");
            let text = error.to_string();
            assert!(
                text.contains(&format!("{} at byte {byte}", file.display())),
                "{text}"
            );
        }
        other => panic!("{what}: {other}"),
    }
}

/// Opens a disk with a torn tail, and goes on.
fn assert_cut(disk: &MemoryDisk, batches: u64, truncated: usize) {
    let Opened {
        log,
        mut appender,
        truncated_bytes,
    } = open(disk, 0).unwrap();
    assert_eq!(truncated_bytes, truncated as u64);
    assert_filled(&read(&log, 0), batches);
    append(
        &mut appender,
        batch(batches, 1 + batches % 3),
        batches as i64,
    )
    .unwrap();
    let after = open(&disk.after_power_failure(), 0).unwrap();
    assert_eq!(after.truncated_bytes, 0);
    assert_filled(&read(&after.log, 0), batches + 1);
}

#[test]
fn a_last_frame_torn_at_any_byte_is_cut_off() {
    let (disk, _) = filled(9);
    let (path, start, length) = with_a_last_frame(&disk, 9);
    for left in 0..length {
        let torn = disk.copy();
        torn.edit(&path, |bytes| bytes.truncate(start + left));
        assert_cut(&torn, 9, left);
        let torn = disk.copy();
        torn.edit(&path, |bytes| bytes[start + left..].fill(0));
        assert_cut(&torn, 9, length);
    }
}

#[test]
fn a_segment_torn_while_it_was_made_is_removed() {
    let (disk, _) = filled(9);
    let mut opened = open(&disk, 0).unwrap();
    disk.set_room(Some(60));
    append(&mut opened.appender, batch(9, 30), 9).unwrap_err();
    let (path, length) = disk.files().pop().unwrap();
    assert_eq!(length, 56);
    for left in 0..length {
        let torn = disk.copy();
        torn.edit(&path, |bytes| bytes.truncate(left));
        assert_cut(&torn, 9, left);
        let torn = disk.copy();
        torn.edit(&path, |bytes| bytes[left..].fill(0));
        assert_cut(&torn, 9, length);
    }
    let (empty, path) = (
        MemoryDisk::default(),
        PathBuf::from(DIR).join(format!("{:020}.log", 0)),
    );
    empty.edit(&path, |bytes| bytes.extend([0; 7]));
    assert_cut(&empty, 0, 7);
}

#[test]
fn below_a_segment_that_was_begun_no_tail_is_torn() {
    let (disk, end) = filled(9);
    let (path, length) = disk.files().pop().unwrap();
    let begun = PathBuf::from(DIR).join(format!("{end:020}.log"));
    disk.edit(&begun, |bytes| bytes.extend([0; 20]));
    for missing in 1..40 {
        let torn = disk.copy();
        torn.edit(&path, |bytes| bytes.truncate(length - missing));
        let error = refused(&torn);
        assert!(
            matches!(&error, Error::Corrupt { path: found, .. } if *found == path),
            "{error}"
        );
    }
    assert_cut(&disk, 9, 20);
}

#[test]
fn a_flipped_bit_before_the_last_frame_is_found_and_named() {
    let (disk, _) = filled(9);
    let (path, start, length) = with_a_last_frame(&disk, 9);
    with_a_last_frame(&disk, 10);
    for byte in start..start + length {
        let flipped = disk.copy();
        flipped.edit(&path, |bytes| bytes[byte] ^= 1 << (byte % 8));
        assert_corrupt(&refused(&flipped), &path, start, &format!("byte {byte}"));
    }
}

#[test]
fn a_flipped_bit_in_an_earlier_segment_is_never_a_torn_tail() {
    let (disk, _) = filled(40);
    let (path, length) = disk.files().swap_remove(1);
    disk.edit(&path, |bytes| bytes[length - 1] ^= 1);
    let error = refused(&disk);
    assert!(
        matches!(&error, Error::Corrupt { path: found, .. } if *found == path),
        "{error}"
    );
}

#[test]
fn a_flipped_bit_in_a_segment_header_is_found_and_named() {
    let (disk, _) = filled(40);
    for (path, _) in disk.files() {
        for byte in 0..56 {
            let flipped = disk.copy();
            flipped.edit(&path, |bytes| bytes[byte] ^= 1);
            match refused(&flipped) {
                Error::UnknownVersion { path: found, .. } => {
                    assert!((8..12).contains(&byte) && found == path, "byte {byte}");
                }
                error => assert_corrupt(&error, &path, 0, &format!("byte {byte}")),
            }
        }
    }
}

#[test]
fn what_is_corrupt_before_the_checkpoint_is_found_by_who_reads_it() {
    let (disk, end) = filled(40);
    let (path, _) = disk.files().swap_remove(1);
    disk.edit(&path, |bytes| bytes[60] ^= 1);
    let log = open(&disk, end).unwrap().log;
    let records: Vec<_> = log.read_from(0).unwrap().collect();
    let (last, good) = records.split_last().unwrap();
    assert_corrupt(last.as_ref().unwrap_err(), &path, 56, "reading");
    assert!(good.iter().all(Result::is_ok));
}

#[test]
fn a_missing_or_shortened_segment_is_found_without_reading_it() {
    let (disk, end) = filled(40);
    let files = disk.files();
    for index in 1..files.len() - 1 {
        let (next, path) = (&files[index + 1].0, &files[index].0);
        let gap = disk.copy();
        gap.lose(path);
        assert_corrupt(&open(&gap, end).err().unwrap(), next, 0, "lost");
        let short = disk.copy();
        short.edit(path, |bytes| bytes.truncate(bytes.len() - 1));
        assert_corrupt(&open(&short, end).err().unwrap(), next, 0, "shortened");
    }
}

#[test]
fn a_log_that_ends_before_the_checkpoint_is_refused_and_left_alone() {
    let (disk, end) = filled(9);
    let (path, start, length) = with_a_last_frame(&disk, 9);
    disk.edit(&path, |bytes| bytes.truncate(start + length - 1));
    let before = disk.files();
    let error = open(&disk, end + 1).err().unwrap();
    assert!(
        matches!(error, Error::OutOfReach { wanted, .. } if wanted == end + 1),
        "{error}"
    );
    assert_eq!(disk.files(), before);
    open(&disk, end).unwrap();
    let empty = open(&MemoryDisk::default(), 1).err().unwrap();
    assert!(matches!(empty, Error::OutOfReach { .. }), "{empty}");
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    let (disk, _) = filled(1);
    let (path, _) = disk.files().pop().unwrap();
    disk.edit(&path, |bytes| {
        bytes[8..12].copy_from_slice(&7_u32.to_le_bytes());
    });
    let expected = format!(
        "unknown format version 7 in {}: this program reads version 2",
        path.display()
    );
    assert_eq!(refused(&disk).to_string(), expected);
}

#[test]
fn what_a_killed_process_left_unsynced_is_synced_before_it_can_be_read() {
    let (disk, end) = filled(9);
    let (path, start, length) = with_a_last_frame(&disk, 9);
    let killed = disk.copy();
    killed.edit(&path, |bytes| bytes.truncate(start));
    let killed = killed.copy();
    let mut frame = Vec::new();
    disk.edit(&path, |bytes| {
        frame.extend_from_slice(&bytes[start..start + length]);
    });
    killed.edit(&path, |bytes| bytes.append(&mut frame));
    assert_eq!(
        open(&killed.after_power_failure(), 0).unwrap().log.end(),
        end
    );
    assert_eq!(open(&killed, 0).unwrap().log.end(), end + 1);
    assert_eq!(
        open(&killed.after_power_failure(), 0).unwrap().log.end(),
        end + 1
    );
}
