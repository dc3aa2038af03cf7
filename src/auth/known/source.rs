//! The files behind who may call, read at the start and again whenever they change. A
//! bad one changes nothing.

use super::Known;
use crate::auth::callers::{self, Callers, Source as Place};
use crate::auth::cause::Cause;
use crate::auth::jwks::held::Held;
use crate::auth::jwks::remote::Remotes;
use crate::auth::jwks::{self, Jwks};
use crate::auth::keys::{self, Keys};
use crate::auth::set::{Parts, Set};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::trail::Trail;
use crate::trail::record::Change;
use parking_lot::{Mutex, RwLock};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often the files are looked at. One that has changed is read once two looks
/// found it the same: of one that is half written, callers would be missing.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The file of API keys in a data directory.
const KEYS: &str = "callers.keys";

/// Bytes of a file that are looked at: larger ones are refused anyway.
const LOOKED_BYTES_MAX: u64 = 16 << 20;

/// Bytes of credentials that are named in the audit trail at once.
const LISTED_BYTES_MAX: usize = 32 << 10;

/// Where it is said who may call.
pub(super) struct Source {
    callers: PathBuf,
    keys: PathBuf,
    /// Files of issuers' keys that the callers' file names.
    jwks: Mutex<Vec<PathBuf>>,
    seen: Mutex<Seen>,
    /// While they are read.
    loading: Mutex<()>,
}

/// What tells one state of the files from another.
type Stamp = Vec<Option<[u8; 32]>>;

#[derive(Default)]
struct Seen {
    /// At the last look.
    looked: Stamp,
    /// Before the last attempt to read them.
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
        why: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Where the API keys of a service are.
pub fn key_file(config: &Config) -> PathBuf {
    let own = || config.data_dir.join(KEYS);
    config.caller_keys.clone().unwrap_or_else(own)
}

impl Known {
    /// Who may call by the files that a configuration names.
    ///
    /// # Errors
    /// A file that cannot be used: a service does not start with half its callers.
    pub fn open(config: &Config, metrics: Arc<Metrics>, trail: Trail) -> Result<Self, Error> {
        let source = config.callers.as_ref().map(|callers| Source {
            callers: callers.clone(),
            keys: key_file(config),
            jwks: Mutex::default(),
            seen: Mutex::default(),
            loading: Mutex::default(),
        });
        let known = Self {
            source,
            set: RwLock::default(),
            metrics,
            trail,
        };
        if let Some(source) = &known.source {
            known.load(source)?;
            // A counter that begins to exist at 1 has no increase to see.
            for cause in Cause::ALL {
                let counter = known.metrics.unauthenticated.with([cause.name()]);
                counter.absolute(0);
            }
        }
        Ok(known)
    }

    /// Reads the files whenever they have changed, and fetches issuers' keys. Ends never.
    pub async fn follow(self: Arc<Self>) {
        let mut remotes = Remotes::new(Arc::clone(&self.metrics), self.trail.clone());
        let mut beat = tokio::time::interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            self.aside(Self::look).await;
            remotes.follow(&self.set().sources());
        }
    }

    /// Reads the files, whether or not they have changed.
    pub async fn reload(self: Arc<Self>) {
        self.aside(Self::load_or_tell).await;
    }

    /// On a thread for blocking work: a disk may take its time.
    async fn aside(self: &Arc<Self>, work: impl FnOnce(&Self, &Source) + Send + 'static) {
        let known = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            if let Some(source) = &known.source {
                work(&known, source);
            }
        });
        // It does not panic; if the runtime is ending, so are we.
        let _ = done.await;
    }

    fn look(&self, source: &Source) {
        let stamp = source.stamp();
        let mut seen = source.seen.lock();
        let settled = seen.looked == stamp;
        let changed = seen.tried != stamp;
        seen.looked = stamp;
        drop(seen);
        if changed && settled {
            self.load_or_tell(source);
        }
    }

    fn load_or_tell(&self, source: &Source) {
        match self.load(source) {
            Ok(()) => tracing::info!("the callers were read again"),
            Err(error) => {
                self.metrics.callers_reload_failures.increment(1);
                let fault = told(&error);
                let failed = Change::new("callers", "fail").with("fault", &fault);
                self.trail.changed(failed);
                tracing::error!(fault, "the callers cannot be read: they stay as they were");
            }
        }
    }

    fn load(&self, source: &Source) -> Result<(), Error> {
        // One after the other, or the older files might come last.
        let _loading = source.loading.lock();
        // From before we read: what changes meanwhile is found at the next look.
        let stamp = source.stamp();
        let hashes = hashes(&stamp);
        source.seen.lock().tried = stamp;
        let callers = Callers::load(&source.callers)?;
        let count = callers.callers.len();
        let parts = Parts {
            keys: Keys::load(&source.keys)?,
            jwks: jwks(&callers)?,
            callers,
        };
        *source.jwks.lock() = parts.jwks.keys().filter_map(file_of).collect();
        let before = self.set();
        let set = Arc::new(Set::new(parts, &before));
        // Whoever is let in from here on is let in by the new one.
        *self.set.write() = Arc::clone(&set);
        let ended = before.end(&set);
        let loaded = Change::new("callers", "load")
            .with("callers", count)
            .with("files_sha256", hashes)
            .with("credentials_begun", listed(&set.begun(&before)))
            .with("credentials_ended", listed(&ended));
        self.trail.changed(loaded);
        self.metrics.callers_reloads.increment(1);
        self.metrics.callers.set(count as f64);
        Ok(())
    }
}

impl Source {
    /// Of all that the files hold.
    fn stamp(&self) -> Stamp {
        let jwks = self.jwks.lock();
        let all = [&self.callers, &self.keys].into_iter().chain(&*jwks);
        all.map(|path| content(path)).collect()
    }
}

/// Issuers' keys that are in files.
fn jwks(callers: &Callers) -> Result<HashMap<Place, Arc<Held>>, Error> {
    let mut found = HashMap::new();
    for issuer in &callers.issuers {
        if let Some(path) = file_of(&issuer.source) {
            let read = read_jwks(&path);
            let jwks = read.map_err(|why| Error::Jwks { path, why })?;
            found.insert(issuer.source.clone(), Arc::new(Held::of(jwks)));
        }
    }
    Ok(found)
}

fn read_jwks(path: &Path) -> Result<Jwks, Box<dyn std::error::Error + Send + Sync>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(jwks::BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(Jwks::parse(&bytes)?)
}

fn file_of(source: &Place) -> Option<PathBuf> {
    match source {
        Place::File(path) => Some(path.clone()),
        Place::Url { .. } => None,
    }
}

/// The first of these, and how many more there are: a line of the audit trail is no
/// longer than it may be.
fn listed(names: &[String]) -> String {
    let mut text = String::new();
    for (number, name) in names.iter().enumerate() {
        if text.len() + name.len() > LISTED_BYTES_MAX {
            return format!("{text}and {} more", names.len() - number);
        }
        text = text + name + " ";
    }
    text.trim_end().into()
}

/// For the audit trail: the callers' file, the keys, and issuers' keys.
fn hashes(stamp: &Stamp) -> String {
    let each = stamp
        .iter()
        .map(|hash| hash.map_or("none".into(), hex::encode));
    each.collect::<Vec<_>>().join(" ")
}

/// A hash of what a file holds; none if it cannot be read.
fn content(path: &Path) -> Option<[u8; 32]> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LOOKED_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(Sha256::digest(&bytes).into())
}

/// In one line, with its cause.
fn told(error: &Error) -> String {
    let mut text = error.to_string().replace('\n', ";");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
