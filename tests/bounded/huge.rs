//! Messages that are too large, say that they are, or become it.

use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, until};
use crate::raw::{
    PUBLISH, Raw, STREAM, THROUGHPUT, WIDE, assert_overloaded, assert_too_large, discarded, framed,
    metric, told,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use quaymeter::pb;
use tonic::Code;

const MESSAGE_BYTES: usize = 8 << 20;

/// The head of a message that claims so many bytes, and some of them.
fn claims(bytes: u32, sent: usize) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(bytes);
    message.put_bytes(0, sent);
    message.freeze()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_limit_is_refused_by_its_first_bytes() {
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    for claimed in [u32::MAX, (64 << 20) + 1, MESSAGE_BYTES as u32 + 1] {
        for path in [PUBLISH, STREAM, THROUGHPUT] {
            let mut call = raw.call(path).await;
            // The rest never comes: nobody needs to wait for it.
            call.send(claims(claimed, 100), false).await;
            assert_too_large(&call.ends().await, "bytes of a message");
        }
    }
    // All of it comes nevertheless.
    let mut call = raw.call(PUBLISH).await;
    call.say(&vec![0; 4 * MESSAGE_BYTES]).await;
    assert_too_large(&call.ends().await, "bytes of a message");
    // Questions are small.
    let mut call = raw.call(THROUGHPUT).await;
    call.say(&vec![0; 2 << 20]).await;
    assert_too_large(&call.ends().await, "bytes of a message");
    assert!(raw.is_open());
    assert_eq!(discarded(&service.http, "bytes_of_a_message"), 11);
    // At most one message was under way, besides windows.
    memory.stayed_within(MESSAGE_BYTES as u64);
    neighbour.leaves().await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_claimed_and_never_comes_takes_no_room() {
    const CALLS: usize = 400;
    let place = Place::new();
    let service = place.serve(&["--limits-request-arrival-ms", "3000"]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let mut call = raw.call(PUBLISH).await;
        call.send(claims(MESSAGE_BYTES as u32, 64), false).await;
        calls.push(call);
    }
    neighbour.goes_on().await;
    for call in calls {
        let status = call.ends().await;
        assert_eq!(told(&status), (Code::DeadlineExceeded, "TOO_SLOW".into()));
    }
    assert_eq!(
        discarded(&service.http, "a_request_to_arrive"),
        CALLS as u64
    );
    // They claimed 3.2 GiB and sent 64 bytes each; a call's own state is some
    // 20 KiB.
    memory.stayed_within(CALLS as u64 * 64 * 1024);
    neighbour.leaves().await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_messages_share_one_budget_and_small_ones_go_on() {
    const CALLS: usize = 40;
    const BUDGET: u64 = 32 * MIB;
    let place = Place::new();
    let budget = BUDGET.to_string();
    let service = place.serve(&["--limits-request-bytes", &budget]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let (mut held, mut refused) = (Vec::new(), 0);
    for _ in 0..CALLS {
        // Each on a connection of its own: all but the last byte of 4 MiB.
        let mut raw = Raw::connect(&service.grpc, WIDE).await;
        let mut call = raw.call(PUBLISH).await;
        let size = 4 * MIB as usize;
        if call.send(claims(size as u32, size - 1), false).await {
            held.push((raw, call));
        } else {
            assert_overloaded(&call.ends().await, "bytes of requests");
            refused += 1;
        }
    }
    // What was sent last may still be on its way.
    until("all that is refused is told", async || {
        let counted = discarded(&service.http, "bytes_of_requests") as usize;
        refused.max(CALLS - 6) <= counted
    })
    .await;
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let mut call = raw.call(PUBLISH).await;
    call.send(claims(MESSAGE_BYTES as u32, MESSAGE_BYTES), true)
        .await;
    assert_overloaded(&call.ends().await, "bytes of requests");
    // Large ones have three quarters to themselves.
    let bytes = metric(&service.http, "quaymeter_request_bytes");
    assert!((20..=24).contains(&(bytes / MIB)), "{bytes}");
    neighbour.goes_on().await;
    memory.stayed_within(BUDGET + CALLS as u64 * MIB);
    drop(held);
    until("their room is given back", async || {
        metric(&service.http, "quaymeter_request_bytes") < MIB
    })
    .await;
    neighbour.leaves().await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bytes_do_not_become_large_messages() {
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    // Field 2, no bytes: an event. Four million of them would be a gigabyte.
    let events = [0x12, 0].repeat(MESSAGE_BYTES / 2 - 8);
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let mut call = raw.call(PUBLISH).await;
    call.say(&events).await;
    let status = call.ends().await;
    assert_eq!(
        told(&status),
        (Code::InvalidArgument, "INVALID_FIELD".into()),
        "{status:?}"
    );
    // An event with millions of parties.
    let mut event = BytesMut::new();
    let parties = [0x3a, 0].repeat(MESSAGE_BYTES / 2 - 64);
    event.put_u8(0x12);
    prost::encoding::encode_varint(parties.len() as u64, &mut event);
    event.put_slice(&parties);
    let mut call = raw.call(PUBLISH).await;
    call.say(&event).await;
    assert_too_large(&call.ends().await, "parties and containers of a batch");
    // And with millions of containers, on a stream.
    let containers = [0x12, 0].repeat(MESSAGE_BYTES / 2 - 64);
    let nested = |field: u8, inner: &[u8]| {
        let mut outer = vec![field << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend_from_slice(inner);
        outer
    };
    let gate = nested(10, &containers);
    let batch = nested(2, &nested(2, &gate));
    let open = pb::StreamOpen {
        client_id: "large".into(),
        source: "tos".into(),
        ..Default::default()
    };
    let open = pb::StreamEventsRequest {
        message: Some(pb::stream_events_request::Message::Open(open)),
    };
    let mut call = raw.call(STREAM).await;
    call.send(framed(0, &open.encode_to_vec()), false).await;
    call.send(framed(0, &batch), false).await;
    assert_too_large(&call.ends().await, "parties and containers of a batch");
    // One message at a time, in the transport's buffers and the decoder's.
    memory.stayed_within(3 * MESSAGE_BYTES as u64);
    neighbour.leaves().await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_keeps_no_buffer_of_its_largest_message() {
    const STREAMS: usize = 60;
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    // Refused for its length, told in a few bytes, and four mebibytes long.
    let event = pb::Event {
        event_id: "x".repeat(4 << 20),
        ..Default::default()
    };
    let mut streams = Vec::new();
    for n in 0..STREAMS {
        let open = pb::StreamOpen {
            client_id: format!("c{n}"),
            source: "tos".into(),
            ..Default::default()
        };
        let batch = pb::StreamBatch {
            sequence: 1,
            events: vec![event.clone()],
        };
        let mut call = raw.call(STREAM).await;
        for message in [
            pb::stream_events_request::Message::Open(open),
            pb::stream_events_request::Message::Batch(batch),
        ] {
            let message = Some(message);
            let request = pb::StreamEventsRequest { message };
            assert!(call.send(framed(0, &request.encode_to_vec()), false).await);
        }
        streams.push(call);
    }
    let refused = "quaymeter_events_refused_total{reason=\"too_long\"}";
    until("all are judged", async || {
        metric(&service.http, refused) == STREAMS as u64
    })
    .await;
    assert_eq!(metric(&service.http, "quaymeter_streams"), STREAMS as u64);
    // Not 60 times 4 MiB: some messages were under way together.
    let grown = memory.grown();
    assert!(grown < 100 * MIB, "{} MiB", grown / MIB);
    neighbour.leaves().await;
    drop((streams, raw));
    service.stop();
}
