//! Holds a backup against its manifest: every byte of its files, every frame of
//! its log, every entry of its state.

use super::manifest::{FileSum, Manifest, TableDigest, TableSum, hex};
use super::{Error, UNFINISHED, disk};
use crate::log::scan::Scan;
use crate::log::{Offset, segment};
use crate::store::{Store, Table};
use crate::worker::checkpoint;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What is read at once, in bytes.
const READ_BYTES: usize = 1 << 20;

/// Checks a finished backup; its manifest. Of each step it tells how many bytes
/// of files are read.
///
/// # Errors
/// No backup, a half one, a damaged one; the disk's.
pub fn check(dir: &Path, progress: &mut dyn FnMut(u64)) -> Result<Manifest, Error> {
    if dir.join(UNFINISHED).exists() {
        let path = dir.to_owned();
        return Err(Error::Unfinished { path });
    }
    let manifest = Manifest::read(dir)?;
    contents(dir, &manifest, progress)?;
    Ok(manifest)
}

/// Holds what is in a directory against a manifest.
///
/// # Errors
/// As [`check`].
pub fn contents(
    dir: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let mut read = 0;
    for file in &manifest.files {
        check_file(dir, file, &mut |bytes| {
            read += bytes;
            progress(read);
        })?;
    }
    check_log(dir, manifest)?;
    check_state(dir, manifest)
}

fn check_file(dir: &Path, sum: &FileSum, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
    let path = dir.join(&sum.name);
    let mut file = File::open(&path).map_err(disk("open", &path))?;
    let (mut found, mut sha256) = (0, Sha256::new());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(disk("read", &path))?;
        if read == 0 {
            break;
        }
        found += read as u64;
        sha256.update(&buffer[..read]);
        progress(read as u64);
    }
    same(&format!("{}, in bytes,", sum.name), found, sum.bytes)?;
    same(
        &format!("SHA-256 of {}", sum.name),
        hex(sha256),
        &sum.sha256,
    )
}

/// Reads every frame: their checksums are those with which they were appended.
fn check_log(dir: &Path, manifest: &Manifest) -> Result<(), Error> {
    let scan = Scan::open(&dir.join("log"))?;
    let listed = manifest.files.iter();
    let listed = listed.filter_map(|file| segment::offset_in(file.name.strip_prefix("log/")?));
    let listed: Vec<Offset> = listed.collect();
    let found: Vec<Offset> = scan.segments().map(|(offset, _)| offset).collect();
    same(
        "list of the log's files",
        format!("{found:?}"),
        format!("{listed:?}"),
    )?;
    same(
        "first offset of the log",
        scan.start(),
        manifest.start_offset,
    )?;
    let mut records = scan.records(scan.start());
    while records.next_before(manifest.end_offset)?.is_some() {}
    same("end of the log", records.position(), manifest.end_offset)
}

fn check_state(dir: &Path, manifest: &Manifest) -> Result<(), Error> {
    let store = Store::open(&dir.join("store"))?;
    let mut found = Vec::new();
    for table in Table::ALL {
        let mut digest = TableDigest::default();
        for entry in store.scan(table) {
            let (key, value) = entry?;
            digest.add(&key, &value);
        }
        found.extend(Some(digest.sum(table)).filter(|sum| sum.entries > 0));
    }
    let shown = |sums: &[TableSum]| {
        let sums = sums.iter();
        let sums = sums.map(|sum| format!("{} ({}, {})", sum.name, sum.entries, sum.sha256));
        sums.collect::<Vec<_>>().join(", ")
    };
    same(
        "state, as tables, their entries and SHA-256,",
        shown(&found),
        shown(&manifest.tables),
    )?;
    let position = checkpoint::progress(&store)?.position;
    same(
        "checkpoint's position",
        position,
        manifest.checkpoint_offset,
    )?;
    // The state at a checkpoint that is ahead of its log is of no use.
    let within = manifest.start_offset..=manifest.end_offset;
    if within.contains(&position) {
        return Ok(());
    }
    same(
        "checkpoint's position",
        position,
        format!("{within:?} for the log"),
    )
}

fn same(
    what: &str,
    found: impl std::fmt::Display,
    expected: impl std::fmt::Display,
) -> Result<(), Error> {
    let (found, expected) = (found.to_string(), expected.to_string());
    if found == expected {
        return Ok(());
    }
    Err(Error::Damaged {
        what: what.to_owned(),
        found,
        expected,
    })
}
