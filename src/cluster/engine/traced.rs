//! What is traced of the records that are counted and not committed yet.

use crate::log::Offset;
use crate::trace::{Mark, Tracer};
use bytes::Bytes;
use std::time::SystemTime;

/// Batches of one transaction that are traced, at most: it may have any number, and
/// strangers may write the header too.
const TRACED_MAX: usize = 64;

/// The batches that are traced.
pub struct Traced {
    tracer: Tracer,
    batches: Vec<Batch>,
}

/// What is counted of one.
struct Batch {
    mark: Mark,
    since: SystemTime,
    /// Of its first record.
    place: (u32, Offset),
    events: u64,
}

impl Traced {
    /// None yet.
    pub fn new(tracer: Tracer) -> Self {
        Self {
            tracer,
            batches: Vec::new(),
        }
    }

    /// A record was counted that came with these headers beside ours.
    pub fn note(&mut self, headers: &[(String, Bytes)], place: (u32, Offset)) {
        if headers.is_empty() || !self.tracer.is_on() {
            return;
        }
        let Some(mark) = Mark::of(headers) else {
            return;
        };
        // Most often it is of the same batch as the one before.
        let mut known = self.batches.iter_mut().rev();
        if let Some(batch) = known.find(|batch| batch.mark == mark) {
            batch.events += 1;
        } else if self.batches.len() < TRACED_MAX {
            self.batches.push(Batch {
                mark,
                since: SystemTime::now(),
                place,
                events: 1,
            });
        }
    }

    /// All that was noted is committed.
    pub fn committed(&mut self) {
        for batch in self.batches.drain(..) {
            if !self.tracer.allows() {
                continue;
            }
            let span = self.tracer.follow(batch.mark, "commit", batch.since);
            if let Some(mut span) = span {
                let (partition, offset) = batch.place;
                span.note("quaymeter.partition", partition.into());
                span.note("quaymeter.offset", offset);
                span.note("quaymeter.events", batch.events);
            }
        }
    }

    /// Nothing of it will be.
    pub fn clear(&mut self) {
        self.batches.clear();
    }
}
