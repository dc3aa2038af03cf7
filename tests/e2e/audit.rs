//! Every number is accounted for: the log, recounted by brute force, comes to
//! what is answered, and what does not is found and named.

use crate::place::{self, Place, acknowledged, arrivals, published, text};
use crate::service::{Service, quaymeter};
use jiff::Timestamp;
use quaymeter::deliver::{Delivery, deliver};
use quaymeter::simulate::{Options, Simulation};
use quaymeter::store::{Batch, Store, Table};
use std::process::{ExitStatus, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn a_day(seed: u64, events: u32) -> Simulation {
    let now = Timestamp::now().as_millisecond();
    Simulation::new(&Options::new(seed, now).with_events(events))
}

fn delivery(service: &Service) -> Delivery {
    Delivery {
        endpoint: service.grpc.clone(),
        streams: 2,
        batch_events: 20,
        rate: None,
    }
}

/// Audits on a thread of its own: the services of this test go on meanwhile.
async fn audit(place: &Place, server: Option<&str>, more: &[&str]) -> Output {
    let mut command = quaymeter();
    command.arg("audit").arg("--data-dir").arg(place.data());
    command.args(server.map(|url| format!("--server={url}")));
    command.args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[track_caller]
fn assert_exact(output: &Output) -> String {
    let (told, errors) = text(output);
    assert!(output.status.success(), "{told}{errors}");
    assert!(told.contains("no figure differs"), "{told}");
    told
}

fn code(status: ExitStatus) -> Option<i32> {
    status.code()
}

/// The number before a word in what was told.
#[track_caller]
fn number(told: &str, before: &str) -> u64 {
    let (head, _) = told.split_once(before).unwrap();
    head.split_whitespace().last().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_counts_on_answers_what_its_log_comes_to() {
    let place = Place::new();
    let service = place.serve(&[]);
    let day = a_day(41, 12_000);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let to = delivery(&service);
    let deliver = deliver(&day, &to, Arc::clone(&acknowledged));
    let audits = async {
        // What is acknowledged may not be applied yet.
        place::until("much is counted", async || {
            acknowledged.load(Ordering::Relaxed) > 2_000
                && place::reached(&service.grpc, "").await.events > 2_000
        })
        .await;
        let output = audit(&place, Some(&service.grpc), &["--memory=1"]).await;
        let told = assert_exact(&output);
        assert!(number(&told, " quarter-hours") > 500, "{told}");
    };
    let (delivered, ()) = tokio::join!(deliver, audits);
    let delivered = delivered.unwrap();
    for position in &delivered.positions {
        place::reached(&service.grpc, position).await;
    }
    let told = assert_exact(&audit(&place, Some(&service.grpc), &[]).await);
    assert_eq!(number(&told, " records"), delivered.accepted, "{told}");
    assert!(number(&told, " vessel calls") > 0, "{told}");
    assert!(number(&told, " slots") > 0, "{told}");
    service.stop();
    let stopped = assert_exact(&audit(&place, None, &[]).await);
    let compared = |told: &str| number(told, " quarter-hours");
    assert_eq!(compared(&stopped), compared(&told));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_sent_nothing_answers_that() {
    let place = Place::new();
    let service = place.serve(&[]);
    let told = assert_exact(&audit(&place, Some(&service.grpc), &[]).await);
    assert_eq!(number(&told, " records"), 0, "{told}");
    service.stop();
    assert_exact(&audit(&place, None, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_was_corrupted_is_found_and_named() {
    let place = Place::new();
    let service = place.serve(&[]);
    published(&service.grpc, arrivals(0..3)).await;
    service.stop();
    assert_exact(&audit(&place, None, &[]).await);
    {
        // The first stored cell is that of a day and its quarter-hours.
        let store = Store::open(&place.data().join("store")).unwrap();
        let (key, _) = store.scan(Table::Cells).next().unwrap().unwrap();
        let mut batch = Batch::new();
        batch.put(Table::Cells, &key, None);
        store.write(batch).unwrap();
    }
    let output = audit(&place, None, &[]).await;
    let (told, _) = text(&output);
    assert_eq!(code(output.status), Some(2), "{told}");
    let cell = "CNNBO/BLCT2 ygt:F1 ROLE_FLEET CLASSIFIER_ACTUAL: trucks.in is 3, answered 0";
    let named: Vec<_> = told.lines().filter(|line| line.contains(cell)).collect();
    assert_eq!(named.len(), 2, "{told}");
    assert!(named[0].starts_with("quarter ") && named[1].starts_with("day "));
    assert!(told.ends_with("2 figures differ\n"), "{told}");
    // A service that starts on it answers the same, and is found out the same.
    let service = place.serve(&[]);
    let output = audit(&place, Some(&service.grpc), &["--show=1"]).await;
    let (told, _) = text(&output);
    assert_eq!(code(output.status), Some(2), "{told}");
    assert!(told.contains(cell) && told.ends_with("2 figures differ\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_says_from_when_on_it_vouches() {
    let place = Place::new();
    let service = place.serve(&["--log-segment-bytes=65536"]);
    let mut last = String::new();
    for n in 0..12 {
        last = acknowledged(&service.grpc, arrivals(n * 200..(n + 1) * 200)).await;
    }
    place::reached(&service.grpc, &last).await;
    service.stop();
    let log = place.data().join("log");
    std::fs::remove_file(log.join("00000000000000000000.log")).unwrap();
    let told = assert_exact(&audit(&place, None, &[]).await);
    assert!(told.contains("the log was cut: it vouches for"), "{told}");
    assert_eq!(number(&told, " quarter-hours"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_services_data_is_not_taken_for_its_own() {
    let (place, other) = (Place::new(), Place::new());
    let (service, others) = (place.serve(&[]), other.serve(&[]));
    published(&service.grpc, arrivals(0..3)).await;
    let output = audit(&other, Some(&service.grpc), &[]).await;
    let (_, errors) = text(&output);
    assert_eq!(code(output.status), Some(1), "{errors}");
    assert!(errors.contains("is it another service's?"), "{errors}");
    // The directory of a running service is not taken from it.
    let output = audit(&other, None, &[]).await;
    let (_, errors) = text(&output);
    assert_eq!(code(output.status), Some(1), "{errors}");
    assert!(errors.contains("in use by another process"), "{errors}");
    drop(others);
}
