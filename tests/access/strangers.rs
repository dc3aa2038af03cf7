//! What strangers cannot keep from those who are known, over the real binary.

use crate::memory::{MIB, Memory};
use crate::place::{DEADLINE, address, arrivals, until};
use crate::port::{Bearer, CALLERS, Exchange, Port, channel, publishing, throughput};
use crate::service::Service;
use quaymeter::pb;
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;

/// The preface of HTTP/2, and an empty frame of settings.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A stranger who says no more than that he speaks HTTP/2.
async fn stranger(service: &Service) -> TcpStream {
    let mut socket = TcpStream::connect(address(service)).await.unwrap();
    // What is cut already cannot be written to.
    let _ = socket.write_all(BEGINNING).await;
    socket
}

/// Whether the service ends it.
async fn cut(mut socket: TcpStream) -> bool {
    let mut all = Vec::new();
    timeout(DEADLINE, socket.read_to_end(&mut all))
        .await
        .is_ok()
}

/// One more batch is acknowledged.
async fn goes_on((say, answers): &mut Exchange, sequence: u64) {
    let first = sequence as u32 * 10;
    let events = arrivals(first..first + 10);
    let message = Some(Say::Batch(pb::StreamBatch { sequence, events }));
    let said = pb::StreamEventsRequest { message };
    say.send(said).await.unwrap();
    let answer = timeout(DEADLINE, answers.message()).await.unwrap();
    let Some(Hear::Ack(ack)) = answer.unwrap().unwrap().message else {
        panic!("not acknowledged");
    };
    assert_eq!(ack.sequence, sequence);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_hold_all_connections_make_way_for_who_is_known() {
    let port = Port::new(CALLERS);
    let key = port.key("publisher");
    let service = port.serve(&["--limits-connections", "20"]);
    let mut here = publishing(&service, Bearer::of(&key), "here")
        .await
        .unwrap();
    let memory = Memory::of(service.pid());
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(stranger(&service).await);
    }
    let made_way = "quaymeter_discarded_total{reason=\"connections_of_strangers\"} ";
    until("all have come", async || {
        port.metric(&service, made_way) as u64 == 41
    })
    .await;
    let mut comes = publishing(&service, Bearer::of(&key), "comes")
        .await
        .unwrap();
    goes_on(&mut here, 1).await;
    goes_on(&mut comes, 2).await;
    assert!(cut(crowd.swap_remove(0)).await, "the oldest is still here");
    let refused = "quaymeter_discarded_total{reason=\"connections\"} ";
    assert_eq!(port.metric(&service, refused) as u64, 0);
    memory.stayed_within(4 * MIB);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_on_without_credentials_is_heard_ever_later_and_loses_the_connection() {
    let port = Port::new(CALLERS);
    let key = port.key("publisher");
    let service = port.serve(&[]);
    let mut here = publishing(&service, Bearer::of(&key), "here")
        .await
        .unwrap();
    let memory = Memory::of(service.pid());
    let lost = "quaymeter_discarded_total{reason=\"refusals_of_strangers\"} ";
    // A few are told, each time.
    let mut client = throughput(&service, Bearer::none()).await;
    for _ in 0..20 {
        let refused = client.get_status(pb::GetStatusRequest::default()).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    }
    assert_eq!(port.metric(&service, lost) as u64, 0);
    // More at once than may wait to be told.
    let channel = channel(&service).await;
    let mut calls = JoinSet::new();
    for _ in 0..600 {
        let mut client = ThroughputServiceClient::new(channel.clone());
        calls.spawn(async move { client.get_status(pb::GetStatusRequest::default()).await });
    }
    goes_on(&mut here, 1).await;
    let mut unanswered = 0;
    while let Some(called) = timeout(DEADLINE, calls.join_next()).await.unwrap() {
        let refused = called.unwrap().unwrap_err();
        unanswered += u32::from(refused.code() != Code::Unauthenticated);
    }
    assert!(unanswered > 0, "the connection lasted");
    assert!(port.metric(&service, lost) as u64 >= 1);
    goes_on(&mut here, 2).await;
    // 600 calls of some 20 KiB.
    memory.stayed_within(16 * MIB);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_strangers_do_not_keep_the_metrics_from_who_may_have_them() {
    let port = Port::new(CALLERS);
    let service = port.serve(&[]);
    let mut kept = TcpStream::connect(&service.http).await.unwrap();
    scrape(&mut kept, port.operator()).await;
    let memory = Memory::of(service.pid());
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(&service.http).await.unwrap());
    }
    assert!(port.metrics(&service).contains("quaymeter_build_info"));
    // Who was let through before is not cut for any of them.
    scrape(&mut kept, port.operator()).await;
    assert!(cut(crowd.swap_remove(0)).await, "the oldest is still here");
    memory.stayed_within(4 * MIB);
    service.stop();
}

/// Has the metrics on a connection that stays open.
async fn scrape(socket: &mut TcpStream, key: &str) {
    let asked = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    socket.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = async {
        loop {
            let mut some = [0; 65_536];
            let read = socket.read(&mut some).await.unwrap();
            assert_ne!(read, 0, "it was cut: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&some[..read]);
            if is_whole(&answer) {
                return;
            }
        }
    };
    timeout(DEADLINE, reading).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

/// Whether an answer is there with as many bytes as it says that it has.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is = name.eq_ignore_ascii_case("content-length");
        is.then(|| value.parse().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}
