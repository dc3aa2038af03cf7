//! A log in memory: records that the meter may ask for again.

use quaymeter::event::Event;
use quaymeter::fingerprint::{Fingerprint, Fingerprints};
use quaymeter::meter::ledger::Whence;
use quaymeter::meter::recall::{Lost, Recall};

/// Records by address, which is their number, each with its content hash.
#[derive(Default)]
pub struct Past(Vec<(Event, [u8; 32])>);

impl Past {
    /// Keeps a record.
    pub fn keep(&mut self, event: &Event, hash: [u8; 32]) -> Whence {
        self.0.push((event.clone(), hash));
        Whence {
            address: self.0.len() as u64 - 1,
            content: u64::from_be_bytes(hash[..8].try_into().unwrap()),
        }
    }

    fn find(&self, record: Whence) -> &(Event, [u8; 32]) {
        let found = &self.0[record.address as usize];
        assert_eq!(found.1[..8], record.content.to_be_bytes());
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

/// Under a key of no meaning.
pub fn fingerprints() -> Fingerprints {
    Fingerprints::new(&[7; 16])
}

/// Of an event's identity.
pub fn identity(source: &str, event: &Event) -> Fingerprint {
    fingerprints().identity(&event.facility, source, &event.event_id)
}
