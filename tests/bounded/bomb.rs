//! A gibibyte of zeros in a mebibyte of gzip.

use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::Place;
use crate::raw::{PUBLISH, Raw, STREAM, WIDE, framed, told};
use flate2::{Compress, Compression, FlushCompress};
use prost::Message as _;
use quaymeter::pb;
use tonic::Code;

/// What the limit of a message is by default.
const MESSAGE_BYTES: u64 = 8 * MIB;

/// Zeros: a part that is compressed once, as often as it takes.
fn bomb(bytes: usize) -> Vec<u8> {
    const PART: usize = 16 << 20;
    let (zeros, mut part) = (vec![0; PART], Vec::with_capacity(PART));
    let mut compress = Compress::new(Compression::best(), false);
    compress
        .compress_vec(&zeros, &mut part, FlushCompress::Full)
        .unwrap();
    assert_eq!(compress.total_in(), PART as u64);
    // A head without a name or a time.
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for _ in 0..bytes / PART {
        gzip.extend_from_slice(&part);
    }
    gzip
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_given_up_at_the_limit_of_a_message() {
    let bomb = bomb(1 << 30);
    assert!(bomb.len() < 2 << 20, "{}", bomb.len());
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let gzip: [(&str, &[u8]); 1] = [("grpc-encoding", b"gzip")];
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let exhausted = (Code::ResourceExhausted, "RESOURCE_EXHAUSTED".into());
    for _ in 0..5 {
        let mut call = raw.call_with(PUBLISH, &gzip).await.unwrap();
        call.send(framed(1, &bomb), true).await;
        assert_eq!(told(&call.ends().await), exhausted);
        let open = pb::StreamOpen {
            client_id: "bomber".into(),
            source: "tos".into(),
            ..Default::default()
        };
        let message = Some(pb::stream_events_request::Message::Open(open));
        let open = pb::StreamEventsRequest { message }.encode_to_vec();
        let mut call = raw.call_with(STREAM, &gzip).await.unwrap();
        call.send(framed(0, &open), false).await;
        call.send(framed(1, &bomb), false).await;
        assert_eq!(told(&call.ends().await), exhausted);
    }
    assert!(raw.is_open());
    // The compressed bytes, and what comes out up to the limit: twice, because a
    // buffer that grows is copied. Two threads at work.
    memory.stayed_within(2 * (2 * MIB + 2 * MESSAGE_BYTES));
    neighbour.leaves().await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_no_way_to_send_much_unseen() {
    let place = Place::new();
    let service = place.serve(&[]);
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    // A field 99 of so many zeros, before a batch without events.
    for (zeros, expected) in [
        (60_000, "source"),
        (70_000, "70005 bytes, 70005 of them in unknown fields"),
    ] {
        let mut message = Vec::new();
        prost::encoding::bytes::encode(99, &vec![0; zeros], &mut message);
        let mut call = raw.call(PUBLISH).await;
        call.send(framed(0, &message), true).await;
        let status = call.ends().await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(expected), "{status:?}");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_encoding_said_nothing_is_decompressed() {
    let place = Place::new();
    let service = place.serve(&[]);
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let internal = (Code::Internal, "INTERNAL".into());
    let mut call = raw.call(PUBLISH).await;
    call.send(framed(1, &bomb(16 << 20)), true).await;
    assert_eq!(told(&call.ends().await), internal);
    let deflate: [(&str, &[u8]); 1] = [("grpc-encoding", b"deflate")];
    let mut call = raw.call_with(PUBLISH, &deflate).await.unwrap();
    call.send(framed(1, &bomb(16 << 20)), true).await;
    let unimplemented = (Code::Unimplemented, "UNIMPLEMENTED".into());
    assert_eq!(told(&call.ends().await), unimplemented);
    service.stop();
}
