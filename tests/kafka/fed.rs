//! A simulated day on its way to an instance that comes and goes: at a rate while something
//! happens, however long that takes, and then as fast as it is taken.

use crate::instances::DEADLINE;
use quaymeter::client::{Observer, Options, Publisher, Report, Settled};
use quaymeter::pb::{self, Outcome};
use quaymeter::simulate::{Expected, SOURCES, Simulation};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

/// So small that there is always something new to be counted.
const BATCH_EVENTS: usize = 10;

/// Batches that a publisher has on its way at most.
const BATCHES_IN_FLIGHT: usize = 8;

/// What is to become of a batch's events.
type Tag = Arc<[Expected]>;
type Queue = mpsc::Sender<(Tag, Vec<pb::Event>)>;

/// A day being fed.
pub struct Fed {
    day: Arc<Simulation>,
    publishers: JoinSet<Report>,
    feeding: JoinHandle<()>,
    hurry: watch::Sender<bool>,
    surprises: Arc<AtomicU64>,
}

impl Fed {
    /// Begins to feed it, so many events a second.
    pub fn begin(day: &Arc<Simulation>, url: &str, rate: u32) -> Self {
        let surprises = Arc::new(AtomicU64::new(0));
        let mut publishers = JoinSet::new();
        let queues = SOURCES.map(|source| {
            let (queue, input) = mpsc::channel(1);
            let publisher = publisher(url, source);
            let mut watch = Watch(Arc::clone(&surprises));
            publishers.spawn(async move { publisher.run(input, &mut watch).await.unwrap() });
            queue
        });
        let (hurry, hurries) = watch::channel(false);
        Self {
            feeding: tokio::spawn(feed(Arc::clone(day), queues, hurries, rate)),
            day: Arc::clone(day),
            publishers,
            hurry,
            surprises,
        }
    }

    /// Whether all of it was fed, so that nothing is under way any more.
    pub fn is_over(&self) -> bool {
        self.feeding.is_finished()
    }

    /// Feeds the rest, and waits until all is acknowledged as it was meant to be; positions
    /// that together cover it.
    pub async fn delivered(self) -> Vec<String> {
        self.hurry.send_replace(true);
        self.feeding.await.unwrap();
        let reports = self.publishers.join_all().await;
        assert_eq!(self.surprises.load(Ordering::Relaxed), 0);
        let total = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
        let counts = self.day.counts();
        assert_eq!(total(|report| report.refused), counts.invalid);
        assert_eq!(
            total(|report| report.accepted),
            counts.sent - counts.invalid
        );
        reports.into_iter().map(|report| report.position).collect()
    }
}

fn publisher(url: &str, source: &str) -> Publisher {
    let options = Options {
        batch_events: BATCH_EVENTS,
        batches_in_flight: BATCHES_IN_FLIGHT,
        pause_min: Duration::from_millis(20),
        pause_max: Duration::from_millis(200),
        give_up_after: DEADLINE,
        ..Options::new(url, source, "fed")
    };
    Publisher::new(options).unwrap()
}

/// Deals the events out by their source.
async fn feed(
    day: Arc<Simulation>,
    queues: [Queue; SOURCES.len()],
    mut hurries: watch::Receiver<bool>,
    rate: u32,
) {
    let mut beat = tokio::time::interval(Duration::from_secs(1) * BATCH_EVENTS as u32 / rate);
    let mut batches: [(Vec<Expected>, Vec<pb::Event>); SOURCES.len()] = Default::default();
    for sent in day.sent() {
        let of = SOURCES.iter().position(|&source| source == sent.source);
        let of = of.unwrap();
        let (expected, events) = &mut batches[of];
        expected.push(sent.expected);
        events.push(sent.event);
        if events.len() == BATCH_EVENTS {
            let hurries_now = *hurries.borrow();
            if !hurries_now {
                tokio::select! {
                    _ = beat.tick() => {}
                    _ = hurries.changed() => {}
                }
            }
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

/// Counts the outcomes that were not meant.
struct Watch(Arc<AtomicU64>);

impl Observer<Tag> for Watch {
    fn settled(&mut self, settled: Settled<'_, Tag>) {
        for result in &settled.results {
            let became = match (&result.refusal, result.outcome()) {
                (Some(fault), Outcome::Refused) => Expected::Refused(fault.reason()),
                _ => Expected::Accepted,
            };
            if settled.tag.get(result.index as usize) != Some(&became) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
