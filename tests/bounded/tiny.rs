//! A hundred thousand messages of one event each.

use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{DEADLINE, Place, ingest, passage, recently, status, until};
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::{self, GateDirection};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

const MESSAGES: u64 = 100_000;

/// As many as may be unacknowledged.
const CREDIT: u64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_tiny_messages_are_taken_and_cost_little() {
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let before = status(&service.grpc).await.events;
    let memory = Memory::of(service.pid());
    let (say, said) = mpsc::channel(64);
    let open = pb::StreamOpen {
        client_id: "tiny".into(),
        source: "tiny".into(),
        ..Default::default()
    };
    let request = |message| pb::StreamEventsRequest {
        message: Some(message),
    };
    say.send(request(Say::Open(open))).await.unwrap();
    let mut client = ingest(&service.grpc).await;
    let answers = client.stream_events(ReceiverStream::new(said)).await;
    let mut answers = answers.unwrap().into_inner();
    let (granted, mut grants) = mpsc::channel(1_024);
    let sending = tokio::spawn(async move {
        let mut credit = CREDIT;
        for sequence in 1..=MESSAGES {
            while sequence > credit {
                credit = timeout(DEADLINE, grants.recv()).await.unwrap().unwrap();
            }
            let plate = format!("浙A{sequence:06}");
            let id = format!("t{sequence}");
            // One truck of each is as good as another.
            let events = vec![passage(&id, recently(), GateDirection::Out, &plate)];
            let batch = Say::Batch(pb::StreamBatch { sequence, events });
            say.send(request(batch)).await.unwrap();
        }
    });
    let (mut acknowledged, mut accepted) = (0, 0);
    while acknowledged < MESSAGES {
        let answer = timeout(DEADLINE, answers.message()).await.unwrap();
        if let Some(Hear::Ack(ack)) = answer.unwrap().unwrap().message {
            acknowledged = ack.sequence;
            accepted += u64::from(ack.accepted);
            // Who sends has finished when nobody listens.
            let _ = granted.send(ack.granted_events).await;
        }
    }
    sending.await.unwrap();
    assert_eq!(accepted, MESSAGES);
    // Acknowledged is durable; it is counted soon after.
    until("all are counted", async || {
        status(&service.grpc).await.events - before >= MESSAGES as i64
    })
    .await;
    // A credit's worth under way, each message a batch and a task of its own;
    // what the events came to stays, with their places in pairing lists.
    memory.stayed_within(CREDIT * 4 * 1024 + MESSAGES * 400 + 16 * MIB);
    neighbour.leaves().await;
    service.stop();
}
