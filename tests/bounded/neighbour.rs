//! A client that keeps to every rule while others do not: it publishes and asks,
//! on a connection of its own, and all of it must succeed.

use crate::place::{DEADLINE, arrivals, channel, trucks_in, until};
use quaymeter::answers::Client;
use quaymeter::pb;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::Channel;

/// Events of a round, and the most rounds: no test comes near.
const EVENTS: u32 = 10;
const ROUNDS_MAX: u32 = 9_000;

/// The least time between two rounds: it is one client, and no flood.
const BEAT: Duration = Duration::from_millis(20);

/// Its rounds.
pub struct Neighbour {
    url: String,
    rounds: Arc<AtomicU32>,
    leave: Arc<AtomicBool>,
    living: JoinHandle<()>,
}

impl Neighbour {
    /// Moves in, and has made a first round.
    pub async fn at(url: &str) -> Self {
        let (rounds, leave) = (
            Arc::new(AtomicU32::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let channel = channel(url).await;
        let living = tokio::spawn(live(channel, Arc::clone(&rounds), Arc::clone(&leave)));
        let neighbour = Self {
            url: url.into(),
            rounds,
            leave,
            living,
        };
        neighbour.goes_on().await;
        neighbour
    }

    /// It makes more whole rounds from now on.
    pub async fn goes_on(&self) {
        let before = self.rounds.load(Ordering::SeqCst);
        until("the neighbour goes on", async || {
            assert!(!self.living.is_finished(), "the neighbour was disturbed");
            self.rounds.load(Ordering::SeqCst) >= before + 2
        })
        .await;
    }

    /// Moves out: all that it published is counted, once.
    pub async fn leaves(mut self) {
        self.goes_on().await;
        self.leave.store(true, Ordering::SeqCst);
        timeout(DEADLINE, &mut self.living).await.unwrap().unwrap();
        let published = self.rounds.load(Ordering::SeqCst) * EVENTS;
        assert_eq!(trucks_in(&self.url).await, i64::from(published));
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // A test that has failed stops its service.
        self.living.abort();
    }
}

async fn live(channel: Channel, rounds: Arc<AtomicU32>, leave: Arc<AtomicBool>) {
    let mut publish = IngestServiceClient::new(channel.clone());
    let mut ask = Client::new(channel);
    let mut beat = tokio::time::interval(BEAT);
    while !leave.load(Ordering::SeqCst) {
        beat.tick().await;
        let round = rounds.load(Ordering::SeqCst);
        assert!(round < ROUNDS_MAX, "it was left alone for too long");
        let request = pb::PublishEventsRequest {
            source: "neighbour".into(),
            events: arrivals(round * EVENTS..(round + 1) * EVENTS),
            ..Default::default()
        };
        let answer = timeout(DEADLINE, publish.publish_events(request)).await;
        let answer = answer.unwrap().unwrap().into_inner();
        assert_eq!(answer.accepted, EVENTS, "{:?}", answer.results);
        let question = pb::GetStatusRequest {
            at_least: answer.position,
        };
        timeout(DEADLINE, ask.get_status(question))
            .await
            .unwrap()
            .unwrap();
        rounds.store(round + 1, Ordering::SeqCst);
    }
}
