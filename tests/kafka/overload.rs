//! More comes than the broker takes: clients are refused or get no credit, what waits is
//! bounded, and what was acknowledged in the end is counted once.

use crate::instances::{DEADLINE, World, assert_audited, assert_meant};
use crate::memory::{MIB, Memory};
use crate::place::metric;
use crate::proxy::{self, Way};
use crate::service::Service;
use crate::underway::{Underway, day_of};
use quaymeter::pb;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::simulate::{SOURCES, Simulation};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::Code;
use tonic_types::StatusExt as _;

/// Several times what may wait.
const EVENTS: u32 = 12_000;

/// Bytes that may wait, the least that can be set.
const ROOM: u64 = MIB;

/// Callers of `PublishEvents`, each of whom sends as fast as he is answered.
const CALLERS: usize = 32;
const BATCH_EVENTS: usize = 100;

/// Refusals after which the broker goes on: each caller had several.
const REFUSALS: usize = 8 * CALLERS;

/// What callers share: what is still to be sent, and what became of the rest.
#[derive(Default)]
struct Calls {
    batches: Mutex<VecDeque<pb::PublishEventsRequest>>,
    positions: Mutex<Vec<String>>,
    refusals: AtomicUsize,
}

impl Calls {
    fn of(day: &Simulation) -> Self {
        let mut batches = VecDeque::new();
        for source in SOURCES {
            let its = day.sent().filter(|sent| sent.source == source);
            let events: Vec<pb::Event> = its.map(|sent| sent.event).collect();
            batches.extend(
                events
                    .chunks(BATCH_EVENTS)
                    .map(|events| pb::PublishEventsRequest {
                        source: source.into(),
                        events: events.to_vec(),
                        ..Default::default()
                    }),
            );
        }
        Self {
            batches: Mutex::new(batches),
            ..Self::default()
        }
    }

    /// Sends until nothing is left; what is refused is sent again at once, however long
    /// the service asks to wait.
    async fn send_all(&self, url: &str) {
        let mut client = IngestServiceClient::connect(url.to_owned()).await.unwrap();
        loop {
            let Some(batch) = self.batches.lock().unwrap().pop_front() else {
                return;
            };
            match client.publish_events(batch.clone()).await {
                Ok(answer) => {
                    let position = answer.into_inner().position;
                    self.positions.lock().unwrap().push(position);
                }
                Err(status) => {
                    let may = matches!(status.code(), Code::ResourceExhausted | Code::Unavailable);
                    let retry = status.get_details_retry_info();
                    let delay = retry.and_then(|info| info.retry_delay);
                    assert!(may && delay.is_some(), "{status:?}");
                    self.refusals.fetch_add(1, Ordering::Relaxed);
                    self.batches.lock().unwrap().push_back(batch);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_takes_nothing_callers_and_streams_wait_and_memory_is_bounded() {
    let Some((broker, proxy)) = proxy::with_broker() else {
        return;
    };
    let world = World::on(Arc::new(broker));
    let room = ROOM.to_string();
    let narrow = [
        ["--limits-buffered-bytes", &room],
        ["--limits-message-bytes", &room],
        ["--limits-append-wait-ms", "100"],
    ];
    let instance = world.start_at(&proxy.bootstrap(), "first", narrow.as_flattened());
    let (day, memory) = (day_of(151, EVENTS), Memory::of(instance.pid()));
    proxy.set(Way::Shut, Way::Shut);
    let calls = Arc::new(Calls::of(&day));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (calls, url) = (Arc::clone(&calls), instance.grpc.clone());
        callers.spawn(async move { calls.send_all(&url).await });
    }
    // The same day once more, by streams.
    let streams = Underway::begin(&day, &instance, None);
    let fullest = fill(&instance, &calls).await;
    assert!(fullest > ROOM / 2, "{fullest} bytes waited at most");
    assert_eq!(streams.acknowledged(), 0);
    assert!(calls.positions.lock().unwrap().is_empty());
    memory.stayed_within(ROOM);
    proxy.heal();
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    let mut positions = streams.delivered().await;
    positions.append(&mut calls.positions.lock().unwrap());
    assert_meant(&instance, &day, &positions).await;
    assert_audited(&world, &instance);
    instance.stop();
}

/// Waits until everybody was refused again and again. The most bytes that waited
/// meanwhile; never more than there is room for.
async fn fill(instance: &Service, calls: &Calls) -> u64 {
    let (started, mut fullest) = (Instant::now(), 0);
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    while calls.refusals.load(Ordering::Relaxed) < REFUSALS {
        let waits = metric(instance, "quaymeter_buffered_bytes ") as u64;
        assert!(waits <= ROOM, "{waits} bytes wait");
        fullest = fullest.max(waits);
        assert!(started.elapsed() < DEADLINE);
        beat.tick().await;
    }
    fullest
}
