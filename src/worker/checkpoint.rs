//! What the worker stores and restores: names, ledger entries, cells, and the
//! position at which they all stand, in one atomic batch.

use super::chunks::{Chunks, Numbers};
use super::keys;
use super::shelf::{OfStore, sweep};
use crate::event::Millis;
use crate::fingerprint::Fingerprints;
use crate::log::Offset;
use crate::meter::cell::{CellKey, Cells, Census, Keeping, Packed, Parts as CellParts, Sweep};
use crate::meter::names::{NameId, Names};
use crate::meter::recall::{Lost, Recall};
use crate::meter::restore::{Parts, Restoring};
use crate::meter::{Counts, Meter, Rules};
use crate::store::snapshot::Snapshot;
use crate::store::{self, Batch, Store, Table};
use crate::view::{SourceSeen, State};
use compact_str::CompactString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;

const PROGRESS: &[u8] = b"progress";
const KEY: &[u8] = b"fingerprints";

/// Where a checkpoint stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The log's records before this offset are in it.
    pub position: Offset,
    /// The log clock; none before the first record.
    pub clock: Option<Millis>,
    /// What became of those records.
    pub counts: Counts,
    /// What was last seen of the sources that were active.
    pub sources: Vec<(CompactString, SourceSeen)>,
    /// The ledger's chunks.
    pub chunks: Numbers,
    /// How many cells there are.
    pub census: Census,
}

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("checkpoint store")]
    Store(#[from] store::Error),
    /// A value cannot be stored.
    #[error("encode a value to store")]
    Encode(#[source] postcard::Error),
    /// A stored value is not what this version writes.
    #[error("decode a stored {what}")]
    Decode {
        /// What it should have been.
        what: &'static str,
        /// What is wrong with it.
        source: postcard::Error,
    },
    /// A stored key is not what this version writes.
    #[error("decode the key of a stored {what}")]
    Key {
        /// What it should have been.
        what: &'static str,
    },
    /// A chunk of the ledger is not there.
    #[error("chunk {chunk} of the stored ledger is missing")]
    Missing {
        /// Its number.
        chunk: u64,
    },
    /// A record that the ledger needs cannot be read.
    #[error("restore the ledger")]
    Lost(#[from] Lost),
    /// No random key.
    #[error("draw a key")]
    Random(#[source] std::io::Error),
    /// A stored name's number does not follow the one before it.
    #[error("stored names skip number {0}")]
    Names(NameId),
}

/// State as it was at a checkpoint.
pub struct Restored {
    /// Ledger, pairing lists, counts.
    pub meter: Meter,
    /// Cells.
    pub cells: Cells,
    /// The offset from which the log is to be applied.
    pub position: Offset,
    /// What was last seen of the sources that were active.
    pub sources: Vec<(CompactString, SourceSeen)>,
    /// The ledger's chunks.
    pub chunks: Chunks,
}

/// What of the last checkpoint the next one goes on from.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// How many names.
    pub names: usize,
    /// The ledger's chunks.
    pub chunks: Chunks,
}

/// Begins a batch with what the meter has changed since the last call, what is to
/// be swept, and where all that stands; the cells are to follow.
///
/// # Errors
/// The store's; a value that cannot be encoded.
pub fn begin(
    meter: &mut Meter,
    state: &State,
    sweeps: &[Sweep],
    (stored, store): (&mut Stored, &Store),
    position: Offset,
) -> Result<Batch, Error> {
    let mut batch = Batch::default();
    for id in stored.names..meter.names.len() {
        let id = id as NameId;
        batch.put(
            Table::Names,
            &id.to_be_bytes(),
            Some(meter.names.get(id).as_bytes()),
        );
    }
    stored.names = meter.names.len();
    stored.chunks.gather(meter, store, &mut batch)?;
    sweep(store, sweeps, &mut batch)?;
    let progress = Progress {
        position,
        clock: meter.clock(),
        counts: meter.counts(),
        sources: state
            .sources()
            .map(|(source, seen)| (source.clone(), seen))
            .collect(),
        chunks: stored.chunks.numbers(),
        census: state.cells.census().clone(),
    };
    batch.put(Table::Meta, PROGRESS, Some(&encode(&progress)?));
    Ok(batch)
}

/// The key of this store's fingerprints; drawn if there is none yet.
pub fn fingerprints(store: &Store) -> Result<Fingerprints, Error> {
    if let Some(known) = known_fingerprints(store)? {
        return Ok(known);
    }
    let mut batch = Batch::default();
    let drawn = draw_fingerprints(&mut batch)?;
    store.write(batch)?;
    Ok(drawn)
}

/// The same; none if there is no key yet.
///
/// # Errors
/// The store's; a value that is none.
pub fn known_fingerprints(store: &Store) -> Result<Option<Fingerprints>, Error> {
    let Some(key) = store.get(Table::Meta, KEY)? else {
        return Ok(None);
    };
    let key: [u8; 16] = decode(&key, "key of the fingerprints")?;
    Ok(Some(Fingerprints::new(&key)))
}

/// Draws a key, and adds it to a batch.
///
/// # Errors
/// No random key.
pub fn draw_fingerprints(batch: &mut Batch) -> Result<Fingerprints, Error> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| Error::Random(error.into()))?;
    batch.put(Table::Meta, KEY, Some(&key));
    Ok(Fingerprints::new(&key))
}

/// Where the last checkpoint stands; the log's beginning if there is none.
pub fn progress(store: &Store) -> Result<Progress, Error> {
    let stored = store.get(Table::Meta, PROGRESS)?;
    stored.map_or_else(
        || Ok(Progress::default()),
        |bytes| decode(&bytes, "progress"),
    )
}

/// Reads the put that tells where a checkpoint stands; none if it is another one.
///
/// # Errors
/// A value that is none.
pub fn progress_in(table: Table, key: &[u8], value: &[u8]) -> Result<Option<Progress>, Error> {
    match (table, key) {
        (Table::Meta, PROGRESS) => decode(value, "progress").map(Some),
        _ => Ok(None),
    }
}

/// Where the checkpoint in a snapshot of the store stands; the log's beginning
/// if there is none.
pub fn position(of: &Snapshot) -> Result<Offset, Error> {
    let entries = of.page(Table::Meta, None, usize::MAX)?;
    let stored = entries.iter().find(|(key, _)| **key == *PROGRESS);
    let progress = stored.map(|(_, bytes)| decode::<Progress>(bytes, "progress"));
    Ok(progress
        .transpose()?
        .map_or(0, |progress| progress.position))
}

/// Reads the last checkpoint, of which cells stay where they are until they are
/// asked for. `past` reads records of the log again.
///
/// # Errors
/// The store's and the log's; a stored value that is none.
pub fn restore(
    store: &Arc<Store>,
    rules: Rules,
    keeping: Keeping,
    fingerprints: Fingerprints,
    past: &dyn Recall,
) -> Result<Restored, Error> {
    let progress = progress(store)?;
    let names = names(store)?;
    let cells = cells(store, keeping, &progress)?;
    let mut restoring = Restoring::new(Parts {
        rules,
        fingerprints,
        names,
        clock: progress.clock,
        counts: progress.counts,
    });
    let chunks = Chunks::restore(&progress.chunks, store, &mut restoring)?;
    Ok(Restored {
        meter: restoring.finish(past)?,
        cells,
        position: progress.position,
        sources: progress.sources,
        chunks,
    })
}

/// The stored names.
///
/// # Errors
/// The store's; numbers that do not follow one another.
pub fn names(store: &Store) -> Result<Names, Error> {
    let mut names = Names::default();
    for pair in store.scan(Table::Names) {
        let (id, name) = pair?;
        let next = names.len() as NameId;
        let name = String::from_utf8_lossy(&name);
        if id[..] != next.to_be_bytes() || names.intern(&name) != next {
            return Err(Error::Names(next));
        }
    }
    Ok(names)
}

fn cells(store: &Arc<Store>, keeping: Keeping, progress: &Progress) -> Result<Cells, Error> {
    let shelf = Arc::new(OfStore(Arc::clone(store)));
    Ok(Cells::shelved(keeping, shelf, parts(store, progress)?))
}

/// The stored cells, but for those that stay on the shelf.
///
/// # Errors
/// The store's; a stored key or value that is none.
pub fn parts(store: &Store, progress: &Progress) -> Result<CellParts, Error> {
    let mut parts = CellParts {
        names: names(store)?,
        clock: progress.clock.map(crate::meter::cell::utc_day_of),
        census: progress.census.clone(),
        ..CellParts::default()
    };
    let strange = |what| move || Error::Key { what };
    for pair in store.scan(Table::Days) {
        let (key, value) = pair?;
        let (owner, day) = keys::total_in(&key).ok_or_else(strange("day's total"))?;
        let total = Packed::parse(&value).ok_or_else(strange("day's total"))?;
        parts.days.push((owner, day, total));
    }
    for pair in store.scan(Table::Facilities) {
        let (key, value) = pair?;
        let owner = keys::owner_in(&key).ok_or_else(strange("list of facilities"))?;
        let facilities = decode(&value, "list of facilities")?;
        parts.facilities.push((owner, facilities));
    }
    for pair in store.scan(Table::Calls) {
        let (key, value) = pair?;
        let key = decode(&key, "vessel call's key")?;
        parts.calls.insert(key, decode(&value, "vessel call")?);
    }
    for pair in store.scan(Table::Totals) {
        let (key, value) = pair?;
        let owner = keys::owner_in(&key).ok_or_else(strange("running total"))?;
        parts.totals.insert(owner, decode(&value, "running total")?);
    }
    Ok(parts)
}

/// Adds a cell.
///
/// # Errors
/// A key that cannot be encoded.
pub fn put(batch: &mut Batch, key: &CellKey, value: Option<&[u8]>) -> Result<(), Error> {
    match *key {
        CellKey::Day(owner, day, facility) => {
            batch.put(Table::Cells, &keys::record(owner, day, facility), value);
        }
        CellKey::Total(owner, day) => batch.put(Table::Days, &keys::total(owner, day), value),
        CellKey::Facilities(owner) => batch.put(Table::Facilities, &keys::owner(owner), value),
        CellKey::Call(ref call) => batch.put(Table::Calls, &encode(call)?, value),
        CellKey::Slot(slot) => batch.put(Table::Slots, &keys::slot(&slot), value),
        CellKey::Totals(owner) => batch.put(Table::Totals, &keys::owner(owner), value),
    }
    Ok(())
}

/// A value as it is stored.
///
/// # Errors
/// A value that cannot be.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(value).map_err(Error::Encode)
}

/// A stored value.
///
/// # Errors
/// Bytes that are none, of what they should be.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|source| Error::Decode { what, source })
}
