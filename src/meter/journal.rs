//! What is to be stored of ledger and pairing lists: notes, in the order in
//! which things became known, cut into chunks that are written once.
//!
//! A chunk is taken away again whole, from the oldest, once what is still true
//! of it was noted anew ([`super::Meter::renote`]).

use super::cell::Day;
use super::contribution::PointKey;
use super::ledger::{Address, Known, Mark};
use crate::event::Millis;
use crate::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// One thing that became known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// A version won.
    Won(Won),
    /// The identity was told of again, on a later day.
    Heard {
        /// Whose.
        identity: Fingerprint,
        /// The UTC day.
        appended: Day,
        /// Where the winner's record is now.
        address: Address,
    },
    /// The pair of one of its places is frozen.
    Frozen {
        /// Whose.
        identity: Fingerprint,
        /// The place.
        mark: Mark,
    },
}

/// A version that won, with its places in pairing lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Won {
    /// What is known of the identity.
    pub known: Known,
    /// The instant of its places.
    pub occurred_at: Millis,
    /// Its places.
    pub points: SmallVec<[PointKey; 2]>,
    /// Those whose pair is frozen.
    pub marks: SmallVec<[Mark; 1]>,
}

/// Notes that are stored as one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// How many.
    pub notes: u32,
    /// The notes.
    pub bytes: Vec<u8>,
}

/// A chunk that has as many bytes is full.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Longer than any note: an event has at most six places.
const NOTE_BYTES_MAX: usize = 1024;

/// Notes that are not stored yet.
#[derive(Default)]
pub struct Journal {
    chunks: Vec<Chunk>,
}

impl Journal {
    /// Adds a note.
    pub fn note(&mut self, note: &Note) {
        let full = |chunk: &Chunk| chunk.bytes.len() >= CHUNK_BYTES;
        if self.chunks.last().is_none_or(full) {
            self.chunks.push(Chunk::default());
        }
        let mut buffer = [0; NOTE_BYTES_MAX];
        // It always fits.
        if let (Some(chunk), Ok(bytes)) = (
            self.chunks.last_mut(),
            postcard::to_slice(note, &mut buffer),
        ) {
            chunk.bytes.extend_from_slice(bytes);
            chunk.notes += 1;
        }
    }

    /// How many bytes wait to be stored.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes.len()).sum()
    }

    /// Takes what is not stored yet.
    pub fn take(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.chunks)
    }
}

/// The notes of a chunk, in order.
///
/// # Errors
/// Bytes that are no chunk.
pub fn notes(mut bytes: &[u8]) -> Result<Vec<Note>, postcard::Error> {
    let mut notes = Vec::new();
    while !bytes.is_empty() {
        let (note, rest) = postcard::take_from_bytes(bytes)?;
        notes.push(note);
        bytes = rest;
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::ledger::Whence;
    use crate::meter::pairing::Side;
    use crate::pb::DurationKind;

    fn heard(n: u32) -> Note {
        Note::Heard {
            identity: Fingerprint([n, !n, 7]),
            appended: 20_000,
            address: 1 << 40,
        }
    }

    #[test]
    fn notes_come_back_in_order_from_chunks_of_bounded_size() {
        let mut journal = Journal::default();
        let told: Vec<Note> = (0..100_000).map(heard).collect();
        told.iter().for_each(|note| journal.note(note));
        let bytes = journal.bytes();
        let chunks = journal.take();
        assert_eq!(journal.bytes(), 0);
        assert_eq!(chunks.iter().map(|c| c.bytes.len()).sum::<usize>(), bytes);
        assert!(chunks.len() > 1);
        let largest = chunks.iter().map(|chunk| chunk.bytes.len()).max().unwrap();
        assert!(largest < CHUNK_BYTES + NOTE_BYTES_MAX);
        let read = chunks.iter().flat_map(|chunk| {
            let notes = notes(&chunk.bytes).unwrap();
            assert_eq!(notes.len(), chunk.notes as usize);
            notes
        });
        assert!(read.eq(told));
        assert!(notes(&chunks[0].bytes[..100]).is_err());
    }

    #[test]
    fn the_largest_note_fits() {
        let list = Fingerprint([u32::MAX; 3]);
        let point = PointKey {
            kind: DurationKind::Dwell,
            side: Side::End,
            list,
        };
        let note = Note::Won(Won {
            known: Known {
                identity: list,
                source: u32::MAX,
                revision: Some(i64::MAX),
                retracted: true,
                record: Whence {
                    address: u64::MAX,
                    content: u64::MAX,
                },
                appended: i32::MAX,
                told: i32::MIN,
            },
            occurred_at: i64::MIN,
            points: [point; 6].into_iter().collect(),
            marks: [(list, Side::End); 12].into_iter().collect(),
        });
        let mut journal = Journal::default();
        journal.note(&note);
        assert_eq!(notes(&journal.take()[0].bytes).unwrap(), [note]);
    }
}
