//! What a judged batch holds in memory, of which budget and how long.

use super::Shared;
use super::check::Checked;
use crate::budget::Held;
use crate::pb::{self, EventResult};
use crate::status;
use crate::turns::Share;
use crate::worker::Item;
use prost::Message as _;
use std::time::Duration;
use tonic::Status;

/// When to come back after there was no room.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What a batch holds.
pub struct Weight {
    /// Its events, until they are durable: of all that may be held, and of what its
    /// source may hold.
    pub taken: (Held, Share),
    /// Its results, until the client has taken them.
    pub told: Held,
}

impl Shared {
    /// Room for what was made of a batch.
    ///
    /// # Errors
    /// There is none: the batch is not appended.
    pub(super) fn hold(&self, source: &str, checked: &Checked) -> Result<Weight, Status> {
        // The bytes stand here and, until they are written, in a frame.
        let bytes: usize = checked.encoded.iter().map(|event| 2 * event.len()).sum();
        let taken = self.room(source, bytes + checked.items.len() * size_of::<Item>())?;
        let told = self.budgets.answers.hold(results(&checked.results));
        let told = told.map_err(|_| full("bytes of answers"))?;
        Ok(Weight { taken, told })
    }

    /// Room for a batch as it came, until its turn.
    ///
    /// # Errors
    /// There is none: the batch is not taken.
    pub(super) fn hold_unjudged(
        &self,
        source: &str,
        events: &[pb::Event],
    ) -> Result<(Held, Share), Status> {
        let bytes = |event: &pb::Event| size_of::<pb::Event>() + event.encoded_len();
        self.room(source, events.iter().map(bytes).sum())
    }

    fn room(&self, source: &str, bytes: usize) -> Result<(Held, Share), Status> {
        let share = self.shares.take(source, bytes);
        let share = share.ok_or_else(|| full("bytes of one source"))?;
        let held = self.budgets.requests.hold(bytes);
        Ok((held.map_err(|_| full("bytes of requests"))?, share))
    }
}

fn full(what: &str) -> Status {
    status::overloaded(what, RETRY_AFTER)
}

/// What results hold: as they are, and once more as bytes.
fn results(results: &[EventResult]) -> usize {
    results.iter().map(result).sum()
}

fn result(result: &EventResult) -> usize {
    let faults = result.warnings.iter().chain(&result.refusal);
    let texts = |fault: &pb::Fault| fault.field.len() + fault.found.len() + fault.expected.len();
    let faults: usize = faults
        .map(|fault| size_of::<pb::Fault>() + 2 * texts(fault))
        .sum();
    size_of::<EventResult>() + faults
}
