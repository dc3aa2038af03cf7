//! Streams that are begun and ended as fast as can be, and more than may be open.

use crate::frames::{
    DATA, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, Line, RESET, WINDOW, call, frame,
};
use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, address, until};
use crate::raw::{PUBLISH, Raw, STREAM, WIDE, metric};

/// Streams that a client begins, if it is let.
const STREAMS: u32 = 100_000;

/// As many at a time, written at once.
const BURST: u32 = 500;

/// How often it comes back.
const TIMES: usize = 20;

/// Begins streams, and says more of each; false once the service has had enough.
async fn flood(line: &mut Line, more: impl Fn(u32) -> Vec<u8>) -> bool {
    let block = call(PUBLISH);
    for burst in 0..STREAMS / BURST {
        let numbers = (burst * BURST..(burst + 1) * BURST).map(|number| 2 * number + 1);
        let one = |number| {
            let begun = frame(HEADERS, END_HEADERS, number, &block);
            [begun, more(number)].concat()
        };
        let bytes: Vec<u8> = numbers.flat_map(one).collect();
        if !line.send(&bytes).await || line.is_closed() {
            return false;
        }
    }
    true
}

/// A client that does so again and again is sent away each time, from the port of calls
/// and from that of health, at no cost to others.
async fn is_sent_away(more: impl Fn(u32) -> Vec<u8>) {
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let ports = [address(&service), service.health.clone()];
    for n in 0..TIMES {
        let mut line = Line::begin(&ports[n % 2]).await;
        assert!(!flood(&mut line, &more).await, "{STREAMS} were let in");
        assert_eq!(line.closed().await, Some(ENHANCE_YOUR_CALM));
        neighbour.goes_on().await;
    }
    until("nothing is left of them", async || {
        metric(&service.http, "quaymeter_connections") == 1
    })
    .await;
    // What is in transit of one connection.
    memory.stayed_within(16 * MIB);
    assert!(!place.logged().contains("panicked"), "{}", place.logged());
    neighbour.leaves().await;
    service.stop();
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread")]
async fn who_opens_and_resets_streams_as_fast_as_he_can_is_sent_away() {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    is_sent_away(|number| frame(RESET, 0, number, &CANCEL)).await;
}

/// CVE-2025-8671: a window that grows too far is an error of its stream, which the service
/// must reset.
#[tokio::test(flavor = "multi_thread")]
async fn who_makes_the_service_reset_streams_is_sent_away() {
    const MOST: [u8; 4] = [0x7f, 0xff, 0xff, 0xff];
    is_sent_away(|number| frame(WINDOW, 0, number, &MOST)).await;
}

/// Streams beyond the limit are refused one by one, and then all at once.
#[tokio::test(flavor = "multi_thread")]
async fn who_opens_more_streams_than_he_may_is_sent_away() {
    is_sent_away(|number| frame(DATA, 0, number, &[0])).await;
}

/// Calls that are let in and then given up cost what they have begun, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_given_up_leave_nothing_behind() {
    const CALLS: usize = 20_000;
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    for n in 0..CALLS {
        let path = [PUBLISH, STREAM][n % 2];
        match raw.call_with(path, &[]).await {
            Ok(mut call) => call.say.send_reset(h2::Reason::CANCEL),
            // Sent away for it.
            Err(_) => raw = Raw::connect(&service.grpc, WIDE).await,
        }
    }
    neighbour.goes_on().await;
    until("nothing is open", async || {
        metric(&service.http, "quaymeter_streams") == 0
            && metric(&service.http, "quaymeter_request_bytes") < MIB
    })
    .await;
    memory.stayed_within(16 * MIB);
    drop(raw);
    neighbour.leaves().await;
    service.stop();
}
