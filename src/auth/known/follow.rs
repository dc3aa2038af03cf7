//! Follows the files behind who may call: read at the start, and again whenever they
//! change.

use super::Known;
use super::source::{Error, Good, Source};
use crate::auth::cause::Cause;
use crate::auth::jwks::remote::Remotes;
use crate::auth::set::Set;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::trail::Trail;
use crate::trail::record::Change;
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often the files are looked at. One that has changed is read once two looks
/// found it the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of credentials that are named in the audit trail at once.
const LISTED_BYTES_MAX: usize = 32 << 10;

impl Known {
    /// Who may call by the files that a configuration names.
    ///
    /// # Errors
    /// A file that cannot be used: a service does not start with half its callers.
    pub fn open(config: &Config, metrics: Arc<Metrics>, trail: Trail) -> Result<Self, Error> {
        let known = Self {
            source: Source::of(config),
            set: RwLock::default(),
            metrics,
            trail,
        };
        if let Some(source) = &known.source {
            known.begin(source)?;
        }
        Ok(known)
    }

    fn begin(&self, source: &Source) -> Result<(), Error> {
        let mut good = source.good.lock();
        let (read, faults) = source.read(&good);
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        self.take(&read);
        *good = read;
        // A counter that begins to exist at 1 has no increase to see.
        for cause in Cause::ALL {
            let counter = self.metrics.unauthenticated.with([cause.name()]);
            counter.absolute(0);
        }
        Ok(())
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
        if source.has_changed() {
            self.load_or_tell(source);
        }
    }

    fn load_or_tell(&self, source: &Source) {
        let faults = self.load(source);
        if faults.is_empty() {
            tracing::info!("the callers were read again");
            return;
        }
        self.metrics.callers_reload_failures.increment(1);
        for fault in &faults {
            let fault = told(fault);
            let failed = Change::new("callers", "fail").with("fault", &fault);
            self.trail.changed(failed);
            tracing::error!(
                fault,
                "a file of who may call cannot be used: what it said before holds"
            );
        }
    }

    /// Takes what is good and new, and says what is not good.
    fn load(&self, source: &Source) -> Vec<Error> {
        let mut good = source.good.lock();
        let (read, faults) = source.read(&good);
        if faults.is_empty() || !read.is_as(&good) {
            self.take(&read);
        }
        *good = read;
        faults
    }

    /// Lets in whom these files let in, and ends what is good no more.
    fn take(&self, good: &Good) {
        let count = good.parts.callers.callers.len();
        let before = self.set();
        let set = Arc::new(Set::new(good.parts.clone(), &before));
        // Whoever is let in from here on is let in by the new one.
        *self.set.write() = Arc::clone(&set);
        let ended = before.end(&set);
        let loaded = Change::new("callers", "load")
            .with("callers", count)
            .with("files_sha256", good.hashes())
            .with("credentials_begun", listed(&set.begun(&before)))
            .with("credentials_ended", listed(&ended));
        self.trail.changed(loaded);
        self.metrics.callers_reloads.increment(1);
        self.metrics.callers.set(count as f64);
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
