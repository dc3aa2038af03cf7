//! A log that was whole and then damaged: nothing that is damaged is served, and of
//! what is still there nothing is lost without a word.
//!
//! The first byte says how many batches the log has. Each damage is four bytes: what,
//! in which file, and where and with what.

use crate::disk::MemoryDisk;
use crate::log;
use quaymeter::log::{Error, Record};
use std::ops::Range;
use std::path::{Path, PathBuf};

pub const WORDS: &[&str] = &[];

/// The most batches: six segments.
const BATCHES_MAX: u64 = 16;

type Frames = [(Record, PathBuf, Range<usize>)];
type Files = [(PathBuf, Vec<u8>)];

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![9]];
    for what in 0..8 {
        for file in [0, 1, 255] {
            seeds.push(vec![9, what, file, 200, 3]);
            seeds.push(vec![9, what, file, 255, 1]);
        }
    }
    seeds
}

pub fn judge(input: &[u8]) {
    let Some((&batches, damages)) = input.split_first() else {
        return;
    };
    let (disk, frames) = log::filled(u64::from(batches) % (BATCHES_MAX + 1));
    let whole = log::contents(&disk);
    for damage in damages.chunks_exact(4).take(8) {
        apply(&disk, [damage[0], damage[1], damage[2], damage[3]]);
    }
    let damaged = log::contents(&disk);
    let (told, ended) = log::scanned(&damaged);
    hold("scan", (&whole, &damaged), &frames, (&told, &ended));
    let torn = is_torn(&whole, &damaged);
    match log::open(&disk) {
        Ok(opened) => {
            let (records, ended) = log::served(&opened.log);
            hold("log", (&whole, &damaged), &frames, (&records, &ended));
            assert!(ended.is_ok(), "{ended:?}");
            assert!(!torn || told == records, "{} told", told.len());
        }
        Err(error) => assert!(!torn, "{error}"),
    }
}

fn apply(disk: &MemoryDisk, [what, file, place, with]: [u8; 4]) {
    let files = log::contents(disk);
    if files.is_empty() {
        return;
    }
    let of = |number: u8| &files[usize::from(number) * files.len() / 256];
    let (path, bytes) = of(file);
    // Near the end as often as anywhere.
    let at = match place {
        0..128 => usize::from(place) * bytes.len() / 128,
        _ => bytes.len().saturating_sub(usize::from(255 - place)),
    };
    let other = of(with).1.clone();
    disk.edit(path, |content| match what % 8 {
        0 => content.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= with),
        1 => content.truncate(at),
        2 => content[at..].fill(0),
        3 => content.extend(std::iter::repeat_n(with, usize::from(place))),
        4 => content.extend_from_slice(&other[at.min(other.len())..]),
        5 => *content = other,
        6 => content.iter_mut().skip(at).take(8).for_each(|byte| *byte = with),
        _ => {}
    });
    if what % 8 == 7 {
        disk.lose(path);
    }
}

/// Whether nothing is missing but the end of the last file.
fn is_torn(whole: &Files, damaged: &Files) -> bool {
    let (Some(end), Some(left)) = (whole.last(), damaged.last()) else {
        return whole.is_empty();
    };
    let before = whole.len() - 1;
    damaged.len() == whole.len()
        && damaged[..before] == whole[..before]
        && end.0 == left.0
        && end.1.starts_with(&left.1)
}

/// What is served is as it was written, from the beginning of the first file on; and if
/// it ends without a fault, no frame is left that was not served, and no file that is
/// followed by another.
fn hold(
    who: &str,
    (whole, damaged): (&Files, &Files),
    frames: &Frames,
    (served, ended): (&[Record], &Result<(), Error>),
) {
    let (first, last) = (damaged.first(), damaged.last());
    let kept = |frame: &&(_, PathBuf, _)| first.is_some_and(|(path, _)| frame.1 >= *path);
    let frames: Vec<_> = frames.iter().filter(kept).collect();
    let wrong = |number: usize| format!("{who}: record {number} of {}", served.len());
    for (number, record) in served.iter().enumerate() {
        let written = frames.get(number).map(|(record, ..)| record);
        assert_eq!(Some(record), written, "{}", wrong(number));
    }
    if ended.is_err() {
        return;
    }
    for (number, (_, path, bytes)) in frames.iter().enumerate().skip(served.len()) {
        let written = part(whole, path, bytes);
        let is_there = written.is_some() && written == part(damaged, path, bytes);
        assert!(!is_there, "{} is lost", wrong(number));
        let is_last = last.is_none_or(|(last, _)| path >= last);
        assert!(is_last, "{} is followed", wrong(number));
    }
}

fn part<'a>(files: &'a Files, path: &Path, bytes: &Range<usize>) -> Option<&'a [u8]> {
    let file = files.iter().find(|(name, _)| name == path);
    file.and_then(|(_, content)| content.get(bytes.clone()))
}
