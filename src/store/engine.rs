//! The engine as it is opened: its database, a keyspace for each table, and no panic.

use super::snapshot::Snapshots;
use super::{Error, Options, Table, failed};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions};
use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The journal's bytes, beyond which the oldest buffers are written out: what a
/// restart has to replay.
const JOURNAL_BYTES: u64 = 64 << 20;

/// An open engine.
pub(super) struct Engine {
    pub database: Database,
    /// In the order of [`Table::ALL`].
    tables: Vec<Keyspace>,
    pub snapshots: Snapshots,
}

impl Engine {
    /// Damage of some kinds makes the engine panic while it opens. Nothing of it is
    /// in use by then, and what it has begun is dropped, so here, and nowhere else,
    /// that is caught and told as what it is. Of other kinds it aborts the process,
    /// which cannot be caught: a mark tells the next opening.
    ///
    /// # Errors
    /// The engine's; damage.
    pub fn open(dir: &Path, options: &Options) -> Result<Self, Error> {
        let damaged = |fault| Error::Damaged {
            path: dir.to_owned(),
            fault,
        };
        look_at(dir).map_err(damaged)?;
        let mark = Mark::set(dir);
        let opening = AssertUnwindSafe(|| Self::open_or_panic(dir, options));
        let opened = catch_unwind(opening);
        drop(mark);
        opened.unwrap_or_else(|panic| Err(damaged(said(&*panic))))
    }

    fn open_or_panic(dir: &Path, options: &Options) -> Result<Self, Error> {
        let opened = Database::builder(dir)
            .cache_size(options.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .and_then(|database| {
                let tables = Table::ALL.map(|table| {
                    let made = || {
                        let made = KeyspaceCreateOptions::default()
                            .max_memtable_size(options.buffer_bytes);
                        made.with_kv_separation(
                            (table == Table::Ledger).then(KvSeparationOptions::default),
                        )
                    };
                    database.keyspace(table.name(), made)
                });
                Ok((database, tables.into_iter().collect::<Result<_, _>>()?))
            });
        let (database, tables) = opened.map_err(|error| failed("open", dir, error))?;
        Ok(Self {
            database,
            tables,
            snapshots: Snapshots::default(),
        })
    }

    pub fn table(&self, table: Table) -> &Keyspace {
        &self.tables[table as usize]
    }
}

/// Finds what makes the engine panic where it then aborts: a folder of keyspaces that
/// has no number for a name, and a folder that is called like a journal.
fn look_at(dir: &Path) -> Result<(), String> {
    let folders = |dir: &Path| {
        // What cannot be listed, the engine tells of.
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    let mut keyspaces = folders(&dir.join("keyspaces"));
    let stray = keyspaces.find(|name| name.parse::<u64>().is_err());
    let stray = stray.or_else(|| folders(dir).find(|name| name.ends_with(".jnl")));
    match stray {
        Some(name) => Err(format!("the folder {name:?} is none of a store")),
        None => Ok(()),
    }
}

/// Lies beside a store while it is being opened. It is no more than a hint: a machine
/// that lost its power leaves it too.
struct Mark(PathBuf);

impl Mark {
    fn set(dir: &Path) -> Self {
        let path = dir.with_extension("opening");
        if path.exists() {
            tracing::warn!(
                store = %dir.display(),
                "the process died the last time while it opened its store: if it dies again, \
                 the store is damaged; put that directory aside, and the state is counted anew \
                 from the log if that still begins at offset 0, else restore a backup"
            );
        }
        // Where it cannot be made, the engine tells why.
        let _ = fs::File::create(&path);
        Self(path)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The text of a panic.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no reason given").replace('\n', " ")
}
