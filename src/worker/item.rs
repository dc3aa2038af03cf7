//! What the worker gets of an event.

use crate::event::Event;
use crate::fingerprint::{Fingerprint, Fingerprints};
use crate::trace::Mark;
use crate::turns::Place;

/// What ingest hands over with a batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// Its accepted events, already decoded.
    pub items: Vec<Item>,
    /// If it is traced: its header in the log says the same.
    pub mark: Option<Mark>,
    /// What it holds while it goes to the worker.
    pub place: Option<Place>,
}

impl Batch {
    /// It is durable.
    pub fn durable(&mut self) {
        if let Some(place) = &mut self.place {
            place.durable();
        }
    }
}

impl FromIterator<Item> for Batch {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        let items = items.into_iter().collect();
        Self {
            items,
            mark: None,
            place: None,
        }
    }
}

/// One durable event, and what tells it from others.
#[derive(Clone, Debug)]
pub struct Item {
    /// What was reported.
    pub event: Event,
    /// The fingerprint of its facility, source and event id.
    pub identity: Fingerprint,
    /// The fingerprint of its canonical bytes.
    pub content: u64,
    /// How many these are.
    pub bytes: u32,
}

impl Item {
    /// An event of a source and its canonical bytes.
    pub fn of(of: &Fingerprints, source: &str, event: Event, canonical: &[u8]) -> Self {
        Self {
            identity: of.identity(&event.facility, source, &event.event_id),
            content: of.content(canonical),
            bytes: canonical.len() as u32,
            event,
        }
    }
}
