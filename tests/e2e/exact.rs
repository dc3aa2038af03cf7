//! What was meant is what is answered, whatever happens in between.

use crate::same::assert_same;
use crate::service::Service;
use jiff::{Timestamp, tz::TimeZone};
use quaymeter::answers::{self, Client, Question};
use quaymeter::deliver::{Delivered, Delivery, deliver};
use quaymeter::pb;
use quaymeter::simulate::{Options, Simulation};
use quaymeter::truth::{Grain, Split, Truth, diff};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const DAY_MS: i64 = 86_400_000;
const EVENTS: u32 = 6_000;

/// A day that ends now: the service judges by its clock.
fn a_day(seed: u64) -> Simulation {
    let now = Timestamp::now().as_millisecond();
    Simulation::new(&Options::new(seed, now).with_events(EVENTS))
}

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

async fn delivered(
    day: &Simulation,
    service: &Service,
    acknowledged: &Arc<AtomicU64>,
) -> Delivered {
    let delivery = Delivery {
        endpoint: service.grpc.clone(),
        streams: 2,
        batch_events: 100,
        rate: None,
    };
    let delivered = deliver(day, &delivery, Arc::clone(acknowledged))
        .await
        .unwrap();
    assert_eq!(delivered.surprises, 0, "{:?}", delivered.told);
    delivered
}

/// Waits until the service's answers include all that was delivered.
async fn caught_up(service: &Service, delivered: &Delivered) -> Client {
    let mut client = Client::connect(service.grpc.clone()).await.unwrap();
    for position in &delivered.positions {
        let request = pb::GetStatusRequest {
            at_least: position.clone(),
        };
        client.get_status(request).await.unwrap();
    }
    client
}

fn question() -> Question {
    let now = Timestamp::now().as_millisecond();
    Question {
        from_ms: now - 3 * DAY_MS,
        to_ms: now + 10 * DAY_MS,
        at_least: String::new(),
    }
}

async fn everything(client: &mut Client) -> Truth {
    answers::everything(client, &shanghai(), &question())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_grain_in_every_zone_is_what_was_meant() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let day = a_day(11);
    let delivered = delivered(&day, &service, &Arc::default()).await;
    let mut client = caught_up(&service, &delivered).await;
    let truth = day.truth(&shanghai()).unwrap();
    assert_same(&truth, &everything(&mut client).await);
    for name in [
        "Asia/Shanghai",
        "UTC",
        "Asia/Kathmandu",
        "America/New_York",
        "Australia/Lord_Howe",
    ] {
        let zone = TimeZone::get(name).unwrap();
        for (asked, grain) in [
            (pb::Grain::Quarter, Grain::Quarter),
            (pb::Grain::Hour, Grain::Hour),
            (pb::Grain::Day, Grain::Day),
            (pb::Grain::Week, Grain::Week),
            (pb::Grain::Month, Grain::Month),
        ] {
            let interval = aligned(grain, &zone);
            let rows = answers::rows(&mut client, asked, name, interval, "")
                .await
                .unwrap();
            let mut answered = Truth::default();
            answered.add_cells(grain, &rows);
            let cells = truth
                .rolled_up(grain, &zone, Split::FULL, interval)
                .unwrap();
            let meant = Truth {
                cells,
                ..Truth::default()
            };
            let differences = diff(&meant, &answered);
            let first = differences.first().map(ToString::to_string);
            assert!(differences.is_empty(), "{name} {grain:?}: {first:?}");
            assert!(!answered.cells.is_empty());
        }
    }
    service.stop();
}

/// An interval around the simulated day, aligned to a grain of a zone.
fn aligned(grain: Grain, zone: &TimeZone) -> (i64, i64) {
    let day = |ms: i64| {
        let at = Timestamp::from_millisecond(ms)
            .unwrap()
            .to_zoned(zone.clone());
        at.start_of_day().unwrap()
    };
    let Question { from_ms, to_ms, .. } = question();
    let (mut from, mut to) = (day(from_ms), day(to_ms));
    let days = |n: i8| jiff::Span::new().days(i64::from(n));
    match grain {
        Grain::Week => {
            from = from
                .checked_sub(days(from.weekday().to_monday_zero_offset()))
                .unwrap();
            to = to
                .checked_add(days(7 - to.weekday().to_monday_zero_offset()))
                .unwrap();
        }
        Grain::Month => {
            from = from.first_of_month().unwrap();
            to = to.last_of_month().unwrap().checked_add(days(1)).unwrap();
        }
        Grain::Quarter | Grain::Hour | Grain::Day => {}
    }
    let ms = |at: jiff::Zoned| at.start_of_day().unwrap().timestamp().as_millisecond();
    (ms(from), ms(to))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_restart_changes_no_cell() {
    let dir = tempfile::tempdir().unwrap();
    let day = a_day(12);
    let truth = day.truth(&shanghai()).unwrap();
    let service = Service::start(dir.path(), &[]);
    let delivered = delivered(&day, &service, &Arc::default()).await;
    let mut client = caught_up(&service, &delivered).await;
    let before = client
        .get_status(pb::GetStatusRequest::default())
        .await
        .unwrap()
        .into_inner();
    service.stop();
    let service = Service::start(dir.path(), &[]);
    let mut client = caught_up(&service, &delivered).await;
    assert_same(&truth, &everything(&mut client).await);
    let after = client
        .get_status(pb::GetStatusRequest::default())
        .await
        .unwrap()
        .into_inner();
    let through = |of: &pb::GetStatusResponse| of.freshness.as_ref()?.complete_through;
    assert!(through(&before).is_some());
    assert_eq!(through(&after), through(&before));
    let counts = |of: pb::GetStatusResponse| pb::GetStatusResponse {
        freshness: None,
        now: None,
        started_at: None,
        intake: None,
        progress: None,
        resident_bytes: 0,
        ..of
    };
    assert_eq!(counts(after), counts(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_loses_nothing_and_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    // Checkpoints so often that kills fall between and into them.
    let settings = ["--checkpoint-interval-ms", "10"];
    let day = a_day(13);
    let truth = day.truth(&shanghai()).unwrap();
    let mut service = Service::start(dir.path(), &settings);
    let mut delivered_at_last = None;
    for kill in 0..4u64 {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let due = (kill + 1) * u64::from(EVENTS) / 12;
        let delivery = Delivery {
            endpoint: service.grpc.clone(),
            streams: 2,
            batch_events: 50,
            // Else all may be delivered before this process, among many, is let look.
            rate: Some(2 * EVENTS),
        };
        let deliver = deliver(&day, &delivery, Arc::clone(&acknowledged));
        let reached = async {
            let mut beat = tokio::time::interval(std::time::Duration::from_millis(1));
            while acknowledged.load(Ordering::Relaxed) < due {
                beat.tick().await;
            }
        };
        tokio::select! {
            delivered = deliver => delivered_at_last = Some(delivered.unwrap()),
            () = reached => {}
        }
        service.kill();
        service = Service::start(dir.path(), &settings);
    }
    assert!(
        delivered_at_last.is_none(),
        "every kill was to come before the end"
    );
    // Everything once more, from the beginning: what was counted is a duplicate.
    let delivered = delivered(&day, &service, &Arc::default()).await;
    let mut client = caught_up(&service, &delivered).await;
    assert_same(&truth, &everything(&mut client).await);
    service.kill();
    let service = Service::start(dir.path(), &settings);
    let mut client = caught_up(&service, &delivered).await;
    assert_same(&truth, &everything(&mut client).await);
}
