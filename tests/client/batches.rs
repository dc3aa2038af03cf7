//! How many events a batch has where the service takes fewer than the caller wishes.

use super::service::{Fault, Plan, Service};
use super::{check, ids, publish, quick};
use quaymeter::client::{Cause, Options};
use quaymeter::pb;

/// The most events that any batch of a stream had.
fn largest(service: &Service, stream: usize) -> usize {
    let seen = service.seen.lock().expect("no panic");
    seen.batches[stream].iter().copied().max().expect("batches")
}

#[tokio::test]
async fn a_batch_larger_than_the_service_takes_is_cut() {
    let plan = Plan {
        batch_events_max: 7,
        credit: 21,
        ack_batches: 2,
        ..Plan::default()
    };
    let service = Service::start(move |_| plan.clone()).await;
    let mut ids = ids(1000);
    ids[6] = "6-bad".into();
    ids[7] = "7-odd".into();
    ids[999] = "999-bad".into();
    let options = Options {
        batch_events: 500,
        ..quick(&service.url)
    };
    let (report, told) = publish(options, &ids, 100).await;
    let report = report.expect("published");
    check(&service, &ids, &report, &told);
    assert_eq!(
        (report.accepted, report.refused, report.warned),
        (998, 2, 1)
    );
    assert_eq!((report.resumed, report.sent_again), (0, 0));
    assert_eq!(largest(&service, 0), 7);
    let refused = [
        (6, vec![pb::Outcome::Refused]),
        (7, vec![pb::Outcome::Accepted]),
        (999, vec![pb::Outcome::Refused]),
    ];
    assert_eq!(told.outcomes, refused.into());
}

#[tokio::test]
async fn what_waits_is_cut_anew_where_a_later_stream_takes_fewer() {
    // Four batches of ten come and none is acknowledged, then three at a time are taken,
    // then one, and in the end more than ever.
    let plan = |n| {
        let (batch_events_max, after) = match n {
            0 => (10, 40),
            1 => (3, 20),
            2 => (1, 15),
            _ => return Plan::default(),
        };
        Plan {
            batch_events_max,
            ack_batches: if n == 0 { 100 } else { 4 },
            fault: Some((after, Fault::Cut)),
            ..Plan::default()
        }
    };
    let service = Service::start(plan).await;
    let mut ids = ids(400);
    let bad = |n: &usize| n.is_multiple_of(9);
    for n in (0..400).filter(bad) {
        ids[n].push_str("-bad");
    }
    // So that there is something left to take in the end.
    let options = Options {
        batches_in_flight: 8,
        ..quick(&service.url)
    };
    let (report, told) = publish(options, &ids, 25).await;
    let report = report.expect("published");
    check(&service, &ids, &report, &told);
    assert_eq!((report.resumed, report.refused), (3, 45));
    let refused = (0..400)
        .filter(bad)
        .map(|n| (n as u64, vec![pb::Outcome::Refused]));
    assert_eq!(told.outcomes, refused.collect());
    let largest: Vec<_> = (0..4).map(|n| largest(&service, n)).collect();
    assert_eq!(largest, [10, 3, 1, 10]);
}

#[tokio::test]
async fn credit_for_less_than_a_batch_is_used() {
    let plan = Plan {
        credit: 3,
        ..Plan::default()
    };
    let service = Service::start(move |_| plan.clone()).await;
    let (report, told) = publish(quick(&service.url), &ids(50), 10).await;
    check(&service, &ids(50), &report.expect("published"), &told);
    assert_eq!(largest(&service, 0), 3);
}

#[tokio::test]
async fn a_service_that_takes_no_events_contradicts_the_protocol() {
    let plan = Plan {
        batch_events_max: 0,
        ..Plan::default()
    };
    let service = Service::start(move |_| plan.clone()).await;
    let (report, told) = publish(quick(&service.url), &ids(10), 10).await;
    let error = report.expect_err("a failure");
    assert!(
        matches!(&error.cause, Cause::Protocol(why) if why.contains("at most 0 events")),
        "{error:?}"
    );
    assert_eq!((error.unacknowledged, error.report.sent), (10, 0));
    assert!(told.pauses.is_empty());
}
