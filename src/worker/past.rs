//! The past as the meter asks for it: records of the log, each held against its
//! fingerprint, so that what a disk has spoilt is never counted.

use crate::event::Event;
use crate::fingerprint::Fingerprints;
use crate::log::Address;
use crate::log::archive::Archive;
use crate::meter::ledger::Whence;
use crate::meter::recall::{Lost, Recall};
use crate::wire;

/// Why a record cannot be read.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Where records are that were counted.
pub trait Source {
    /// The canonical bytes of the event at an address.
    ///
    /// # Errors
    /// It cannot be read.
    fn bytes(&self, address: Address) -> Result<Vec<u8>, Cause>;
}

impl Source for Archive {
    fn bytes(&self, address: Address) -> Result<Vec<u8>, Cause> {
        Ok(self.event(address)?)
    }
}

/// Reads the log.
pub struct Past<S> {
    source: S,
    fingerprints: Fingerprints,
}

/// The bytes at an address are not those that were written.
#[derive(Debug, thiserror::Error)]
#[error("corrupt log: the event is not the one that was counted")]
struct Spoilt;

impl<S: Source> Past<S> {
    /// Of these records; fingerprints are taken as the meter's were.
    pub fn new(source: S, fingerprints: Fingerprints) -> Self {
        Self {
            source,
            fingerprints,
        }
    }

    /// Where the records are.
    pub fn source(&self) -> &S {
        &self.source
    }

    fn bytes(&self, record: Whence) -> Result<Vec<u8>, Lost> {
        let Whence { address, content } = record;
        let bytes = self.source.bytes(address);
        let bytes = bytes.map_err(|source| Lost { address, source })?;
        if self.fingerprints.content(&bytes) == content {
            Ok(bytes)
        } else {
            Err(lost(address)(Spoilt))
        }
    }
}

impl<S: Source> Recall for Past<S> {
    fn event(&self, record: Whence) -> Result<Event, Lost> {
        wire::decode(&self.bytes(record)?).map_err(lost(record.address))
    }

    fn hash(&self, record: Whence) -> Result<[u8; 32], Lost> {
        Ok(wire::content_hash(&self.event(record)?))
    }
}

fn lost<E: std::error::Error + Send + Sync + 'static>(address: u64) -> impl FnOnce(E) -> Lost {
    move |source| Lost {
        address,
        source: source.into(),
    }
}
