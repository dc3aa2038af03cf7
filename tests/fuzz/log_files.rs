//! A log's directory with any bytes in its files: what opens is served by all who read
//! it, alike and again; what does not is told with the file.
//!
//! The first byte has flags, [`MORE_FILES`] and those of what is made right before. Then
//! comes, for each file but the last, its length in two bytes.

use crate::disk::MemoryDisk;
use crate::log::{self, DIR};
use crate::memory;
use quaymeter::log::{Error, Record, frame, segment};
use std::path::{Path, PathBuf};

pub const WORDS: &[&str] = &[
    "QUAYLOG\n\u{2}\0\0\0", "QUAYLOG\n\u{3}\0\0\0", "\u{0}\u{0}\u{0}\u{4}", "\u{7f}\u{7f}\u{7f}\u{7f}", "\"\0",
];

/// Up to three files more than one.
const MORE_FILES: u8 = 0b0011;
/// Headers of segments get their mark and their checksum.
const SEGMENTS: u8 = 0b0100;
/// Headers of frames get their checksum, and those whose body is there, its.
const FRAMES: u8 = 0b1000;

/// Where the fields are whose sums are made right.
const SEGMENT_SUM: std::ops::Range<usize> = 52..56;
const FRAME_SUM: std::ops::Range<usize> = 32..36;
const BODY_SUM: std::ops::Range<usize> = 8..12;

pub fn seeds() -> Vec<Vec<u8>> {
    let of = |batches, flags| {
        let files = log::contents(&log::filled(batches).0);
        let last = files.len() - 1;
        let mut input = vec![flags | last as u8];
        for (_, bytes) in &files[..last] {
            input.extend((bytes.len() as u16).to_le_bytes());
            input.extend(bytes);
        }
        input.extend(&files[last].1);
        input
    };
    vec![of(0, 0), of(2, 0), of(2, SEGMENTS | FRAMES), of(9, SEGMENTS | FRAMES), of(7, FRAMES)]
}

pub fn judge(input: &[u8]) {
    let Some((&flags, rest)) = input.split_first() else {
        return;
    };
    let disk = MemoryDisk::default();
    for bytes in files(usize::from(flags & MORE_FILES), rest) {
        let mut bytes = bytes.to_vec();
        if flags & SEGMENTS != 0 {
            mend_segment(&mut bytes);
        }
        if flags & FRAMES != 0 {
            mend_frames(&mut bytes);
        }
        disk.edit(&path(&bytes), |content| *content = bytes);
    }
    hold(&disk, input.len());
}

fn files(mut more: usize, mut rest: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk()
        && more > 0
    {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        let (file, behind) = behind.split_at(length);
        files.push(file);
        (rest, more) = (behind, more - 1);
    }
    files.push(rest);
    files
}

/// As its header says, or as the first.
fn path(bytes: &[u8]) -> PathBuf {
    let offset = bytes.get(12..20).and_then(|field| field.try_into().ok());
    Path::new(DIR).join(segment::name(offset.map_or(0, u64::from_le_bytes)))
}

fn mend_segment(bytes: &mut [u8]) {
    if bytes.len() >= SEGMENT_SUM.end {
        bytes[..12].copy_from_slice(b"QUAYLOG\n\x02\0\0\0");
        let sum = crc32c::crc32c(&bytes[..SEGMENT_SUM.start]);
        bytes[SEGMENT_SUM].copy_from_slice(&sum.to_le_bytes());
    }
}

fn mend_frames(bytes: &mut [u8]) {
    let mut at = segment::HEADER_BYTES as usize;
    while let Some(frame) = bytes.get_mut(at..).filter(|frame| frame.len() >= FRAME_SUM.end) {
        if !frame.starts_with(&frame::MARK) {
            at += 1;
            continue;
        }
        let length = u32::from_le_bytes([frame[4], frame[5], frame[6], frame[7]]) as usize;
        let body = FRAME_SUM.end..FRAME_SUM.end + length;
        if let Some(body) = frame.get(body.clone()) {
            let sum = crc32c::crc32c(body);
            frame[BODY_SUM].copy_from_slice(&sum.to_le_bytes());
        }
        let sum = crc32c::crc32c(&frame[..FRAME_SUM.start]);
        frame[FRAME_SUM].copy_from_slice(&sum.to_le_bytes());
        at += if frame.len() >= body.end { body.end } else { 1 };
    }
}

fn hold(disk: &MemoryDisk, bytes: usize) {
    let before = log::contents(disk);
    // Whatever lengths are claimed.
    let room = (256 << 10) + 64 * bytes;
    let opened = match memory::within(room, || log::open(disk)) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(error.to_string().contains(DIR), "{error}");
            memory::within(room, || drop(log::scanned(&before)));
            return;
        }
    };
    let (records, ended) = memory::within(room, || log::served(&opened.log));
    log::follow(&records);
    let end = records.last().map_or(opened.log.start(), Record::end_offset);
    assert!(ended.is_err() || end == opened.log.end());
    let again = log::open(disk).expect("it opened before");
    assert_eq!(again.truncated_bytes, 0);
    assert_eq!(log::served(&again.log).0, records);
    // What was cut off no scan tells, and whatever one tells is the same. Where there
    // was no whole segment yet, there was nothing to scan.
    for files in [before, log::contents(disk)] {
        let (told, scanned) = memory::within(room, || log::scanned(&files));
        assert_eq!(told, records, "{scanned:?}");
        if let Err(Error::OutOfReach { .. }) = scanned
            && records.is_empty()
        {
            continue;
        }
        assert_eq!(scanned.is_ok(), ended.is_ok(), "{scanned:?} but {ended:?}");
    }
}
