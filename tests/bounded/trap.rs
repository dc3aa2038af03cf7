//! Many small frames that nobody reads make HTTP/2 end a connection. Here they are
//! always read, whatever else stands still.

use crate::faults::Faults;
use crate::neighbour::Neighbour;
use crate::place::{DEADLINE, Place, arrivals, caught_up, trucks_in};
use crate::raw::{Raw, STREAM, WIDE, framed};
use crate::service::Service;
use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message as _;
use quaymeter::client::{Observer, Options, Publisher, Settled};
use quaymeter::pb;
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Twice as many as ended a connection whose handler did not read.
const MESSAGES: u32 = 13_000;

/// Observes nothing.
struct Quiet;

impl<T> Observer<T> for Quiet {
    fn sent(&mut self, _: u32) {}
    fn settled(&mut self, _: Settled<'_, T>) {}
    fn interrupted(&mut self, why: &str, _: Duration) {
        panic!("the connection was lost: {why}");
    }
}

fn options(url: &str) -> Options {
    Options {
        batch_events: 1,
        batches_in_flight: MESSAGES as usize,
        ..Options::new(url, "tos", "trapped")
    }
}

/// Feeds events one by one, and publishes them over one connection.
async fn publish(url: &str) {
    let (queue, input) = mpsc::channel(64);
    let feeding = tokio::spawn(async move {
        for event in arrivals(0..MESSAGES) {
            // Who publishes says why when it ends.
            let _ = queue.send(((), vec![event])).await;
        }
    });
    let publisher = Publisher::new(options(url)).unwrap();
    let report = timeout(DEADLINE, publisher.run(input, &mut Quiet)).await;
    let report = report.unwrap().unwrap();
    feeding.await.unwrap();
    assert_eq!((report.resumed, report.sent_again), (0, 0));
    assert_eq!(report.accepted, u64::from(MESSAGES));
}

#[tokio::test(flavor = "multi_thread")]
async fn small_messages_to_a_handler_whose_disk_is_slow_do_not_end_the_connection() {
    let (place, faults) = (Place::new(), Faults::new());
    // As long as it takes: it is not the wait for room that is looked at.
    let mut command = place.command("127.0.0.1:0", &["--limits-append-wait-ms", "60000"]);
    faults.concern(&mut command, &place.path("data/log"));
    let service = Service::of(command);
    // Every sync takes two seconds, in which thousands of messages come.
    faults.set("slow");
    publish(&service.grpc).await;
    faults.set("");
    caught_up(&service.grpc).await;
    assert_eq!(trucks_in(&service.grpc).await, i64::from(MESSAGES));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_survives_an_acknowledgement_for_every_message() {
    let place = Place::new();
    let service = place.serve(&[]);
    publish(&service.grpc).await;
    caught_up(&service.grpc).await;
    assert_eq!(trucks_in(&service.grpc).await, i64::from(MESSAGES));
    service.stop();
}

fn request(message: Say) -> Vec<u8> {
    let message = Some(message);
    pb::StreamEventsRequest { message }.encode_to_vec()
}

/// A stream that sends each byte in a frame of its own, and hears that all of it
/// is acknowledged.
async fn crumble(mut raw: crate::raw::Call, n: u32, messages: u32) {
    let open = pb::StreamOpen {
        client_id: format!("c{n}"),
        source: "tos".into(),
        ..Default::default()
    };
    let mut sent = BytesMut::from(&framed(0, &request(Say::Open(open)))[..]);
    for m in 0..messages {
        let (number, sequence) = (n * messages + m, u64::from(m) + 1);
        let events = arrivals(number..number + 1);
        let batch = request(Say::Batch(pb::StreamBatch { sequence, events }));
        sent.extend_from_slice(&framed(0, &batch));
    }
    for byte in &sent[..] {
        assert!(raw.send(Bytes::copy_from_slice(&[*byte]), false).await);
    }
    assert!(raw.say.send_data(Bytes::new(), true).is_ok());
    let answer = raw.answer.await.unwrap();
    let (mut bytes, trailers) = crate::raw::read(answer.into_body()).await.unwrap();
    let status = tonic::Status::from_header_map(&trailers).unwrap();
    assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
    let mut acknowledged = 0;
    while bytes.has_remaining() {
        assert_eq!(bytes.get_u8(), 0, "not compressed");
        let length = bytes.get_u32() as usize;
        let answer = pb::StreamEventsResponse::decode(bytes.split_to(length)).unwrap();
        if let Some(Hear::Ack(ack)) = answer.message {
            acknowledged += ack.accepted;
        }
    }
    assert_eq!(acknowledged, messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_streams_of_the_smallest_frames_do_not_end_their_connection() {
    const STREAMS: u32 = 100;
    const EACH: u32 = 20;
    let place = Place::new();
    let service = place.serve(&[]);
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let mut crumbling = JoinSet::new();
    for n in 0..STREAMS {
        let call = raw.call(STREAM).await;
        crumbling.spawn(async move { timeout(DEADLINE, crumble(call, n, EACH)).await.unwrap() });
    }
    while let Some(crumbled) = crumbling.join_next().await {
        crumbled.unwrap();
    }
    assert!(raw.is_open());
    caught_up(&service.grpc).await;
    assert_eq!(trucks_in(&service.grpc).await, i64::from(STREAMS * EACH));
    let neighbour = Neighbour::at(&service.grpc).await;
    drop(neighbour);
    service.stop();
}
