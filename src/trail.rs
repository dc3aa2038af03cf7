//! The audit trail: who sent how much, who read what, what was refused, and every change
//! of what lets callers in. Lines of JSON in files of their own, each line bound to the
//! one before it by a hash ([`chain`]), so that what was changed or left out is found.
//!
//! Equal notes are one record with a number, so that a flood of calls makes no flood of
//! records. Refusals and changes are written and synced within a second, what was sent
//! and read within a minute: so much a process that is killed may leave out. What was
//! sent the event log has too.

pub mod chain;
mod files;
mod fold;
mod keeper;
pub mod walk;
pub mod note;
pub mod record;
pub mod verify;

pub use files::{Error, Found, Limits, Writer};
pub use fold::Batch;

use crate::config::Config;
use fold::Fold;
use keeper::{Keeper, Shared};
use metrics::Counter;
use note::{Call, Refusal};
use record::{Change, Record};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The chain of what a service does.
pub const SERVICE: &str = "service";

/// The chain of what commands do to keys: another process, so another chain.
pub const COMMANDS: &str = "commands";

/// Where a trail is, unless it is told, in a data directory.
pub const DIRECTORY: &str = "trail";

/// What is counted of a trail.
#[derive(Clone)]
pub struct Counts {
    /// Records written and synced.
    pub written: Counter,
    /// Notes that came into no record: the disk refused, or too many waited.
    pub lost: Counter,
    /// Times that a file was found damaged.
    pub damaged: Counter,
}

/// A service's trail, or none. Clones are the same one.
#[derive(Clone, Default)]
pub struct Trail(Option<Arc<Keeper>>);

impl Trail {
    /// Goes on with the trail of a service where it is configured, on a thread of its own.
    /// Its directory is made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be used, or another process has it.
    pub fn start(config: &Config, counts: Counts) -> Result<Self, Error> {
        Self::start_in(&directory(config), Limits::of(&config.trail), counts)
    }

    fn start_in(directory: &Path, limits: Limits, counts: Counts) -> Result<Self, Error> {
        let (mut writer, found) = Writer::open(directory, SERVICE, limits)?;
        if let Found::Damaged { file, line, what } = &found {
            counts.damaged.increment(1);
            tracing::error!(file, line, what, "the audit trail is damaged");
        }
        let started = Record::Started {
            version: env!("CARGO_PKG_VERSION"),
            clean: found.is_clean(),
        };
        let records: Vec<Record> = found.into_record().into_iter().chain([started]).collect();
        counts.written.increment(records.len() as u64);
        writer.append(&records)?;
        let shared = Arc::new(Shared::new(counts));
        let keeper = Keeper::start(Arc::clone(&shared), writer).map_err(Error::Thread)?;
        Ok(Self(Some(Arc::new(keeper))))
    }

    /// Whether there is a trail: what makes notes may spare the work.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Notes that a caller was given an answer to what he asked.
    pub fn read(&self, call: Call, what: Option<Box<str>>) {
        self.note(|fold| fold.read(call, what));
    }

    /// Notes that a call was refused.
    pub fn refused(&self, call: Call, refusal: Refusal) {
        self.note(|fold| fold.refused(call, refusal));
    }

    /// Notes what became of a batch of a source.
    pub fn sent(&self, source: &str, batch: &Batch<'_>) {
        self.note(|fold| fold.sent(source, batch));
    }

    /// Notes that what lets callers in has changed.
    pub fn changed(&self, change: Change) {
        self.note(|fold| fold.changed(change));
    }

    /// Writes what is known down, and that the service has stopped. To be called once,
    /// when nothing is noted any more.
    pub fn stop(&self) {
        if let Some(keeper) = &self.0 {
            keeper.stop();
        }
    }

    fn note(&self, note: impl FnOnce(&mut Fold) -> bool) {
        if let Some(keeper) = &self.0 {
            keeper.note(note);
        }
    }
}

/// Where the trail of a service is.
pub fn directory(config: &Config) -> PathBuf {
    let own = || config.data_dir.join(DIRECTORY);
    config.trail.dir.clone().unwrap_or_else(own)
}

#[cfg(test)]
mod tests;
