//! A log in memory: records that the meter may ask for again.

use quaymeter::event::Event;
use quaymeter::event::personal::Precedence;
use quaymeter::fingerprint::{Fingerprint, Fingerprints};
use quaymeter::meter::ledger::Whence;
use quaymeter::meter::recall::{Lost, Recall};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Records by address, which is their number, each with its content hash and the
/// fingerprint of all of it.
#[derive(Default)]
pub struct Past(Vec<(Event, [u8; 32], u64)>);

impl Past {
    /// Keeps a record.
    pub fn keep(&mut self, event: &Event, hash: [u8; 32]) -> Whence {
        let content = fingerprint(event, hash);
        self.0.push((event.clone(), hash, content));
        Whence {
            address: self.0.len() as u64 - 1,
            content,
        }
    }

    fn find(&self, record: Whence) -> &(Event, [u8; 32], u64) {
        let found = &self.0[record.address as usize];
        assert_eq!(found.2, record.content);
        found
    }
}

impl Recall for Past {
    fn event(&self, record: Whence) -> Result<Event, Lost> {
        Ok(self.find(record).0.clone())
    }

    fn hash(&self, record: Whence) -> Result<[u8; 32], Lost> {
        Ok(self.find(record).1)
    }
}

/// Of the content and of the pseudonyms, which are no part of it.
fn fingerprint(event: &Event, hash: [u8; 32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (hash, Precedence::of(event)).hash(&mut hasher);
    hasher.finish()
}

/// Under a key of no meaning.
pub fn fingerprints() -> Fingerprints {
    Fingerprints::new(&[7; 16])
}

/// Of an event's identity.
pub fn identity(source: &str, event: &Event) -> Fingerprint {
    fingerprints().identity(&event.facility, source, &event.event_id)
}
