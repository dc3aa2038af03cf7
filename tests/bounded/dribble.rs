//! Clients that say what they say a byte at a time, for ever.

use crate::frames::{DATA, END_HEADERS, HEADERS, Line, PREFACE, SETTINGS, call, frame};
use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, address};
use crate::raw::{PUBLISH, discarded, metric};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

/// Of each kind.
const EACH: usize = 50;

/// A byte in so long: often enough for whoever only looks for silence.
const BEAT: Duration = Duration::from_millis(500);

/// The longest that one may last: a ping, which a client cannot answer in the middle
/// of what it says, is sent after 30 s at the latest and waited for 20 s. On the side
/// port a head has 75 s.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

/// Says some at once and the rest slowly, until the service has had enough.
async fn dribble(address: String, at_once: Vec<u8>, slowly: Vec<u8>) {
    let mut line = Line::connect(&address).await;
    line.send(&at_once).await;
    let mut beat = interval(BEAT);
    let dribbling = async {
        for byte in slowly.into_iter().cycle() {
            beat.tick().await;
            if line.is_closed() || !line.send(&[byte]).await {
                break;
            }
        }
    };
    timeout(ENDS_WITHIN, dribbling)
        .await
        .expect("it stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_comes_to_the_end_of_what_he_says_is_closed() {
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let begun = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let head = |kind, bytes: usize| frame(kind, 0, 1, &vec![b'a'; bytes])[..9].to_vec();
    let body = [
        &begun[..],
        &frame(HEADERS, END_HEADERS, 1, &call(PUBLISH)),
        &head(DATA, 16_000),
    ];
    let ways: [(String, Vec<u8>, Vec<u8>); 6] = [
        // The preface; a frame of headers; headers that go on in another frame; data.
        (address(&service), Vec::new(), PREFACE.to_vec()),
        (
            address(&service),
            [&begun[..], &head(HEADERS, 16_000)].concat(),
            vec![0],
        ),
        (address(&service), body.concat(), vec![0]),
        // A head of HTTP/1 on the side port.
        (
            service.http.clone(),
            b"GET /metrics HTTP/1.1\r\n".to_vec(),
            b"A: b\r\n".to_vec(),
        ),
        // The same on the health port, where a head of HTTP/1 has less time.
        (
            service.health.clone(),
            b"GET /healthz HTTP/1.1\r\n".to_vec(),
            b"A: b\r\n".to_vec(),
        ),
        (
            service.health.clone(),
            [&begun[..], &head(HEADERS, 16_000)].concat(),
            vec![0],
        ),
    ];
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for (address, at_once, slowly) in ways {
        let few = address == service.health || address == service.http;
        for _ in 0..EACH / if few { 5 } else { 1 } {
            clients.spawn(dribble(address.clone(), at_once.clone(), slowly.clone()));
        }
    }
    neighbour.goes_on().await;
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    println!("all were closed after {:?}", started.elapsed());
    assert_eq!(metric(&service.http, "quaymeter_connections"), 1);
    let silent = discarded(&service.http, "connections_that_say_nothing");
    assert_eq!(silent, EACH as u64);
    memory.stayed_within(3 * EACH as u64 * 64 * 1024 + 4 * MIB);
    neighbour.leaves().await;
    service.stop();
}
