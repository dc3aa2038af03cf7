//! Delivers a simulated day to a service, over several streams at once, and
//! holds what became of each event against what was meant.

use crate::client::reach::Credentials;
use crate::client::{Cause, Error as PublishError, Observer, Options, Publisher, Report, Settled};
use crate::pb::{self, Outcome};
use crate::simulate::{Expected, SOURCES, Sent, Simulation};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Batches between the simulation and each stream.
const QUEUED_BATCHES: usize = 4;

/// What was not taken in time is made up for, but no more than so much of it: after a
/// longer halt of the service a rate stays a rate.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// Surprises that are told one by one; more are only counted.
const SURPRISES_TOLD_MAX: usize = 20;

/// How a day is delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The service's URL.
    pub endpoint: String,
    /// Streams for each source, at least 1.
    pub streams: usize,
    /// Events in a batch, at most.
    pub batch_events: usize,
    /// Events a second, at most; none for as fast as they are taken.
    pub rate: Option<u32>,
}

/// What became of a day.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    /// Events acknowledged as accepted.
    pub accepted: u64,
    /// Events acknowledged as refused.
    pub refused: u64,
    /// How often a stream was opened again.
    pub resumed: u64,
    /// A position of each stream; together they cover all events.
    pub positions: Vec<String>,
    /// Outcomes that were not meant.
    pub surprises: u64,
    /// The first of them in words.
    pub told: Vec<String>,
}

/// Why a day could not be delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is no URL.
    #[error("deliver the simulated day")]
    Endpoint(#[from] Cause),
    /// A stream failed.
    #[error("deliver the simulated day")]
    Publish(#[from] PublishError),
    /// A stream's task died.
    #[error("deliver the simulated day: a stream's task died")]
    Died(#[from] JoinError),
}

/// What is to become of a batch's events.
type Tag = Arc<[Expected]>;
type Queue = mpsc::Sender<(Tag, Vec<pb::Event>)>;

/// Delivers a day. `acknowledged` counts up while it goes on.
///
/// # Errors
/// What could not be published; whatever is refused is no error here.
pub async fn deliver(
    simulation: &Simulation,
    delivery: &Delivery,
    acknowledged: Arc<AtomicU64>,
) -> Result<Delivered, Error> {
    deliver_as(&Credentials::default(), simulation, delivery, acknowledged).await
}

/// Delivers a day as somebody. Each stream names its source all the same.
///
/// # Errors
/// As [`deliver`].
pub async fn deliver_as(
    credentials: &Credentials,
    simulation: &Simulation,
    delivery: &Delivery,
    acknowledged: Arc<AtomicU64>,
) -> Result<Delivered, Error> {
    let mut streams = JoinSet::new();
    let mut queues = Vec::new();
    for n in 0..SOURCES.len() * delivery.streams.max(1) {
        let (queue, input) = mpsc::channel(QUEUED_BATCHES);
        let source = SOURCES[n % SOURCES.len()];
        let mut options = Options::new(&delivery.endpoint, source, &format!("simulate-{n}"));
        options.batch_events = delivery.batch_events;
        options.credentials = credentials.clone();
        let publisher = Publisher::new(options)?;
        let mut checks = Checks {
            acknowledged: Arc::clone(&acknowledged),
            ..Checks::default()
        };
        streams.spawn(async move {
            let report = publisher.run(input, &mut checks).await?;
            Ok::<_, Error>((report, checks))
        });
        queues.push(queue);
    }
    fill(simulation, delivery, queues).await;
    let mut delivered = Delivered::default();
    while let Some(ended) = streams.join_next().await {
        let (report, checks) = ended??;
        delivered.add(report, checks);
    }
    Ok(delivered)
}

/// Deals the events out: by source, then in turn over its streams. A stream
/// that has failed takes no more; its error is told by its task.
async fn fill(simulation: &Simulation, delivery: &Delivery, queues: Vec<Queue>) {
    let batch_events = delivery.batch_events.max(1);
    let mut due = Instant::now();
    let mut batches: [Vec<Sent>; SOURCES.len()] = Default::default();
    let mut turn = 0;
    let mut sent = simulation.sent();
    loop {
        let next = sent.next();
        let ended = next.is_none();
        if let Some(event) = next {
            let of = SOURCES
                .iter()
                .position(|&source| source == event.source)
                .unwrap_or(0);
            batches[of].push(event);
        }
        for (of, batch) in batches.iter_mut().enumerate() {
            if batch.len() >= batch_events || ended && !batch.is_empty() {
                turn += 1;
                if let Some(rate) = delivery.rate {
                    sleep_until(due).await;
                    due = next_due(due, Instant::now(), batch.len(), rate);
                }
                let streams = queues.len() / SOURCES.len();
                let queue = &queues[turn % streams * SOURCES.len() + of];
                if queue.send(parts(std::mem::take(batch))).await.is_err() {
                    return;
                }
            }
        }
        if ended {
            return;
        }
    }
}

/// When the batch is due that follows one of so many events, which was due then and
/// goes now.
fn next_due(due: Instant, now: Instant, events: usize, rate: u32) -> Instant {
    let takes = events as f64 / f64::from(rate.max(1));
    now.max(due + BEHIND_MAX) - BEHIND_MAX + Duration::from_secs_f64(takes)
}

fn parts(batch: Vec<Sent>) -> (Tag, Vec<pb::Event>) {
    let expected: Vec<Expected> = batch.iter().map(|sent| sent.expected).collect();
    (
        expected.into(),
        batch.into_iter().map(|sent| sent.event).collect(),
    )
}

impl Delivered {
    fn add(&mut self, report: Report, checks: Checks) {
        self.accepted += report.accepted;
        self.refused += report.refused;
        self.resumed += report.resumed;
        if !report.position.is_empty() {
            self.positions.push(report.position);
        }
        // What was meant to be refused but was not is missing among the
        // refusals, and is known only by their number.
        let missing = checks.meant_refusals.abs_diff(checks.refusals);
        self.surprises += checks.surprises + missing;
        if missing > 0 {
            self.told.push(format!(
                "{} refusals were meant, {} came",
                checks.meant_refusals, checks.refusals
            ));
        }
        self.told.extend(checks.told);
    }
}

/// Holds outcomes against what was meant.
#[derive(Default)]
struct Checks {
    acknowledged: Arc<AtomicU64>,
    last: Option<Tag>,
    meant_refusals: u64,
    refusals: u64,
    surprises: u64,
    told: Vec<String>,
}

impl Observer<Tag> for Checks {
    fn settled(&mut self, settled: Settled<'_, Tag>) {
        let events = u64::from(settled.accepted) + u64::from(settled.refused);
        self.acknowledged.fetch_add(events, Ordering::Relaxed);
        // A batch may be told in parts, one after the other.
        if !self
            .last
            .as_ref()
            .is_some_and(|last| Arc::ptr_eq(last, settled.tag))
        {
            let refused = settled
                .tag
                .iter()
                .filter(|&&meant| meant != Expected::Accepted);
            self.meant_refusals += refused.count() as u64;
            self.last = Some(Arc::clone(settled.tag));
        }
        self.refusals += u64::from(settled.refused);
        for result in &settled.results {
            self.hold(result, settled.tag);
        }
    }
}

impl Checks {
    fn hold(&mut self, result: &pb::EventResult, expected: &[Expected]) {
        let became = match (&result.refusal, result.outcome()) {
            (Some(fault), Outcome::Refused) => Expected::Refused(fault.reason()),
            _ => Expected::Accepted,
        };
        let meant = expected.get(result.index as usize).copied();
        if meant != Some(became) {
            self.surprises += 1;
            if self.told.len() < SURPRISES_TOLD_MAX {
                self.told
                    .push(format!("meant {meant:?}, became {became:?}: {result:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALT: Duration = Duration::from_secs(60);

    /// How many batches go in the second after a halt, if each may go at once.
    fn after_a_halt(halt: Duration) -> usize {
        let begun = Instant::now();
        let mut due = begun;
        let mut batches = 0;
        while due < begun + halt + Duration::from_secs(1) {
            let now = due.max(begun + halt);
            due = next_due(due, now, 100, 1_000);
            batches += 1;
        }
        batches
    }

    #[test]
    fn a_rate_stays_a_rate() {
        assert_eq!(after_a_halt(Duration::ZERO), 10);
        let begun = Instant::now();
        let late = begun + Duration::from_millis(300);
        let next = next_due(begun, late, 100, 1_000);
        assert_eq!(
            next - begun,
            Duration::from_millis(100),
            "it is made up for"
        );
    }

    #[test]
    fn after_a_long_halt_one_second_is_made_up_for() {
        assert_eq!(after_a_halt(HALT), 20);
        assert_eq!(after_a_halt(10 * HALT), after_a_halt(HALT));
    }
}
