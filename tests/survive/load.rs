//! A simulated day on its way to a service that comes and goes: publishers that
//! resume, and what they know at any moment.

use crate::place::shanghai;
use jiff::Timestamp;
use quaymeter::client::{Observer, Options, Publisher, Report, Settled};
use quaymeter::pb::{self, Outcome};
use quaymeter::simulate::{self, Expected, SOURCES, Simulation};
use quaymeter::truth::Truth;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// So small that a day of some thousand events is many batches.
const BATCH_EVENTS: usize = 20;

/// Batches that a publisher has on its way at most.
const BATCHES_IN_FLIGHT: usize = 4;

/// A machine with much else to do takes its time to start a service.
const GIVE_UP_AFTER: Duration = Duration::from_secs(240);

/// What all publishers know.
#[derive(Default)]
pub struct Progress {
    in_flight: AtomicU64,
    settled: AtomicU64,
    lost: AtomicU64,
    surprises: AtomicU64,
}

impl Progress {
    /// Events that are sent and not acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Events that are acknowledged.
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::SeqCst)
    }

    /// Events that were sent and not acknowledged when a connection was lost,
    /// added up over all losses.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }
}

/// A day being delivered.
pub struct Load {
    pub day: Arc<Simulation>,
    pub progress: Arc<Progress>,
    publishers: JoinSet<Report>,
    feeding: JoinHandle<()>,
}

type Tag = Arc<[Expected]>;
type Queue = mpsc::Sender<(Tag, Vec<pb::Event>)>;

/// A day that ends now: the service judges by its clock.
pub fn a_day(seed: u64, events: u32) -> Simulation {
    let now = Timestamp::now().as_millisecond();
    Simulation::new(&simulate::Options::new(seed, now).with_events(events))
}

impl Load {
    /// Begins to deliver.
    pub fn start(url: &str, day: Simulation) -> Self {
        let (day, progress) = (Arc::new(day), Arc::new(Progress::default()));
        let mut publishers = JoinSet::new();
        let mut queues = Vec::new();
        for source in SOURCES {
            let (queue, input) = mpsc::channel(1);
            queues.push(queue);
            let options = Options {
                batch_events: BATCH_EVENTS,
                batches_in_flight: BATCHES_IN_FLIGHT,
                pause_min: Duration::from_millis(20),
                pause_max: Duration::from_millis(200),
                give_up_after: GIVE_UP_AFTER,
                ..Options::new(url, source, "survivor")
            };
            let publisher = Publisher::new(options).unwrap();
            let mut watch = Watch {
                progress: Arc::clone(&progress),
                in_flight: 0,
            };
            publishers.spawn(async move { publisher.run(input, &mut watch).await.unwrap() });
        }
        let feeding = tokio::spawn(feed(Arc::clone(&day), queues));
        Self {
            day,
            progress,
            publishers,
            feeding,
        }
    }

    /// Waits until everything is acknowledged, and holds the outcomes against
    /// what was meant. How many events were acknowledged as accepted, and
    /// positions that include them all.
    pub async fn finish(self) -> (u64, Vec<String>) {
        self.feeding.await.unwrap();
        let reports = self.publishers.join_all().await;
        let total = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
        let counts = self.day.counts();
        assert_eq!(self.progress.surprises.load(Ordering::SeqCst), 0);
        assert_eq!(total(|report| report.refused), counts.invalid);
        assert_eq!(
            total(|report| report.accepted),
            counts.sent - counts.invalid
        );
        let accepted = total(|report| report.accepted);
        let positions = reports.into_iter().map(|report| report.position);
        (accepted, positions.collect())
    }

    /// What it truly comes to.
    pub fn truth(&self) -> Truth {
        self.day.truth(&shanghai()).unwrap()
    }
}

/// Deals the events out by their source.
async fn feed(day: Arc<Simulation>, queues: Vec<Queue>) {
    let mut batches: [(Vec<Expected>, Vec<pb::Event>); SOURCES.len()] = Default::default();
    for sent in day.sent() {
        let of = SOURCES.iter().position(|source| *source == sent.source);
        let of = of.unwrap();
        let (expected, events) = &mut batches[of];
        expected.push(sent.expected);
        events.push(sent.event);
        if events.len() == BATCH_EVENTS {
            give(&queues[of], std::mem::take(&mut batches[of])).await;
        }
    }
    for (queue, batch) in queues.iter().zip(batches) {
        give(queue, batch).await;
    }
}

async fn give(queue: &Queue, (expected, events): (Vec<Expected>, Vec<pb::Event>)) {
    if !events.is_empty() {
        // A publisher that failed says so itself.
        let _ = queue.send((expected.into(), events)).await;
    }
}

/// Watches one publisher.
struct Watch {
    progress: Arc<Progress>,
    in_flight: u64,
}

impl Observer<Tag> for Watch {
    fn sent(&mut self, events: u32) {
        self.in_flight += u64::from(events);
        self.progress
            .in_flight
            .fetch_add(events.into(), Ordering::SeqCst);
    }

    fn settled(&mut self, settled: Settled<'_, Tag>) {
        let events = u64::from(settled.accepted + settled.refused);
        self.in_flight -= events;
        self.progress.in_flight.fetch_sub(events, Ordering::SeqCst);
        self.progress.settled.fetch_add(events, Ordering::SeqCst);
        for result in &settled.results {
            let became = match (&result.refusal, result.outcome()) {
                (Some(fault), Outcome::Refused) => Expected::Refused(fault.reason()),
                _ => Expected::Accepted,
            };
            if settled.tag.get(result.index as usize) != Some(&became) {
                self.progress.surprises.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn interrupted(&mut self, _why: &str, _pause: Duration) {
        let lost = std::mem::take(&mut self.in_flight);
        self.progress.in_flight.fetch_sub(lost, Ordering::SeqCst);
        self.progress.lost.fetch_add(lost, Ordering::SeqCst);
    }
}
