//! The data directory: whose it is, and under which settings its numbers came
//! about. One process has it at a time; other settings or another format are
//! refused, because the numbers in it would not mean what they say.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The version of everything below the directory that is written and read.
pub const FORMAT_VERSION: u32 = 4;

const LOCK: &str = "lock";
/// The file that says the format and the settings.
pub const FORMAT: &str = "format.json";

/// The name of this directory's instance.
const INSTANCE: &str = "instance";

/// The settings that shape numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapingSettings {
    /// The IANA zone whose days are the day cells.
    pub reporting_zone: String,
    /// TEU of a 45-foot container, in thousandths.
    pub teu_45ft_milli: u32,
    /// The correction horizon in days.
    pub horizon_days: u32,
    /// For how many days quarter-hour cells are kept.
    pub quarter_days: u32,
    /// For how many days day cells are kept.
    pub day_days: u32,
    /// The version of the rules of counting.
    pub rules_version: u32,
}

/// What the format file holds.
#[derive(Serialize)]
struct Format<'a> {
    format_version: u32,
    settings: &'a ShapingSettings,
}

/// A data directory that this process has for itself until it is dropped, or
/// the process ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("data directory {} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
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
    /// The format file is not one.
    #[error("read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// Written by another version of the program.
    #[error("unknown format version {found} in {}: this program reads version {FORMAT_VERSION}", path.display())]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// What it carries.
        found: String,
    },
    /// The numbers in it came about under other settings.
    #[error(
        "data directory {} was written with other settings, which shape its numbers: {}",
        path.display(),
        differences.join("; ")
    )]
    OtherSettings {
        /// The directory.
        path: PathBuf,
        /// One for each setting: its name, what is stored, what was given.
        differences: Vec<String>,
    },
    /// It belongs to another log.
    #[error("data directory {} is of {found}, not of {wanted}", path.display())]
    OtherLog {
        /// The directory.
        path: PathBuf,
        /// Which log it is of.
        found: String,
        /// Which is wanted.
        wanted: String,
    },
}

impl DataDir {
    /// Takes a directory, for this user alone if it has to be made.
    ///
    /// # Errors
    /// Another process has it; another format; other settings; the disk's.
    pub fn open(path: &Path, settings: &ShapingSettings) -> Result<Self, Error> {
        make(path)?;
        let lock = lock(path)?;
        let file = path.join(FORMAT);
        match fs::read(&file) {
            Ok(stored) => compare(path, &file, &stored, settings)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(path, &file, settings)?;
            }
            Err(error) => return Err(disk("read", &file)(error)),
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Refuses a directory that holds a copy of a log elsewhere.
    ///
    /// # Errors
    /// It does; the disk's.
    pub fn has_own_log(&self) -> Result<(), Error> {
        match self.copy()? {
            Some((_, of)) => Err(self.other(&of, "a log of its own")),
            None => Ok(()),
        }
    }

    /// Takes the directory for a copy of a log elsewhere, and gives a name that stays,
    /// and that no other directory has: drawn once.
    ///
    /// # Errors
    /// A directory with a log of its own, or with a copy of another; the disk's; no
    /// random bytes.
    pub fn instance(&self, of: &str) -> Result<String, Error> {
        match self.copy()? {
            Some((name, found)) if found == of => return Ok(name),
            Some((_, found)) => return Err(self.other(&found, of)),
            None if self.log().exists() => return Err(self.other("a log of its own", of)),
            None => {}
        }
        let file = self.path.join(INSTANCE);
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| disk("name", &file)(error.into()))?;
        let name = format!("{:016x}", u64::from_be_bytes(random));
        put(&self.path, &file, format!("{name}\n{of}\n").as_bytes())?;
        Ok(name)
    }

    /// The name of the instance that has it, and of which log it has a copy.
    fn copy(&self) -> Result<Option<(String, String)>, Error> {
        let file = self.path.join(INSTANCE);
        match fs::read_to_string(&file) {
            Ok(text) => {
                let (name, of) = text.split_once('\n').unwrap_or((&text, ""));
                Ok(Some((name.to_owned(), of.trim_end().to_owned())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk("read", &file)(error)),
        }
    }

    fn other(&self, found: &str, wanted: &str) -> Error {
        Error::OtherLog {
            path: self.path.clone(),
            found: found.to_owned(),
            wanted: wanted.to_owned(),
        }
    }

    /// Where its store is.
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }
}

/// Where a data directory says its format and settings.
pub fn format_file(dir: &Path) -> PathBuf {
    dir.join(FORMAT)
}

/// Under which settings the numbers in a directory came about. Nothing is taken
/// or changed, so it may be another process's.
///
/// # Errors
/// A directory without data; another format; the disk's.
pub fn stored_settings(path: &Path) -> Result<ShapingSettings, Error> {
    let file = path.join(FORMAT);
    let stored = fs::read(&file).map_err(disk("read", &file))?;
    parse(&file, &stored)
}

/// Makes a directory and those above it, durably: what is in it is of no use if
/// its name is lost.
fn make(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    make(parent)?;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(disk("create directory", dir))?;
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(disk("sync directory", parent))
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK);
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(disk("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(disk("lock", &path)(error)),
    }
}

fn parse(file: &Path, stored: &[u8]) -> Result<ShapingSettings, Error> {
    let unreadable = |source| Error::Unreadable {
        path: file.to_owned(),
        source,
    };
    let stored: Value = serde_json::from_slice(stored).map_err(unreadable)?;
    // Judged first: another version may be of another shape.
    let version = &stored["format_version"];
    if *version != FORMAT_VERSION {
        return Err(Error::UnknownVersion {
            path: file.to_owned(),
            found: version.to_string(),
        });
    }
    ShapingSettings::deserialize(&stored["settings"]).map_err(unreadable)
}

fn compare(dir: &Path, file: &Path, stored: &[u8], given: &ShapingSettings) -> Result<(), Error> {
    let unreadable = |source| Error::Unreadable {
        path: file.to_owned(),
        source,
    };
    let stored = parse(file, stored)?;
    let stored = serde_json::to_value(stored).map_err(unreadable)?;
    let given = serde_json::to_value(given).map_err(unreadable)?;
    let differences: Vec<String> = given
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| stored[name.as_str()] != **value)
        .map(|(name, value)| format!("{name}: stored {}, given {value}", stored[name.as_str()]))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::OtherSettings {
        path: dir.to_owned(),
        differences,
    })
}

/// Written whole or not at all, and durable.
fn write(dir: &Path, file: &Path, settings: &ShapingSettings) -> Result<(), Error> {
    let format = Format {
        format_version: FORMAT_VERSION,
        settings,
    };
    let text = serde_json::to_vec_pretty(&format).map_err(io::Error::from);
    let mut text = text.map_err(disk("write", file))?;
    text.push(b'\n');
    put(dir, file, &text)
}

/// Writes a file whole or not at all, and durably.
fn put(dir: &Path, file: &Path, text: &[u8]) -> Result<(), Error> {
    let draft = file.with_added_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&draft).and_then(|mut out| {
        out.write_all(text)?;
        out.sync_all()
    });
    written.map_err(disk("write", &draft))?;
    let renamed = fs::rename(&draft, file).and_then(|()| File::open(dir)?.sync_all());
    renamed.map_err(disk("write", file))
}

fn disk(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Disk {
        operation,
        path: path.to_owned(),
        source,
    }
}
