//! The publisher against a scripted service: every event ends acknowledged once,
//! whatever breaks in between, and the credit is never exceeded.

#[path = "client/batches.rs"]
mod batches;
#[path = "client/publish.rs"]
mod publish_command;
#[path = "client/service.rs"]
mod service;

use quaymeter::client::{Cause, Error, Observer, Options, Publisher, Report, Settled};
use quaymeter::pb;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use service::{Fault, Plan, Service};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// What the caller was told of each event, by its own index.
#[derive(Default)]
struct Told {
    outcomes: BTreeMap<u64, Vec<pb::Outcome>>,
    results: BTreeMap<u64, pb::EventResult>,
    events: u64,
    pauses: Vec<(String, Duration)>,
    position: String,
}

impl Observer<u64> for Told {
    fn settled(&mut self, settled: Settled<'_, u64>) {
        self.events += u64::from(settled.accepted + settled.refused);
        self.position = settled.position.into();
        for result in settled.results {
            let index = settled.tag + u64::from(result.index);
            self.outcomes
                .entry(index)
                .or_default()
                .push(result.outcome());
            self.results.insert(index, result);
        }
    }

    fn interrupted(&mut self, why: &str, pause: Duration) {
        self.pauses.push((why.into(), pause));
    }
}

fn quick(url: &str) -> Options {
    Options {
        pause_min: Duration::from_millis(1),
        pause_max: Duration::from_millis(5),
        give_up_after: Duration::from_secs(20),
        batch_events: 10,
        ..Options::new(url, "tester", "client-1")
    }
}

fn event(id: String) -> pb::Event {
    pb::Event {
        event_id: id,
        facility: "CNNBO/TEST".into(),
        ..Default::default()
    }
}

/// Publishes the ids in batches of `batch`, and tells what became of them.
async fn publish(options: Options, ids: &[String], batch: usize) -> (Result<Report, Error>, Told) {
    let (out, input) = mpsc::channel(2);
    let batches: Vec<_> = ids.chunks(batch).map(<[String]>::to_vec).collect();
    let feeding = tokio::spawn(async move {
        let mut first = 0;
        for ids in batches {
            let count = ids.len() as u64;
            if out
                .send((first, ids.into_iter().map(event).collect()))
                .await
                .is_err()
            {
                return;
            }
            first += count;
        }
    });
    let mut told = Told::default();
    let publisher = Publisher::new(options).expect("an endpoint");
    let report = publisher.run(input, &mut told).await;
    feeding.await.expect("fed");
    (report, told)
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("e{n}")).collect()
}

/// All that must hold after a successful run.
fn check(service: &Service, ids: &[String], report: &Report, told: &Told) {
    let seen = service.seen.lock().expect("no panic");
    assert_eq!(seen.breaches, Vec::<String>::new());
    let count = ids.len() as u64;
    assert_eq!(
        (report.sent, report.accepted + report.refused),
        (count, count)
    );
    assert_eq!(told.events, count, "each event is told once");
    assert_eq!(told.position, report.position);
    let sent: usize = seen.ids.iter().map(Vec::len).sum();
    assert!(
        sent as u64 <= report.sent + report.sent_again,
        "{sent}: {report:?}"
    );
    for id in ids {
        assert!(
            seen.ids.iter().flatten().any(|seen| seen == id),
            "{id} never came"
        );
    }
    for stream in &seen.ids {
        let order: Vec<_> = stream
            .iter()
            .map(|id| ids.iter().position(|i| i == id))
            .collect();
        assert!(order.is_sorted(), "events come in order on each stream");
    }
}

#[tokio::test]
async fn all_is_acknowledged_once_over_one_stream() {
    let service = Service::start(|_| Plan::default()).await;
    let options = Options {
        backfill: true,
        strict: true,
        ..quick(&service.url)
    };
    let (report, told) = publish(options, &ids(1000), 25).await;
    let report = report.expect("published");
    check(&service, &ids(1000), &report, &told);
    assert_eq!(
        (report.resumed, report.sent_again, report.refused),
        (0, 0, 0)
    );
    let open = service.seen.lock().expect("no panic").opens[0].clone();
    assert_eq!(
        (open.client_id.as_str(), open.source.as_str()),
        ("client-1", "tester")
    );
    assert!(open.backfill && open.strict);
}

#[tokio::test]
async fn a_cut_connection_is_resumed_from_what_was_not_acknowledged() {
    let cut = |n| match n {
        0..3 => Plan {
            fault: Some((150, Fault::Cut)),
            ack_batches: 4,
            ..Plan::default()
        },
        _ => Plan::default(),
    };
    let service = Service::start(cut).await;
    let (report, told) = publish(quick(&service.url), &ids(1000), 50).await;
    let report = report.expect("published");
    check(&service, &ids(1000), &report, &told);
    assert_eq!(report.resumed, 3);
    assert!(report.sent_again > 0, "{report:?}");
    let seen = service.seen.lock().expect("no panic");
    assert!(seen.opens.iter().all(|open| open.client_id == "client-1"));
}

#[tokio::test]
async fn little_credit_is_never_exceeded() {
    let plan = Plan {
        credit: 10,
        ack_batches: 100,
        ..Plan::default()
    };
    let service = Service::start(move |_| plan.clone()).await;
    let (report, told) = publish(
        Options {
            batch_events: 3,
            ..quick(&service.url)
        },
        &ids(200),
        7,
    )
    .await;
    check(&service, &ids(200), &report.expect("published"), &told);
}

#[tokio::test]
async fn a_service_that_asks_to_resume_elsewhere_is_left_and_all_goes_on() {
    let plan = |n| match n {
        0..2 => {
            let fault = Fault::Resume(pb::ResumeReason::Shutdown);
            Plan {
                fault: Some((60, fault)),
                ack_batches: 2,
                ..Plan::default()
            }
        }
        _ => Plan::default(),
    };
    let service = Service::start(plan).await;
    let (report, told) = publish(quick(&service.url), &ids(300), 10).await;
    let report = report.expect("published");
    check(&service, &ids(300), &report, &told);
    assert_eq!(report.resumed, 2);
    assert!(
        told.pauses[0].0.contains("RESUME_REASON_SHUTDOWN"),
        "{:?}",
        told.pauses
    );
}

#[tokio::test]
async fn refusals_and_warnings_come_back_with_the_callers_index() {
    let service = Service::start(|_| Plan {
        ack_batches: 3,
        ..Plan::default()
    })
    .await;
    let mut ids = ids(100);
    ids[0] = "first-bad".into();
    ids[37] = "37-bad".into();
    ids[38] = "38-odd".into();
    ids[99] = "last-bad".into();
    // Batches of 40 are sent in parts of 7: an index is that in the batch of 40.
    let (report, told) = publish(
        Options {
            batch_events: 7,
            ..quick(&service.url)
        },
        &ids,
        40,
    )
    .await;
    let report = report.expect("published");
    check(&service, &ids, &report, &told);
    assert_eq!((report.accepted, report.refused, report.warned), (97, 3, 1));
    let refused: Vec<_> = told
        .outcomes
        .iter()
        .map(|(n, o)| (*n, o.as_slice()))
        .collect();
    let (no, yes) = ([pb::Outcome::Refused], [pb::Outcome::Accepted]);
    assert_eq!(
        refused,
        [(0, &no[..]), (37, &no[..]), (38, &yes[..]), (99, &no[..])]
    );
    let found = |n: u64| told.results[&n].refusal.clone().expect("a refusal").found;
    assert_eq!((found(37), found(99)), ("37-bad".into(), "last-bad".into()));
}

#[tokio::test]
async fn any_sequence_of_faults_loses_and_doubles_nothing() {
    for seed in 0..12 {
        let plan = move |n: usize| {
            let mut random = ChaCha8Rng::seed_from_u64(seed * 1000 + n as u64);
            let after = random.random_range(1..120);
            let fault = match random.random_range(0..4) {
                0 => Fault::Cut,
                1 => Fault::Resume(pb::ResumeReason::Idle),
                2 => Fault::Status(Status::unavailable("busy")),
                _ => Fault::Status(busy(1)),
            };
            Plan {
                credit: random.random_range(5..200),
                batch_events_max: random.random_range(1..15),
                ack_batches: random.random_range(1..5),
                fault: (n < 8).then_some((after, fault)),
                ..Plan::default()
            }
        };
        let service = Service::start(plan).await;
        let mut ids = ids(400);
        ids.iter_mut()
            .step_by(17)
            .for_each(|id| id.push_str("-bad"));
        let (report, told) = publish(quick(&service.url), &ids, 13).await;
        let report = report.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        check(&service, &ids, &report, &told);
        assert_eq!(report.refused, 24, "seed {seed}");
        assert!(
            told.outcomes.values().all(|told| told.len() == 1),
            "seed {seed}: told once"
        );
        assert_eq!(told.outcomes.len(), 24, "seed {seed}");
    }
}

/// Overloaded, and says when to come back.
fn busy(retry_ms: u64) -> Status {
    let delay = Some(Duration::from_millis(retry_ms));
    let details = ErrorDetails::with_retry_info(delay);
    Status::with_error_details(Code::ResourceExhausted, "too much", details)
}

#[tokio::test]
async fn the_delay_that_an_overloaded_service_asks_for_is_waited() {
    let plan = |n| match n {
        0 => Plan {
            refuse: Some(busy(30)),
            ..Plan::default()
        },
        _ => Plan::default(),
    };
    let service = Service::start(plan).await;
    let (report, told) = publish(quick(&service.url), &ids(10), 10).await;
    assert_eq!(report.expect("published").accepted, 10);
    assert_eq!(told.pauses[0].1, Duration::from_millis(30));
}

#[tokio::test]
async fn what_does_not_pass_is_not_retried() {
    for status in [
        Status::invalid_argument("no such source"),
        Status::resource_exhausted("beyond the credit"),
        Status::unknown("anything"),
        Status::internal("anything"),
    ] {
        let code = status.code();
        let plan = Plan {
            fault: Some((20, Fault::Status(status))),
            ..Plan::default()
        };
        let service = Service::start(move |_| plan.clone()).await;
        let (report, told) = publish(quick(&service.url), &ids(100), 10).await;
        let error = report.expect_err("a failure");
        assert!(
            matches!(&error.cause, Cause::Status(told) if told.code() == code),
            "{error:?}"
        );
        assert_eq!(told.events, error.report.accepted);
        assert!(
            error.report.accepted <= 10 && error.unacknowledged >= 10,
            "{error:?}"
        );
        assert_eq!(service.seen.lock().expect("no panic").ids.len(), 1);
        assert!(told.pauses.is_empty());
    }
}

#[tokio::test]
async fn a_publisher_that_was_superseded_leaves_the_field() {
    let fault = Fault::Resume(pb::ResumeReason::Superseded);
    let plan = Plan {
        fault: Some((20, fault)),
        ..Plan::default()
    };
    let service = Service::start(move |_| plan.clone()).await;
    let (report, _) = publish(quick(&service.url), &ids(100), 10).await;
    assert!(matches!(
        report.expect_err("a failure").cause,
        Cause::Superseded
    ));
}

#[tokio::test]
async fn nothing_unacknowledged_is_reported_as_done_when_a_service_goes_silent() {
    let plan = Plan {
        fault: Some((30, Fault::Mute)),
        ..Plan::default()
    };
    let service = Service::start(move |_| plan.clone()).await;
    let give_up_after = Duration::from_millis(300);
    let options = Options {
        give_up_after,
        batches_in_flight: 4,
        ..quick(&service.url)
    };
    let (report, told) = publish(options, &ids(1000), 10).await;
    let error = report.expect_err("a failure");
    assert!(matches!(error.cause, Cause::GaveUp { .. }), "{error:?}");
    assert_eq!(told.events, error.report.accepted + error.report.refused);
    assert!(told.events <= 20, "{error:?}");
    // No more is taken from the input than may be kept.
    assert!((10..=40).contains(&error.unacknowledged), "{error:?}");
    let text = error.to_string();
    let said = format!(
        "{} events are acknowledged, {} sent or waiting are not",
        told.events, error.unacknowledged
    );
    assert!(text.contains(&said), "{text}");
}

#[tokio::test]
async fn an_unreachable_service_is_given_up_in_bounded_time() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let options = Options {
        give_up_after: Duration::from_secs(1),
        ..quick(&url)
    };
    let (report, told) = publish(options, &ids(10), 10).await;
    let error = report.expect_err("a failure");
    assert_eq!((error.unacknowledged, error.report.sent), (10, 0));
    assert!(!told.pauses.is_empty() && matches!(error.cause, Cause::GaveUp { .. }));
}

#[tokio::test]
async fn an_acknowledgement_that_contradicts_what_was_sent_ends_the_run() {
    for fault in [Fault::Lie, Fault::Miscount] {
        let plan = Plan {
            fault: Some((20, fault)),
            ack_batches: 100,
            ..Plan::default()
        };
        let service = Service::start(move |_| plan.clone()).await;
        let (report, told) = publish(quick(&service.url), &ids(100), 10).await;
        let error = report.expect_err("a failure");
        assert!(matches!(error.cause, Cause::Protocol(_)), "{error:?}");
        assert_eq!((told.events, error.report.accepted), (0, 0));
    }
}

#[tokio::test]
async fn an_idle_stream_may_end_and_the_next_events_open_another() {
    let service = Service::start(|_| Plan {
        ends_idle: true,
        ..Plan::default()
    })
    .await;
    let (out, input) = mpsc::channel(1);
    let publisher = Publisher::new(quick(&service.url)).expect("an endpoint");
    let run = tokio::spawn(async move { publisher.run(input, &mut ()).await });
    for n in 0..3 {
        out.send((n, vec![event(format!("e{n}")); 10]))
            .await
            .expect("taken");
        let ended = async {
            while service.seen.lock().expect("no panic").idle <= n {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended)
            .await
            .expect("the stream ends");
    }
    drop(out);
    let report = run.await.expect("no panic").expect("published");
    assert_eq!((report.accepted, report.resumed), (30, 2));
}

#[tokio::test]
async fn an_endpoint_that_is_no_http_url_is_refused_at_once() {
    for url in ["localhost:7070", "http://", "ftp://x"] {
        let refused = Publisher::new(quick(url)).err().expect("refused");
        assert!(
            matches!(refused, Cause::Endpoint { .. }),
            "{url}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn an_empty_input_needs_no_service() {
    let (report, _) = publish(quick("http://127.0.0.1:1"), &[], 10).await;
    assert_eq!(report.expect("nothing to do"), Report::default());
}
