//! What changes the file: whole or not at all, and never so that an event which
//! has come, or may come in time, has other pseudonyms than before.

use super::{Day, Error, Holds, Line, assemble, date, directory_of, draw, lines, text};
use crate::pseudonym::Key;
use jiff::civil::Date;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;

/// A key begins as many days after today at the earliest: events of today and, by
/// clocks that are ahead, of tomorrow may have come; and a whole day is left to
/// bring the file to every instance.
const AHEAD_DAYS: Day = 2;

const ID_MAX: u16 = 999;

/// Why a key cannot be added or erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It would begin too early.
    #[error(
        "found {found}, expected {earliest} or later: events of earlier days may have come already, or come before every instance has the key"
    )]
    TooEarly {
        /// The day that was asked for.
        found: Date,
        /// The first day on which it may begin.
        earliest: Date,
    },
    /// The highest id is taken.
    #[error("there is no id left: {ID_MAX} is the last")]
    NoId,
    /// No key has the id.
    #[error("there is no key {id}")]
    Unknown {
        /// The id that was asked for.
        id: u16,
    },
    /// Another is older.
    #[error("key {id} cannot be erased before key {oldest}, which is older")]
    NotOldest {
        /// The id that was asked for.
        id: u16,
        /// The oldest key.
        oldest: u16,
    },
    /// There is no other.
    #[error("key {id} is the only one: `rotate` adds another")]
    Only {
        /// The id that was asked for.
        id: u16,
    },
    /// Events may need it.
    #[error(
        "key {id} cannot be erased before {earliest}: until then events within the correction horizon may need it"
    )]
    Needed {
        /// The id that was asked for.
        id: u16,
        /// The first day on which it can be erased.
        earliest: Date,
    },
}

/// Adds a random key that begins on the UTC day `from`; its id.
///
/// # Errors
/// A day that is too early; the file's.
pub fn rotate(path: &Path, from: Day, today: Day) -> Result<u16, Error> {
    let text = text(path)?;
    let lines = lines(path, &text)?;
    let keys = assemble(path, &lines)?;
    let last = keys.later.last().and_then(|key| key.from);
    let earliest = last.map_or(Day::MIN, |last| last + 1);
    let earliest = earliest.max(today + AHEAD_DAYS);
    if from < earliest {
        let (found, earliest) = (date(from), date(earliest));
        return Err(Refused::TooEarly { found, earliest }.into());
    }
    let highest = lines.last().map_or(0, |line| line.id);
    if highest >= ID_MAX {
        return Err(Refused::NoId.into());
    }
    let id = highest + 1;
    let write = |source| Error::Write {
        path: path.into(),
        source,
    };
    let key = draw().map_err(write)?;
    let mut kept: Vec<String> = text.lines().map(str::to_owned).collect();
    kept.push(format!("{id} from {} = {key}", date(from)));
    rewrite(path, &kept).map_err(write)?;
    Ok(id)
}

/// Erases a key: of it remains what tells it from others.
///
/// # Errors
/// One that is not the oldest, or that events of the last `horizon_days` days may
/// need; the file's.
pub fn erase(path: &Path, id: u16, today: Day, horizon_days: Day) -> Result<(), Error> {
    let text = text(path)?;
    let lines = lines(path, &text)?;
    assemble(path, &lines)?;
    let (line, check) = erasable(&lines, id, today, horizon_days)?;
    let mut kept: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Some(kept) = kept.get_mut(line) {
        *kept = format!("{id} erased = {check}");
    }
    rewrite(path, &kept).map_err(|source| Error::Write {
        path: path.into(),
        source,
    })
}

/// The line of a key that may be erased, and its check.
fn erasable(
    lines: &[Line],
    id: u16,
    today: Day,
    horizon_days: Day,
) -> Result<(usize, String), Refused> {
    let mut keys = lines.iter().filter_map(|line| match line.holds {
        Holds::Key(from, key) => Some((line, from, key)),
        Holds::Erased(_) => None,
    });
    let oldest = keys
        .next()
        .filter(|_| lines.iter().any(|line| line.id == id));
    let Some((line, from, key)) = oldest else {
        return Err(Refused::Unknown { id });
    };
    if line.id > id {
        return Err(Refused::Unknown { id });
    }
    if line.id < id {
        let oldest = line.id;
        return Err(Refused::NotOldest { id, oldest });
    }
    let Some((_, next, _)) = keys.next() else {
        return Err(Refused::Only { id });
    };
    // Of keys without a day only the last is in force.
    if let Some(next) = next {
        // Events of the next key's first day have both pseudonyms; a day is left
        // to clocks that are behind.
        let earliest = next + horizon_days + 2;
        if today < earliest {
            let earliest = date(earliest);
            return Err(Refused::Needed { id, earliest });
        }
    }
    Ok((line.number, Key::new(id, from, &key).known().check.into()))
}

/// Puts another file in its place, for whom it was.
fn rewrite(path: &Path, lines: &[String]) -> io::Result<()> {
    // A link stays one.
    let path = path.canonicalize()?;
    let directory = directory_of(&path);
    let owner = std::fs::metadata(&path)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    let made = file.as_file();
    made.set_permissions(Permissions::from_mode(0o600))?;
    let mine = made.metadata()?;
    if (mine.uid(), mine.gid()) != (owner.uid(), owner.gid()) {
        fchown(made, Some(owner.uid()), Some(owner.gid()))?;
    }
    made.sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}
