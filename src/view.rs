//! The committed cells as questions see them. One writer publishes; any number
//! read. A reader sees all of a batch or nothing of it.

mod asked;
pub mod figures;
pub mod history;
pub mod position;
pub mod token;

use crate::event::Millis;
use crate::meter::Counts;
use crate::meter::cell::{Cells, Change, Cooling, Stored, Sweep, Wanted, Warm};
use asked::Asked;
use compact_str::CompactString;
use history::History;
use parking_lot::{RwLock, RwLockWriteGuard};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;
use tokio::time::Instant;

/// A source that appended nothing for longer than this is not active.
pub const SOURCE_IDLE_MS: i64 = 15 * 60_000;

/// The most sources that are remembered; beyond it the longest idle one goes.
pub const SOURCES_MAX: usize = 10_000;

/// Idle sources are looked for at most this often, by append time.
const PRUNE_EVERY_MS: i64 = 60_000;

/// What was last seen of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSeen {
    /// When its latest record was appended.
    pub last_active: Millis,
    /// The latest instant of its ACTUAL statements; none before the first.
    pub latest_actual: Option<Millis>,
}

/// What a batch changed.
#[derive(Clone, Copy)]
pub struct Published<'a> {
    /// What the meter did, in order.
    pub changes: &'a [Change],
    /// The log's offset after the batch's last record.
    pub position: u64,
    /// When that record was appended.
    pub appended_at: Millis,
    /// The meter's counts after the batch.
    pub counts: Counts,
    /// What was seen of the batch's sources.
    pub sources: &'a [(CompactString, SourceSeen)],
}

/// All that can be asked about.
pub struct State {
    /// The cells.
    pub cells: Cells,
    /// The log's offset after the last record that is included. The embedded
    /// log is one partition, 0.
    pub position: u64,
    /// When that record was appended; none before the first.
    pub appended_at: Option<Millis>,
    /// What became of the records.
    pub counts: Counts,
    /// What was touched lately.
    pub history: History,
    sources: FxHashMap<CompactString, SourceSeen>,
    pruned_at: Millis,
}

impl State {
    /// A state to start from, restored or empty.
    pub fn new(cells: Cells, position: u64, appended_at: Option<Millis>, counts: Counts) -> Self {
        let (sources, pruned_at) = (FxHashMap::default(), Millis::MIN);
        Self {
            cells,
            position,
            appended_at,
            counts,
            history: History::new(position),
            sources,
            pruned_at,
        }
    }

    /// The same state, remembering no more than this.
    pub fn remembering(self, limits: history::Limits) -> Self {
        let history = History::limited(self.position, limits);
        Self { history, ..self }
    }

    /// What was last seen of each source.
    pub fn sources(&self) -> impl Iterator<Item = (&CompactString, SourceSeen)> {
        self.sources.iter().map(|(source, seen)| (source, *seen))
    }

    /// The same state with these sources seen before.
    pub fn having_seen(mut self, sources: &[(CompactString, SourceSeen)]) -> Self {
        for (source, seen) in sources {
            self.saw(source, *seen);
        }
        self
    }

    /// The least, over the sources active in the last 15 minutes before `now`,
    /// of their latest ACTUAL instant. Advisory.
    pub fn complete_through(&self, now: Millis) -> Option<Millis> {
        let active = self
            .sources
            .values()
            .filter(|seen| now - seen.last_active <= SOURCE_IDLE_MS);
        active.filter_map(|seen| seen.latest_actual).min()
    }

    fn include(&mut self, batch: Published<'_>) {
        self.cells.apply(batch.changes);
        self.history
            .note(batch.position, batch.appended_at, batch.changes);
        self.position = batch.position;
        self.appended_at = self.appended_at.max(Some(batch.appended_at));
        self.counts = batch.counts;
        for (source, seen) in batch.sources {
            self.saw(source, *seen);
        }
        if batch.appended_at.saturating_sub(self.pruned_at) > PRUNE_EVERY_MS {
            self.pruned_at = batch.appended_at;
            let oldest = batch.appended_at - SOURCE_IDLE_MS;
            self.sources.retain(|_, seen| seen.last_active >= oldest);
        }
    }

    fn saw(&mut self, source: &CompactString, seen: SourceSeen) {
        if let Some(known) = self.sources.get_mut(source) {
            known.last_active = known.last_active.max(seen.last_active);
            known.latest_actual = known.latest_actual.max(seen.latest_actual);
            return;
        }
        if self.sources.len() >= SOURCES_MAX {
            let idle = self.sources.iter().min_by_key(|(_, seen)| seen.last_active);
            if let Some(name) = idle.map(|(name, _)| name.clone()) {
                self.sources.remove(&name);
            }
        }
        self.sources.insert(source.clone(), seen);
    }
}

/// The position that was asked for was not reached in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waited for position {wanted} but the answer only reaches {reached}")]
pub struct NotReached {
    /// What was asked for.
    pub wanted: u64,
    /// How far the view was at the deadline.
    pub reached: u64,
}

/// The state, shared by one writer and its readers.
pub struct View {
    state: RwLock<State>,
    version: watch::Sender<u64>,
    /// Values of cells that are to be stored: known without waiting.
    changed: AtomicUsize,
    asked: Asked,
}

impl View {
    /// A view of this state.
    pub fn new(state: State) -> Self {
        let version = watch::Sender::new(state.position);
        Self {
            state: RwLock::new(state),
            version,
            changed: AtomicUsize::new(0),
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
    /// is in memory.
    pub fn publish(&self, batch: Published<'_>) {
        let mut state = self.state.write();
        state.include(batch);
        self.changed.store(state.cells.changed(), Ordering::Relaxed);
        drop(state);
        self.version.send_replace(batch.position);
    }

    /// Asks the state. The writer waits meanwhile, so be brief, and never ask
    /// from within a question.
    pub fn read<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        self.asked.note();
        self.peek(ask)
    }

    /// The same for who need not be answered soon: it does not count as asking.
    pub fn peek<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
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

    /// Waits until `position` is included, at most until `deadline`.
    pub async fn reached(&self, position: u64, deadline: Instant) -> Result<(), NotReached> {
        let mut versions = self.versions();
        let included = versions.wait_for(|&reached| reached >= position);
        // The sender lives as long as we do, so waiting ends in time or too late.
        if let Ok(Ok(_)) = tokio::time::timeout_at(deadline, included).await {
            return Ok(());
        }
        Err(NotReached {
            wanted: position,
            reached: self.position(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::cell::Keeping;
    use jiff::tz::TimeZone;
    use std::time::Duration;

    fn view() -> View {
        let keeping = Keeping {
            zone: TimeZone::UTC,
            quarter_days: 45,
            day_days: 1095,
        };
        View::new(State::new(Cells::new(keeping), 0, None, Counts::default()))
    }

    fn publish(view: &View, position: u64, sources: &[(CompactString, SourceSeen)]) {
        let appended_at = sources
            .iter()
            .map(|(_, seen)| seen.last_active)
            .max()
            .unwrap_or(0);
        let counts = Counts::default();
        view.publish(Published {
            changes: &[],
            position,
            appended_at,
            counts,
            sources,
        });
    }

    fn seen(name: &str, last_active: Millis, actual: Millis) -> (CompactString, SourceSeen) {
        (
            name.into(),
            SourceSeen {
                last_active,
                latest_actual: Some(actual),
            },
        )
    }

    #[tokio::test]
    async fn a_position_is_waited_for_until_the_deadline() {
        let view = view();
        publish(&view, 7, &[]);
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(view.reached(7, soon).await, Ok(()));
        let late = view.reached(8, soon).await;
        let missed = NotReached {
            wanted: 8,
            reached: 7,
        };
        assert_eq!(late, Err(missed));
        assert!(Instant::now() >= soon);
        let later = soon + Duration::from_secs(60);
        let (reached, ()) = tokio::join!(view.reached(9, later), async { publish(&view, 9, &[]) });
        assert_eq!(reached, Ok(()));
    }

    #[test]
    fn complete_through_is_the_least_over_active_sources() {
        let view = view();
        publish(
            &view,
            1,
            &[seen("a", 1_000_000, 900_000), seen("b", 1_000_000, 500_000)],
        );
        assert_eq!(view.read(|s| s.complete_through(1_000_000)), Some(500_000));
        publish(&view, 2, &[seen("a", 1_600_000, 800_000)]);
        // b has been silent for 15 minutes and a millisecond.
        assert_eq!(view.read(|s| s.complete_through(1_900_001)), Some(900_000));
        assert_eq!(view.read(|s| s.complete_through(9_000_000)), None);
    }

    #[test]
    fn questions_count_as_asked_and_what_the_writer_does_does_not() {
        let view = view();
        publish(&view, 7, &[]);
        view.wanted(&[]);
        view.coolable(0);
        view.cut();
        view.gather(9).unwrap();
        assert_eq!(view.peek(|state| state.position), view.position());
        assert!(!view.asked.is_any());
        view.read(|_| ());
        assert!(view.asked.is_any());
    }

    #[test]
    fn sources_are_bounded_and_the_longest_idle_goes_first() {
        let view = view();
        let many: Vec<_> = (0..SOURCES_MAX as i64 + 5)
            .map(|n| seen(&format!("s{n}"), 1_000_000 + n, 10 + n))
            .collect();
        publish(&view, 1, &many);
        assert_eq!(view.read(|s| s.sources.len()), SOURCES_MAX);
        assert_eq!(view.read(|s| s.complete_through(1_000_000)), Some(15));
    }
}
