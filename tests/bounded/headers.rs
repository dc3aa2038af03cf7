//! Headers without end, or much larger than they look, and frames that ask for an
//! answer each.

use crate::frames::{
    CONTINUATION, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, KEPT, Line, PING, PRIORITY, SETTINGS,
    call, frame, header, kept_header,
};
use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{DEADLINE, Place, address, until};
use crate::raw::{PUBLISH, Raw, THROUGHPUT, WIDE, metric};
use crate::service::Service;
use http::StatusCode;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a frame has at most.
const FRAME_BYTES: usize = 16 << 10;

/// In how many more frames headers go on: 256 KiB at most, which nothing minds but the
/// limit of headers.
const PARTS: usize = 16;

/// How often a client comes back.
const TIMES: usize = 20;

/// A service with its neighbour, and a test of what a client costs that comes often.
async fn at_no_cost(hostile: impl AsyncFn(&Service)) {
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    for _ in 0..TIMES {
        hostile(&service).await;
        neighbour.goes_on().await;
    }
    until("nothing is left of them", async || {
        metric(&service.http, "quaymeter_connections") == 1
    })
    .await;
    memory.stayed_within(8 * MIB);
    assert!(!place.logged().contains("panicked"), "{}", place.logged());
    neighbour.leaves().await;
    service.stop();
}

/// Headers that go on in frames like this, and do not end.
async fn go_on(service: &Service, part: &[u8]) {
    let mut line = Line::begin(&address(service)).await;
    line.send(&frame(HEADERS, 0, 1, &call(PUBLISH))).await;
    let part = frame(CONTINUATION, 0, 1, part);
    for _ in 0..PARTS {
        if !line.send(&part).await {
            break;
        }
    }
    // Who is cut off for not answering a ping is told that there was no error.
    assert_eq!(line.closed().await, Some(ENHANCE_YOUR_CALM));
}

/// CVE-2024-27316 and its like.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_never_end_are_given_up() {
    at_no_cost(async |service| {
        go_on(service, &[]).await;
        go_on(service, &header("x", &[b'a'; FRAME_BYTES - 20])).await;
    })
    .await;
}

/// A header of 4 KiB is said once and repeated by a byte: twelve thousand of them are
/// 47 MiB in a frame.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_grow_when_they_are_read_are_not_read() {
    at_no_cost(async |service| {
        let mut line = Line::begin(&address(service)).await;
        let mut block = [call(PUBLISH), kept_header("x", &[b'a'; 4_000])].concat();
        block.resize(FRAME_BYTES, KEPT);
        line.send(&frame(HEADERS, END_HEADERS, 1, &block)).await;
        assert_eq!(line.closed().await, Some(ENHANCE_YOUR_CALM));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_beyond_the_limit_is_refused_and_below_it_it_is_held_for_each_call() {
    const CALLS: usize = 500;
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let large = vec![b'a'; FRAME_BYTES];
    let call = raw.call_with(THROUGHPUT, &[("x-large", &large)]).await;
    let call = call.unwrap();
    // HTTP/2 says so. Whoever is let in and says no more is told by gRPC, 30 s later.
    let answer = timeout(DEADLINE, call.answer).await;
    let status = answer.expect("it hangs").unwrap().status();
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(raw.is_open());
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let some = &large[..FRAME_BYTES - 1_000];
        calls.push(raw.call_with(PUBLISH, &[("x-large", some)]).await.unwrap());
    }
    neighbour.goes_on().await;
    assert!(raw.is_open());
    memory.stayed_within(CALLS as u64 * 3 * FRAME_BYTES as u64);
    drop((calls, raw));
    neighbour.leaves().await;
    service.stop();
}

/// Each of them asks for an answer, or for work; nobody reads the answers.
#[tokio::test(flavor = "multi_thread")]
async fn frames_that_ask_for_answers_which_nobody_reads_are_not_read_either() {
    const FRAMES: usize = 2_000;
    at_no_cost(async |service| {
        for asks in [
            frame(PING, 0, 0, &[0; 8]),
            frame(SETTINGS, 0, 0, &[]),
            frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
        ] {
            let mut socket = TcpStream::connect(address(service)).await.unwrap();
            let mut bytes = crate::frames::PREFACE.to_vec();
            bytes.extend(frame(SETTINGS, 0, 0, &[]));
            bytes.extend(asks.repeat(FRAMES));
            // It may have had enough before.
            let _ = socket.write_all(&bytes).await;
        }
    })
    .await;
    // Many of them, while somebody listens: the answers come.
    let place = Place::new();
    let service = place.serve(&[]);
    let mut line = Line::begin(&address(&service)).await;
    assert!(line.send(&frame(PING, 0, 0, &[7; 8])).await);
    until("the ping is answered", async || line.heard(PING).await == 1).await;
    assert!(!line.is_closed());
    service.stop();
}
