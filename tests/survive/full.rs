//! A disk that takes nothing, or takes its time: events are refused and told
//! why, questions are answered, and no restart is needed when it is over.

use crate::faults::{Faults, seen_by, small};
use crate::place::{arrivals, get, ingest, published, trucks_in};
use crate::service::Service;
use crate::site::{BUSY, Site, until};
use quaymeter::client::{Observer, Options, Publisher, Settled};
use quaymeter::pb;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Publishes one batch.
async fn publish(url: &str, events: Vec<pb::Event>) -> Result<String, Status> {
    let request = pb::PublishEventsRequest {
        source: "tos".into(),
        events,
        ..Default::default()
    };
    let answer = ingest(url).await.publish_events(request).await?;
    Ok(answer.into_inner().position)
}

/// The value of a metric without labels.
pub fn metric(service: &Service, name: &str) -> f64 {
    let (status, page) = get(&service.http, "/metrics");
    assert_eq!(status, 200);
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

#[track_caller]
fn assert_told_to_try_again(refused: &Status, code: Code, why: &str) {
    assert_eq!(refused.code(), code, "{refused}");
    let details = refused.get_error_details();
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    assert!(delay.is_some_and(|delay| !delay.is_zero()), "{refused}");
    assert!(refused.message().contains(why), "{refused}");
}

/// Counts what is acknowledged, and how often it had to wait.
#[derive(Clone, Default)]
struct Watch {
    settled: Arc<AtomicU64>,
    pauses: Arc<AtomicU64>,
}

impl Observer<()> for Watch {
    fn settled(&mut self, settled: Settled<'_, ()>) {
        assert_eq!(settled.refused, 0);
        self.settled
            .fetch_add(settled.accepted.into(), Ordering::SeqCst);
    }

    fn interrupted(&mut self, _why: &str, _pause: Duration) {
        self.pauses.fetch_add(1, Ordering::SeqCst);
    }
}

/// Publishes trucks in batches of twenty over a stream, however long it takes.
fn publishing(url: &str, trucks: Range<u32>) -> (Watch, tokio::task::JoinHandle<String>) {
    let options = Options {
        pause_max: Duration::from_millis(200),
        give_up_after: Duration::from_secs(600),
        ..Options::new(url, "tos", "patient")
    };
    let publisher = Publisher::new(options).unwrap();
    let (give, input) = mpsc::channel(1);
    let watch = Watch::default();
    let mut observer = watch.clone();
    tokio::spawn(async move {
        for first in trucks.clone().step_by(20) {
            let batch = arrivals(first..trucks.end.min(first + 20));
            give.send(((), batch)).await.unwrap();
        }
    });
    let run = async move { publisher.run(input, &mut observer).await.unwrap().position };
    (watch, tokio::spawn(run))
}

async fn a_disk_that_takes_nothing(fault: &str, why: &str, ip: &str) {
    let site = Site::new(ip);
    let faults = Faults::new();
    let mut command = site.command(&BUSY);
    faults.concern(&mut command, &site.place.data());
    command.stderr(File::create(site.place.path("log.txt")).unwrap());
    let service = Service::of(command);
    let url = site.url();
    published(&url, arrivals(0..100)).await;
    faults.set(fault);
    let refused = publish(&url, arrivals(100..120)).await.unwrap_err();
    assert_told_to_try_again(&refused, Code::Unavailable, why);
    let (watch, done) = publishing(&url, 120..1_000);
    until("a stream is told to wait, twice", async || {
        watch.pauses.load(Ordering::SeqCst) >= 2
    })
    .await;
    assert_eq!(watch.settled.load(Ordering::SeqCst), 0);
    assert_eq!(trucks_in(&url).await, 100, "questions are answered");
    assert!(metric(&service, "quaymeter_log_refused_batches_total") >= 3.0);
    let told = site.place.logged();
    let line = "events are refused until it can be written";
    assert_eq!(told.matches(line).count(), 1, "{told}");
    faults.set("");
    let position = done.await.unwrap();
    publish(&url, arrivals(100..120)).await.unwrap();
    crate::place::reached(&url, &position).await;
    crate::place::caught_up(&url).await;
    assert_eq!(trucks_in(&url).await, 1_000);
    assert!(site.place.logged().contains("the log can be written again"));
    service.kill();
    let service = site.serve(&BUSY);
    assert_eq!(trucks_in(&url).await, 1_000);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_events_answers_questions_and_takes_events_again() {
    a_disk_that_takes_nothing("full", "no storage space", "127.0.73.1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_does_no_more_harm_than_a_full_one() {
    a_disk_that_takes_nothing("readonly", "read-only filesystem", "127.0.73.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_without_room_are_put_off_and_events_are_taken_meanwhile() {
    let site = Site::new("127.0.73.3");
    let faults = Faults::new();
    let mut command = site.command(&BUSY);
    faults.concern(&mut command, &site.place.data().join("store"));
    command.stderr(File::create(site.place.path("log.txt")).unwrap());
    let mut service = Service::of(command);
    let url = site.url();
    published(&url, arrivals(0..100)).await;
    faults.set("full");
    let failures = |service: &Service| metric(service, "quaymeter_checkpoint_failures_total");
    for round in 1..=3 {
        let failed = failures(&service);
        published(&url, arrivals(round * 100..round * 100 + 100)).await;
        until("another checkpoint fails", async || {
            failures(&service) > failed
        })
        .await;
    }
    assert_eq!(trucks_in(&url).await, 400);
    let told = site.place.logged();
    assert!(told.contains("checkpoints cannot be written"), "{told}");
    faults.set("");
    until("a checkpoint holds all", async || {
        metric(&service, "quaymeter_checkpoint_offset") as u64 == 400
    })
    .await;
    assert!(
        site.place
            .logged()
            .contains("checkpoints can be written again")
    );
    // A stop that cannot store its state says so; the log has it all.
    faults.set("full");
    published(&url, arrivals(400..500)).await;
    service.signal("TERM");
    assert_eq!(service.ended().code(), Some(1));
    let service = site.serve(&BUSY);
    assert_eq!(trucks_in(&url).await, 500);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filesystem_that_really_fills_up_needs_no_restart() {
    let site = Site::new("127.0.73.4");
    let Some(mut command) = small(&site, &BUSY, 48) else {
        println!("no filesystems of our own here: see the tests with a preloaded disk");
        return;
    };
    command.stderr(File::create(site.place.path("log.txt")).unwrap());
    let service = Service::of(command);
    let (url, data) = (site.url(), seen_by(service.pid(), &site));
    published(&url, arrivals(0..100)).await;
    let (watch, done) = publishing(&url, 100..80_000);
    until("events are on their way", async || {
        watch.settled.load(Ordering::SeqCst) > 500
    })
    .await;
    let ballast = data.join("ballast");
    fill(&ballast);
    until("a stream is told to wait, twice", async || {
        // What others have freed meanwhile is taken as well.
        fill(&ballast);
        watch.pauses.load(Ordering::SeqCst) >= 2
    })
    .await;
    let refused = publish(&url, arrivals(100..2_000)).await.unwrap_err();
    assert_told_to_try_again(&refused, Code::Unavailable, "no storage space");
    assert!(trucks_in(&url).await >= 600);
    std::fs::remove_file(&ballast).unwrap();
    let position = done.await.unwrap();
    crate::place::reached(&url, &position).await;
    assert_eq!(trucks_in(&url).await, 80_000);
    until("a checkpoint holds all", async || {
        let end = metric(&service, "quaymeter_log_end_offset");
        metric(&service, "quaymeter_checkpoint_offset") >= end
    })
    .await;
    service.stop();
}

/// Fills up what is left of a filesystem.
fn fill(ballast: &std::path::Path) {
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(ballast)
        .unwrap();
    let mut piece = &[0xab_u8; 1 << 20][..];
    while !piece.is_empty() {
        // Less and less, until not even a byte fits.
        if let Err(error) = file.write_all(piece) {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            piece = &piece[..piece.len() / 2];
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_delays_acknowledgements_and_bounds_what_waits() {
    let site = Site::new("127.0.73.5");
    let faults = Faults::new();
    let narrow = [
        "--limits-buffered-bytes",
        "1048576",
        "--limits-message-bytes",
        "1048576",
        "--limits-append-wait-ms",
        "50",
    ];
    let mut command = site.command(&narrow);
    faults.concern(&mut command, &site.place.data().join("log"));
    let service = Service::of(command);
    let url = site.url();
    published(&url, arrivals(0..100)).await;
    let before = metric(&service, "process_resident_memory_bytes");
    faults.set("slow");
    // Some ten times what may wait.
    let batches: Vec<_> = (0..100)
        .map(|n| 1_000 + n * 1_000..2_000 + n * 1_000)
        .collect();
    let mut calls = tokio::task::JoinSet::new();
    for trucks in batches.clone() {
        let url = url.clone();
        calls.spawn(async move { publish(&url, arrivals(trucks)).await });
    }
    let mut overloaded = 0;
    while overloaded < 10 {
        let answer = calls.join_next().await.unwrap().unwrap();
        let Err(refused) = answer else { continue };
        assert_told_to_try_again(&refused, Code::ResourceExhausted, "durable");
        overloaded += 1;
    }
    assert!(trucks_in(&url).await >= 100, "questions are answered");
    let waiting = metric(&service, "quaymeter_buffered_bytes");
    assert!((1.0..=f64::from(1 << 20)).contains(&waiting), "{waiting}");
    let grown = metric(&service, "process_resident_memory_bytes") - before;
    assert!(grown < f64::from(96 << 20), "{grown} bytes more");
    faults.set("");
    calls.join_all().await;
    for trucks in batches {
        while publish(&url, arrivals(trucks.clone())).await.is_err() {}
    }
    crate::place::caught_up(&url).await;
    assert_eq!(trucks_in(&url).await, 100 + 100_000);
    service.stop();
}
