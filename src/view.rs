//! The committed cells as questions see them. One writer publishes; any number
//! read. A reader sees all of a batch or nothing of it.

mod asked;
pub mod figures;
pub mod history;
pub mod position;
mod state;
pub mod token;

use crate::meter::cell::{
    Cells, Change, Cooling, Merge, Owner, Round, Stored, Sweep, Wanted, Warm,
};
use asked::Asked;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use position::Position;
pub use state::{Following, Published, SOURCE_IDLE_MS, SOURCES_MAX, SourceSeen, State};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;
use tokio::time::Instant;

/// Changes that are posted while who asks has the state; more are before, bit by bit.
const POSTED_AT_ONCE: usize = 512;

/// Owners who are sought in what is to be posted while who asks has the state; with more,
/// that is done before.
const SOUGHT_AT_ONCE: usize = 256;

/// The position that was asked for was not reached in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waited for position {wanted} but the answer only reaches {reached}")]
pub struct NotReached {
    /// What was asked for, as far as it was not reached.
    pub wanted: Position,
    /// How far the view was there at the deadline.
    pub reached: Position,
}

/// The state, shared by one writer and its readers.
pub struct View {
    state: RwLock<State>,
    version: watch::Sender<u64>,
    /// How far the state reaches, known without waiting.
    reach: RwLock<Position>,
    /// Values of cells that are to be stored, and changes that are to be posted: known
    /// without waiting.
    changed: AtomicUsize,
    unposted: AtomicUsize,
    asked: Asked,
}

impl View {
    /// A view of this state.
    pub fn new(state: State) -> Self {
        let version = watch::Sender::new(state.position);
        let reach = RwLock::new(state.reach.clone());
        Self {
            state: RwLock::new(state),
            version,
            reach,
            changed: AtomicUsize::new(0),
            unposted: AtomicUsize::new(0),
            asked: Asked::new(),
        }
    }

    /// What these changes need in memory before they are published.
    pub fn wanted(&self, changes: &[Change]) -> Wanted {
        self.peek(|state| state.cells.wanted(changes))
    }

    /// Takes what was wanted into memory.
    pub fn warm(&self, warm: Warm) {
        self.state.write().cells.warm(warm);
    }

    /// Includes a batch, all at once, and wakes who waits for it. What it needs
    /// is in memory. To owners' cells it is posted later: see [`View::post`].
    pub fn publish(&self, batch: Published<'_>) {
        let mut state = self.state.write();
        state.include(batch);
        self.tell(state);
    }

    /// Includes what another meter stored, all at once, and wakes who waits for it.
    pub fn follow(&self, batch: Following) {
        let mut state = self.state.write();
        state.follow(batch);
        self.tell(state);
    }

    /// Tells that the state is another one.
    fn tell(&self, state: RwLockWriteGuard<'_, State>) {
        let (version, reach) = (state.position, state.reach.clone());
        self.note(&state);
        drop(state);
        *self.reach.write() = reach;
        self.version.send_replace(version);
    }

    /// Posts what is published until now, bit by bit, and calls `between` after each
    /// bit; gives back lists of changes.
    ///
    /// # Errors
    /// Those of `between`. What is posted stays so.
    pub fn post<E>(&self, between: impl FnMut() -> Result<(), E>) -> Result<Vec<Vec<Change>>, E> {
        let merge = self.peek(|state| state.cells.to_post()).merge();
        self.post_parts(&merge, between)?;
        let mut state = self.state.write();
        let rounds = state.cells.posted(&merge);
        self.note(&state);
        drop((state, merge));
        let lists = rounds.into_iter().filter_map(Arc::into_inner);
        Ok(lists.map(Round::into_changes).collect())
    }

    /// Posts a merge, bit by bit.
    fn post_parts<E>(
        &self,
        merge: &Merge,
        mut between: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        for part in merge.parts() {
            let mut state = self.state.write();
            state.cells.post(merge, part);
            // Who waits comes first: else the next part might be posted before.
            RwLockWriteGuard::unlock_fair(state);
            between()?;
        }
        Ok(())
    }

    /// Changes that are published and not posted.
    pub fn unposted(&self) -> usize {
        self.unposted.load(Ordering::Relaxed)
    }

    /// Asks the state. The writer waits meanwhile, so be brief, and never ask
    /// from within a question.
    pub fn read<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        self.asked.note();
        self.scan(ask)
    }

    /// The same for who need not be answered soon: it does not count as asking.
    pub fn scan<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        self.ask(|_| None, ask)
    }

    /// Asks the state, of no cells but those of these owners, what is to be posted, and
    /// what has no owner; of all, if no list is given. Which owners they are is asked of
    /// the state that answers, because names come to it: nothing else may change them.
    pub fn read_of<T>(
        &self,
        owners: impl Fn(&Cells) -> Option<Vec<Owner>>,
        ask: impl FnOnce(&State) -> T,
    ) -> T {
        self.asked.note();
        self.ask(owners, ask)
    }

    /// The same as [`View::read_of`] for who need not be answered soon.
    pub fn scan_of<T>(
        &self,
        owners: impl Fn(&Cells) -> Option<Vec<Owner>>,
        ask: impl FnOnce(&State) -> T,
    ) -> T {
        self.ask(owners, ask)
    }

    /// Posts what is asked for, if anything is to be posted, and asks.
    fn ask<T>(
        &self,
        owners: impl Fn(&Cells) -> Option<Vec<Owner>>,
        ask: impl FnOnce(&State) -> T,
    ) -> T {
        let state = self.state.read();
        let wanted = match state.cells.unposted() {
            0 => Some(Vec::new()),
            _ => owners(&state.cells),
        };
        if wanted.as_ref().is_some_and(Vec::is_empty) {
            return ask(&state);
        }
        let before = self.post_before(state, wanted.as_deref());
        let mut state = self.state.write();
        match owners(&state.cells) {
            Some(owners) => state.cells.post_of_after(&owners, before),
            None => state.cells.post_all(),
        }
        self.note(&state);
        ask(&RwLockWriteGuard::downgrade(state))
    }

    /// Posts bit by bit what would keep others waiting; gives the number of the last round
    /// that the owners have all of then. Nothing up to it is for those of whom a name comes
    /// later.
    fn post_before(&self, state: RwLockReadGuard<'_, State>, wanted: Option<&[Owner]>) -> u64 {
        let many = wanted.filter(|owners| owners.len() > SOUGHT_AT_ONCE);
        let to_post = many.map(|owners| (state.cells.to_post(), owners));
        drop(state);
        // Nothing is called in between, so nothing fails.
        let nothing = || Ok::<(), Infallible>(());
        if wanted.is_none() && self.unposted() > POSTED_AT_ONCE {
            let _ = self.post(nothing);
        }
        let Some((to_post, owners)) = to_post else {
            return 0;
        };
        let merge = to_post.merge_of(owners);
        let _ = self.post_parts(&merge, nothing);
        merge.last().unwrap_or(0)
    }

    /// What is known without waiting.
    fn note(&self, state: &State) {
        let cells = &state.cells;
        self.changed.store(cells.changed(), Ordering::Relaxed);
        self.unposted.store(cells.unposted(), Ordering::Relaxed);
    }

    /// Asks what does not wait to be posted.
    fn peek<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        ask(&self.state.read())
    }

    /// Whether questions are to be expected: then who gathers leaves the state to them
    /// in between.
    pub fn is_asked(&self) -> bool {
        self.asked.is_lately()
    }

    /// Settles which cells are to be stored, as they are now: see [`Cells::cut`].
    pub fn cut(&self) -> Vec<Sweep> {
        self.changed.store(0, Ordering::Relaxed);
        self.state.write().cells.cut()
    }

    /// How many values of cells have changed since the last [`View::cut`], as of
    /// the last publication.
    pub fn changed(&self) -> usize {
        self.changed.load(Ordering::Relaxed)
    }

    /// Gathers at most so many of them, and whether these are the last: see
    /// [`Cells::gather`].
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn gather(&self, most: usize) -> Result<(Vec<Stored>, bool), postcard::Error> {
        let mut state = self.state.write();
        let gathered = state.cells.gather(most);
        // Who waits comes first: else the next part might be gathered before.
        RwLockWriteGuard::unlock_fair(state);
        gathered
    }

    /// Which records to leave to the shelf: see [`Cells::coolable`].
    pub fn coolable(&self, most: usize) -> Vec<Cooling> {
        self.peek(|state| state.cells.coolable(most))
    }

    /// Leaves a part of them to the shelf. What is encoded must be stored durably.
    pub fn cool(&self, part: &Cooling) {
        self.state.write().cells.cool_part(part);
    }

    /// Leaves slots to the shelf: see [`Cells::cool_slots`].
    pub fn cool_slots(&self, most: usize) {
        self.state.write().cells.cool_slots(most);
    }

    /// The position that was published last.
    pub fn position(&self) -> u64 {
        *self.version.borrow()
    }

    /// Tells of each publication; the value is its position.
    pub fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// How far it reaches.
    pub fn reach(&self) -> Position {
        self.reach.read().clone()
    }

    /// Waits until `position` is included, at most until `deadline`.
    pub async fn reached(&self, position: &Position, deadline: Instant) -> Result<(), NotReached> {
        let mut versions = self.versions();
        let included = versions.wait_for(|_| self.reach.read().includes(position));
        // The sender lives as long as we do, so waiting ends in time or too late.
        if let Ok(Ok(_)) = tokio::time::timeout_at(deadline, included).await {
            return Ok(());
        }
        let wanted = position.beyond(&self.reach.read());
        let reached = wanted.shared_with(&self.reach.read());
        Err(NotReached { wanted, reached })
    }
}

#[cfg(test)]
mod tests;
