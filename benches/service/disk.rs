//! The disk: what kind it is, and what lies on it.

use anyhow::{Context as _, bail};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Device and kind of the file system that holds a directory.
///
/// Refuses memory: there an fsync costs nothing.
pub fn file_system(dir: &Path) -> anyhow::Result<String> {
    let dir = dir.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut found: Option<(usize, &str, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(at), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        // Later mounts lie over earlier ones.
        if dir.starts_with(at) && found.is_none_or(|(length, ..)| at.len() >= length) {
            found = Some((at.len(), device, kind));
        }
    }
    let (_, device, kind) = found.context("no mount holds the directory")?;
    if ["tmpfs", "ramfs", "devtmpfs"].contains(&kind) {
        bail!(
            "{} is in memory ({kind}): nothing durable can be measured",
            dir.display()
        );
    }
    Ok(format!("{device} {kind}"))
}

/// Allocated bytes, not lengths: files with holes count as what they take.
pub fn allocated_bytes(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        sum += match entry.metadata()? {
            found if found.is_dir() => allocated_bytes(&entry.path())?,
            found => found.blocks() * 512,
        };
    }
    Ok(sum)
}

/// Copies a directory, and has it written out, so that it does not disturb what
/// comes next.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.metadata()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            fs::File::open(&target)?.sync_all()?;
        }
    }
    Ok(())
}
