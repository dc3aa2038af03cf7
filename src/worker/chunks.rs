//! The meter's journal in the store: chunks by ascending number. The oldest are
//! taken away once what is still true of them has been noted anew, so that the
//! journal stays within about twice what is known. The newest are joined while they
//! are small, so that a restore reads few chunks however little each commit has.

use super::checkpoint::Error;
use crate::meter::Meter;
use crate::meter::journal::{self, Chunk};
use crate::meter::restore::Restoring;
use crate::store::{Batch, Store, Table};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::Range;

/// More notes than identities that are left alone.
const SLACK: u64 = 20_000;

/// The most old chunks that one checkpoint reads again, beside as many as it
/// writes.
const RENOTED_MAX: usize = 8;

/// A chunk of fewer bytes is joined to what comes after it. A note of 50 bytes is
/// written some ten times until its chunk is left alone; with 1 MiB it would be
/// fourteen times, and a restore would hardly read faster.
const SMALL_BYTES: usize = 64 << 10;

/// The stored chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    first: u64,
    sizes: VecDeque<Size>,
    /// Notes of all.
    total: u64,
    /// The last of them, as far as they are small, by number: what they are joined to need
    /// not wait until they are stored. Each is at least twice the next, so these are less
    /// than two of [`SMALL_BYTES`].
    small: VecDeque<(u64, Vec<u8>)>,
}

/// How much a chunk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    notes: u32,
    bytes: usize,
}

impl Size {
    /// Whether a chunk is to be joined to one after it. As each is then at least twice
    /// the next, small ones are no more than their size has binary digits.
    fn joins(self, next: &Chunk) -> bool {
        let next = next.bytes.len();
        let fits = self.bytes + next <= journal::CHUNK_BYTES;
        fits && self.bytes < SMALL_BYTES && self.bytes < 2 * next
    }
}

/// Which chunks a checkpoint has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    first: u64,
    next: u64,
}

impl Chunks {
    /// Their numbers.
    pub fn numbers(&self) -> Numbers {
        let next = self.first + self.sizes.len() as u64;
        Numbers {
            first: self.first,
            next,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Adds to a batch what the meter has noted, and takes old chunks away.
    ///
    /// # Errors
    /// The store's; a stored chunk that is none.
    pub fn gather(
        &mut self,
        meter: &mut Meter,
        store: &Store,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let most = RENOTED_MAX + meter.journal_bytes() / journal::CHUNK_BYTES;
        for _ in 0..most {
            if !self.reads_old(meter) || !self.renote(meter, store, batch)? {
                break;
            }
        }
        self.add(meter.take_journal(), store, batch)
    }

    /// Whether what is gathered next reads old chunks again, which may be of the last
    /// batch.
    pub fn reads_old(&self, meter: &Meter) -> bool {
        self.total > 2 * meter.counts().identities.unsigned_abs() + SLACK
    }

    /// Adds chunks after those that are stored, joined to the last of them.
    fn add(
        &mut self,
        mut chunks: Vec<Chunk>,
        store: &Store,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let before = self.numbers().next;
        if let Some(first) = chunks.first_mut() {
            while let Some(last) = self.sizes.pop_back_if(|last| last.joins(first)) {
                let mut bytes = self.last(store)?;
                bytes.append(&mut first.bytes);
                first.bytes = bytes;
                first.notes += last.notes;
                self.total -= u64::from(last.notes);
            }
        }
        for chunk in chunks {
            let number = self.numbers().next;
            batch.put(Table::Ledger, &number.to_be_bytes(), Some(&chunk.bytes));
            self.push(chunk.notes, chunk.bytes.len());
            match chunk.bytes.len() < SMALL_BYTES {
                true => self.small.push_back((number, chunk.bytes)),
                // Nothing before it is joined any more.
                false => self.small.clear(),
            }
        }
        for joined in self.numbers().next..before {
            batch.put(Table::Ledger, &joined.to_be_bytes(), None);
        }
        Ok(())
    }

    /// The bytes of the chunk that was taken from the end.
    fn last(&mut self, store: &Store) -> Result<Vec<u8>, Error> {
        let number = self.numbers().next;
        match self.small.pop_back_if(|(of, _)| *of == number) {
            Some((_, bytes)) => Ok(bytes),
            None => Ok(read(store, number)?.to_vec()),
        }
    }

    fn push(&mut self, notes: u32, bytes: usize) {
        self.sizes.push_back(Size { notes, bytes });
        self.total += u64::from(notes);
    }

    /// Takes the oldest chunk away; false if there is none.
    fn renote(
        &mut self,
        meter: &mut Meter,
        store: &Store,
        batch: &mut Batch,
    ) -> Result<bool, Error> {
        let Some(Size { notes, .. }) = self.sizes.pop_front() else {
            return Ok(false);
        };
        let old = read(store, self.first)?;
        meter.renote(&old).map_err(undecodable)?;
        batch.put(Table::Ledger, &self.first.to_be_bytes(), None);
        self.first += 1;
        self.total -= u64::from(notes);
        Ok(true)
    }

    /// Reads all chunks again, from the newest to the oldest.
    ///
    /// # Errors
    /// The store's; a chunk that is missing or none.
    pub fn restore(
        numbers: &Numbers,
        store: &Store,
        restoring: &mut Restoring,
    ) -> Result<Self, Error> {
        let Range { start, end } = numbers.first..numbers.next;
        let mut chunks = Self {
            first: start,
            ..Self::default()
        };
        for number in (start..end).rev() {
            let chunk = read(store, number)?;
            let notes = restoring.chunk(&chunk).map_err(undecodable)?;
            let bytes = chunk.len();
            chunks.sizes.push_front(Size { notes, bytes });
            chunks.total += u64::from(notes);
        }
        Ok(chunks)
    }
}

fn read(store: &Store, number: u64) -> Result<crate::store::Bytes, Error> {
    let found = store.get(Table::Ledger, &number.to_be_bytes())?;
    found.ok_or(Error::Missing { chunk: number })
}

fn undecodable(source: postcard::Error) -> Error {
    let what = "chunk of the ledger";
    Error::Decode { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunks of these sizes, each stored by a batch of its own; their bytes count up.
    fn stored(sizes: &[usize]) -> (Chunks, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (mut chunks, mut told) = (Chunks::default(), Vec::new());
        for (n, &size) in sizes.iter().enumerate() {
            let bytes = vec![n as u8; size];
            told.extend_from_slice(&bytes);
            let mut batch = Batch::default();
            let chunk = Chunk { notes: 1, bytes };
            chunks.add(vec![chunk], &store, &mut batch).unwrap();
            store.write(batch).unwrap();
        }
        let kept: Vec<_> = store.scan(Table::Ledger).map(Result::unwrap).collect();
        let numbers = chunks.numbers();
        assert_eq!(kept.len() as u64, numbers.next - numbers.first);
        let kept = kept.iter().flat_map(|(_, bytes)| bytes.to_vec());
        assert!(kept.eq(told.iter().copied()), "in order and complete");
        assert_eq!(chunks.total, sizes.len() as u64);
        (chunks, told)
    }

    #[test]
    fn small_chunks_are_joined_and_few_are_left() {
        let (chunks, told) = stored(&[50; 3_000]);
        let full = told.len() / SMALL_BYTES;
        let digits = SMALL_BYTES.ilog2() as usize;
        assert!(chunks.len() <= full + digits, "{} chunks", chunks.len());
    }

    #[test]
    fn small_chunks_are_joined_before_they_are_stored() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (mut chunks, mut batch) = (Chunks::default(), Batch::default());
        for n in 0..8 {
            let bytes = vec![n; 50];
            let chunk = Chunk { notes: 1, bytes };
            chunks.add(vec![chunk], &store, &mut batch).unwrap();
        }
        assert_eq!(chunks.len(), 1);
        assert!(chunks.small.len() == 1 && chunks.small[0].1.len() == 8 * 50);
        let large = Chunk {
            notes: 1,
            bytes: vec![8; SMALL_BYTES],
        };
        chunks.add(vec![large], &store, &mut batch).unwrap();
        assert!(chunks.len() == 1 && chunks.small.is_empty());
    }

    #[test]
    fn large_chunks_stay_as_they_are_and_take_small_ones() {
        let (chunks, _) = stored(&[SMALL_BYTES, SMALL_BYTES, 10, 10, 900_000, 900_000]);
        let sizes: Vec<_> = chunks.sizes.iter().map(|size| size.bytes).collect();
        assert_eq!(sizes, [SMALL_BYTES, SMALL_BYTES, 900_020, 900_000]);
        let (chunks, _) = stored(&[10, journal::CHUNK_BYTES]);
        assert_eq!(chunks.len(), 2, "none gets beyond its bound");
    }
}
