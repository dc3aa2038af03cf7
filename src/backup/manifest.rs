//! What a backup holds, with sums: written last, read first.

use super::{Error, MANIFEST, disk};
use crate::log::Offset;
use crate::store::Table;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The form of the manifest and of the directory.
pub const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub backup_version: u32,
    /// The version of the program that gave it.
    pub service_version: String,
    /// When it was begun, by the service's clock, in RFC 3339.
    pub begun_at: String,
    /// The first offset of the log.
    pub start_offset: Offset,
    /// The offset after its last record.
    pub end_offset: Offset,
    /// Where the state stands.
    pub checkpoint_offset: Offset,
    /// Tells whether a key file is the right one.
    pub pseudonyms_check: String,
    /// The files, in the order in which they came.
    pub files: Vec<FileSum>,
    /// The tables of the state, those that are not empty.
    pub tables: Vec<TableSum>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// Its path in the directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, as `sha256sum` prints it.
    pub sha256: String,
}

/// A table of the state. The files of the store have no sums, because it writes
/// them anew when it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// Its name.
    pub name: String,
    /// How many entries.
    pub entries: u64,
    /// SHA-256 over all keys and values in the keys' order, each preceded by its
    /// length as 4 bytes, little-endian.
    pub sha256: String,
}

impl Manifest {
    /// Reads that of a directory.
    ///
    /// # Errors
    /// None there; one that is not readable, or of another version.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(MANIFEST);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = dir.to_owned();
                return Err(Error::NoManifest { path });
            }
            Err(error) => return Err(disk("read", &path)(error)),
        };
        let unreadable = |source| Error::Unreadable {
            path: path.clone(),
            source,
        };
        let value: Value = serde_json::from_slice(&text).map_err(unreadable)?;
        // Judged first: another version may be of another shape.
        let found = value["backup_version"].as_u64();
        let found = found.and_then(|found| u32::try_from(found).ok());
        if let Some(found) = found.filter(|&found| found != VERSION) {
            let path = dir.to_owned();
            return Err(Error::UnknownVersion { path, found });
        }
        serde_json::from_value(value).map_err(unreadable)
    }

    /// Writes it into a directory, durably.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        let written = text.and_then(|mut text| {
            text.push(b'\n');
            let mut file = create(&path)?;
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(disk("write", &path))
    }

    /// Bytes of the files.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Entries of the state.
    pub fn entries(&self) -> u64 {
        self.tables.iter().map(|table| table.entries).sum()
    }
}

/// Makes a file that nobody else may read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).open(path)
}

/// SHA-256 of a table as it is read or written.
#[derive(Default)]
pub(super) struct TableDigest {
    entries: u64,
    sha256: Sha256,
}

impl TableDigest {
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.entries += 1;
        for part in [key, value] {
            self.sha256.update((part.len() as u32).to_le_bytes());
            self.sha256.update(part);
        }
    }

    pub fn sum(self, table: Table) -> TableSum {
        TableSum {
            name: table.name().to_owned(),
            entries: self.entries,
            sha256: hex(self.sha256),
        }
    }
}

/// As `sha256sum` prints it.
pub(super) fn hex(sha256: Sha256) -> String {
    hex::encode(sha256.finalize())
}
