//! What is committed, as this machine has it: a slice of the store for each partition,
//! which is what its owner has committed to its changelog. It takes the changelogs'
//! records in order and gives each transaction once it is whole.

mod following;
mod gathered;

use super::mark::{self, Before, Broken, Mark, Put, Tally};
use super::naming::Naming;
use super::shelf::OfSlices;
use crate::event::Millis;
use crate::log::Offset;
use crate::meter::cell::{Cells, Keeping};
use crate::store::{self, Batch, Store, Table};
use crate::view::position::Position;
use crate::view::{Following, State};
use crate::worker::checkpoint;
use crate::worker::shelf::OfStore;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The place of a record in a changelog.
pub type Place = i64;

/// Bytes of puts that are kept of a changelog that is only being loaded.
const LOADED_BYTES: usize = 4 << 20;

/// Under this key a slice says how far it is. It is no put of the changelog.
const REACHED: &[u8] = b"changelog";

/// In [`Table::Meta`] of a slice whose chain is broken: the place at which.
const BROKEN: &[u8] = b"changelog-broken";

/// How far a slice is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// The place of the next record.
    next: Place,
    /// The log's records before this offset are counted in it.
    to: Offset,
    /// When all of it was written last, by this machine's clock.
    at: Millis,
    /// Whether it ends within a transaction.
    partial: bool,
}

impl Reached {
    /// Whether all of it was written so lately that nothing after it is compacted. What
    /// was read of a transaction before is not known any more.
    fn is_seamless(&self, now: Millis) -> bool {
        let age = now.saturating_sub(self.at);
        self.at > 0 && !self.partial && (0..SEAMLESS_MS).contains(&age)
    }
}

/// Tells the time, in ms since 1970-01-01T00:00Z.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// A mirror that was written longer ago may have missed that something is gone: a
/// changelog keeps that for a week (`delete.retention.ms`).
const STALE_MS: i64 = 5 * 86_400_000;

/// A mirror that was written less long ago misses nothing of what came since: a changelog
/// keeps every record for an hour (`min.compaction.lag.ms`).
const SEAMLESS_MS: i64 = 30 * 60_000;

/// Whether the mirror in a store is of so long ago that it must be made anew.
///
/// # Errors
/// The store's.
pub fn is_stale(store: &Store, partitions: u16, now: Millis) -> Result<bool, Error> {
    let mut latest = None;
    for number in 0..partitions {
        let stored = store.slice(number).get(Table::Meta, REACHED)?;
        if let Some(bytes) = stored {
            let reached: Reached = checkpoint::decode(&bytes, "reach of a mirror")?;
            latest = latest.max(Some(reached.at));
        }
    }
    Ok(latest.is_some_and(|at| now.saturating_sub(at) > STALE_MS))
}

/// Why the mirror stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("mirror of the changelogs")]
    Store(#[from] store::Error),
    /// A value is not what this version writes.
    #[error("mirror of the changelogs")]
    Value(#[from] checkpoint::Error),
    /// A changelog is not what its owners must have written.
    #[error(
        "changelog of partition {partition}, up to place {place}: the transaction is broken: {broken}"
    )]
    Broken {
        /// Which.
        partition: u32,
        /// The place of the record that shows it.
        place: Place,
        /// How.
        broken: Broken,
    },
    /// A put uses a name that is not known.
    #[error("changelog of partition {partition}: a put uses a name that has no number")]
    Nameless {
        /// Which.
        partition: u32,
    },
}

/// All slices.
pub struct Mirror {
    slices: Vec<Slice>,
    naming: Arc<RwLock<Naming>>,
    clock: Clock,
}

struct Slice {
    store: Arc<Store>,
    reached: Reached,
    /// Of the transaction that is being read.
    puts: Vec<Put>,
    bytes: usize,
    tally: Tally,
    /// Whether all of it was loaded; then each transaction is told.
    loaded: bool,
    /// Whether nothing that is still to be loaded can have been compacted: then each
    /// transaction must follow from the one before it, as when it is loaded.
    seamless: bool,
    /// Where its chain is broken: what comes is of no use until it is counted anew.
    broken: Option<Place>,
    /// What stands before this place is void.
    anew: Place,
    /// Whether the transaction that is being read begins with that.
    begins_anew: bool,
    /// What the last transaction left.
    progress: checkpoint::Progress,
}

impl Mirror {
    /// The mirror in a store, of so many partitions.
    ///
    /// # Errors
    /// The store's.
    pub fn open(store: &Store, partitions: u16, clock: Clock) -> Result<Self, Error> {
        let open = |number| {
            let store = Arc::new(store.slice(number));
            let stored = store.get(Table::Meta, REACHED)?;
            let reached = stored.map(|bytes| checkpoint::decode(&bytes, "reach of a mirror"));
            let reached: Reached = reached.transpose()?.unwrap_or_default();
            Ok(Slice {
                seamless: reached.is_seamless(clock()),
                reached,
                progress: checkpoint::progress(&store)?,
                broken: broken_in(&store)?,
                store,
                puts: Vec::new(),
                bytes: 0,
                tally: Tally::default(),
                loaded: false,
                anew: 0,
                begins_anew: false,
            })
        };
        let slices: Result<Vec<_>, Error> = (0..partitions).map(open).collect();
        let naming = Naming::new(usize::from(partitions));
        Ok(Self {
            slices: slices?,
            naming: Arc::new(RwLock::new(naming)),
            clock,
        })
    }

    /// The slices, by partition.
    pub fn slices(&self) -> Vec<Arc<Store>> {
        let slices = self.slices.iter();
        slices.map(|slice| Arc::clone(&slice.store)).collect()
    }

    /// The places of the records that are needed next, by partition.
    pub fn places(&self) -> Vec<Place> {
        self.slices.iter().map(|slice| slice.reached.next).collect()
    }

    /// Whether what was taken of a changelog ends with a whole transaction. Of a broken one
    /// nothing more is taken, so that the rest of a transaction would be awaited for ever.
    pub fn is_whole(&self, partition: u32) -> bool {
        let slice = self.slices.get(partition as usize);
        slice.is_none_or(|slice| slice.broken.is_some() || !slice.reached.partial)
    }

    /// How far into the log all is counted, by partition.
    pub fn reach(&self) -> Position {
        let reached = self.slices.iter().map(|slice| slice.reached.to);
        Position::of((0..).zip(reached))
    }

    /// Takes the next record of a changelog; gives what its transaction did once that
    /// is whole and the changelog is loaded. Then [`Mirror::keep`] is due.
    ///
    /// # Errors
    /// A transaction that is broken; the store's.
    pub fn take(
        &mut self,
        partition: u32,
        place: Place,
        (key, value): (&[u8], Option<&[u8]>),
    ) -> Result<Option<Following>, Error> {
        let partitions = self.slices.len() as u32;
        let Some(slice) = self.slices.get_mut(partition as usize) else {
            return Ok(None);
        };
        let broken = |broken| Error::Broken {
            partition,
            place,
            broken,
        };
        slice.reached.next = place + 1;
        if key == mark::ANEW {
            let from = mark::number_in(value).ok_or_else(|| broken(Broken::Undecodable))?;
            slice.begin_anew(place, from.max(0) as Offset, (self.clock)())?;
            return Ok(None);
        }
        if slice.broken.is_some() {
            return Ok(None);
        }
        if key == mark::DOUBT {
            let at = mark::number_in(value).unwrap_or(place);
            return match at >= slice.anew {
                true => Err(broken(Broken::Doubted { place: at })),
                // It was counted anew since.
                false => Ok(None),
            };
        }
        if key != mark::KEY {
            slice.reached.partial = true;
            slice.tally.take(key, value);
            slice.bytes += key.len() + value.map_or(0, <[u8]>::len);
            slice.puts.push(mark::put(key, value).map_err(broken)?);
            if !slice.loaded && slice.bytes > LOADED_BYTES {
                slice.keep((self.clock)())?;
            }
            return Ok(None);
        }
        // A tombstone of the mark is what a topic that was made anew may have.
        let mark = Mark::decode(value.unwrap_or_default()).map_err(broken)?;
        let before = match slice.loaded || slice.seamless {
            true => Before::All(slice.reached.to),
            false => Before::Compacted(slice.reached.to),
        };
        let tally = std::mem::take(&mut slice.tally);
        mark.follows(before, (partition, partitions), tally)
            .map_err(broken)?;
        slice.reached.to = mark.to;
        slice.reached.partial = false;
        if !slice.loaded {
            slice.keep((self.clock)())?;
            return Ok(None);
        }
        let (mut naming, anew) = (self.naming.write(), slice.begins_anew);
        let mut following = following::of(slice, partition, &mut naming)?;
        if anew {
            let others = gathered::latest(&self.slices, partition, &naming)?;
            for (owner, moved) in &mut following.followed.totals {
                let elsewhere = others.get(owner).copied().flatten();
                moved.is.latest = moved.is.latest.max(elsewhere);
            }
        }
        Ok(Some(following))
    }

    /// A partition's chain is broken: leaves it as it was, and what comes until it is
    /// counted anew. That is remembered over a restart.
    ///
    /// # Errors
    /// The store's.
    pub fn doubt(&mut self, partition: u32, place: Place) -> Result<(), Error> {
        let Some(slice) = self.slices.get_mut(partition as usize) else {
            return Ok(());
        };
        slice.forget_puts();
        slice.broken = Some(place);
        let mut batch = Batch::default();
        batch.put(Table::Meta, BROKEN, Some(&mark::number(place)));
        Ok(slice.store.write_soon(batch)?)
    }

    /// Whether a partition's chain is broken.
    pub fn is_doubted(&self, partition: u32) -> bool {
        let slice = self.slices.get(partition as usize);
        slice.is_some_and(|slice| slice.broken.is_some())
    }

    /// The partitions whose chain is broken, and where.
    pub fn doubted(&self) -> Vec<(u32, Place)> {
        let slices = (0..).zip(&self.slices);
        let doubted = slices.filter_map(|(partition, of)| Some((partition, of.broken?)));
        doubted.collect()
    }

    /// Writes what was taken to a partition's slice.
    ///
    /// # Errors
    /// The store's.
    pub fn keep(&mut self, partition: u32) -> Result<(), Error> {
        match self.slices.get_mut(partition as usize) {
            Some(slice) => slice.keep((self.clock)()),
            None => Ok(()),
        }
    }

    /// All changelogs have been read to their ends: what is committed in all of them
    /// together, from which the next transactions go on.
    ///
    /// # Errors
    /// The store's; a stored value that is none.
    pub fn load(&mut self, keeping: Keeping) -> Result<State, Error> {
        for slice in &mut self.slices {
            slice.loaded = true;
            slice.keep((self.clock)())?;
            slice.progress = checkpoint::progress(&slice.store)?;
        }
        let slices = self.slices.iter();
        let shelf = OfSlices {
            slices: slices
                .map(|slice| OfStore(Arc::clone(&slice.store)))
                .collect(),
            naming: Arc::clone(&self.naming),
        };
        let (parts, told) = gathered::all(&self.slices, &mut self.naming.write())?;
        let mut cells = Cells::shelved(keeping, Arc::new(shelf), parts);
        cells.follow(told.clock);
        let appended_at = told.appended_at;
        let state = State::new(cells, 0, appended_at, told.counts);
        Ok(state.reaching(self.reach()).having_seen(&told.sources))
    }
}

fn broken_in(store: &Store) -> Result<Option<Place>, Error> {
    let stored = store.get(Table::Meta, BROKEN)?;
    Ok(stored.and_then(|bytes| mark::number_in(Some(&bytes))))
}

impl Slice {
    /// Takes all of it out, as the puts of the transaction that begins.
    fn begin_anew(&mut self, place: Place, from: Offset, now: Millis) -> Result<(), Error> {
        self.forget_puts();
        for table in Table::ALL {
            for entry in self.store.scan(table) {
                let (key, _) = entry?;
                if table != Table::Meta || *key != *REACHED {
                    self.puts.push((table, key, None));
                }
            }
        }
        (self.broken, self.anew, self.begins_anew) = (None, place, true);
        (self.reached.to, self.reached.partial) = (from, true);
        match self.loaded {
            true => Ok(()),
            false => self.keep(now),
        }
    }

    fn forget_puts(&mut self) {
        self.puts.clear();
        (self.bytes, self.tally, self.begins_anew) = (0, Tally::default(), false);
    }

    fn keep(&mut self, now: Millis) -> Result<(), Error> {
        if self.loaded {
            // Until then it may be of long ago.
            self.reached.at = now;
        }
        let mut batch = Batch::default();
        for (table, key, value) in self.puts.drain(..) {
            batch.put(table, &key, value.as_deref());
        }
        (self.bytes, self.begins_anew) = (0, false);
        let reached = checkpoint::encode(&self.reached)?;
        batch.put(Table::Meta, REACHED, Some(&reached));
        // What a crash takes of it is read from the changelog again.
        Ok(self.store.write_soon(batch)?)
    }
}

#[cfg(test)]
mod tests;
