//! Metrics by source. Sources name themselves, so their number is bounded: those that
//! come after so many are counted together.

use super::{Counter, Gauge, Histogram, Metrics, label};
use crate::event::Millis;
use crate::meter::Counts;
use crate::pb::Reason;
use compact_str::CompactString;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Stands for all sources beyond the limit. As a source's own name it is counted with
/// them.
const OTHER: &str = "other";

/// The sources that have metrics of their own.
pub(super) struct Sources {
    most: usize,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    own: FxHashMap<CompactString, Arc<Source>>,
    other: Option<Arc<Source>>,
}

/// What one source sends, and what becomes of it.
pub struct Source {
    name: CompactString,
    accepted: Counter,
    refused: Counter,
    lateness: Histogram,
    acknowledged: Gauge,
    applied: [Counter; 6],
}

impl Sources {
    /// At most so many.
    pub(super) fn new(most: usize) -> Self {
        let known = RwLock::default();
        Self { most, known }
    }
}

impl Metrics {
    /// The metrics of a source: its own, or those of all beyond the limit.
    pub fn source(&self, name: &str) -> Arc<Source> {
        if let Some(found) = self.sources.known.read().own.get(name) {
            return Arc::clone(found);
        }
        let mut known = self.sources.known.write();
        if let Some(found) = known.own.get(name) {
            return Arc::clone(found);
        }
        if name != OTHER && known.own.len() < self.sources.most {
            let made = Arc::new(Source::new(self, name));
            known.own.insert(name.into(), Arc::clone(&made));
            return made;
        }
        self.sources_omitted.increment(1);
        let other = known
            .other
            .get_or_insert_with(|| Arc::new(Source::new(self, OTHER)));
        Arc::clone(other)
    }

    /// Counts events of a batch that are refused or warned of for a reason. A look-up:
    /// not for each event.
    pub fn fault(&self, source: &Source, reason: Reason, events: u64) {
        let by = match super::is_warning(reason) {
            true => &self.source_warned,
            false => &self.source_refused,
        };
        by.with([&source.name, &label(reason.as_str_name(), "REASON_")])
            .increment(events);
    }
}

impl Source {
    fn new(metrics: &Metrics, name: &str) -> Self {
        let events = |outcome| metrics.source_events.with([name, outcome]);
        let outcomes = [
            "new",
            "duplicate",
            "revision",
            "retraction",
            "superseded",
            "conflict",
        ];
        let source = Self {
            name: name.into(),
            accepted: events("accepted"),
            refused: events("refused"),
            lateness: metrics.source_lateness_seconds.with([name]),
            acknowledged: metrics.source_acknowledged.with([name]),
            applied: outcomes.map(|outcome| metrics.source_applied.with([name, outcome])),
        };
        // A counter that begins to exist at 1 has no increase to see.
        for counter in [&source.accepted, &source.refused]
            .into_iter()
            .chain(&source.applied)
        {
            counter.increment(0);
        }
        source
    }

    /// Counts the events of a batch.
    pub fn judged(&self, accepted: u32, refused: u32) {
        self.accepted.increment(accepted.into());
        self.refused.increment(refused.into());
    }

    /// Notes how long after it occurred an event was received.
    pub fn late(&self, by: Millis) {
        self.lateness.record(by as f64 / 1000.0);
    }

    /// Something of it was acknowledged.
    pub fn acknowledged(&self, at: Millis) {
        self.acknowledged.set(at as f64 / 1000.0);
    }

    /// Counts what became of some of its records.
    pub fn applied(&self, outcomes: Outcomes) {
        for (counter, more) in self.applied.iter().zip(outcomes.0) {
            counter.increment(more);
        }
    }
}

/// What became of some records: new, duplicate, revision, retraction, superseded,
/// conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes([u64; 6]);

impl Outcomes {
    /// Of the records that made this difference.
    pub fn between(before: Counts, after: Counts) -> Self {
        let more = |of: fn(&Counts) -> i64| (of(&after) - of(&before)).unsigned_abs();
        let told = [
            more(|of| of.duplicates),
            more(|of| of.revisions),
            more(|of| of.retractions),
            more(|of| of.superseded),
            more(|of| of.conflicts),
        ];
        let new = more(|of| of.events).saturating_sub(told.iter().sum());
        let [duplicates, revisions, retractions, superseded, conflicts] = told;
        Self([
            new,
            duplicates,
            revisions,
            retractions,
            superseded,
            conflicts,
        ])
    }

    /// Adds those of more records.
    pub fn add(&mut self, more: Self) {
        for (sum, more) in self.0.iter_mut().zip(more.0) {
            *sum += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources as Found};

    fn metrics(sources_max: usize) -> Metrics {
        let mut settings = Config::resolve(Found::default()).unwrap().metrics;
        settings.sources_max = sources_max;
        Metrics::new(&settings).unwrap()
    }

    #[test]
    fn sources_beyond_the_limit_are_counted_together_and_said_to_be() {
        let metrics = metrics(2);
        for name in ["tos", "gate", "yard", "other", "depot", "tos"] {
            metrics.source(name).judged(1, 0);
        }
        let text = metrics.render(None, &[]).concat();
        let of = |source: &str| {
            let series = format!(
                "quaymeter_source_events_total{{source=\"{source}\",outcome=\"accepted\"}} "
            );
            let found = text.lines().find_map(|line| line.strip_prefix(&series));
            found.map(|value| value.parse::<u64>().unwrap())
        };
        let told = ["tos", "gate", "yard", "other", "depot"].map(of);
        assert_eq!(told, [Some(2), Some(1), None, Some(3), None]);
        assert!(
            text.contains("quaymeter_sources_omitted_batches_total 3"),
            "{text}"
        );
    }

    #[test]
    fn what_became_of_records_is_the_difference_that_they_made() {
        let before = Counts {
            events: 10,
            duplicates: 4,
            ..Counts::default()
        };
        let after = Counts {
            events: 17,
            duplicates: 6,
            revisions: 1,
            conflicts: 1,
            ..before
        };
        let mut outcomes = Outcomes::between(before, after);
        assert_eq!(outcomes, Outcomes([3, 2, 1, 0, 0, 1]));
        outcomes.add(outcomes);
        assert_eq!(outcomes, Outcomes([6, 4, 2, 0, 0, 2]));
    }
}
