//! Ten thousand connections, and more than there are descriptors.

use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, address, arrivals, ingest, until};
use crate::raw::{Raw, STREAM, WIDE, discarded, metric};
use crate::service::Service;
use quaymeter::pb;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CROWD: usize = 10_000;

/// What a service needs besides its connections, and other tests of this
/// process.
const OTHERS: u64 = 1_500;

/// As many descriptors as this process and the services that it starts may have.
fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(1 << 20);
    let raised = Rlimit {
        current: Some(most),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_the_limit_is_closed_at_once_and_the_service_stays_usable() {
    // Where so many are not allowed, as many as are.
    let crowd = CROWD.min(descriptors().saturating_sub(OTHERS) as usize);
    let limit = crowd - crowd / 10;
    let place = Place::new();
    let connections = limit.to_string();
    let service = place.serve(&["--limits-connections", &connections]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let beginning = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut sockets = Vec::new();
    for _ in 0..crowd {
        let mut socket = TcpStream::connect(address(&service)).await.unwrap();
        // What is closed already cannot be written to.
        let _ = socket.write_all(beginning).await;
        sockets.push(socket);
    }
    until("all were accepted or refused", async || {
        let open = metric(&service.http, "quaymeter_connections");
        let refused = discarded(&service.http, "connections");
        open == limit as u64 && open + refused >= crowd as u64
    })
    .await;
    // It goes on, and so do those that are open.
    neighbour.goes_on().await;
    let (mut open, mut closed) = (Vec::new(), 0);
    for mut socket in sockets {
        // Those let in have been sent settings, the others an end.
        let mut first = [0; 1];
        let read = tokio::time::timeout(Duration::from_secs(20), socket.read(&mut first));
        match read.await.expect("neither served nor closed") {
            Ok(1) => open.push(socket),
            Ok(_) | Err(_) => closed += 1,
        }
    }
    // The neighbour has one of the places.
    assert_eq!((open.len(), closed), (limit - 1, crowd - limit + 1));
    // An idle connection takes some 20 KiB.
    memory.stayed_within(limit as u64 * 32 * 1024);
    drop(open);
    until("there is room again", async || {
        metric(&service.http, "quaymeter_connections") == 1
    })
    .await;
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    raw.call(STREAM).await;
    let grown = memory.grown();
    assert!(grown < limit as u64 * 16 * 1024 + 64 * MIB, "{grown}");
    neighbour.leaves().await;
    service.stop();
}

/// Descriptors that a service may have, of which connections leave it half.
const FEW: usize = 400;

/// A service that may have no more than a few descriptors.
fn serve_with_few(place: &Place) -> Service {
    let all = place.command("127.0.0.1:0", &["--log-segment-bytes", "65536"]);
    let mut few = Command::new("sh");
    few.args(["-c", &format!("ulimit -n {FEW} && exec \"$0\" \"$@\"")]);
    few.arg(all.get_program()).args(all.get_args());
    for (name, _) in all.get_envs() {
        few.env_remove(name);
    }
    place.started(few)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_leave_the_log_its_files() {
    let place = Place::new();
    let service = serve_with_few(&place);
    let mut publish = ingest(&service.grpc).await;
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut sockets = Vec::new();
    for _ in 0..FEW + 100 {
        sockets.push(TcpStream::connect(address(&service)).await.unwrap());
    }
    until("connections have all that they may", async || {
        metric(&service.http, "quaymeter_connections") == FEW as u64 / 2
    })
    .await;
    let segments = || std::fs::read_dir(place.data().join("log")).unwrap().count();
    let before = segments();
    for n in 0..10 {
        let events = arrivals(n * 1000..(n + 1) * 1000);
        let request = pb::PublishEventsRequest {
            source: "tos".into(),
            events,
            ..Default::default()
        };
        let answer = publish.publish_events(request).await.unwrap().into_inner();
        assert_eq!(answer.accepted, 1000, "{:?}", answer.results);
    }
    assert!(segments() > before, "none was begun");
    neighbour.goes_on().await;
    assert!(place.logged().contains("fewer connections"));
    // Connections, and what ten thousand events come to.
    memory.stayed_within(FEW as u64 * 32 * 1024 + 16 * MIB);
    drop(sockets);
    service.stop();
}
