//! Events with plates and drivers in clear, all ways to send them, and all that is told of
//! them.

use crate::place::{event, get, ingest, passage, queries, recently, text};
use crate::service::{Service, quaymeter};
use crate::stream::Stream;
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, GateDirection};
use serde_json::{Map, Value};
use std::path::Path;

pub const PLATE: &str = "浙B8QX71";
pub const TRAILER: &str = "浙B7WV2挂";
pub const DRIVER: &str = "driver-330206-zhangwei";

/// A driver whom a reporter knows by a number.
const NUMBER: &str = "330206198801017713";

/// What must not be found, and parts of it.
pub const SECRETS: [&str; 6] = [PLATE, TRAILER, DRIVER, NUMBER, "8QX71", "zhangwei"];

/// Gate moves and a dispatch step that name a truck and who drives it: three that are
/// fine, four to be refused, two that are odd.
pub fn personal(way: &str) -> Vec<pb::Event> {
    let at = recently();
    let id = |n: u8| format!("{way}-{n}");
    let with = |n: u8, change: &dyn Fn(&mut pb::GateMove)| {
        let mut event = passage(&id(n), at, GateDirection::In, PLATE);
        if let Some(Detail::GateMove(gate)) = &mut event.detail {
            change(gate);
        }
        event
    };
    let whole = with(1, &|gate| {
        gate.trailer_plate = TRAILER.into();
        gate.driver_ref = DRIVER.into();
    });
    let out = passage(&id(2), at + 60_000, GateDirection::Out, PLATE);
    let step = pb::DispatchStep {
        order_id: format!("order-{way}"),
        stage: pb::DispatchStage::Accepted.into(),
        tractor_plate: PLATE.into(),
        driver_ref: DRIVER.into(),
    };
    let dispatch = event(&id(3), at, Detail::DispatchStep(step));
    // No plate and no driver is that long or has such characters; nobody sends what
    // only records have; and a fault elsewhere.
    let long = with(4, &|gate| gate.tractor_plate = PLATE.repeat(20));
    let control = with(5, &|gate| gate.driver_ref = format!("{DRIVER}\u{7}"));
    let before = with(6, &|gate| gate.tractor_plate_before = PLATE.into());
    let mut nobody = with(7, &|gate| gate.driver_ref = DRIVER.into());
    nobody.parties.clear();
    let odd = with(8, &|gate| gate.tractor_plate = format!("{PLATE}-{DRIVER}"));
    let small = with(9, &|gate| gate.trailer_plate = "浙b·7wv2挂".into());
    vec![
        whole, out, dispatch, long, control, before, nobody, odd, small,
    ]
}

/// How many of one way are taken.
pub const ACCEPTED: usize = 5;

fn as_lines(events: &[pb::Event]) -> String {
    let lines = events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Lines that are no events, with a truck or a driver at the fault: cut off behind the plate,
/// with a number for a driver, and with a driver where he does not belong.
fn broken() -> Vec<String> {
    let whole = as_lines(&personal("line")[..1]);
    let (before, _) = whole.split_once(PLATE).unwrap();
    let driver = format!("\"{DRIVER}\"");
    let with = |old: &str, new: &str| {
        assert_eq!(whole.matches(old).count(), 1, "{old} in {whole}");
        whole.replace(old, new)
    };
    vec![
        format!("{before}{PLATE}\""),
        with(&driver, NUMBER),
        with("\"driverRef\"", &driver),
        with("\"GATE_DIRECTION_IN\"", &driver),
        with("\"CNNBO/BLCT2\"", NUMBER),
        with(
            "\"gateMove\":{",
            &format!("\"gateMove\":{driver},\"visit\":{{"),
        ),
        format!("{{\"eventId\":\"line\",\"occurredAt\":{driver}}}"),
        format!("{{\"eventId\":\"line\",\"revision\":{driver}}}"),
        format!("{DRIVER} {PLATE}"),
    ]
}

/// The same for DCSA's lines.
fn broken_dcsa() -> Vec<String> {
    vec![
        format!("[\"{PLATE}\"]"),
        format!("\"{DRIVER}\""),
        NUMBER.to_owned(),
        format!("{{\"events\":\"{PLATE}\"}}"),
        format!("{{\"eventID\":\"line\",\"isRetracted\":\"{DRIVER}\"}}"),
        format!("{{\"eventID\":\"{DRIVER}"),
    ]
}

/// Sends a file of these lines and keeps what is told of them, in the file of rejects too,
/// but for the events, which are kept there as they were read.
fn published(dir: &Path, service: &Service, format: &str, lines: &[String]) -> String {
    let [file, rejects] = ["lines", "rejects"].map(|name| dir.join(format!("{format}-{name}")));
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut publish = quaymeter();
    publish.args(["publish", "--source", "tos", "--to", &service.grpc]);
    publish
        .args(["--format", format, "--rejects"])
        .arg(&rejects);
    let mut told = asked(publish.arg(&file));
    assert!(told.contains("refused"), "{told}");
    let rejects = std::fs::read_to_string(&rejects).unwrap();
    for reject in rejects.lines() {
        let mut reject: Map<String, Value> = serde_json::from_str(reject).unwrap();
        assert!(reject.remove("event").is_some(), "{reject:?}");
        told += &format!("{reject:?}\n");
    }
    told
}

/// What a command tells, and complains of.
pub fn asked(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap();
    let (told, errors) = text(&output);
    format!("{told}{errors}")
}

/// Sends by each way, by way of a file in a directory, and keeps all that is told.
pub async fn sent(dir: &Path, service: &Service) -> Vec<(&'static str, String)> {
    let mut lines = vec![as_lines(&personal("file"))];
    lines.extend(broken());
    let mut file = published(dir, service, "ndjson", &lines);
    for known in ["tractor_plate", "gateMove.driverRef", "expected a string"] {
        assert!(file.contains(known), "{known} is not in {file}");
    }
    file += &published(dir, service, "dcsa", &broken_dcsa());
    let mut unary = String::new();
    let mut client = ingest(&service.grpc).await;
    for (way, strict) in [("unary", false), ("strict", true)] {
        let request = pb::PublishEventsRequest {
            source: "tos".into(),
            events: personal(way),
            strict,
            ..Default::default()
        };
        let answer = client.publish_events(request).await;
        unary += &format!("{answer:?}");
    }
    // A whole batch is refused with it in it: too many events, no source.
    let mut many = personal("many");
    while many.len() < 10_001 {
        many.extend(personal("many"));
    }
    for (source, events) in [("tos", many), ("", personal("none"))] {
        let request = pb::PublishEventsRequest {
            source: source.into(),
            events,
            ..Default::default()
        };
        let refused = client.publish_events(request).await.unwrap_err();
        unary += &format!("{refused:?}");
    }
    let (mut stream, opened) = Stream::open(&service.grpc, "personal").await;
    stream.batch(1, personal("stream")).await;
    let mut heard = format!("{opened:?}");
    heard += &format!("{:?}", stream.hear().await);
    vec![("publish", file), ("answers", unary), ("stream", heard)]
}

/// Asks about it by each way.
pub async fn told(service: &Service) -> Vec<(&'static str, String)> {
    let explain = |words: &str| {
        let mut command = quaymeter();
        command.arg("explain").args(words.split_whitespace());
        asked(command.args(["--server", &service.grpc]))
    };
    let event = explain("event CNNBO/BLCT2 tos unary-1");
    assert!(event.contains("tractor p"), "{event}");
    let unknown = explain(&format!("event CNNBO/BLCT2 tos {}", "unary-4"));
    let request = pb::LookupEventRequest {
        facility: "CNNBO/BLCT2".into(),
        source: "tos".into(),
        event_id: "stream-9".into(),
        ..Default::default()
    };
    let lookup = queries(&service.grpc).await.lookup_event(request).await;
    let (_, page) = get(&service.http, "/metrics");
    let mut query = quaymeter();
    query.args(["query", "--server", &service.grpc, "--from", "-24h"]);
    vec![
        ("explain", event),
        ("explain nothing", unknown),
        ("lookup", format!("{lookup:?}")),
        ("query", asked(&mut query)),
        ("metrics", page),
    ]
}
