//! Encoded events of one source, which can be cut anywhere.

use prost::bytes::Bytes;

/// Events in a chunk as it is stored.
pub const CHUNK_EVENTS: u32 = 500;

/// Some events, encoded as a repeated field.
#[derive(Clone)]
pub struct Chunk {
    /// Whose: an index into `SOURCES`.
    pub source: usize,
    /// How many.
    pub events: u32,
    /// Each with its tag and length.
    pub bytes: Bytes,
}

impl Chunk {
    /// Takes the first of them off.
    pub fn split(&mut self, events: u32) -> Self {
        let events = events.min(self.events);
        let length = if events == self.events {
            self.bytes.len()
        } else {
            length(&self.bytes, events)
        };
        self.events -= events;
        Self {
            source: self.source,
            events,
            bytes: self.bytes.split_to(length),
        }
    }

    /// Cuts it into pieces of this many.
    pub fn pieces(mut self, events: u32) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || (self.events > 0).then(|| self.split(events)))
    }
}

/// How many bytes the first events take.
fn length(bytes: &[u8], events: u32) -> usize {
    let mut at = 0;
    for _ in 0..events {
        // A tag of one byte, then the length.
        at += 1;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = bytes[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        at += length;
    }
    at
}
