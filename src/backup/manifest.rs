//! What a backup holds, with sums: written last, read first.

use super::{Error, MANIFEST, disk};
use crate::log::{self, Offset, segment};
use crate::store::Table;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The form of the manifest and of the directory.
pub const VERSION: u32 = 1;

/// More than any manifest has: a larger file is another file.
const BYTES_MAX: u64 = 64 << 20;

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
    /// None there; one that is not readable, of another version, or that says what
    /// no backup has.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(MANIFEST);
        let text = match read_bounded(&path) {
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
        let manifest: Self = serde_json::from_value(value).map_err(unreadable)?;
        manifest
            .judge()
            .map_err(|what| Error::Impossible { path, what })?;
        Ok(manifest)
    }

    /// It comes from elsewhere, so it names no file of its own choice, and no more
    /// than can be added up.
    fn judge(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for name in self.files.iter().map(|file| file.name.as_str()) {
            let shown: String = name.chars().take(40).collect();
            if !is_of_a_backup(name) {
                return Err(format!("a file {shown:?}, which is none of a backup"));
            }
            if !names.insert(name) {
                return Err(format!("the file {shown:?} twice"));
            }
        }
        let files = self.files.iter().map(|file| file.bytes);
        let entries = self.tables.iter().map(|table| table.entries);
        let fits = add_up(files).is_some() && add_up(entries).is_some();
        fits.then_some(())
            .ok_or_else(|| "more bytes or entries than can be counted".to_owned())
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
        add_up(self.files.iter().map(|file| file.bytes)).unwrap_or(u64::MAX)
    }

    /// Entries of the state.
    pub fn entries(&self) -> u64 {
        add_up(self.tables.iter().map(|table| table.entries)).unwrap_or(u64::MAX)
    }
}

/// Their sum, if it is one.
fn add_up(mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
    numbers.try_fold(0, u64::checked_add)
}

/// Whether a backup has a file of this name.
fn is_of_a_backup(name: &str) -> bool {
    let of_log = name.strip_prefix("log/").and_then(segment::offset_in);
    of_log.is_some() || name == log::dir::FORMAT
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(BYTES_MAX + 1)
        .read_to_end(&mut text)?;
    match text.len() as u64 > BYTES_MAX {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(text),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, u64)], entries: &[u64]) -> Result<Manifest, Error> {
        let file = |&(name, bytes): &(&str, u64)| FileSum {
            name: name.into(),
            bytes,
            sha256: "00".into(),
        };
        let table = |&entries: &u64| TableSum {
            name: "meta".into(),
            entries,
            sha256: "00".into(),
        };
        let manifest = Manifest {
            backup_version: VERSION,
            service_version: "0.1.0".into(),
            begun_at: "2026-11-23T04:00:00Z".into(),
            start_offset: 0,
            end_offset: 0,
            checkpoint_offset: 0,
            pseudonyms_check: "00".into(),
            files: files.iter().map(file).collect(),
            tables: entries.iter().map(table).collect(),
        };
        let dir = tempfile::tempdir().unwrap();
        manifest.write(dir.path()).unwrap();
        Manifest::read(dir.path())
    }

    #[test]
    fn a_manifest_names_files_of_a_backup_only_each_once() {
        const FIRST: &str = "log/00000000000000000000.log";
        assert!(read(&[(FIRST, 1), ("format.json", 2)], &[]).is_ok());
        for name in [
            "/etc/passwd",
            "../pseudonyms.key",
            "log/../../secret",
            "log/00000000000000000000.log/../../../secret",
            "log//00000000000000000000.log",
            "store/lock",
            "log/0.log",
            "",
        ] {
            let told = read(&[(name, 1)], &[]).unwrap_err().to_string();
            assert!(told.contains("which is none of a backup"), "{told}");
            assert!(told.contains(MANIFEST), "{told}");
        }
        let told = read(&[(FIRST, 1), (FIRST, 1)], &[]).unwrap_err();
        assert!(told.to_string().contains("twice"), "{told}");
    }

    #[test]
    fn what_a_manifest_says_can_be_added_up() {
        let most = [
            ("log/00000000000000000000.log", u64::MAX),
            ("format.json", 1),
        ];
        for read in [read(&most, &[]), read(&[], &[u64::MAX, 1])] {
            let told = read.unwrap_err().to_string();
            assert!(told.contains("more bytes or entries than can be"), "{told}");
        }
        let manifest = read(&most[..1], &[u64::MAX]).unwrap();
        assert_eq!(manifest.file_bytes(), u64::MAX);
        assert_eq!(manifest.entries(), u64::MAX);
    }
}
