//! How the service stops: in good order, under a deadline, or at once.

use crate::place::{
    Place, address, arrivals, caught_up, channel, get, queries, recently, status, trucks_in, until,
};
use crate::service::Service;
use crate::stream::Stream;
use crate::wire::Wire;
use quaymeter::answers::instant;
use quaymeter::client::{Observer, Options, Publisher, Report, Settled};
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::{self, Event};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Longer than any test here: whatever ends earlier did not wait for it.
const NEVER: [&str; 2] = ["--drain-deadline-ms", "600000"];

async fn a_signal_drains(name: &str) {
    let place = Place::new();
    let mut service = place.serve(&NEVER);
    let (mut stream, _) = Stream::open(&service.grpc, "c1").await;
    stream.batch(1, arrivals(0..10)).await;
    let first = stream.acks(1).await.pop().unwrap();
    for sequence in 2..=20 {
        let n = sequence as u32 * 10;
        stream.batch(sequence, arrivals(n - 10..n)).await;
    }
    service.signal(name);
    let (acks, end) = stream.rest().await;
    let Ok(Some(Hear::ResumeElsewhere(resume))) = end else {
        panic!("not told to resume elsewhere: {end:?}");
    };
    assert_eq!(resume.reason(), pb::ResumeReason::Shutdown);
    let last = acks.last().unwrap_or(&first);
    assert_eq!(resume.acknowledged_sequence, last.sequence);
    assert!(resume.retry_after.is_some());
    assert!(matches!(stream.hear().await, Ok(None)), "it was the last");
    assert!(service.ended().success());
    let service = place.serve(&[]);
    let acknowledged = 10 * last.sequence as i64;
    assert_eq!(trucks_in(&service.grpc).await, acknowledged);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_acknowledges_what_was_taken_and_says_resume_elsewhere() {
    a_signal_drains("TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_acknowledges_what_was_taken_and_says_resume_elsewhere() {
    a_signal_drains("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_watch_does_not_hold_up_a_stop() {
    let place = Place::new();
    let mut service = place.serve(&NEVER);
    let query = pb::GetThroughputRequest {
        from: Some(instant(recently())),
        to: Some(instant(recently() + 3_600_000)),
        grain: pb::Grain::Quarter.into(),
        ..Default::default()
    };
    let request = pb::WatchThroughputRequest {
        query: Some(query),
        ..Default::default()
    };
    let mut client = queries(&service.grpc).await;
    let mut watch = client.watch_throughput(request).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().unwrap().snapshot);
    service.signal("TERM");
    while let Ok(Some(_)) = watch.message().await {}
    assert!(service.ended().success());
}

/// How many events are acknowledged, and how many pauses were made.
#[derive(Clone, Default)]
struct Watch {
    settled: Arc<AtomicU64>,
    pauses: Arc<AtomicU64>,
}

impl Observer<u32> for Watch {
    fn settled(&mut self, settled: Settled<'_, u32>) {
        let events = settled.accepted + settled.refused;
        self.settled.fetch_add(events.into(), Ordering::Relaxed);
    }

    fn interrupted(&mut self, _why: &str, _pause: Duration) {
        self.pauses.fetch_add(1, Ordering::Relaxed);
    }
}

type Batches = mpsc::Sender<(u32, Vec<Event>)>;

/// A publisher at work, and where its batches go in.
fn publishing(url: &str, watch: &Watch) -> (Batches, JoinHandle<Report>) {
    let options = Options {
        pause_max: Duration::from_millis(200),
        ..Options::new(url, "tos", "c1")
    };
    let publisher = Publisher::new(options).unwrap();
    let (batches, input) = mpsc::channel(1);
    let mut watch = watch.clone();
    let run = async move { publisher.run(input, &mut watch).await.unwrap() };
    (batches, tokio::spawn(run))
}

async fn feed(batches: &Batches, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let batch = arrivals(n * 20..n * 20 + 20);
        batches.send((n, batch)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_resumes_at_the_restarted_service_and_loses_nothing() {
    let place = Place::new();
    // An address of its own, so that nobody takes the port meanwhile.
    let mut service = place.serve_at("127.0.81.1:0", &NEVER);
    let at = address(&service);
    let watch = Watch::default();
    let (batches, done) = publishing(&service.grpc, &watch);
    feed(&batches, 0..50).await;
    until("something is acknowledged", async || {
        watch.settled.load(Ordering::Relaxed) > 0
    })
    .await;
    service.signal("TERM");
    assert!(service.ended().success());
    // Nobody takes the rest before somebody serves again.
    let feeding = tokio::spawn(async move { feed(&batches, 50..100).await });
    until("the publisher waits to resume", async || {
        watch.pauses.load(Ordering::Relaxed) > 0
    })
    .await;
    let service = place.serve_at(&at, &[]);
    feeding.await.unwrap();
    let report = done.await.unwrap();
    assert_eq!((report.sent, report.accepted), (2_000, 2_000));
    assert!(report.resumed >= 1, "{report:?}");
    caught_up(&service.grpc).await;
    assert_eq!(trucks_in(&service.grpc).await, 2_000);
    service.stop();
}

/// A service that drains and cannot come to an end: a client's wire is dead.
async fn held_up(place: &Place, settings: &[&str], signal: &str) -> (Service, Wire, Stream) {
    let service = place.serve(settings);
    let wire = Wire::to(address(&service)).await;
    let (mut stream, _) = Stream::open(&wire.url, "c1").await;
    stream.batch(1, arrivals(0..10)).await;
    stream.acks(1).await;
    wire.die();
    assert_eq!(get(&service.health, "/readyz").0, 200);
    service.signal(signal);
    (service, wire, stream)
}

async fn a_second_signal_exits(first: &str, second: &str, status: i32) {
    let place = Place::new();
    let (mut service, _wire, _stream) = held_up(&place, &NEVER, first).await;
    until("it says that it is not ready", async || {
        get(&service.health, "/readyz").0 == 503
    })
    .await;
    assert_eq!(get(&service.health, "/healthz").0, 200);
    service.signal(second);
    let ended = service.ended();
    assert_eq!((ended.code(), ended.signal()), (Some(status), None));
    let service = place.serve(&[]);
    assert_eq!(trucks_in(&service.grpc).await, 10);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_it_is_not_ready_and_a_second_sigterm_exits_at_once() {
    a_second_signal_exits("TERM", "TERM", 143).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigint_after_a_sigterm_exits_at_once() {
    a_second_signal_exits("TERM", "INT", 130).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_beyond_its_deadline_is_cut_off_and_ends_well() {
    let place = Place::new();
    let deadline = ["--drain-deadline-ms", "300"];
    let (mut service, _wire, _stream) = held_up(&place, &deadline, "TERM").await;
    assert!(service.ended().success());
    let logged = place.logged();
    assert!(logged.contains("the drain deadline has passed"), "{logged}");
    let service = place.serve(&[]);
    assert_eq!(trucks_in(&service.grpc).await, 10);
    let counted = status(&service.grpc).await;
    assert_eq!((counted.events, counted.duplicates), (10, 0));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_says_that_it_is_serving() {
    let place = Place::new();
    let service = place.serve(&[]);
    let mut client = HealthClient::new(channel(&service.grpc).await);
    for name in [
        "",
        "quaymeter.v1.IngestService",
        "quaymeter.v1.ThroughputService",
    ] {
        let request = HealthCheckRequest {
            service: name.into(),
        };
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name:?}");
    }
    let unknown = HealthCheckRequest {
        service: "quaymeter.v1.Other".into(),
    };
    let refused = client.check(unknown).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_ready_stops_at_once() {
    let place = Place::new();
    // Nobody listens there: it would wait for brokers for a minute.
    let settings = ["--log", "kafka", "--brokers", "127.0.0.1:9"];
    let mut command = place.command("127.0.0.1:0", &settings);
    let log = File::create(place.path("log.txt")).unwrap();
    let mut starting = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    until("it waits", async || {
        assert_eq!(starting.try_wait().unwrap(), None, "{}", place.logged());
        place.logged().contains("waiting for Kafka")
    })
    .await;
    let pid = Pid::from_child(&starting);
    kill_process(pid, Signal::TERM).unwrap();
    let mut ended = None;
    until("it ends", async || {
        ended = starting.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    assert!(ended.unwrap().success(), "{}", place.logged());
    assert!(place.logged().contains("stopped before it was ready"));
}
