//! Random bytes and mutated requests at every endpoint: no panic, no hang, no
//! leak. `QUAYMETER_TEST_FUZZ_SEED` repeats a run, `QUAYMETER_TEST_FUZZ_CALLS`
//! makes it longer or shorter.

mod endpoints;
mod mutate;
mod whole;

use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{DEADLINE, Place, until};
use crate::raw::{Call, Raw, WIDE, framed, metric};
use crate::service::Service;
use bytes::Bytes;
use endpoints::Endpoint;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Calls of each endpoint.
const CALLS: usize = 10_000;

/// Connections, and calls at once on each.
const CONNECTIONS: usize = 4;
const AT_ONCE: usize = 32;

/// More than there are calls at once: nobody is known here, so the neighbour finds no
/// place where these hold all, which a busy machine lets them.
const QUERIES_MAX: &str = "1024";

/// Lines that a service may log about it all.
const LINES_MAX: usize = 50;

/// Beside these: of each backup is told that it is given and how that ended, and there
/// is one at a time.
const BACKUP: [&str; 3] = ["giving a backup", "gave a backup", "a backup was given up"];

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap())
}

fn seed() -> u64 {
    let seed = variable("QUAYMETER_TEST_FUZZ_SEED").unwrap_or_else(rand::random);
    println!("QUAYMETER_TEST_FUZZ_SEED={seed}");
    seed
}

fn calls() -> usize {
    variable("QUAYMETER_TEST_FUZZ_CALLS").map_or(CALLS, |calls| calls as usize)
}

/// Headers that are wrong now and then.
fn headers(rng: &mut ChaCha8Rng) -> Vec<(&'static str, Vec<u8>)> {
    // What waits for a position that never comes does not wait for long.
    let mut headers = vec![("grpc-timeout", b"200m".to_vec())];
    let garbage: [(&str, &[u8]); 11] = [
        ("grpc-timeout", b"99999999999S"),
        ("grpc-timeout", b"-1"),
        ("grpc-timeout", b""),
        ("grpc-timeout", b"1"),
        ("content-type", b"text/plain"),
        ("content-type", b"application/grpc+json"),
        ("content-type", b"\xff\xfe"),
        ("grpc-encoding", b"gzip"),
        ("grpc-encoding", b"br"),
        ("grpc-accept-encoding", b"gzip,,;q=\xe9"),
        ("authorization-bin", b"!not base64!"),
    ];
    if rng.random_ratio(1, 10) {
        let (name, value) = garbage[rng.random_range(0..garbage.len())];
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value.to_vec()));
    }
    headers
}

/// The bytes of a request.
fn body(rng: &mut ChaCha8Rng, endpoint: &Endpoint) -> Bytes {
    let noise = |rng: &mut ChaCha8Rng| {
        let mut bytes = vec![0; rng.random_range(0..200)];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    match rng.random_range(0..10) {
        0 => noise(rng).into(),
        1 => framed(rng.random_range(0..3), &noise(rng)),
        _ => {
            let mut all = Vec::new();
            for valid in &endpoint.messages {
                let mutated = mutate::mutated(rng, valid);
                all.extend_from_slice(&framed(0, &mutated));
            }
            if rng.random_ratio(1, 20) {
                all = mutate::mutated(rng, &all);
            }
            all.into()
        }
    }
}

/// Makes one call, and hears at least the beginning of an answer.
async fn attempt(mut call: Call, body: Bytes) {
    // It may be refused before all of it is sent.
    let _ = call.say.send_data(body, true);
    let Ok(answer) = call.answer.await else {
        return;
    };
    // A watch goes on; its first message is enough.
    let _ = answer.into_body().data().await;
}

async fn fuzz(service: &Service, endpoint: &Endpoint, rng: &mut ChaCha8Rng) {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Raw::connect(&service.grpc, WIDE).await);
    }
    let room = Arc::new(Semaphore::new(CONNECTIONS * AT_ONCE));
    let mut attempts = JoinSet::new();
    for n in 0..calls() {
        let raw = &mut connections[n % CONNECTIONS];
        let (headers, body) = (headers(rng), body(rng, endpoint));
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (*n, &v[..])).collect();
        let place = Arc::clone(&room).acquire_owned();
        let place = timeout(DEADLINE, place).await.expect("all hang").unwrap();
        let call = raw.call_with(endpoint.path, &headers).await.unwrap();
        let path = endpoint.path;
        attempts.spawn(async move {
            let _place = place;
            let attempt = timeout(DEADLINE, attempt(call, body));
            attempt.await.unwrap_or_else(|_| panic!("{path} hangs"));
        });
        while let Some(attempted) = attempts.try_join_next() {
            attempted.unwrap();
        }
    }
    while let Some(attempted) = attempts.join_next().await {
        attempted.unwrap();
    }
    assert!(connections.iter().all(Raw::is_open), "{}", endpoint.path);
}

/// No panic was logged, and not much else.
#[track_caller]
fn assert_quiet(logged: &str) {
    assert!(!logged.contains("panicked"), "{logged}");
    let of_backup = |line: &str| BACKUP.iter().any(|told| line.contains(told));
    let lines: Vec<_> = logged.lines().filter(|line| !of_backup(line)).collect();
    assert!(lines.len() < LINES_MAX, "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_makes_the_service_panic_hang_or_leak() {
    let seed = seed();
    let place = Place::new();
    let service = place.serve(&["--limits-concurrent-queries", QUERIES_MAX]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let endpoints = endpoints::all();
    for (n, endpoint) in endpoints.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(n as u64));
        fuzz(&service, endpoint, &mut rng).await;
        neighbour.goes_on().await;
    }
    let open = [
        ("quaymeter_connections", 1),
        ("quaymeter_streams", 0),
        ("quaymeter_answer_bytes", 0),
    ];
    for (name, left) in open {
        until(&format!("{name} is back"), async || {
            metric(&service.http, name) == left
        })
        .await;
    }
    // The neighbour's requests are all that there may be.
    assert!(metric(&service.http, "quaymeter_request_bytes") < MIB);
    // What was valid after all is counted, and stays.
    assert!(memory.grown() < 64 * MIB, "{} MiB", memory.grown() / MIB);
    memory.stayed_within(64 * MIB);
    assert_quiet(&place.logged());
    drop(neighbour);
    service.stop();
}

/// A request to the side port, more or less.
fn page(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let valid: [&[u8]; 5] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
        b"HEAD /x?y=%zz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    let valid = valid[rng.random_range(0..valid.len())];
    mutate::mutated(rng, valid)
}

/// Sends it and no more, and hears what there is to hear.
async fn knock(address: String, page: Vec<u8>) {
    let Ok(mut socket) = TcpStream::connect(address).await else {
        return;
    };
    // It may be refused before all of it is sent.
    let _ = socket.write_all(&page).await;
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_to_the_side_ports_makes_them_panic_hang_or_leak() {
    let mut rng = ChaCha8Rng::seed_from_u64(seed());
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut knocks = JoinSet::new();
    for n in 0..calls() {
        let place = Arc::clone(&room).acquire_owned().await.unwrap();
        let port = [&service.http, &service.health][n % 2];
        let (address, page) = (port.clone(), page(&mut rng));
        knocks.spawn(async move {
            let _place = place;
            let knocked = timeout(DEADLINE, knock(address, page)).await;
            knocked.expect("the side port hangs");
        });
        while let Some(knocked) = knocks.try_join_next() {
            knocked.unwrap();
        }
    }
    neighbour.goes_on().await;
    while let Some(knocked) = knocks.join_next().await {
        knocked.unwrap();
    }
    assert_eq!(crate::place::get(&service.health, "/healthz").0, 200);
    assert_eq!(crate::place::get(&service.http, "/metrics").0, 200);
    memory.stayed_within(16 * MIB);
    assert_quiet(&place.logged());
    neighbour.leaves().await;
    service.stop();
}
