//! `quaymeter query` asks a real service and prints what is known to be there.

use crate::place::{Place, event, passage, published, text};
use crate::service::{Service, quaymeter};
use quaymeter::answers::instant;
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, Event, GateDirection};
use std::process::Output;

const HOUR_MS: i64 = 3_600_000;

/// Eight o'clock in Shanghai, the day before yesterday, and that day.
fn morning() -> (i64, String) {
    let now = jiff::Zoned::now().in_tz("Asia/Shanghai").unwrap();
    let day = now.checked_sub(jiff::Span::new().days(2)).unwrap();
    let at = day.date().at(8, 0, 0, 0).to_zoned(day.time_zone().clone());
    (
        at.unwrap().timestamp().as_millisecond(),
        day.date().to_string(),
    )
}

fn loaded(n: u32, carrier: &str, at: i64) -> Event {
    let numbers = ["CSQU3054383", "APZU4812090", "MSCU6639870"];
    let container = pb::Container {
        number: numbers[n as usize].into(),
        size_type: "42G1".into(),
        fullness: pb::Fullness::Laden.into(),
        gross_mass_kg: Some(20_500),
    };
    let quay = pb::QuayMove {
        direction: pb::QuayDirection::Load.into(),
        container: Some(container),
        call_id: "CALL-1".into(),
        vessel_imo: "9321483".into(),
        ..Default::default()
    };
    let mut event = event(&format!("load-{n}"), at, Detail::QuayMove(quay));
    event.parties = vec![pb::Party {
        role: pb::Role::Carrier.into(),
        enterprise: carrier.into(),
    }];
    event
}

fn berth(stage: pb::VesselCallStage, at: i64) -> Event {
    let call = pb::VesselCall {
        stage: stage.into(),
        call_id: "CALL-1".into(),
        vessel_imo: "9321483".into(),
        ..Default::default()
    };
    let id = stage.as_str_name();
    event(id, at, Detail::VesselCall(call))
}

fn appointment(n: u32, stage: pb::AppointmentStage, at: i64) -> Event {
    let step = pb::AppointmentStep {
        appointment_id: format!("A{n}"),
        stage: stage.into(),
        slot_start: Some(instant(at + 4 * HOUR_MS)),
        slot_end: Some(instant(at + 5 * HOUR_MS)),
    };
    let id = format!("{}-{n}", stage.as_str_name());
    event(&id, at, Detail::AppointmentStep(step))
}

/// A morning: a ship with three boxes in two hours, a truck's turn of half an
/// hour, three appointments of which one was kept.
async fn a_morning(service: &Service) -> String {
    let (at, day) = morning();
    let mut events = vec![
        loaded(0, "smdg:COS", at),
        loaded(1, "smdg:COS", at + HOUR_MS),
        loaded(2, "smdg:MSK", at + HOUR_MS),
        berth(pb::VesselCallStage::Berthed, at),
        berth(pb::VesselCallStage::Unberthed, at + 2 * HOUR_MS),
        passage("in", at, GateDirection::In, "浙B12345"),
        passage("out", at + HOUR_MS / 2, GateDirection::Out, "浙B12345"),
        appointment(1, pb::AppointmentStage::Used, at),
    ];
    events.extend((1..=3).map(|n| appointment(n, pb::AppointmentStage::Confirmed, at)));
    published(&service.grpc, events).await;
    day
}

fn query(service: &Service, words: &str) -> Output {
    let mut command = quaymeter();
    command.args(["query", "--server", &service.grpc]);
    command.args(words.split_whitespace()).output().unwrap()
}

#[track_caller]
fn answer(service: &Service, words: &str) -> String {
    let output = query(service, words);
    let (answer, told) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{words}: {told}");
    answer
}

/// CSV as rows of (column, value) lookups.
struct Csv(Vec<Vec<String>>);

impl Csv {
    fn of(text: &str) -> Self {
        let lines = text.lines();
        let cells = |line: &str| line.split(',').map(String::from).collect();
        Self(lines.map(cells).collect())
    }

    fn rows(&self) -> usize {
        self.0.len() - 1
    }

    fn get(&self, row: usize, columns: &[&str]) -> Vec<&str> {
        let place = |name: &&str| {
            let found = self.0[0].iter().position(|column| column == name);
            found.unwrap_or_else(|| panic!("no column {name} in {:?}", self.0[0]))
        };
        let cell = |name| self.0[row + 1][place(name)].as_str();
        columns.iter().map(cell).collect()
    }
}

async fn with_a_morning(place: &Place) -> (Service, String, String) {
    let service = place.serve(&[]);
    let day = a_morning(&service).await;
    let next = day
        .parse::<jiff::civil::Date>()
        .unwrap()
        .tomorrow()
        .unwrap();
    let span = format!("--from {day} --to {next}");
    (service, day, span)
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_told_as_table_csv_and_json() {
    let place = Place::new();
    let (service, day, span) = with_a_morning(&place).await;
    let asked = format!("{span} --by enterprise --grain hour --role carrier");
    let csv = Csv::of(&answer(&service, &format!("{asked} --format csv")));
    let columns = [
        "start",
        "enterprise",
        "role",
        "loaded",
        "quay TEU",
        "quay t",
    ];
    let (eight, nine) = (
        format!("{day}T08:00:00+08:00"),
        format!("{day}T09:00:00+08:00"),
    );
    assert_eq!(csv.rows(), 3);
    let expected = [
        (&eight, "smdg:COS"),
        (&nine, "smdg:COS"),
        (&nine, "smdg:MSK"),
    ];
    for (row, (start, enterprise)) in expected.into_iter().enumerate() {
        let found = csv.get(row, &columns);
        assert_eq!(
            found,
            [start, enterprise, "carrier", "1", "2.000", "20.500"]
        );
    }
    let json = answer(&service, &format!("{asked} --format json"));
    let rows: Vec<pb::ThroughputRow> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (&*row.enterprise, row.figures.as_ref()))
        .collect();
    assert_eq!(found.len(), 3);
    for (row, (_, enterprise)) in found.iter().zip(expected) {
        let boxes = &row.1.unwrap().boxes[..];
        assert_eq!((row.0, boxes.len(), boxes[0].boxes), (enterprise, 1, 1));
        assert_eq!(
            (boxes[0].teu_milli, boxes[0].gross_mass_kg),
            (2_000, 20_500)
        );
    }
    let table = answer(&service, &asked);
    for told in ["loaded", "quay TEU", &eight, "smdg:MSK"] {
        assert!(table.contains(told), "no {told} in\n{table}");
    }
    assert!(!table.contains("trucks in"), "only zeros:\n{table}");
    assert_eq!(
        answer(&service, &format!("{span} --enterprise smdg:EVG")),
        "nothing\n"
    );
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_durations_calls_and_no_shows_are_told() {
    let place = Place::new();
    let (service, day, span) = with_a_morning(&place).await;
    let csv = |words: &str| Csv::of(&answer(&service, &format!("{span} {words} --format csv")));
    let top = csv("--top 1 --role carrier --measure throughput-teu-milli");
    assert_eq!(top.rows(), 1);
    assert_eq!(
        top.get(0, &["rank", "enterprise", "TEU"]),
        ["1", "smdg:COS", "4.000"]
    );
    let top = csv("--top 5 --role carrier");
    assert_eq!(top.rows(), 2);
    assert_eq!(top.get(1, &["enterprise", "boxes"]), ["smdg:MSK", "1"]);
    let durations = csv("--durations --role fleet");
    let turn = (0..durations.rows())
        .find(|&row| durations.get(row, &["duration"]) == ["truck_turn"])
        .unwrap();
    assert_eq!(durations.get(turn, &["count", "mean min"]), ["1", "30"]);
    let p90: f64 = durations.get(turn, &["p90 min"])[0].parse().unwrap();
    assert!((p90 / 30.0 - 1.0).abs() <= 0.045, "{p90}");
    let calls = csv("--calls");
    let columns = [
        "call",
        "vessel",
        "loaded",
        "stays",
        "berth h",
        "moves/berth h",
    ];
    assert_eq!(
        calls.get(0, &columns),
        ["CALL-1", "9321483", "3", "1", "2", "1.5"]
    );
    assert_eq!(csv("--calls --call-id CALL-2").rows(), 0);
    let slots = csv("--no-shows");
    let columns = ["slot start", "enterprise", "confirmed", "used", "no-shows"];
    let noon = format!("{day}T12:00:00+08:00");
    assert_eq!(slots.rows(), 1);
    assert_eq!(slots.get(0, &columns), [&*noon, "ygt:F1", "3", "1", "2"]);
    let status = answer(&service, "--status");
    assert!(
        status.contains("Asia/Shanghai") && status.contains("events"),
        "{status}"
    );
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_rounded_outwards_to_the_grain() {
    let place = Place::new();
    let (service, day, _) = with_a_morning(&place).await;
    let asked = |span: &str| {
        let words = format!("{span} --grain quarter --role carrier --format csv");
        Csv::of(&answer(&service, &words)).rows()
    };
    assert_eq!(asked(&format!("--from {day}T08:14:59 --to {day}T08:15")), 1);
    assert_eq!(asked(&format!("--from {day}T08:15 --to {day}T09:00")), 0);
    assert_eq!(asked(&format!("--from {day}T08:15 --to {day}T09:00:01")), 1);
    let zoned = format!("--from {day}T00:00Z --to {day}T00:15Z --zone UTC");
    assert_eq!(
        asked(&zoned.replace(":00Z", ":00:00Z").replace(":15Z", ":15:00Z")),
        1
    );
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_cannot_be_answered_ends_with_status_1_and_says_why() {
    let place = Place::new();
    let (service, day, span) = with_a_morning(&place).await;
    for (words, expected) in [
        ("--from noonish", &["noonish", "expected now, today"][..]),
        ("--from 2026-13-45", &["2026-13-45"]),
        ("--zone Asia/Ningbo", &["Asia/Ningbo"]),
        ("--grain fortnight", &["fortnight", "--grain"]),
        ("--top 3", &["--role"]),
        ("--top 3 --calls", &["--calls"]),
        (
            &*format!("{span} --enterprise COS"),
            &["filter.enterprises[0]", "COS"],
        ),
        (
            &*format!("--from {day}T10:00 --to {day}T08:00 --grain hour"),
            &["InvalidArgument"],
        ),
        (
            "--from 2019-01-01 --to 2019-01-02",
            &["earliest", "2018-12-31T16:00:00Z"],
        ),
        (
            &*format!("{span} --at-least nonsense"),
            &["at_least", "not a token of this service"],
        ),
    ] {
        let output = query(&service, words);
        let (answer, told) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{words}: {answer}{told}");
        assert_eq!(answer, "", "{words}");
        for expected in expected {
            assert!(
                told.contains(expected),
                "{words}: no {expected:?} in {told}"
            );
        }
    }
    let gone = service.grpc.clone();
    service.stop();
    let mut command = quaymeter();
    let output = command.args(["query", "--server", &gone]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).1.contains(&gone), "{}", text(&output).1);
}
