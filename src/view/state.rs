//! What the view holds: the cells, how far they reach, and what was seen of those who
//! sent it.

use super::history::{self, History, Touched};
use super::position::Position;
use crate::event::Millis;
use crate::meter::Counts;
use crate::meter::cell::{Cells, Followed, Round};
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

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
pub struct Published<'a> {
    /// What the meter did, in order.
    pub rounds: Vec<Round>,
    /// The log's offset after the batch's last record.
    pub position: u64,
    /// When that record was appended.
    pub appended_at: Millis,
    /// The meter's counts after the batch.
    pub counts: Counts,
    /// What was seen of the batch's sources.
    pub sources: &'a [(CompactString, SourceSeen)],
}

/// What another meter stored at once, of one partition.
pub struct Following {
    /// The cells.
    pub followed: Followed,
    /// How far that reaches.
    pub reach: Position,
    /// When its last record was appended.
    pub appended_at: Millis,
    /// What came to the counts.
    pub counts: Counts,
    /// What was seen of sources.
    pub sources: Vec<(CompactString, SourceSeen)>,
}

/// All that can be asked about.
pub struct State {
    /// The cells.
    pub cells: Cells,
    /// How often it changed; of the embedded log, which is one partition, 0, the
    /// offset after the last record that is included.
    pub position: u64,
    /// How far it reaches into the log.
    pub reach: Position,
    /// When that record was appended; none before the first.
    pub appended_at: Option<Millis>,
    /// What became of the records.
    pub counts: Counts,
    /// What was touched lately.
    pub history: History,
    pub(super) sources: FxHashMap<CompactString, SourceSeen>,
    pruned_at: Millis,
}

impl State {
    /// A state to start from, restored or empty.
    pub fn new(cells: Cells, position: u64, appended_at: Option<Millis>, counts: Counts) -> Self {
        let (sources, pruned_at) = (FxHashMap::default(), Millis::MIN);
        Self {
            cells,
            position,
            reach: Position::embedded(position),
            appended_at,
            counts,
            history: History::new(position),
            sources,
            pruned_at,
        }
    }

    /// The same state, which reaches so far into several partitions.
    pub fn reaching(self, reach: Position) -> Self {
        Self { reach, ..self }
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

    /// Includes a batch.
    pub(super) fn include(&mut self, batch: Published<'_>) {
        for round in batch.rounds {
            let changes = round.changes();
            self.history
                .note(batch.position, batch.appended_at, changes);
            self.cells.take(round);
        }
        self.position = batch.position;
        self.reach = Position::embedded(batch.position);
        self.counts = batch.counts;
        self.heard(batch.appended_at, batch.sources);
    }

    /// Includes what another meter stored.
    pub(super) fn follow(&mut self, batch: Following) {
        self.position += 1;
        let touched = batch.followed.touched();
        let touched = touched.map(|(quarter, facility, owner)| Touched {
            quarter,
            facility,
            owner,
        });
        self.history
            .note_touched(self.position, batch.appended_at, touched.collect());
        self.cells.follow(batch.followed);
        // Of a partition that is counted anew it is less than it was.
        self.reach.become_in(&batch.reach);
        self.counts = self.counts + batch.counts;
        self.heard(batch.appended_at, &batch.sources);
    }

    /// Notes from whom something came, and when.
    fn heard(&mut self, appended_at: Millis, sources: &[(CompactString, SourceSeen)]) {
        self.appended_at = self.appended_at.max(Some(appended_at));
        for (source, seen) in sources {
            self.saw(source, *seen);
        }
        if appended_at.saturating_sub(self.pruned_at) > PRUNE_EVERY_MS {
            self.pruned_at = appended_at;
            let oldest = appended_at - SOURCE_IDLE_MS;
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
