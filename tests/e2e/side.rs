//! The side port, and what must not get out by any door.

use crate::place::{Place, arrivals, get, passage, published, recently, retraction, shanghai};
use crate::service::Service;
use jiff::Timestamp;
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, Container, GateDirection};
use std::collections::BTreeMap;

/// A sample's value by its name and labels.
fn metrics(service: &Service) -> BTreeMap<String, f64> {
    let (status, page) = get(&service.http, "/metrics");
    assert_eq!(status, 200);
    let samples = page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    parsed.collect()
}

/// What is told of enterprises and does not depend on what day it is.
fn totals(service: &Service) -> BTreeMap<String, f64> {
    let mut metrics = metrics(service);
    metrics.retain(|name, _| {
        name.starts_with("quaymeter_enterprise_") && !name.starts_with("quaymeter_enterprise_today")
    });
    metrics
}

/// The counters alone.
fn counters(service: &Service) -> BTreeMap<String, f64> {
    let mut totals = totals(service);
    totals.retain(|name, _| name.contains("_total{"));
    totals
}

/// A truck with a laden 40-foot box of 20 t.
fn with_box(id: &str, direction: GateDirection) -> pb::Event {
    let mut event = passage(id, recently(), direction, "浙B12345");
    if let Some(Detail::GateMove(gate)) = &mut event.detail {
        gate.containers = vec![Container {
            number: "CSQU3054383".into(),
            size_type: "42G1".into(),
            fullness: pb::Fullness::Laden.into(),
            gross_mass_kg: Some(20_000),
        }];
    }
    event
}

const F1: &str = "enterprise=\"ygt:F1\",role=\"fleet\"";

/// Name and labels of a total of `ygt:F1`.
fn name(family: &str, labels: &str) -> String {
    format!("quaymeter_enterprise_{family}{{{F1}{labels}}}")
}

const GATE_IN: &str = ",movement=\"gate_in\",fullness=\"laden\"";
const IN: &str = ",direction=\"in\"";

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_what_was_sent_and_corrections_count_beside_them() {
    let place = Place::new();
    let service = place.serve(&[]);
    let mut events = arrivals(0..5);
    events.extend([
        with_box("a", GateDirection::In),
        with_box("b", GateDirection::In),
    ]);
    published(&service.grpc, events.clone()).await;
    let expected = |taken_back: [f64; 4]| {
        [
            ("boxes", GATE_IN, 2.0),
            ("teu", GATE_IN, 4.0),
            ("gross_mass_tonnes", GATE_IN, 40.0),
            ("truck_passages", IN, 7.0),
        ]
        .into_iter()
        .zip(taken_back)
        .flat_map(|((family, labels, added), taken_back)| {
            [
                (name(&format!("{family}_total"), labels), added),
                (
                    name(&format!("{family}_taken_back_total"), labels),
                    taken_back,
                ),
            ]
        })
        .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(counters(&service), expected([0.0; 4]));
    // Again, which has no effect; then one box and one truck without any never were.
    events.extend([retraction("a", 1), retraction("in-0", 1)]);
    published(&service.grpc, events).await;
    assert_eq!(counters(&service), expected([1.0, 2.0, 20.0, 2.0]));
    let metrics = metrics(&service);
    for (name, value) in [
        ("quaymeter_applied_events_total", 16.0),
        ("quaymeter_applied_duplicates_total", 7.0),
        ("quaymeter_applied_retractions_total", 2.0),
        ("quaymeter_events_accepted_total", 16.0),
        ("quaymeter_log_end_offset", 16.0),
        ("quaymeter_applied_offset", 16.0),
        ("quaymeter_batches_total{method=\"PublishEvents\"}", 2.0),
        ("quaymeter_cells{grain=\"day\"}", 1.0),
        ("quaymeter_streams", 0.0),
    ] {
        assert_eq!(metrics.get(name), Some(&value), "{name}");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_has_its_names_and_what_it_did_today() {
    let place = Place::new();
    let registry = place.path("registry.csv");
    std::fs::write(
        &registry,
        "id,name_zh,name_en,roles\nygt:F1,一号车队,Fleet One,fleet\n",
    )
    .unwrap();
    let service = place.serve(&["--registry", registry.to_str().unwrap()]);
    published(&service.grpc, vec![with_box("a", GateDirection::In)]).await;
    let metrics = metrics(&service);
    let info = "enterprise=\"ygt:F1\",name_zh=\"一号车队\",name_en=\"Fleet One\"";
    let info = format!("quaymeter_enterprise_info{{{info}}}");
    assert_eq!(metrics.get(&info), Some(&1.0), "{metrics:?}");
    // It is told of some hours ago, which may be of the day before.
    let day = |at: Timestamp| at.to_zoned(shanghai()).date();
    let then = Timestamp::from_millisecond(recently()).unwrap();
    let today = day(then) == day(Timestamp::now());
    let gate_in = ",movement=\"gate_in\"";
    for (figure, value) in [("boxes", 1.0), ("teu", 2.0)] {
        let found = metrics.get(&name(&format!("today_{figure}"), gate_in));
        assert_eq!(found.copied(), today.then_some(value), "{figure}");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_survive_a_restart_and_a_kill() {
    let place = Place::new();
    // No checkpoint but that of a stop: a kill leaves all to the log.
    let settings = ["--checkpoint-interval-ms", "3600000"];
    let mut service = place.serve(&settings);
    for round in 0..4u32 {
        let mut events = arrivals(round * 10..round * 10 + 10);
        let id = format!("box-{round}");
        events.extend([with_box(&id, GateDirection::In), retraction(&id, 1)]);
        published(&service.grpc, events).await;
        let before = totals(&service);
        let rounds = f64::from(round + 1);
        let total = |family: &str, labels| before.get(&name(family, labels)).copied();
        assert_eq!(total("truck_passages_total", IN), Some(11.0 * rounds));
        assert_eq!(total("truck_passages_taken_back_total", IN), Some(rounds));
        assert_eq!(total("teu_total", GATE_IN), Some(2.0 * rounds));
        assert_eq!(total("teu_taken_back_total", GATE_IN), Some(2.0 * rounds));
        let last = "quaymeter_enterprise_last_event_timestamp_seconds{enterprise=\"ygt:F1\"}";
        let now = jiff::Timestamp::now().as_second() as f64;
        assert!((now - 14_400.0..=now).contains(&before[last]), "{before:?}");
        if round % 2 == 0 {
            service.kill();
        } else {
            service.stop();
        }
        service = place.serve(&settings);
        assert_eq!(totals(&service), before);
        let counted = metrics(&service)
            .get("quaymeter_applied_events_total")
            .copied();
        assert_eq!(counted, Some(12.0 * rounds));
    }
    service.stop();
}

#[test]
fn health_is_told_and_other_paths_are_not_found() {
    let place = Place::new();
    let service = place.serve(&[]);
    assert_eq!(get(&service.health, "/healthz").0, 200);
    assert_eq!(get(&service.health, "/readyz").0, 200);
    for (port, path) in [
        (&service.http, "/"),
        (&service.http, "/healthz"),
        (&service.http, "/readyz"),
        (&service.health, "/"),
        (&service.health, "/metrics"),
    ] {
        assert_eq!(get(port, path).0, 404, "{path}");
    }
    service.stop();
}
