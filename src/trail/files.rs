//! The files of a chain: one is written, a new one begins each day (UTC) and when one is
//! large, the oldest go when they are too old or there are too many.

mod found;

pub use found::Found;

use super::chain::Head;
use super::record::Record;
use crate::config;
use jiff::Timestamp;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes from which on a file is closed.
    pub file_bytes: u64,
    /// Days that a file is kept after its last record.
    pub days: u32,
    /// Bytes of a chain's files, at most, but for the one that is written.
    pub bytes_max: u64,
}

impl Limits {
    /// As configured.
    pub fn of(config: &config::Trail) -> Self {
        Self {
            file_bytes: config.file_bytes,
            days: config.days as u32,
            bytes_max: config.bytes_max,
        }
    }
}

/// Why a trail cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process writes it.
    #[error("the audit trail in {} is written by another process", directory.display())]
    InUse {
        /// Its directory.
        directory: PathBuf,
    },
    /// The disk failed.
    #[error("{operation} {}", path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A record cannot be JSON.
    #[error("write a record of the audit trail")]
    Record(#[from] serde_json::Error),
    /// There can be no more threads.
    #[error("start the thread of the audit trail")]
    Thread(#[source] io::Error),
}

/// Writes a chain, alone.
#[derive(Debug)]
pub struct Writer {
    directory: PathBuf,
    chain: &'static str,
    limits: Limits,
    pub(super) current: Current,
    head: Head,
    // Held until the end.
    _lock: File,
}

/// The file that is written.
#[derive(Debug)]
pub(super) struct Current {
    number: u64,
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Of whole records that are durable.
    bytes: u64,
    /// When its first record was written.
    opened: Timestamp,
    /// There may be more in it than that.
    pub(super) torn: bool,
}

impl Writer {
    /// Goes on with a chain in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// Another process writes it; the disk's.
    pub fn open(
        directory: &Path,
        chain: &'static str,
        limits: Limits,
    ) -> Result<(Self, Found), Error> {
        let lock = lock_file(directory, chain)?;
        match lock.try_lock() {
            Ok(()) => Self::resume(directory, chain, limits, lock),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                directory: directory.into(),
            }),
            Err(TryLockError::Error(error)) => Err(disk("lock", directory)(error)),
        }
    }

    /// The same, once whoever writes it has done.
    ///
    /// # Errors
    /// The disk's.
    pub fn open_in_turn(
        directory: &Path,
        chain: &'static str,
        limits: Limits,
    ) -> Result<(Self, Found), Error> {
        let lock = lock_file(directory, chain)?;
        lock.lock().map_err(disk("lock", directory))?;
        Self::resume(directory, chain, limits, lock)
    }

    fn resume(
        directory: &Path,
        chain: &'static str,
        limits: Limits,
        lock: File,
    ) -> Result<(Self, Found), Error> {
        let resumed = found::resume(directory, chain)?;
        let (current, head) = match resumed.current {
            Some(current) => (current, resumed.head),
            None => begin((directory, chain), resumed.number, resumed.head)?,
        };
        let writer = Self {
            directory: directory.into(),
            chain,
            limits,
            current,
            head,
            _lock: lock,
        };
        Ok((writer, resumed.found))
    }

    /// The last record.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Appends records: all are durable, or none is there.
    ///
    /// # Errors
    /// The disk's; then it may be tried again.
    pub fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        let now = Timestamp::now();
        self.current.mend()?;
        if self.is_over(now) {
            self.roll()?;
        }
        self.write(now, records)
    }

    fn write(&mut self, now: Timestamp, records: &[Record]) -> Result<(), Error> {
        let (mut text, mut head) = (String::new(), self.head);
        for record in records {
            let (line, next) = head.seal(now, record)?;
            text += &line;
            text.push('\n');
            head = next;
        }
        self.current.write(&text)?;
        self.head = head;
        Ok(())
    }

    /// Whether another file is to begin.
    fn is_over(&self, now: Timestamp) -> bool {
        let day = |at: Timestamp| at.as_second().div_euclid(DAY.as_secs() as i64);
        self.current.bytes >= self.limits.file_bytes || day(now) > day(self.current.opened)
    }

    fn roll(&mut self) -> Result<(), Error> {
        let number = self.current.number + 1;
        let begun = begin((&self.directory, self.chain), number, self.head)?;
        let closed = self.head;
        (self.current, self.head) = begun;
        let hash = hex::encode(closed.hash);
        tracing::info!(
            seq = closed.seq,
            hash,
            chain = self.chain,
            "a file of the audit trail is closed"
        );
        self.remove_old()
    }

    /// Removes the oldest files; a record says so before each goes.
    fn remove_old(&mut self) -> Result<(), Error> {
        let files = list(&self.directory, self.chain)?;
        let mut sizes = Vec::new();
        for (number, path) in &files {
            if *number != self.current.number {
                let about = fs::metadata(path).map_err(disk("look at", path))?;
                sizes.push((path, about));
            }
        }
        let mut bytes: u64 = sizes.iter().map(|(_, about)| about.len()).sum();
        let age_max = DAY * self.limits.days;
        for (path, about) in sizes {
            let age = about.modified().ok().and_then(|at| at.elapsed().ok());
            if bytes <= self.limits.bytes_max && age.is_none_or(|age| age <= age_max) {
                break;
            }
            let walked = super::walk::walk(path, |_, _, _| ()).map_err(disk("read", path))?;
            let removed = Record::Removed {
                file: name_of(path),
                last: walked.head.seq,
                last_hash: hex::encode(walked.head.hash),
            };
            self.write(Timestamp::now(), &[removed])?;
            fs::remove_file(path).map_err(disk("remove", path))?;
            bytes -= about.len();
        }
        Ok(())
    }
}

impl Current {
    /// Takes back what came of a write that failed.
    fn mend(&mut self) -> Result<(), Error> {
        if self.torn {
            self.file
                .set_len(self.bytes)
                .map_err(disk("cut", &self.path))?;
            self.file.sync_all().map_err(disk("sync", &self.path))?;
            self.torn = false;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        self.torn = true;
        let written = self.file.write_all(text.as_bytes());
        written.map_err(disk("write", &self.path))?;
        self.file.sync_data().map_err(disk("sync", &self.path))?;
        self.torn = false;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// Begins a file, with the record that says from what it follows.
fn begin(
    (directory, chain): (&Path, &'static str),
    number: u64,
    head: Head,
) -> Result<(Current, Head), Error> {
    let path = directory.join(format!("{chain}-{number:08}.{EXTENSION}"));
    let mut options = File::options();
    let options = options.create_new(true).append(true).mode(0o600);
    let file = options.open(&path).map_err(disk("make", &path))?;
    // Whoever changes keys as another user leaves the service its files.
    if let Ok(about) = fs::metadata(directory) {
        // Who may not give it away is its owner.
        let _ = fchown(&file, Some(about.uid()), Some(about.gid()));
    }
    let opened = Timestamp::now();
    let record = Record::Opened {
        previous: hex::encode(head.hash),
        chain,
    };
    let (line, head) = head.seal(opened, &record)?;
    let mut current = Current {
        number,
        path,
        file,
        bytes: 0,
        opened,
        torn: false,
    };
    if let Err(error) = current.write(&(line + "\n")).and_then(|()| sync(directory)) {
        // So that it can be begun again.
        let _ = fs::remove_file(&current.path);
        return Err(error);
    }
    Ok((current, head))
}

const EXTENSION: &str = "ndjson";

/// A chain's files by their numbers, the oldest first.
pub(super) fn list(directory: &Path, chain: &str) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(disk("list", directory))? {
        let path = entry.map_err(disk("list", directory))?.path();
        let name = name_of(&path);
        let number = name
            .strip_prefix(chain)
            .and_then(|name| {
                name.strip_prefix('-')?
                    .strip_suffix(EXTENSION)?
                    .strip_suffix('.')
            })
            .and_then(|number| number.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    files.sort();
    Ok(files)
}

pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn lock_file(directory: &Path, chain: &str) -> Result<File, Error> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(directory);
    made.map_err(disk("make", directory))?;
    let path = directory.join(format!("{chain}.lock"));
    let mut options = File::options();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    options.open(&path).map_err(disk("open", &path))
}

fn sync(directory: &Path) -> Result<(), Error> {
    let opened = File::open(directory);
    let synced = opened.and_then(|directory| directory.sync_all());
    synced.map_err(disk("sync", directory))
}

pub(super) fn disk(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Disk {
        operation,
        path: path.into(),
        source,
    }
}
