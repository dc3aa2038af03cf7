//! How the last file of a chain was left.

use super::{Current, Error, disk, list, name_of};
use crate::trail::chain::Head;
use crate::trail::record::Record;
use crate::trail::walk::{Fault, Walked, walk};
use std::fs::{self, File};
use std::path::Path;

/// How it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// Whole.
    Whole {
        /// Whether its last record says that the service has stopped.
        stopped: bool,
    },
    /// With a part of a record at its end, which was cut off.
    Cut {
        /// The part.
        bytes: u64,
    },
    /// With something in it that does not follow. It stays, and another file begins.
    Damaged {
        /// Its name.
        file: String,
        /// The first such line.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Found {
    /// Whether who wrote before has stopped in good order, or nobody had.
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Nothing | Self::Whole { stopped: true })
    }

    /// The record of what is worth one.
    pub fn into_record(self) -> Option<Record> {
        match self {
            Self::Nothing | Self::Whole { .. } => None,
            Self::Cut { bytes } => Some(Record::Cut { bytes }),
            Self::Damaged { file, line, what } => Some(Record::Damaged {
                file,
                line,
                what: what.into(),
            }),
        }
    }
}

/// From where a chain goes on.
pub struct Resumed {
    /// The file that goes on; else one of this number is to begin.
    pub current: Option<Current>,
    pub number: u64,
    pub head: Head,
    pub found: Found,
}

/// Looks at the last file, and cuts off what is no whole record.
pub fn resume(directory: &Path, chain: &str) -> Result<Resumed, Error> {
    let mut files = list(directory, chain)?;
    while let Some((number, path)) = files.pop() {
        let walked = walk(&path, |_, _, _| ()).map_err(disk("read", &path))?;
        let torn = walked.fault.as_ref().is_none_or(|fault| fault.torn);
        if walked.records == 0 && torn {
            // Whoever began it was stopped before its first record was durable.
            fs::remove_file(&path).map_err(disk("remove", &path))?;
            continue;
        }
        return match &walked.fault {
            Some(fault) if !fault.torn => Ok(damaged(number, &path, &walked, fault)),
            _ => go_on(number, &path, &walked),
        };
    }
    Ok(Resumed {
        current: None,
        number: 1,
        head: Head::START,
        found: Found::Nothing,
    })
}

fn damaged(number: u64, path: &Path, walked: &Walked, fault: &Fault) -> Resumed {
    Resumed {
        current: None,
        number: number + 1,
        head: walked.head,
        found: Found::Damaged {
            file: name_of(path),
            line: fault.line,
            what: fault.what,
        },
    }
}

fn go_on(number: u64, path: &Path, walked: &Walked) -> Result<Resumed, Error> {
    let file = File::options().append(true).open(path);
    let file = file.map_err(disk("open", path))?;
    let length = file.metadata().map_err(disk("look at", path))?.len();
    let opened = walked.written.map(|(first, _)| first).unwrap_or_default();
    let mut current = Current {
        number,
        path: path.into(),
        file,
        bytes: walked.bytes,
        opened,
        torn: length > walked.bytes,
    };
    let found = match current.torn {
        false => Found::Whole {
            stopped: walked.last_kind == "stopped",
        },
        true => Found::Cut {
            bytes: length - walked.bytes,
        },
    };
    current.mend()?;
    Ok(Resumed {
        current: Some(current),
        number,
        head: walked.head,
        found,
    })
}
