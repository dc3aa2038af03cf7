//! The past as the meter asks for it: records of the log, each held against its
//! fingerprint, so that what a disk has spoilt is never counted.

use crate::event::Event;
use crate::fingerprint::Fingerprints;
use crate::log::archive::Archive;
use crate::log::embedded::Log;
use crate::meter::ledger::Whence;
use crate::meter::recall::{Lost, Recall};
use crate::wire;

/// Reads the log.
pub struct Past {
    archive: Archive,
    fingerprints: Fingerprints,
}

/// The bytes at an address are not those that were written.
#[derive(Debug, thiserror::Error)]
#[error("corrupt log: the event is not the one that was counted")]
struct Spoilt;

impl Past {
    /// Of this log; fingerprints are taken as the meter's were.
    pub fn new(log: Log, fingerprints: Fingerprints) -> Self {
        Self {
            archive: Archive::new(log),
            fingerprints,
        }
    }

    fn bytes(&self, record: Whence) -> Result<Vec<u8>, Lost> {
        let Whence { address, content } = record;
        let bytes = self.archive.event(address).map_err(lost(address))?;
        if self.fingerprints.content(&bytes) == content {
            Ok(bytes)
        } else {
            Err(lost(address)(Spoilt))
        }
    }
}

impl Recall for Past {
    fn event(&self, record: Whence) -> Result<Event, Lost> {
        wire::decode(&self.bytes(record)?).map_err(lost(record.address))
    }

    fn hash(&self, record: Whence) -> Result<[u8; 32], Lost> {
        Ok(wire::content_hash(&self.bytes(record)?))
    }
}

fn lost<E: std::error::Error + Send + Sync + 'static>(address: u64) -> impl FnOnce(E) -> Lost {
    move |source| Lost {
        address,
        source: source.into(),
    }
}
