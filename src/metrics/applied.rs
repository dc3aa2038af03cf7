//! What became of the log's records.

use super::Metrics;
use crate::event::Millis;
use crate::meter::Counts;

impl Metrics {
    /// Tells that answers include a record since now: how long that took, by the system's
    /// clock.
    pub fn fresh(&self, appended_at: Millis) {
        let now = jiff::Timestamp::now().as_millisecond();
        let seconds = (now - appended_at).max(0) as f64 / 1000.0;
        self.freshness_seconds.record(seconds);
    }

    /// Tells what is applied, as absolute totals: a restart loses no count.
    pub fn applied(&self, position: u64, counts: Counts) {
        let total = |of: i64| of.unsigned_abs();
        self.applied_offset.set(position as f64);
        self.applied_events.absolute(total(counts.events));
        self.applied_duplicates.absolute(total(counts.duplicates));
        self.applied_revisions.absolute(total(counts.revisions));
        self.applied_retractions.absolute(total(counts.retractions));
        self.applied_superseded.absolute(total(counts.superseded));
        self.applied_conflicts.absolute(total(counts.conflicts));
        self.repaired_durations.absolute(total(counts.repaired));
        self.forgotten_identities.absolute(total(counts.forgotten));
        self.identities.set(counts.identities as f64);
    }
}
