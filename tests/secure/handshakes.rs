//! Handshakes that take their time, or never end.

use crate::place::{DEADLINE, address};
use crate::world::World;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More than may shake hands at the same time.
const CROWD: usize = 1_100;

/// The beginning of a handshake record that is to have 512 bytes.
const BEGINNING: [u8; 9] = [22, 3, 1, 2, 0, 1, 0, 1, 252];

async fn knock(address: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&BEGINNING).await.unwrap();
    socket
}

/// Whether the other side has ended it, within the deadline.
async fn cut(mut socket: TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = timeout(DEADLINE, socket.read_to_end(&mut rest)).await;
    ended.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_handshakes_stop_nobody_and_the_oldest_are_cut() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let world = World::new();
    let service = world.serve(&[]);
    let grpc = address(&service);
    let first = knock(&grpc).await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(knock(&grpc).await);
    }
    // With all of them at the door, others come in.
    world.status(&service, None).await.unwrap();
    assert!(cut(first).await, "the oldest hangs");
    let discarded = "quaymeter_discarded_total{reason=\"handshakes\"}";
    assert!(world.metric(&service, discarded).await >= 1.0);
    drop(crowd);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_end_is_cut_on_both_ports() {
    let world = World::new();
    let service = world.serve(&[]);
    let slow = [knock(&address(&service)).await, knock(&service.http).await];
    for socket in slow {
        assert!(cut(socket).await, "it hangs");
    }
    let discarded = "quaymeter_discarded_total{reason=\"a_handshake_to_end\"}";
    assert!(world.metric(&service, discarded).await >= 2.0);
    service.stop();
}
