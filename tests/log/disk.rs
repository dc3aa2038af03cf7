//! A disk in memory that knows what is durable, and can fail.

use parking_lot::{Condvar, Mutex};
use quaymeter::log::disk::{Disk, File};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Content>,
    /// Who has them open still reads them.
    removed: BTreeMap<PathBuf, Content>,
    /// The names that a power failure leaves.
    durable: BTreeSet<PathBuf>,
    /// Bytes that still fit, if that is limited.
    room: Option<usize>,
    syncs: usize,
    sync: Sync,
    truncate_fails: bool,
    gate_closed: bool,
    at_gate: bool,
}

/// What a file's sync does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// What it should.
    #[default]
    Works,
    /// It fails.
    Fails,
    /// It says that it worked, and did nothing.
    Lies,
}

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    /// What a power failure leaves.
    durable: Vec<u8>,
}

impl MemoryDisk {
    /// What a power failure leaves.
    pub fn after_power_failure(&self) -> Self {
        let state = self.0.state.lock();
        let names = state.durable.iter();
        let files = names.filter_map(|path| {
            let bytes = state.files.get(path)?.durable.clone();
            let durable = bytes.clone();
            Some((path.clone(), Content { bytes, durable }))
        });
        Self::holding(files.collect())
    }

    /// The same bytes, all durable, on another disk.
    pub fn copy(&self) -> Self {
        let mut files = self.0.state.lock().files.clone();
        for content in files.values_mut() {
            content.durable.clone_from(&content.bytes);
        }
        Self::holding(files)
    }

    fn holding(files: BTreeMap<PathBuf, Content>) -> Self {
        let copy = Self::default();
        copy.0.state.lock().durable = files.keys().cloned().collect();
        copy.0.state.lock().files = files;
        copy
    }

    /// The files and their lengths.
    pub fn files(&self) -> Vec<(PathBuf, usize)> {
        let state = self.0.state.lock();
        let files = state.files.iter();
        files
            .map(|(path, content)| (path.clone(), content.bytes.len()))
            .collect()
    }

    /// Changes a file's bytes, behind the log's back.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.state.lock();
        change(&mut state.files.entry(path.to_owned()).or_default().bytes);
    }

    /// Loses a file.
    pub fn lose(&self, path: &Path) {
        self.0
            .state
            .lock()
            .files
            .remove(path)
            .expect("no such file");
    }

    /// How many bytes still fit.
    pub fn set_room(&self, room: Option<usize>) {
        self.0.state.lock().room = room;
    }

    /// What syncs do from now on.
    pub fn set_sync(&self, sync: Sync) {
        self.0.state.lock().sync = sync;
    }

    /// Whether truncating fails from now on.
    pub fn set_truncate_fails(&self, fails: bool) {
        self.0.state.lock().truncate_fails = fails;
    }

    /// How many syncs of files were done.
    pub fn syncs(&self) -> usize {
        self.0.state.lock().syncs
    }

    /// Syncs of files wait from now on, until the gate is opened.
    pub fn close_gate(&self) {
        self.0.state.lock().gate_closed = true;
    }

    /// Lets them go on.
    pub fn open_gate(&self) {
        self.0.state.lock().gate_closed = false;
        self.0.changed.notify_all();
    }

    /// Returns when a sync waits at the gate.
    pub fn wait_at_gate(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut state = self.0.state.lock();
        while !state.at_gate {
            let late = self.0.changed.wait_until(&mut state, deadline).timed_out();
            assert!(!late, "no sync came to the gate");
        }
    }
}

impl Disk for MemoryDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = self.files().into_iter();
        let inside = files.filter(|(path, _)| path.parent() == Some(dir));
        let names = inside.filter_map(|(path, _)| Some(path.file_name()?.to_str()?.to_owned()));
        // Any order will do; not the one that would be handy.
        Ok(names.rev().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.0.state.lock();
        state.files.insert(path.to_owned(), Content::default());
        drop(state);
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        match self.0.state.lock().files.contains_key(path) {
            true => Ok(Box::new(MemoryFile(self.clone(), path.to_owned()))),
            false => Err(ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let content = state.files.remove(path).ok_or(ErrorKind::NotFound)?;
        state.removed.insert(path.to_owned(), content);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let inside = |path: &&PathBuf| path.parent() == Some(dir);
        let names: Vec<PathBuf> = state.files.keys().filter(inside).cloned().collect();
        state.durable.retain(|path| path.parent() != Some(dir));
        state.durable.extend(names);
        Ok(())
    }
}

struct MemoryFile(MemoryDisk, PathBuf);

impl MemoryFile {
    fn with<R>(&self, act: impl FnOnce(&mut Content) -> R) -> io::Result<R> {
        let mut state = self.0.0.state.lock();
        let State { files, removed, .. } = &mut *state;
        let content = files.get_mut(&self.1).or_else(|| removed.get_mut(&self.1));
        content.map(act).ok_or(ErrorKind::NotFound.into())
    }
}

impl File for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|content| content.bytes.len() as u64)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|content| {
            let from = content.bytes.len().min(at as usize);
            let read = (content.bytes.len() - from).min(buffer.len());
            buffer[..read].copy_from_slice(&content.bytes[from..from + read]);
            read
        })
    }

    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.concat();
        let room = self.0.0.state.lock().room;
        let fits = room.map_or(bytes.len(), |room| room.min(bytes.len()));
        self.with(|content| content.bytes.extend_from_slice(&bytes[..fits]))?;
        self.0.0.state.lock().room = room.map(|room| room - fits);
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(ErrorKind::StorageFull.into()),
        }
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        let mut state = self.0.0.state.lock();
        if state.truncate_fails {
            return Err(io::Error::other("truncating fails"));
        }
        let content = state.files.get_mut(&self.1);
        let bytes = &mut content.ok_or(ErrorKind::NotFound)?.bytes;
        let freed = bytes.len() - size as usize;
        bytes.truncate(size as usize);
        state.room = state.room.map(|room| room + freed);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.0.state.lock();
        state.at_gate = true;
        self.0.0.changed.notify_all();
        while state.gate_closed {
            self.0.0.changed.wait(&mut state);
        }
        state.at_gate = false;
        match state.sync {
            Sync::Fails => return Err(io::Error::other("syncing fails")),
            Sync::Lies => return Ok(()),
            Sync::Works => state.syncs += 1,
        }
        let content = state.files.get_mut(&self.1).ok_or(ErrorKind::NotFound)?;
        content.durable.clone_from(&content.bytes);
        Ok(())
    }
}
