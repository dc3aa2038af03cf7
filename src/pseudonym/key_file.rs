//! The file of the keys, and what may be done to it: a key is added that begins on
//! a later day, or the oldest is erased once nothing can need it.
//!
//! A line is a key: `1 = HEX` is in force from the beginning, `2 from 2026-12-01 =
//! HEX` from that UTC day on. `1 erased = CHECK` is left of an erased one, so that
//! backups and other instances can be told that the file is the right one.

mod change;

pub use change::{erase, rotate};

use super::{Day, KEY_BYTES, Key, Known, Pseudonyms, is_pseudonym, key_of, parse_id};
use jiff::civil::Date;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A file of keys is far smaller.
const FILE_BYTES_MAX: u64 = 256 * 1024;

const HEADER: &str =
    "# quaymeter: keys of the pseudonyms of plates and drivers, `id = 64 hex digits`.
# `quaymeter pseudonyms` adds and erases keys. Whoever has this file and the data
# can test guesses: keep it apart from backups of the data, and never lose it.
";

/// Why the keys cannot be used. No message holds a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the pseudonym keys in {}", path.display())]
    Read {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("cannot create the pseudonym keys in {}", path.display())]
    Create {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written anew.
    #[error("cannot change the pseudonym keys in {}", path.display())]
    Write {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file may be read or written by others.
    #[error("the pseudonym keys in {} are open to others (mode {mode:03o}), expected mode 600", path.display())]
    Open {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line of another form, or with an id that another line has.
    #[error("line {line} of the pseudonym keys in {} is malformed, expected `id = 64 hex digits`, `id from YYYY-MM-DD = 64 hex digits` or `id erased = check` with a new id of 1 to 999", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Keys do not begin in the order of their ids.
    #[error("key {id} of the pseudonym keys in {} does not begin after the keys with lower ids", path.display())]
    Order {
        /// The key file.
        path: PathBuf,
        /// The key.
        id: u16,
    },
    /// The file holds no key.
    #[error("there is no key among the pseudonym keys in {}", path.display())]
    Empty {
        /// The key file.
        path: PathBuf,
    },
    /// A key cannot be added or erased.
    #[error(transparent)]
    Refused(#[from] change::Refused),
}

/// A line that tells of a key.
struct Line {
    /// From 0.
    number: usize,
    id: u16,
    holds: Holds,
}

enum Holds {
    Key(Option<Day>, [u8; KEY_BYTES]),
    /// The check of one that was erased.
    Erased(String),
}

impl Pseudonyms {
    /// Reads the key file, or makes one with a random key if there is none.
    ///
    /// # Errors
    /// It cannot be read or made; others may read it; it is malformed.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if std::fs::metadata(path).is_err_and(|error| missing(&error)) {
            create(path).map_err(|source| Error::Create {
                path: path.into(),
                source,
            })?;
        }
        Self::load(path)
    }

    /// Reads the key file.
    ///
    /// # Errors
    /// It cannot be read; others may read it; it is malformed.
    pub fn load(path: &Path) -> Result<Self, Error> {
        assemble(path, &lines(path, &text(path)?)?)
    }
}

/// The file's text, if nobody else may read it.
fn text(path: &Path) -> Result<String, Error> {
    let read = |source| Error::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let mode = file.metadata().map_err(read)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Open {
            path: path.into(),
            mode,
        });
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(read)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(read(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(text)
}

/// The lines that tell of keys, by id.
fn lines(path: &Path, text: &str) -> Result<Vec<Line>, Error> {
    let mut lines: Vec<Line> = Vec::new();
    for (number, content) in text.lines().map(str::trim).enumerate() {
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match parse_line(content) {
            Some((id, holds)) if lines.iter().all(|other| other.id != id) => {
                lines.push(Line { number, id, holds });
            }
            _ => {
                return Err(Error::Malformed {
                    path: path.into(),
                    line: number + 1,
                });
            }
        }
    }
    lines.sort_unstable_by_key(|line| line.id);
    Ok(lines)
}

/// The keys in force: of several without a day the one with the highest id.
fn assemble(path: &Path, lines: &[Line]) -> Result<Pseudonyms, Error> {
    let mut in_force: Vec<Key> = Vec::new();
    let (mut known, mut oldest) = (Vec::new(), None);
    for line in lines {
        let key = match &line.holds {
            Holds::Key(from, bytes) => Key::new(line.id, *from, bytes),
            Holds::Erased(check) => {
                known.push(Known {
                    id: line.id,
                    from: None,
                    check: check.into(),
                    erased: true,
                });
                continue;
            }
        };
        known.push(key.known());
        oldest.get_or_insert_with(|| key.mac.clone());
        match in_force.last() {
            Some(last) if key.from.is_none() && last.from.is_none() => in_force.clear(),
            Some(last) if key.from <= last.from => {
                return Err(Error::Order {
                    path: path.into(),
                    id: line.id,
                });
            }
            _ => {}
        }
        in_force.push(key);
    }
    let mut keys = in_force.into_iter();
    let (Some(first), Some(oldest)) = (keys.next(), oldest) else {
        return Err(Error::Empty { path: path.into() });
    };
    Ok(Pseudonyms {
        first,
        later: keys.collect(),
        known,
        oldest,
    })
}

fn parse_line(line: &str) -> Option<(u16, Holds)> {
    let (head, value) = line.split_once('=')?;
    let mut words = head.split_whitespace();
    let id = parse_id(words.next()?)?;
    let value = value.trim();
    let holds = match (words.next(), words.next(), words.next()) {
        (None, ..) => Holds::Key(None, parse_key(value)?),
        (Some("from"), Some(date), None) => Holds::Key(Some(day_of(date)?), parse_key(value)?),
        (Some("erased"), None, _) if is_pseudonym(value) && key_of(value) == Some(id) => {
            Holds::Erased(value.into())
        }
        _ => return None,
    };
    Some((id, holds))
}

fn parse_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    hex::decode_to_slice(text, &mut key).ok()?;
    Some(key)
}

/// A date's day; none of a text that is no date from 1970 on.
fn day_of(date: &str) -> Option<Day> {
    day(date.parse().ok()?).filter(|&day| day >= 0)
}

/// The day of a date.
pub fn day(date: Date) -> Option<Day> {
    let since = date.since((jiff::Unit::Day, Date::constant(1970, 1, 1)));
    Some(since.ok()?.get_days())
}

/// The date of a day.
pub fn date(day: Day) -> Date {
    let first = Date::constant(1970, 1, 1);
    first.saturating_add(jiff::Span::new().days(day.clamp(-700_000, 2_900_000)))
}

/// A random key in hex digits.
fn draw() -> io::Result<String> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    Ok(hex::encode(key))
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Writes a file with one random key, whole or not at all, mode 0600.
fn create(path: &Path) -> io::Result<()> {
    let directory = directory_of(path);
    // A temporary file has mode 0600 from its first moment.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(file, "{HEADER}1 = {}", draw()?)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        // Another process made one meanwhile: theirs is used.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
        Ok(_) => File::open(directory)?.sync_all(),
    }
}

#[cfg(test)]
mod tests;
