//! GetStatus: what was counted of events themselves, and how the service does.

use super::ask;
use crate::event::Millis;
use crate::metrics::{self, Metrics, is_warning};
use crate::pb;
use crate::view::State;
use std::sync::Arc;

/// The metrics of a service that takes events in, and since when it runs.
#[derive(Clone)]
pub(super) struct Counted {
    pub metrics: Arc<Metrics>,
    pub since: Millis,
}

/// What the state tells.
pub(super) fn of_state(state: &State) -> pb::GetStatusResponse {
    let counts = state.counts;
    let census = state.cells.census();
    pb::GetStatusResponse {
        events: counts.events,
        duplicates: counts.duplicates,
        revisions: counts.revisions,
        retractions: counts.retractions,
        superseded: counts.superseded,
        conflicts: counts.conflicts,
        repaired_durations: counts.repaired,
        identities: counts.identities,
        forgotten: counts.forgotten,
        quarter_cells: census.quarters(),
        day_cells: census.days(),
        ..Default::default()
    }
}

impl Counted {
    /// Adds what the running service tells; `applied` is the state's position.
    pub fn tell(&self, answer: &mut pb::GetStatusResponse, applied: u64) {
        let metrics = &self.metrics;
        let mut intake = pb::Intake {
            accepted: whole(metrics.events_accepted.get()),
            streams: metrics.streams.get() as u32,
            ..Default::default()
        };
        for (reason, tally) in metrics.reasons() {
            let (reason, count, warning) = (reason.into(), tally.get(), is_warning(reason));
            let to = if warning {
                &mut intake.warned
            } else {
                &mut intake.refused
            };
            if count > 0 {
                let count = whole(count);
                to.push(pb::ReasonCount { reason, count });
            }
        }
        answer.started_at = Some(ask::message(self.since));
        answer.intake = Some(intake);
        answer.progress = Some(pb::Progress {
            // The log may have been told of before the view, or after it.
            log_end: whole(metrics.log_end_offset.get().max(applied)),
            applied: whole(applied),
            checkpoint: whole(metrics.checkpoint_offset.get()),
        });
    }
}

/// Memory that the process holds, in bytes; 0 if it is not known.
pub(super) fn resident_bytes() -> i64 {
    metrics::resident_bytes().map_or(0, whole)
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
