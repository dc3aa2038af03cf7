//! The checkpoint store: tables of ordered bytes, written in atomic, durable
//! batches. Here alone, and in its parts, the storage engine is named.
//!
//! A crash leaves all of a batch or nothing of it. The engine's memory is
//! bounded: a block cache, and write buffers that hold no more than its journal.

mod engine;
pub mod snapshot;

use engine::Engine;
use fjall::PersistMode;
use parking_lot::RwLock;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 65_535;

/// Bytes that the store gave; cheap to clone.
pub type Bytes = fjall::Slice;

/// A table. Their order is that of [`Table::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Where the state stands, and what there is one of.
    Meta,
    /// Names by number.
    Names,
    /// Identities and pairing lists.
    Ledger,
    /// Cells.
    Cells,
    /// Vessel calls.
    Calls,
    /// Appointment slots.
    Slots,
    /// Running totals.
    Totals,
    /// Owners' totals of days.
    Days,
    /// Owners' facilities.
    Facilities,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 9] = [
        Self::Meta,
        Self::Names,
        Self::Ledger,
        Self::Cells,
        Self::Calls,
        Self::Slots,
        Self::Totals,
        Self::Days,
        Self::Facilities,
    ];

    /// Its name on the disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Names => "names",
            Self::Ledger => "ledger",
            Self::Cells => "cells",
            Self::Calls => "calls",
            Self::Slots => "slots",
            Self::Totals => "totals",
            Self::Days => "days",
            Self::Facilities => "facilities",
        }
    }
}

/// What is written together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    puts: Vec<(Table, Bytes, Option<Bytes>)>,
}

impl Batch {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key's value; none removes it. The last put of a key counts. A key
    /// has 1 to [`KEY_BYTES_MAX`] bytes.
    pub fn put(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        self.puts.push((table, key.into(), value.map(Bytes::from)));
    }

    /// The puts, in their order.
    pub fn into_puts(self) -> Vec<(Table, Bytes, Option<Bytes>)> {
        self.puts
    }

    /// How many puts.
    pub fn len(&self) -> usize {
        self.puts.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty()
    }
}

/// How the store fails. After a failed write its state is unknown: stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key that no table can hold.
    #[error("write to table {}: a key of {bytes} bytes, 1 to {KEY_BYTES_MAX} are allowed", table.name())]
    Key {
        /// The table.
        table: Table,
        /// The key's length.
        bytes: usize,
    },
    /// The engine failed.
    #[error("{operation} store {}", path.display())]
    Engine {
        /// What was tried.
        operation: &'static str,
        /// The store's directory.
        path: PathBuf,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine panicked: it does not expect what it found on the disk.
    #[error("open store {}: its files are damaged ({fault}); put that directory aside and start again: the state is counted anew from the log if that still begins at offset 0, else restore a backup", path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What the engine said.
        fault: String,
    },
    /// The snapshot ended because the store was opened again.
    #[error("read store {}: it was opened again meanwhile, because the disk had no room", path.display())]
    Reopened {
        /// The store's directory.
        path: PathBuf,
    },
    /// It was to be opened again, and could not be.
    #[error("use store {}: it is closed", path.display())]
    Closed {
        /// The store's directory.
        path: PathBuf,
    },
}

impl Error {
    /// Whether the disk has no room, or may not be written just now: once it
    /// may, a store that is opened again goes on.
    pub fn is_for_want_of_room(&self) -> bool {
        use ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let mut cause = Some(self as &(dyn std::error::Error + 'static));
        while let Some(error) = cause {
            let kind = error.downcast_ref().map(std::io::Error::kind);
            if let Some(StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem) = kind {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether something in the background failed before, of which no more is
    /// known than that a store that is opened again tells it anew.
    pub fn is_of_before(&self) -> bool {
        let Self::Engine { source, .. } = self else {
            return false;
        };
        matches!(source.downcast_ref(), Some(fjall::Error::Poisoned))
    }
}

/// What bounds the engine's memory.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of the block cache: what is read of days that are over, and at a
    /// restart.
    pub cache_bytes: u64,
    /// A table whose write buffer has as many bytes is written out. It is that of
    /// the opening in which the table was made.
    pub buffer_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            buffer_bytes: 16 << 20,
        }
    }
}

/// An open store, or a slice of one: all keys that begin alike, without that
/// beginning.
pub struct Store {
    opened: Arc<Opened>,
    /// What its keys begin with in the engine; nothing for a whole store.
    prefix: Box<[u8]>,
}

struct Opened {
    path: PathBuf,
    options: Options,
    /// None only if it could not be opened again.
    engine: RwLock<Option<Engine>>,
    /// How many snapshots were taken.
    snapshots: AtomicU64,
}

impl Store {
    /// Opens the store in a directory, which is made if it is not there. After a
    /// crash it replays the journal.
    ///
    /// # Errors
    /// The engine's: the disk's, corruption, a store that is already open.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, Options::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open_with(dir: &Path, options: Options) -> Result<Self, Error> {
        let made = fs::create_dir_all(dir).and_then(|()| match dir.parent() {
            Some(parent) if parent != Path::new("") => fs::File::open(parent)?.sync_all(),
            _ => Ok(()),
        });
        made.map_err(|error| failed("make", dir, error.into()))?;
        let opened = Opened {
            path: dir.to_owned(),
            options,
            engine: RwLock::new(Some(Engine::open(dir, &options)?)),
            snapshots: AtomicU64::new(0),
        };
        Ok(Self {
            opened: Arc::new(opened),
            prefix: Box::default(),
        })
    }

    /// The slice of a number, of the same whole store: what is put there is in no
    /// other. A store that has slices has nothing else.
    pub fn slice(&self, number: u16) -> Self {
        Self {
            opened: Arc::clone(&self.opened),
            prefix: number.to_be_bytes().into(),
        }
    }

    /// Whether it is open: it is not after a [`Store::reopen`] that failed.
    pub fn is_open(&self) -> bool {
        self.opened.engine.read().is_some()
    }

    /// Closes it and opens it again, as a restart does: after a failed write
    /// only this tells what is on the disk. It waits for who is reading.
    ///
    /// # Errors
    /// Those of [`Store::open`]; until it succeeds, the store is closed.
    pub fn reopen(&self) -> Result<(), Error> {
        let Opened { path, options, .. } = &*self.opened;
        let mut engine = self.opened.engine.write();
        // It keeps others out until it is gone.
        *engine = None;
        *engine = Some(Engine::open(path, options)?);
        Ok(())
    }

    /// Writes a batch: all of it or nothing, and durable on return.
    ///
    /// # Errors
    /// A key of a length that is not allowed, before anything is written; the
    /// engine's.
    pub fn write(&self, batch: Batch) -> Result<(), Error> {
        self.write_with(batch, PersistMode::SyncAll)
    }

    /// The same, but not durable on return: after a crash it may be gone, with all
    /// that was written later.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    pub fn write_soon(&self, batch: Batch) -> Result<(), Error> {
        self.write_with(batch, PersistMode::Buffer)
    }

    fn write_with(&self, batch: Batch, mode: PersistMode) -> Result<(), Error> {
        let Batch { mut puts } = batch;
        let longest = match self.prefix.len() {
            0 => KEY_BYTES_MAX,
            prefix => KEY_BYTES_MAX - prefix - 1,
        };
        let lengths = puts.iter().map(|(table, key, _)| (*table, key.len()));
        if let Some((table, bytes)) = lengths
            .into_iter()
            .find(|(_, bytes)| !(1..=longest).contains(bytes))
        {
            return Err(Error::Key { table, bytes });
        }
        // The engine leaves open which of two puts of a key in a batch counts.
        // The sort is stable, so the last of equals is the last put.
        puts.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let engine = self.opened.engine.read();
        let opened = engine.as_ref().ok_or_else(|| self.closed())?;
        let mut out = opened.database.batch().durability(Some(mode));
        let mut puts = puts.into_iter().peekable();
        while let Some((table, key, value)) = puts.next() {
            if puts
                .peek()
                .is_some_and(|next| (next.0, &next.1) == (table, &key))
            {
                continue;
            }
            let key = self.key(key);
            match value {
                Some(value) => out.insert(opened.table(table), key, value),
                None => out.remove(opened.table(table), key),
            }
        }
        out.commit()
            .map_err(|error| failed("write to", self.path(), error))
    }

    /// A key's value.
    ///
    /// # Errors
    /// The engine's.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let engine = self.opened.engine.read_recursive();
        let opened = engine.as_ref().ok_or_else(|| self.closed())?;
        let found = match self.prefix.is_empty() {
            true => opened.table(table).get(key),
            false => opened.table(table).get(self.key(key.into())),
        };
        found.map_err(|error| failed("read", self.path(), error))
    }

    /// All keys and values of a table, in the order of the keys' bytes, as they
    /// were when it was called.
    ///
    /// # Errors
    /// The engine's, by entry.
    pub fn scan(&self, table: Table) -> impl Iterator<Item = Result<(Bytes, Bytes), Error>> + '_ {
        self.entries(table, self.all())
    }

    /// The keys from one on and before another, in the order of their bytes,
    /// with their values, as they were when it was called.
    ///
    /// # Errors
    /// The engine's, by entry.
    pub fn range(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), Error>> + use<'_> {
        // The engine panics on a range that ends before it begins.
        let (from, to) = (self.key(from.into()), self.key(to.into()));
        self.entries(table, Some(from.to_vec()..to.to_vec().max(from.to_vec())))
    }

    /// The engine is held until the last entry is read: it is not opened again
    /// beside a reader. Who holds it already may read more meanwhile.
    fn entries(
        &self,
        table: Table,
        range: Option<Range<Vec<u8>>>,
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), Error>> + use<'_> {
        let engine = self.opened.engine.read_recursive();
        let found = engine.as_ref().map(|opened| match range {
            Some(range) => opened.table(table).range(range),
            None => opened.table(table).iter(),
        });
        let closed = found.is_none().then(|| Err(self.closed()));
        let entries = found.into_iter().flatten().map(move |entry| {
            let _held = &engine;
            let entry = entry.into_inner();
            let (key, value) = entry.map_err(|error| failed("read", self.path(), error))?;
            Ok((self.within(key), value))
        });
        closed.into_iter().chain(entries)
    }

    /// A key as the engine has it.
    fn key(&self, key: Bytes) -> Bytes {
        match self.prefix.is_empty() {
            true => key,
            false => [&self.prefix, &*key].concat().into(),
        }
    }

    /// The engine's key as it is here.
    fn within(&self, key: Bytes) -> Bytes {
        match self.prefix.is_empty() {
            true => key,
            false => key.get(self.prefix.len()..).unwrap_or_default().into(),
        }
    }

    /// The engine's keys of a slice; none for a whole store.
    fn all(&self) -> Option<Range<Vec<u8>>> {
        let number = u16::from_be_bytes(self.prefix.as_ref().try_into().ok()?);
        let after = match number.checked_add(1) {
            Some(next) => next.to_be_bytes().to_vec(),
            // No slice's key is as long.
            None => vec![u8::MAX; KEY_BYTES_MAX],
        };
        Some(self.prefix.to_vec()..after)
    }

    /// Bytes on the disk.
    ///
    /// # Errors
    /// The engine's.
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        let engine = self.opened.engine.read();
        let opened = engine.as_ref().ok_or_else(|| self.closed())?;
        let bytes = opened.database.disk_space();
        bytes.map_err(|error| failed("measure", self.path(), error))
    }

    fn closed(&self) -> Error {
        Error::Closed {
            path: self.path().to_owned(),
        }
    }

    fn path(&self) -> &Path {
        &self.opened.path
    }
}

fn failed(operation: &'static str, path: &Path, source: fjall::Error) -> Error {
    Error::Engine {
        operation,
        path: path.to_owned(),
        source: Box::new(source),
    }
}
