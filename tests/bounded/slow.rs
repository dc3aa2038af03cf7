//! Clients that do not take what they are told, or very slowly.

use crate::everything::{everything, fill};
use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, retraction, until};
use crate::raw::{
    Call, Raw, SHUT, STREAM, THROUGHPUT, Windows, assert_overloaded, discarded, framed, metric,
};
use h2::RecvStream;
use prost::Message as _;
use quaymeter::pb;
use quaymeter::pb::stream_events_request::Message as Say;
use tokio::task::JoinSet;
use tonic::Status;

fn request(message: Say) -> Vec<u8> {
    let message = Some(message);
    pb::StreamEventsRequest { message }.encode_to_vec()
}

/// Sends all that a stream's credit allows, as far as it is taken, and then
/// holds the stream open.
async fn pour(mut call: Call, client_id: String, events: Vec<pb::Event>) {
    let open = pb::StreamOpen {
        client_id,
        source: "tos".into(),
        ..Default::default()
    };
    call.send(framed(0, &request(Say::Open(open))), false).await;
    for sequence in 1..=20 {
        let events = events.clone();
        let batch = request(Say::Batch(pb::StreamBatch { sequence, events }));
        call.send(framed(0, &batch), false).await;
    }
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_answers_are_not_taken_is_ended_at_the_limit() {
    const STREAMS: usize = 40;
    const ANSWERS: u64 = 16 * MIB;
    let place = Place::new();
    let answers = ANSWERS.to_string();
    let service = place.serve(&["--limits-answer-bytes", &answers]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    // All are refused, which is told of each at some length.
    let events = vec![retraction("", 0); 1_000];
    let mut raw = Raw::connect(&service.grpc, SHUT).await;
    let mut streams = JoinSet::new();
    for n in 0..STREAMS {
        let call = raw.call(STREAM).await;
        streams.spawn(pour(call, format!("c{n}"), events.clone()));
    }
    until("there is no room for more", async || {
        metric(&service.http, "quaymeter_answer_bytes") > ANSWERS / 10 * 7
    })
    .await;
    neighbour.goes_on().await;
    assert!(metric(&service.http, "quaymeter_answer_bytes") <= ANSWERS);
    // Beside the answers, each stream's last message and its window of 64 KiB.
    memory.stayed_within(ANSWERS + STREAMS as u64 * 256 * 1024);
    assert!(raw.is_open());
    streams.shutdown().await;
    drop(raw);
    until("their answers are dropped", async || {
        metric(&service.http, "quaymeter_answer_bytes") == 0
            && metric(&service.http, "quaymeter_streams") == 0
    })
    .await;
    neighbour.leaves().await;
    service.stop();
}

/// Reads one byte at a time, as often; what is left to read.
async fn nibble(call: Call, times: usize) -> Result<RecvStream, Status> {
    let answer = call.answer.await.unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return Err(status);
    }
    let (mut body, mut taken) = (answer.into_body(), 0);
    while taken < times {
        let data = body.data().await.unwrap().unwrap();
        assert_eq!(data.len(), 1);
        taken += 1;
        body.flow_control().release_capacity(1).unwrap();
    }
    Ok(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_read_byte_by_byte_share_one_budget() {
    const READERS: usize = 80;
    const ANSWERS: u64 = 48 * MIB;
    const BYTES: usize = 500;
    let place = Place::new();
    let answers = ANSWERS.to_string();
    let service = place.serve(&["--limits-answer-bytes", &answers]);
    fill(&service.grpc).await;
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let question = everything().encode_to_vec();
    let (mut reading, mut refused) = (Vec::new(), 0);
    let mut connections = Vec::new();
    for _ in 0..READERS {
        let mut raw = Raw::connect(&service.grpc, Windows(1, 64 << 10)).await;
        let mut call = raw.call(THROUGHPUT).await;
        call.say(&question).await;
        let nibbled = nibble(call, BYTES).await;
        match nibbled {
            Ok(body) => reading.push(body),
            Err(status) => {
                assert_overloaded(&status, "bytes of answers");
                refused += 1;
            }
        }
        connections.push(raw);
    }
    assert!(!reading.is_empty() && refused > 0, "{refused} were refused");
    assert_eq!(discarded(&service.http, "bytes_of_answers"), refused);
    neighbour.goes_on().await;
    memory.stayed_within(ANSWERS + 18 * MIB);
    neighbour.leaves().await;
    service.stop();
}
