//! The key file: which API keys there are, whose, until when, and of each no more than
//! its keyed hash. The pepper stands in its first line, so the file is as secret as
//! what it guards: it is refused if others may read it.

mod form;

use super::file::Content;
use super::key::Key;
use super::pepper::{Digest, Pepper};
use crate::trail;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// Keys in a file, at most.
pub const KEYS_MAX: usize = 10_000;

/// One key, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is: a caller's name.
    pub caller: String,
    /// What its secret comes to under the pepper.
    pub digest: Digest,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is good no more.
    pub expires: Option<Timestamp>,
    /// Since when it is taken back.
    pub revoked: Option<Timestamp>,
}

/// All keys of a file, by id.
#[derive(Clone, Debug)]
pub struct Keys {
    pepper: Pepper,
    entries: BTreeMap<String, Entry>,
}

/// Why keys cannot be read or changed. No message holds what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    /// Others may read or write the file.
    #[error("the API keys in {} are open to others (mode {mode:03o}), expected mode 600", path.display())]
    Open {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no key file.
    #[error("the API keys in {} are malformed: {what}", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// Where, and what was expected.
        what: String,
    },
    /// There is no such key.
    #[error("no API key has the id {id:?}")]
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// There are too many.
    #[error("there are {KEYS_MAX} API keys already: remove those that are over")]
    Full,
    /// It could not be noted, so it was not done.
    #[error("audit trail: nothing was changed")]
    Trail(#[from] trail::Error),
    /// The system has no randomness.
    #[error("draw an API key")]
    Random(#[from] getrandom::Error),
}

impl Keys {
    /// No keys, under a pepper of their own.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn none() -> Result<Self, Error> {
        Ok(Self {
            pepper: Pepper::draw()?,
            entries: BTreeMap::new(),
        })
    }

    /// Reads a key file; none if there is no such file.
    ///
    /// # Errors
    /// It cannot be read, is open to others, or malformed.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        Self::of(path, Content::read(path))
    }

    /// The keys of a file, as it was found.
    ///
    /// # Errors
    /// As [`Keys::load`].
    pub fn of(path: &Path, found: io::Result<Content>) -> Result<Option<Self>, Error> {
        let content = match found {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk("read", path)(error)),
        };
        let mode = content.mode;
        if mode & 0o077 != 0 {
            let path = path.into();
            return Err(Error::Open { path, mode });
        }
        let text = content.text().map_err(disk("read", path))?;
        let keys = form::read(text);
        keys.map(Some).map_err(|what| Error::Malformed {
            path: path.into(),
            what,
        })
    }

    /// Changes a key file, which is made if it is not there: whole or not at all, and
    /// one change after the other, whoever makes them.
    ///
    /// # Errors
    /// As [`Keys::load`], the disk's, or what the change says.
    pub fn change<T>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let directory = directory(path);
        // As the service would make its data directory: for this user alone.
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.map_err(disk("make", directory))?;
        let lock = path.with_added_extension("lock");
        let options = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock);
        let held = options.map_err(disk("open", &lock))?;
        // Given back when it is closed.
        held.lock().map_err(disk("lock", &lock))?;
        let mut keys = match Self::load(path)? {
            Some(keys) => keys,
            None => Self::none()?,
        };
        let changed = change(&mut keys)?;
        keys.store(path).map_err(disk("write", path))?;
        Ok(changed)
    }

    /// Writes the file anew: a reader finds the old one or the new one.
    fn store(&self, path: &Path) -> io::Result<()> {
        let directory = directory(path);
        // A temporary file has mode 0600 from its first moment.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(form::write(self)?.as_bytes())?;
        file.as_file().sync_all()?;
        // A service reads it as its own user, whoever changes it.
        if let Ok(old) = fs::metadata(path) {
            let (user, group) = (Some(old.uid()), Some(old.gid()));
            // Who may not give it away is its owner, or may not write here either.
            let _ = fchown(file.as_file(), user, group);
        }
        file.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    }

    /// Makes a key for a caller. Its text is in what is answered, and nowhere else.
    ///
    /// # Errors
    /// No randomness, or no room for one more.
    pub fn create(
        &mut self,
        caller: &str,
        now: Timestamp,
        expires: Option<Timestamp>,
    ) -> Result<Key, Error> {
        if self.entries.len() >= KEYS_MAX {
            return Err(Error::Full);
        }
        let mut key = Key::draw()?;
        while self.entries.contains_key(key.id()) {
            key = Key::draw()?;
        }
        let entry = Entry {
            caller: caller.into(),
            digest: self.pepper.digest(&key),
            created: now,
            expires,
            revoked: None,
        };
        self.entries.insert(key.id().into(), entry);
        Ok(key)
    }

    /// Takes a key back; the first time counts.
    ///
    /// # Errors
    /// There is no such key.
    pub fn revoke(&mut self, id: &str, now: Timestamp) -> Result<&Entry, Error> {
        let entry = self.entries.get_mut(id);
        let entry = entry.ok_or_else(|| Error::Unknown { id: id.into() })?;
        entry.revoked.get_or_insert(now);
        Ok(entry)
    }

    /// What a key comes to under this file's pepper.
    pub fn digest(&self, key: &Key) -> Digest {
        self.pepper.digest(key)
    }

    /// The key of an id.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The keys, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(id, entry)| (&**id, entry))
    }
}

fn directory(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn disk(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Disk {
        operation,
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests;
