//! Judges a batch event by event: what is accepted goes on, what is refused is
//! told with its index, and neither touches its neighbours.

use super::Shared;
use super::sender::Sender;
use crate::event::fault::Fault;
use crate::event::{Classifier, Millis};
use crate::metrics::{Counter, Metrics, Tally};
use crate::pb::{self, EventResult, Outcome, Reason};
use crate::wire::{self, Judge};
use crate::worker::Item;
use crate::{event, status};
use bytes::Bytes;
use smallvec::SmallVec;
use tonic::Status;

/// Results of one batch that carry their whole text. More are told by code and
/// field of their first fault only, so that an answer stays well below 4 MiB,
/// the limit of most clients.
const FULL_RESULTS_MAX: usize = 1000;

/// The counters of what is judged, looked up once: a look-up costs more than
/// the rest of judging an event.
pub struct Reasons {
    by_reason: Vec<Option<Tally>>,
    /// Batches of `PublishEvents`.
    pub publish: Counter,
    /// Batches of `StreamEvents`.
    pub stream: Counter,
}

impl Reasons {
    pub fn of(metrics: &Metrics) -> Self {
        let counter = |n| {
            Reason::try_from(n)
                .ok()
                .and_then(|reason| metrics.reason(reason))
        };
        Self {
            by_reason: (0..REASONS_END).map(counter).collect(),
            publish: metrics.batches.with(["PublishEvents"]),
            stream: metrics.batches.with(["StreamEvents"]),
        }
    }

    fn count(&self, reason: Reason, events: u64) {
        if let Some(Some(counter)) = self.by_reason.get(i32::from(reason) as usize) {
            counter.increment(events);
        }
    }
}

/// Above every reason's number.
const REASONS_END: i32 = 200;

/// How a request wants its events judged.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The service's clock.
    pub now: Millis,
    /// Events beyond the horizon are accepted.
    pub backfill: bool,
    /// Warnings are refusals.
    pub strict: bool,
}

/// A judged batch.
#[derive(Debug, Default)]
pub struct Checked {
    /// The accepted events, for the worker.
    pub items: Vec<Item>,
    /// The same, canonical, for the log.
    pub encoded: Vec<Bytes>,
    /// How many were accepted.
    pub accepted: u32,
    /// How many were refused.
    pub refused: u32,
    /// What is to be told.
    pub results: Vec<EventResult>,
    /// How often each reason was met: few, whatever the batch has.
    faults: SmallVec<[(Reason, u64); 4]>,
}

impl Shared {
    /// Judges a batch.
    pub(super) fn check(&self, sender: &Sender, events: Vec<pb::Event>, manner: Manner) -> Checked {
        let (source, allowed) = (sender.source(), sender.allowed());
        let of = self.metrics.source(source);
        let pseudonyms = self.keys.pseudonyms.now();
        let judge = Judge {
            now: manner.now,
            horizon_ms: self.limits.horizon_ms,
            day_retention_ms: self.limits.day_retention_ms,
            backfill: manner.backfill,
            strict: manner.strict,
            pseudonyms: &pseudonyms,
        };
        let mut checked = Checked::default();
        checked.items.reserve(events.len());
        let mut buffer = Vec::with_capacity(events.len() * 128);
        let mut ends = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            match wire::accept_within(event, &judge, allowed) {
                Ok(accepted) => {
                    let start = buffer.len();
                    wire::encode_into(&accepted.event, &mut buffer);
                    ends.push(buffer.len());
                    let item = Item::of(
                        &self.keys.fingerprints,
                        source,
                        accepted.event,
                        &buffer[start..],
                    );
                    if let Some(statement) = &item.event.statement
                        && statement.classifier == Classifier::Actual
                    {
                        of.late(manner.now - statement.occurred_at);
                    }
                    checked.items.push(item);
                    checked.accept(index, accepted.warnings);
                }
                Err(fault) => checked.refuse(index, fault),
            }
        }
        checked.encoded = split(&Bytes::from(buffer), &ends);
        of.judged(checked.accepted, checked.refused);
        for &(reason, events) in &checked.faults {
            self.reasons.count(reason, events);
            self.metrics.fault(&of, reason, events);
        }
        self.metrics
            .events_accepted
            .increment(u64::from(checked.accepted));
        self.metrics
            .batch_events
            .record(f64::from(checked.accepted + checked.refused));
        checked
    }
}

impl Checked {
    /// How many events were refused or warned of, by reason.
    pub fn reasons(&self) -> &[(Reason, u64)] {
        &self.faults
    }

    fn accept(&mut self, index: usize, warnings: Vec<Fault>) {
        self.accepted += 1;
        for warning in &warnings {
            self.met(warning.reason);
        }
        if !warnings.is_empty() {
            let told = self.told(warnings);
            self.tell(index, Outcome::Accepted, None, told);
        }
    }

    fn refuse(&mut self, index: usize, fault: Fault) {
        self.refused += 1;
        self.met(fault.reason);
        let refusal = self.told(vec![fault]).pop();
        self.tell(index, Outcome::Refused, refusal, Vec::new());
    }

    fn met(&mut self, reason: Reason) {
        match self.faults.iter_mut().find(|(of, _)| *of == reason) {
            Some((_, events)) => *events += 1,
            None => self.faults.push((reason, 1)),
        }
    }

    /// The faults as they are told.
    fn told(&self, faults: Vec<Fault>) -> Vec<pb::Fault> {
        if self.results.len() < FULL_RESULTS_MAX {
            return faults.into_iter().map(Into::into).collect();
        }
        let first = faults.into_iter().take(1).map(pb::Fault::from);
        let short = |fault| pb::Fault {
            found: String::new(),
            expected: String::new(),
            ..fault
        };
        first.map(short).collect()
    }

    fn tell(
        &mut self,
        index: usize,
        outcome: Outcome,
        refusal: Option<pb::Fault>,
        warnings: Vec<pb::Fault>,
    ) {
        self.results.push(EventResult {
            index: index as u32,
            outcome: outcome.into(),
            refusal,
            warnings,
        });
    }
}

/// One allocation for the batch, one slice for each event.
fn split(buffer: &Bytes, ends: &[usize]) -> Vec<Bytes> {
    let mut start = 0;
    let mut slices = Vec::with_capacity(ends.len());
    for &end in ends {
        slices.push(buffer.slice(start..end));
        start = end;
    }
    slices
}

/// Judges a source's name.
pub fn source(name: &str) -> Result<(), Status> {
    named("source", name)
}

/// Judges a name of a source or client.
pub fn named(field: &'static str, name: &str) -> Result<(), Status> {
    if event::enterprise::is_name(name) {
        return Ok(());
    }
    Err(status::invalid(
        field,
        name,
        "1 to 64 characters `A-Z a-z 0-9 . _ : -`",
    ))
}

/// Judges how many events a batch has.
pub fn batch_size(events: usize, limit: usize) -> Result<(), Status> {
    if (1..=limit).contains(&events) {
        return Ok(());
    }
    let found = format!("{events} events");
    Err(status::invalid(
        "events",
        found,
        format!("1 to {limit} events"),
    ))
}
