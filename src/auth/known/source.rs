//! The files behind who may call, and what was last good of each. One that cannot be used
//! holds nobody's change up but its own: a key that was taken back in the key file is
//! refused, whatever is wrong with the callers' file.

use crate::auth::callers::{self, Callers, Source as Place};
use crate::auth::file::Content;
use crate::auth::jwks::Jwks;
use crate::auth::jwks::held::Held;
use crate::auth::keys::{self, Keys};
use crate::auth::set::Parts;
use crate::config::Config;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of API keys in a data directory.
const KEYS: &str = "callers.keys";

/// Where it is said who may call.
pub(super) struct Source {
    callers: PathBuf,
    keys: PathBuf,
    /// Held while they are read, and until it holds: else the older files might come last.
    pub(super) good: Mutex<Good>,
    seen: Mutex<Seen>,
}

/// What was last good of each file.
#[derive(Default)]
pub(super) struct Good {
    pub(super) parts: Parts,
    /// Of what they held then: the callers' file, the keys, and issuers' keys.
    hashes: Vec<(PathBuf, Option<Hash>)>,
}

type Hash = [u8; 32];

/// What tells one state of a file from another: what it holds and who may read it, or why
/// it cannot be read.
type Look = Result<(Hash, u32), io::ErrorKind>;

/// Of all files.
type Stamp = Vec<(PathBuf, Look)>;

#[derive(Default)]
struct Seen {
    /// At the last look.
    looked: Stamp,
    /// At the last attempt to read them.
    tried: Stamp,
}

/// Why it cannot be said who may call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The callers' file.
    #[error(transparent)]
    Callers(#[from] callers::Error),
    /// The key file.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// A file of an issuer's keys.
    #[error("read the keys of an issuer in {}", path.display())]
    Jwks {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        why: Why,
    },
}

type Why = Box<dyn std::error::Error + Send + Sync>;

/// Where the API keys of a service are.
pub fn key_file(config: &Config) -> PathBuf {
    let own = || config.data_dir.join(KEYS);
    config.caller_keys.clone().unwrap_or_else(own)
}

impl Source {
    /// In the files that a configuration names; none if it names none.
    pub(super) fn of(config: &Config) -> Option<Self> {
        Some(Self {
            callers: config.callers.clone()?,
            keys: key_file(config),
            good: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// Looks whether they are others than at the last attempt to read them, and as they
    /// were at the last look: of one that is half written, callers would be missing.
    pub(super) fn has_changed(&self) -> bool {
        let stamp = self.stamp();
        let mut seen = self.seen.lock();
        let settled = seen.looked == stamp;
        let changed = seen.tried != stamp;
        seen.looked = stamp;
        changed && settled
    }

    fn stamp(&self) -> Stamp {
        let jwks = key_sets(&self.good.lock().parts.callers);
        let named = [self.callers.clone(), self.keys.clone()];
        let all = named.into_iter().chain(jwks);
        all.map(|path| {
            let look = look(&Content::read(&path));
            (path, look)
        })
        .collect()
    }

    /// Reads them all. What cannot be used is what it was before. An issuer whose keys
    /// could never be read has none, and nobody is let in by them.
    pub(super) fn read(&self, before: &Good) -> (Good, Vec<Error>) {
        let mut reading = Reading::after(before);
        let callers = reading.part(&self.callers, Callers::of);
        let callers = callers.unwrap_or_else(|| before.parts.callers.clone());
        let keys = reading.part(&self.keys, Keys::of);
        let keys = keys.unwrap_or_else(|| before.parts.keys.clone());
        let mut jwks = HashMap::new();
        for path in key_sets(&callers) {
            let read = reading.part(&path, key_set);
            let place = Place::File(path);
            let kept = || before.parts.jwks.get(&place).cloned();
            if let Some(held) = read.map(|jwks| Arc::new(Held::of(jwks))).or_else(kept) {
                jwks.insert(place, held);
            }
        }
        self.seen.lock().tried = reading.stamp;
        let parts = Parts {
            callers,
            keys,
            jwks,
        };
        let hashes = reading.hashes;
        (Good { parts, hashes }, reading.faults)
    }
}

impl Good {
    /// Whether it comes of the same files.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.hashes == other.hashes
    }

    /// The files' hashes, for the audit trail.
    pub(super) fn hashes(&self) -> String {
        let hashes = self.hashes.iter();
        let each = hashes.map(|(_, hash)| hash.map_or("none".into(), hex::encode));
        each.collect::<Vec<_>>().join(" ")
    }

    fn hash(&self, path: &Path) -> Option<Hash> {
        let mut hashes = self.hashes.iter();
        hashes.find(|(of, _)| of == path)?.1
    }
}

/// Files that are being read.
struct Reading<'a> {
    before: &'a Good,
    hashes: Vec<(PathBuf, Option<Hash>)>,
    stamp: Stamp,
    faults: Vec<Error>,
}

impl<'a> Reading<'a> {
    fn after(before: &'a Good) -> Self {
        Self {
            before,
            hashes: Vec::new(),
            stamp: Stamp::new(),
            faults: Vec::new(),
        }
    }

    /// What one of them says; none if it cannot be used, and then why is among the faults.
    fn part<T, E: Into<Error>>(
        &mut self,
        path: &Path,
        read: impl FnOnce(&Path, io::Result<Content>) -> Result<T, E>,
    ) -> Option<T> {
        let found = Content::read(path);
        let look = look(&found);
        let (part, hash) = match read(path, found) {
            Ok(part) => (Some(part), look.ok().map(|(hash, _)| hash)),
            Err(fault) => {
                self.faults.push(fault.into());
                (None, self.before.hash(path))
            }
        };
        self.hashes.push((path.into(), hash));
        self.stamp.push((path.into(), look));
        part
    }
}

fn look(found: &io::Result<Content>) -> Look {
    match found {
        Ok(content) => Ok((Sha256::digest(&content.bytes).into(), content.mode)),
        Err(error) => Err(error.kind()),
    }
}

/// Files of issuers' keys that a callers' file names.
fn key_sets(callers: &Callers) -> BTreeSet<PathBuf> {
    let issuers = callers.issuers.iter();
    let files = issuers.filter_map(|issuer| match &issuer.source {
        Place::File(path) => Some(path.clone()),
        Place::Url { .. } => None,
    });
    files.collect()
}

fn key_set(path: &Path, found: io::Result<Content>) -> Result<Jwks, Error> {
    let parsed = || -> Result<Jwks, Why> { Ok(Jwks::parse(&found?.bytes)?) };
    parsed().map_err(|why| Error::Jwks {
        path: path.into(),
        why,
    })
}

#[cfg(test)]
mod tests;
