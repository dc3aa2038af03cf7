//! Clients that begin something and leave it at that.

use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, address, until};
use crate::raw::{
    PUBLISH, Raw, STREAM, THROUGHPUT, WIDE, assert_too_large, discarded, framed, metric, told,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

const EACH: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_say_nothing_are_ended() {
    let place = Place::new();
    let service = place.serve(&["--limits-request-arrival-ms", "2000"]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut calls = Vec::new();
    for path in [
        PUBLISH,
        THROUGHPUT,
        STREAM,
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let many = match path {
            PUBLISH | STREAM | THROUGHPUT => EACH,
            // Of those 256 are allowed, and of probes.
            _ => 50,
        };
        let mut raw = Raw::connect(&service.grpc, WIDE).await;
        for _ in 0..many {
            let call = raw.call(path).await;
            calls.push((path, call));
        }
        neighbour.goes_on().await;
    }
    assert_eq!(metric(&service.http, "quaymeter_streams"), EACH as u64);
    for (path, call) in calls {
        let status = call.ends().await;
        if path.starts_with("/grpc.reflection") {
            // It ends as if all had been said.
            assert_eq!(status.code(), Code::Ok, "{status:?}");
            continue;
        }
        let expected = match path {
            STREAM => (Code::InvalidArgument, "INVALID_FIELD".into()),
            _ => (Code::DeadlineExceeded, "TOO_SLOW".into()),
        };
        assert_eq!(told(&status), expected, "{path}: {status:?}");
    }
    until("nothing is open", async || {
        metric(&service.http, "quaymeter_streams") == 0
    })
    .await;
    // 750 calls of some 20 KiB.
    memory.stayed_within(16 * MIB);
    neighbour.leaves().await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_that_never_end_take_no_place_of_calls_and_hardly_memory() {
    let place = Place::new();
    let service = place.serve(&["--limits-calls", "8"]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let mut calls = Vec::new();
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    ] {
        for _ in 0..EACH {
            let mut call = raw.call(path).await;
            // Almost all that there may be of it.
            call.send(framed(0, &[0; 4096]).slice(..4000), false).await;
            calls.push(call);
        }
        neighbour.goes_on().await;
        let mut call = raw.call(path).await;
        call.send(framed(0, &[0; 4097]).slice(..4000), false).await;
        assert_too_large(&call.ends().await, "bytes of a message");
    }
    // 400 calls of some 20 KiB, and what they said.
    memory.stayed_within(2 * EACH as u64 * 32 * 1024);
    drop(calls);
    neighbour.leaves().await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_do_not_begin_are_closed() {
    let place = Place::new();
    let service = place.serve(&[]);
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut sockets = Vec::new();
    for n in 0..EACH {
        let mut socket = TcpStream::connect(address(&service)).await.unwrap();
        // Nothing, half a preface, a preface and no frame.
        let said = &preface[..[0, 12, 24][n % 3]];
        socket.write_all(said).await.unwrap();
        sockets.push(socket);
    }
    let own = 1;
    until("all are open", async || {
        metric(&service.http, "quaymeter_connections") == EACH as u64 + own
    })
    .await;
    neighbour.goes_on().await;
    for mut socket in sockets {
        // Its settings, and the end; a reset is as good.
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
    }
    until("all are closed", async || {
        metric(&service.http, "quaymeter_connections") == own
    })
    .await;
    let told = discarded(&service.http, "connections_that_say_nothing");
    assert_eq!(told, EACH as u64);
    memory.stayed_within(EACH as u64 * 64 * 1024);
    neighbour.leaves().await;
    service.stop();
}
