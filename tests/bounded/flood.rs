//! Clients that publish as fast as they can, more than they may.

use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, retraction, until};
use crate::raw::{Call, PUBLISH, Raw, STREAM, WIDE, framed, metric, told};
use bytes::Bytes;
use prost::Message as _;
use quaymeter::pb;
use quaymeter::pb::stream_events_request::Message as Say;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::{Code, Status};

const CONNECTIONS: usize = 8;
const STREAMS: usize = 8;

/// How long it is kept up, and how many batches a client sends at most.
const FLOOD: Duration = Duration::from_secs(4);
const BATCHES_MAX: u64 = 2_000;

const REQUESTS: u64 = 64 * MIB;

fn events(client: &str, from: u64) -> Vec<pb::Event> {
    let numbers = from * 1_000..(from + 1) * 1_000;
    numbers
        .map(|n| retraction(&format!("{client}-{n}"), 0))
        .collect()
}

/// A stream that never waits for an acknowledgement.
async fn pour(mut call: Call, client: String, until: Instant) -> (u64, Status) {
    let open = pb::StreamOpen {
        client_id: client.clone(),
        source: "flood".into(),
        ..Default::default()
    };
    let message = Some(Say::Open(open));
    let open = pb::StreamEventsRequest { message }.encode_to_vec();
    call.send(framed(0, &open), false).await;
    let mut sequence = 0;
    while Instant::now() < until && sequence < BATCHES_MAX {
        let events = events(&client, sequence);
        sequence += 1;
        let message = Some(Say::Batch(pb::StreamBatch { sequence, events }));
        let batch = pb::StreamEventsRequest { message }.encode_to_vec();
        if !call.send(framed(0, &batch), false).await {
            break;
        }
    }
    // It may be over by then.
    let _ = call.say.send_data(Bytes::new(), true);
    (sequence, call.ends().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_their_credit_are_ended_and_told() {
    let place = Place::new();
    let requests = REQUESTS.to_string();
    let service = place.serve(&["--limits-request-bytes", &requests]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let (until, mut pouring) = (Instant::now() + FLOOD, JoinSet::new());
    let mut connections = Vec::new();
    for n in 0..CONNECTIONS {
        let mut raw = Raw::connect(&service.grpc, WIDE).await;
        for m in 0..STREAMS {
            let call = raw.call(STREAM).await;
            pouring.spawn(pour(call, format!("c{n}-{m}"), until));
        }
        connections.push(raw);
    }
    neighbour.goes_on().await;
    let mut ended = 0;
    while let Some(poured) = pouring.join_next().await {
        let (_, status) = poured.unwrap();
        if status.code() != Code::Ok {
            assert_eq!(
                told(&status),
                (Code::ResourceExhausted, "OVERLOADED".into()),
                "{status:?}"
            );
            ended += 1;
        }
    }
    assert!(ended > 0, "nobody was beyond anything");
    assert!(connections.iter().all(Raw::is_open), "a connection died");
    // What the events came to stays: identities, journal, names. Some 200 bytes
    // for each event.
    let events = metric(&service.http, "quaymeter_log_appended_events_total");
    memory.stayed_within(REQUESTS + events * 200);
    neighbour.leaves().await;
    service.stop();
}

/// Publishes until the time is over: how many events were acknowledged.
async fn publish(mut raw: Raw, client: String, until: Instant) -> (u64, u64) {
    let (mut acknowledged, mut refused) = (0, 0);
    let mut round = 0;
    while Instant::now() < until && round < BATCHES_MAX {
        let request = pb::PublishEventsRequest {
            source: "flood".into(),
            events: events(&client, round),
            ..Default::default()
        };
        round += 1;
        let mut call = raw.call(PUBLISH).await;
        call.say(&request.encode_to_vec()).await;
        let status = call.ends().await;
        match status.code() {
            Code::Ok => acknowledged += 1_000,
            _ => {
                let expected = (Code::ResourceExhausted, "OVERLOADED".into());
                assert_eq!(told(&status), expected, "{status:?}");
                refused += 1;
            }
        }
    }
    (acknowledged, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_calls_than_are_allowed_some_are_refused_and_none_is_lost() {
    let place = Place::new();
    let service = place.serve(&["--limits-calls", "8"]);
    let memory = Memory::of(service.pid());
    let (until_then, mut publishing) = (Instant::now() + FLOOD, JoinSet::new());
    for n in 0..4 * CONNECTIONS {
        let raw = Raw::connect(&service.grpc, WIDE).await;
        publishing.spawn(publish(raw, format!("c{n}"), until_then));
    }
    let (mut acknowledged, mut refused) = (0, 0);
    for (some, others) in publishing.join_all().await {
        acknowledged += some;
        refused += others;
    }
    assert!(acknowledged > 0 && refused > 0, "{acknowledged}, {refused}");
    until("all is counted", async || {
        metric(&service.http, "quaymeter_applied_events_total") == acknowledged
    })
    .await;
    // Nothing of a refused one was taken.
    let end = metric(&service.http, "quaymeter_log_end_offset");
    assert_eq!(end, acknowledged);
    // 8 batches of a thousand at once; what they came to stays.
    memory.stayed_within(8 * MIB + acknowledged * 200);
    let neighbour = Neighbour::at(&service.grpc).await;
    neighbour.leaves().await;
    service.stop();
}
