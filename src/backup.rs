//! A copy of a running service, from which another one can start.
//!
//! A backup is a data directory: the log up to a position, the state at a
//! checkpoint that is not ahead of it, the settings; and a manifest that says
//! what there must be. It lacks the keys of the pseudonyms, which belong
//! elsewhere. The service gives it as a stream ([`give`]), so it works from
//! another machine and the service writes nowhere; the command takes it down
//! ([`take`]) and reads it again ([`check`]); a service that starts on it reads
//! it once more and then goes on in it ([`start`]).

pub mod check;
pub mod give;
pub mod manifest;
pub mod start;
pub mod take;

use crate::log;
use crate::store;
use crate::worker::checkpoint;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of data in one message, at most; an entry beyond it is sent whole.
pub const PART_BYTES: usize = 1 << 20;

/// The file that says what a backup holds.
pub const MANIFEST: &str = "backup.json";

/// What the manifest is called once a service has started on the backup and
/// goes on in it.
pub const RESTORED: &str = "restored.json";

/// The file that a directory has while a backup is being taken into it.
pub const UNFINISHED: &str = "backup.unfinished";

/// Why a backup cannot be taken or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed, or is full.
    #[error("{operation} {}", path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// There is something already.
    #[error("{} is there already and not empty: a backup needs a directory of its own", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Another process is taking a backup to the same place.
    #[error("another process is taking a backup into {}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is a half backup.
    #[error("{} is a backup that was not finished: take it again", path.display())]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// There is no manifest.
    #[error("{} is no backup, or a service has started on it since: it has no {MANIFEST}", path.display())]
    NoManifest {
        /// The directory.
        path: PathBuf,
    },
    /// The manifest is not one.
    #[error("read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// The manifest says what no backup has.
    #[error("the manifest {} says what no backup has: {what}", path.display())]
    Impossible {
        /// The file.
        path: PathBuf,
        /// What, in words.
        what: String,
    },
    /// Made by another version of the program.
    #[error("unknown version {found} of the backup in {}: this program reads version {}", path.display(), manifest::VERSION)]
    UnknownVersion {
        /// The directory, or the service.
        path: PathBuf,
        /// What it carries.
        found: u32,
    },
    /// What came is not what was sent, or not what belongs there.
    #[error("the service sent {what}")]
    Unexpected {
        /// What, in words.
        what: String,
    },
    /// It is not what the manifest says.
    #[error("damaged backup: {what} is {found}, the manifest says {expected}")]
    Damaged {
        /// Of what.
        what: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// The keys of the pseudonyms are missing.
    #[error(
        "the backup has no keys of the pseudonyms: put the copy of the service's key file at {}; with new keys plates and drivers would not be recognised, and what is sent again would count as changed",
        path.display()
    )]
    NoKeys {
        /// Where they belong.
        path: PathBuf,
    },
    /// They are another service's.
    #[error("the keys of the pseudonyms in {} are not those of the backup's service", path.display())]
    OtherKeys {
        /// The key file.
        path: PathBuf,
    },
    /// The store could not be written or read.
    #[error("state of the backup")]
    Store(#[from] store::Error),
    /// The log is not whole.
    #[error("log of the backup")]
    Log(#[from] log::Error),
    /// The checkpoint cannot be read.
    #[error("checkpoint of the backup")]
    Checkpoint(#[from] checkpoint::Error),
}

/// For `map_err`: the disk failed.
fn disk(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Disk {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// Makes durable which names a directory holds.
fn sync_dir(dir: &Path) -> Result<(), Error> {
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(disk("sync directory", dir))
}

/// The directory that holds a path.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// CRC-32C over keys and values, each preceded by its length.
fn crc_of(entries: &[crate::pb::BackupEntry]) -> u32 {
    let parts = entries.iter().flat_map(|entry| [&entry.key, &entry.value]);
    parts.fold(0, |crc, part| {
        let length = (part.len() as u32).to_le_bytes();
        crc32c::crc32c_append(crc32c::crc32c_append(crc, &length), part)
    })
}
