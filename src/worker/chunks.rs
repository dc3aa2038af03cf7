//! The meter's journal in the store: chunks by ascending number. The oldest are
//! taken away once what is still true of them has been noted anew, so that the
//! journal stays within about twice what is known.

use super::checkpoint::Error;
use crate::meter::Meter;
use crate::meter::journal;
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

/// The stored chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    first: u64,
    /// How many notes each has.
    notes: VecDeque<u32>,
    total: u64,
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
        let next = self.first + self.notes.len() as u64;
        Numbers {
            first: self.first,
            next,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
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
            let enough = 2 * meter.counts().identities.unsigned_abs() + SLACK;
            if self.total <= enough || !self.renote(meter, store, batch)? {
                break;
            }
        }
        for chunk in meter.take_journal() {
            let number = self.numbers().next;
            batch.put(Table::Ledger, &number.to_be_bytes(), Some(&chunk.bytes));
            self.notes.push_back(chunk.notes);
            self.total += u64::from(chunk.notes);
        }
        Ok(())
    }

    /// Takes the oldest chunk away; false if there is none.
    fn renote(
        &mut self,
        meter: &mut Meter,
        store: &Store,
        batch: &mut Batch,
    ) -> Result<bool, Error> {
        let Some(notes) = self.notes.pop_front() else {
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
            let notes = restoring.chunk(&read(store, number)?);
            let notes = notes.map_err(undecodable)?;
            chunks.notes.push_front(notes);
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
