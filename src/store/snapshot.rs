//! The store as it was at one moment, for those who read it for a long time
//! while it goes on being written.

use super::{Bytes, Error, Store, Table, failed};
use fjall::Readable as _;
use parking_lot::Mutex;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Keys and values.
pub type Entries = Vec<(Bytes, Bytes)>;

/// All tables as they were when it was taken. The engine keeps what is
/// overwritten as long as it lives, so it should not live for long.
pub struct Snapshot {
    store: Arc<Store>,
    number: u64,
}

/// The snapshots of an open engine: they end with it.
#[derive(Default)]
pub(super) struct Snapshots(Mutex<Vec<(u64, fjall::Snapshot)>>);

impl Store {
    /// All tables as they are now, of one batch. It is gone when the store is
    /// opened again.
    ///
    /// # Errors
    /// A store that is closed.
    pub fn snapshot(self: &Arc<Self>) -> Result<Snapshot, Error> {
        let engine = self.opened.engine.read();
        let opened = engine.as_ref().ok_or_else(|| self.closed())?;
        // Numbers go on over openings, so that none means another's snapshot.
        let number = self.opened.snapshots.fetch_add(1, Ordering::Relaxed);
        let taken = (number, opened.database.snapshot());
        opened.snapshots.0.lock().push(taken);
        Ok(Snapshot {
            store: Arc::clone(self),
            number,
        })
    }
}

impl Snapshot {
    /// The next entries of a table after a key, in the order of the keys' bytes:
    /// as many as have this many bytes together, but at least one; none at the
    /// end.
    ///
    /// # Errors
    /// The engine's; [`Error::Reopened`].
    pub fn page(
        &self,
        table: Table,
        after: Option<&[u8]>,
        bytes_max: usize,
    ) -> Result<Entries, Error> {
        // The store cannot be opened again meanwhile.
        let engine = self.store.opened.engine.read();
        let opened = engine.as_ref().ok_or_else(|| self.store.closed())?;
        let snapshot = opened.snapshots.find(self.number).ok_or_else(|| {
            let path = self.store.path().to_owned();
            Error::Reopened { path }
        })?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = snapshot.range::<&[u8], _>(opened.table(table), (from, Bound::Unbounded));
        let (mut page, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            let entry = entry.into_inner();
            let (key, value) = entry.map_err(|error| failed("read", self.store.path(), error))?;
            bytes += key.len() + value.len();
            page.push((key, value));
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(page)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // Who opens the store again has it alone or waits for it, and then all
        // snapshots end: nobody has to wait for that here.
        let engine = self.store.opened.engine.try_read();
        if let Some(opened) = engine.as_ref().and_then(|engine| engine.as_ref()) {
            opened.snapshots.end(self.number);
        }
    }
}

impl Snapshots {
    fn find(&self, number: u64) -> Option<fjall::Snapshot> {
        let taken = self.0.lock();
        let found = taken.iter().find(|(one, _)| *one == number);
        found.map(|(_, snapshot)| snapshot.clone())
    }

    fn end(&self, number: u64) {
        self.0.lock().retain(|(one, _)| *one != number);
    }
}
