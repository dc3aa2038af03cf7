//! Connections that come and go, as fast as they can.

use crate::frames::{PREFACE, SETTINGS, frame};
use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, address, get, until};
use crate::raw::metric;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections to each port.
const CONNECTIONS: usize = 5_000;

/// At a time.
const AT_ONCE: usize = 64;

/// What a service has open.
fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}

/// Comes, says some of it, and goes.
async fn visit(address: String, said: Vec<u8>) {
    // A port that waits for room may be late; then the client has gone, which is the
    // same to it.
    if let Ok(mut socket) = TcpStream::connect(address).await {
        let _ = socket.write_all(&said).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let before = descriptors(service.pid());
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let http = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let ports = [
        (address(&service), hello),
        (service.health.clone(), http.clone()),
        (service.http.clone(), http),
    ];
    for (port, said) in ports {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut visits = JoinSet::new();
        for n in 0..CONNECTIONS {
            let place = Arc::clone(&room).acquire_owned().await.unwrap();
            // Nothing, a part, all of it.
            let said = said[..said.len() * (n % 3) / 2].to_vec();
            let port = port.clone();
            visits.spawn(async move {
                let _place = place;
                visit(port, said).await;
            });
        }
        visits.join_all().await;
        neighbour.goes_on().await;
    }
    assert_eq!(get(&service.health, "/healthz").0, 200);
    until("all are gone", async || {
        metric(&service.http, "quaymeter_connections") == 1
            && descriptors(service.pid()) <= before + 4
    })
    .await;
    memory.stayed_within(16 * MIB);
    assert!(!place.logged().contains("panicked"), "{}", place.logged());
    neighbour.leaves().await;
    service.stop();
}
