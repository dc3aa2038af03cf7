//! The caller's side: takes a copy down into a directory that has another name
//! until it is whole, so that a half one is never mistaken for it.

use super::manifest::{FileSum, Manifest, TableDigest, TableSum, VERSION, create, hex};
use super::{Error, PART_BYTES, UNFINISHED, crc_of, disk, parent, sync_dir};
use crate::log::dir::FORMAT_VERSION;
use crate::log::segment;
use crate::pb::backup_response::Part;
use crate::store::{Batch, Store, Table};
use crate::{log, pb};
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where the copy goes.
pub struct Target {
    /// What it is called once it is whole.
    to: PathBuf,
    /// What it is called until then.
    draft: PathBuf,
    finished: bool,
    _lock: File,
}

impl Target {
    /// Makes the directory for a copy that is to be called `to`. What a process
    /// that died has left at its place is removed.
    ///
    /// # Errors
    /// Something is there already; another process is at it; the disk's.
    pub fn new(to: &Path) -> Result<Self, Error> {
        check_vacant(to)?;
        let name = to.file_name().ok_or_else(|| Error::Exists {
            path: to.to_owned(),
        })?;
        let mut draft = OsString::from(name);
        draft.push(".unfinished");
        let draft = to.with_file_name(draft);
        // An empty one is what is left of a process that died at once.
        if draft.exists() && fs::remove_dir(&draft).is_err() {
            // Held until it is gone, so that nobody else begins there.
            let _lock = lock(&draft)?;
            remove(&draft).map_err(disk("remove", &draft))?;
        }
        let made = fs::DirBuilder::new().mode(0o700).create(&draft);
        made.map_err(disk("create directory", &draft))?;
        let marked = mark(&draft);
        if marked.is_err() {
            // Best effort: it is empty, or as good as that.
            let _ = fs::remove_dir_all(&draft);
        }
        Ok(Self {
            to: to.to_owned(),
            draft,
            finished: false,
            _lock: marked?,
        })
    }

    /// Where it is now.
    pub fn dir(&self) -> &Path {
        &self.draft
    }

    /// Gives the copy, which is whole and durable, its name.
    ///
    /// # Errors
    /// Something has taken that name meanwhile; the disk's.
    pub fn finish(mut self) -> Result<(), Error> {
        check_vacant(&self.to)?;
        let mark = self.draft.join(UNFINISHED);
        fs::remove_file(&mark).map_err(disk("remove", &mark))?;
        sync_dir(&self.draft)?;
        let renamed = fs::rename(&self.draft, &self.to);
        renamed.map_err(disk("rename to", &self.to))?;
        self.finished = true;
        sync_dir(parent(&self.to))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: what stays is marked as unfinished.
            let _ = remove(&self.draft);
        }
    }
}

/// Removes a copy that is not finished, its mark last.
fn remove(draft: &Path) -> io::Result<()> {
    for entry in fs::read_dir(draft)? {
        let entry = entry?;
        if entry.file_name() == UNFINISHED {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    fs::remove_dir_all(draft)
}

/// Nothing, or an empty directory.
fn check_vacant(to: &Path) -> Result<(), Error> {
    match fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotADirectory => {
            Err(disk("look into", to)(error))
        }
        Ok(false) | Err(_) => Err(Error::Exists {
            path: to.to_owned(),
        }),
    }
}

/// Says of a new directory that it is no copy yet, and takes it for this process.
fn mark(draft: &Path) -> Result<File, Error> {
    let path = draft.join(UNFINISHED);
    create(&path).map_err(disk("create", &path))?;
    let lock = lock(draft)?;
    sync_dir(draft)?;
    sync_dir(parent(draft))?;
    Ok(lock)
}

/// Takes an unfinished copy for this process.
fn lock(draft: &Path) -> Result<File, Error> {
    let path = draft.join(UNFINISHED);
    let mut options = File::options();
    let file = options.write(true).open(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            // It is somebody's, and not ours to remove.
            let path = draft.to_owned();
            return Error::Exists { path };
        }
        disk("open", &path)(error)
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: draft.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(disk("lock", &path)(error)),
    }
}

/// A copy that is being taken.
pub struct Taking {
    dir: PathBuf,
    begin: pb::BackupBegin,
    store: Store,
    table: Option<(Table, TableDigest)>,
    tables: Vec<TableSum>,
    file: Option<Growing>,
    files: Vec<FileSum>,
    end: Option<pb::BackupEnd>,
}

/// A file that is being written.
struct Growing {
    name: String,
    path: PathBuf,
    file: File,
    bytes: u64,
    sha256: Sha256,
}

impl Taking {
    /// Begins to fill a directory with the copy that begins so.
    ///
    /// # Errors
    /// A format that this program does not know; the disk's.
    pub fn new(dir: &Path, begin: pb::BackupBegin) -> Result<Self, Error> {
        if begin.format_version != FORMAT_VERSION {
            let (path, found) = (dir.to_owned(), begin.format_version);
            return Err(Error::UnknownVersion { path, found });
        }
        let log = dir.join("log");
        let made = fs::DirBuilder::new().mode(0o700).create(&log);
        made.map_err(disk("create directory", &log))?;
        Ok(Self {
            dir: dir.to_owned(),
            begin,
            store: Store::open(&dir.join("store"))?,
            table: None,
            tables: Vec::new(),
            file: None,
            files: Vec::new(),
            end: None,
        })
    }

    /// Takes a part; how many bytes of files it had.
    ///
    /// # Errors
    /// What does not belong here or was damaged on its way; the disk's.
    pub fn take(&mut self, part: Part) -> Result<u64, Error> {
        if self.end.is_some() {
            return Err(unexpected("more after the end"));
        }
        match part {
            Part::Begin(_) => Err(unexpected("a second beginning")),
            Part::Entries(entries) => self.entries(&entries).map(|()| 0),
            Part::Bytes(bytes) => {
                let count = bytes.data.len() as u64;
                self.bytes(bytes).map(|()| count)
            }
            Part::End(end) => {
                self.end = Some(end);
                Ok(0)
            }
        }
    }

    /// What was taken, when no more comes. All of it is durable.
    ///
    /// # Errors
    /// It is not whole; the disk's.
    pub fn finish(mut self) -> Result<Manifest, Error> {
        let end = self.end.ok_or_else(|| unexpected("no end"))?;
        self.close_file()?;
        self.close_table();
        let manifest = Manifest {
            backup_version: VERSION,
            service_version: self.begin.version,
            begun_at: instant(self.begin.begun_at),
            start_offset: self.begin.start_offset,
            end_offset: self.begin.end_offset,
            checkpoint_offset: self.begin.checkpoint_offset,
            pseudonyms_check: self.begin.pseudonyms_check,
            files: self.files,
            tables: self.tables,
        };
        let came = pb::BackupEnd {
            files: manifest.files.len() as u64,
            file_bytes: manifest.file_bytes(),
            entries: manifest.entries(),
        };
        if came != end {
            return Err(unexpected(&format!(
                "{end:?} as its end, but {came:?} came"
            )));
        }
        sync_dir(&self.dir.join("log"))?;
        sync_dir(&self.dir)?;
        Ok(manifest)
    }

    fn entries(&mut self, part: &pb::BackupEntries) -> Result<(), Error> {
        let known = Table::ALL
            .into_iter()
            .find(|table| table.name() == part.table);
        let Some(table) = known else {
            let shown: String = part.table.chars().take(40).collect();
            return Err(unexpected(&format!("a table {shown:?}, which is unknown")));
        };
        if crc_of(&part.entries) != part.crc32c {
            return Err(unexpected("entries with a wrong checksum"));
        }
        if self.table.as_ref().is_none_or(|(open, _)| *open != table) {
            self.close_table();
            if self.tables.iter().any(|sum| sum.name == part.table) {
                return Err(unexpected("a table in two pieces"));
            }
            self.table = Some((table, TableDigest::default()));
        }
        let mut batch = Batch::new();
        for entry in &part.entries {
            if let Some((_, digest)) = &mut self.table {
                digest.add(&entry.key, &entry.value);
            }
            batch.put(table, &entry.key, Some(&entry.value));
        }
        Ok(self.store.write(batch)?)
    }

    fn bytes(&mut self, part: pb::BackupBytes) -> Result<(), Error> {
        if crc32c::crc32c(&part.data) != part.crc32c || part.data.len() > PART_BYTES {
            return Err(unexpected("a piece of a file with a wrong checksum"));
        }
        if self.file.as_ref().is_none_or(|file| file.name != part.file) {
            self.close_file()?;
            self.file = Some(self.open_file(part.file)?);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if file.bytes != part.at {
            let what = format!(
                "byte {} of {} where {} belongs",
                part.at, file.name, file.bytes
            );
            return Err(unexpected(&what));
        }
        let written = file.file.write_all(&part.data);
        written.map_err(disk("write", &file.path))?;
        file.sha256.update(&part.data);
        file.bytes += part.data.len() as u64;
        Ok(())
    }

    /// Only names that a copy has: what comes from elsewhere names no path of
    /// its own choice.
    fn open_file(&self, name: String) -> Result<Growing, Error> {
        let offset = name.strip_prefix("log/").and_then(segment::offset_in);
        let path = match offset {
            Some(offset) => self.dir.join("log").join(segment::name(offset)),
            None if name == log::dir::FORMAT => self.dir.join(log::dir::FORMAT),
            None => {
                let shown: String = name.chars().take(40).collect();
                return Err(unexpected(&format!("a file {shown:?}, which is unknown")));
            }
        };
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path).map_err(disk("create", &path))?;
        Ok(Growing {
            name,
            path,
            file,
            bytes: 0,
            sha256: Sha256::new(),
        })
    }

    fn close_file(&mut self) -> Result<(), Error> {
        if let Some(file) = self.file.take() {
            file.file.sync_all().map_err(disk("sync", &file.path))?;
            self.files.push(FileSum {
                name: file.name,
                bytes: file.bytes,
                sha256: hex(file.sha256),
            });
        }
        Ok(())
    }

    fn close_table(&mut self) {
        if let Some((table, digest)) = self.table.take() {
            self.tables.push(digest.sum(table));
        }
    }
}

fn instant(at: Option<pbjson_types::Timestamp>) -> String {
    let at = at.unwrap_or_default();
    let at = jiff::Timestamp::new(at.seconds, at.nanos);
    at.map_or_else(|_| "unknown".to_owned(), |at| at.to_string())
}

fn unexpected(what: &str) -> Error {
    Error::Unexpected {
        what: what.to_owned(),
    }
}
