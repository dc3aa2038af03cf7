//! The callers' file: who may call, how he is known, and what he may do. TOML; every
//! fault is told at once, with its path.

mod fields;
mod issuer;
mod reading;

pub use fields::Fault;
pub use issuer::{Algorithm, Issuer, Source};

use super::file::Content;
use super::rights::Rights;
use fields::{Faults, Fields};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Callers in a file, at most.
const CALLERS_MAX: usize = 10_000;

/// What a callers' file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    /// Who may call.
    pub callers: Vec<Entry>,
    /// Whose JWTs are believed.
    pub issuers: Vec<Issuer>,
}

/// One caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// His name: the source of what he sends.
    pub name: String,
    /// The API keys that are his.
    pub keys: OfHis,
    /// The certificates that are his: SPIFFE ids, or common names of their subjects.
    pub certificates: Vec<String>,
    /// The tokens that are his.
    pub tokens: Vec<Token>,
    /// What he may do.
    pub rights: Rights,
}

/// Which of the API keys that were made for a caller are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfHis {
    /// All of them.
    All,
    /// Those of these ids.
    These(Vec<String>),
}

impl OfHis {
    /// Whether a key that was made for him is good.
    pub fn has(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.iter().any(|his| his == id),
        }
    }
}

/// How a caller's JWTs are told from others of their issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Who issues them.
    pub issuer: String,
    /// Their subject, if it matters.
    pub subject: Option<String>,
    /// What else they must claim, each as a text or as one of a list.
    pub claims: BTreeMap<String, String>,
}

/// Why a callers' file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("read the callers in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("the callers in {} have {} faults:{}", path.display(), faults.len(), Lines(faults))]
    Faults {
        /// The file.
        path: PathBuf,
        /// Each of them.
        faults: Vec<Fault>,
    },
}

struct Lines<'a>(&'a [Fault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut faults = self.0.iter();
        faults.try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl Callers {
    /// Reads a file.
    ///
    /// # Errors
    /// Unreadable, or every fault in it.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::of(path, Content::read(path))
    }

    /// What a file says, as it was found.
    ///
    /// # Errors
    /// As [`Callers::load`].
    pub fn of(path: &Path, found: io::Result<Content>) -> Result<Self, Error> {
        let read = |source| Error::Read {
            path: path.into(),
            source,
        };
        let content = found.map_err(read)?;
        let text = content.text().map_err(read)?;
        Self::parse(text).map_err(|faults| Error::Faults {
            path: path.into(),
            faults,
        })
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                faults.syntax(text, &error);
                return Err(faults.0);
            }
        };
        let mut fields = Fields::new("", table);
        let issuers = fields.tables("issuers", &mut faults);
        let issuers: Vec<_> = issuers
            .into_iter()
            .filter_map(|fields| issuer::read(fields, &mut faults))
            .collect();
        let callers = fields.tables("callers", &mut faults);
        if callers.len() > CALLERS_MAX {
            let found = callers.len().to_string();
            faults.add("callers", found, format!("{CALLERS_MAX} callers at most"));
        }
        let callers: Vec<_> = callers
            .into_iter()
            .filter_map(|fields| reading::caller(fields, &mut faults))
            .collect();
        fields.end(&mut faults);
        reading::relate(&callers, &issuers, &mut faults);
        match faults.0.is_empty() {
            true => Ok(Self { callers, issuers }),
            false => Err(faults.0),
        }
    }
}

#[cfg(test)]
mod tests;
