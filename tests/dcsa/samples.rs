//! Every public sample event lands where a person says.

use super::fallback;
use quaymeter::dcsa::{Fallback, Mapper, document};
use quaymeter::ndjson::Refusal;
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, Event};
use std::collections::BTreeMap;

const FILES: [&str; 6] = [
    "tnt-220-response.json",
    "tnt-300-request-equipment.json",
    "tnt-300-request-shipment.json",
    "tnt-300-request-transport.json",
    "tnt-300-response.json",
    "tnt-ref-impl-events.json",
];

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/dcsa/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a fixture")
}

/// Expected outcomes by (options, file, event id, index).
type Key = (String, String, String, String);

fn expected() -> BTreeMap<Key, Vec<String>> {
    let text = String::from_utf8(fixture("expected.tsv")).expect("UTF-8");
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let mut columns = line.split('\t').map(String::from);
        let mut next = || columns.next().expect("four columns of key");
        let key = (next(), next(), next(), next());
        (key, columns.collect())
    })
    .collect()
}

/// A short name in the form of the expected file: `ROLE_CARRIER` → `CARRIER`.
fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .expect("the enum's prefix")
        .to_string()
}

/// TEU of the size codes that the samples have.
fn teu_milli(size_type: &str) -> i64 {
    match (size_type.len(), size_type.as_bytes().first()) {
        (4, Some(b'2')) => 1000,
        (4, Some(b'4')) => 2000,
        other => panic!("no sample has the size code {size_type} ({other:?})"),
    }
}

fn boxes(movement: &str, container: &pb::Container) -> String {
    let full = short(container.fullness().as_str_name(), "FULLNESS_").to_lowercase();
    let teu = teu_milli(&container.size_type);
    format!("boxes.{movement}.{full}=1;teu_milli.{movement}.{full}={teu}")
}

fn figures(detail: &Detail) -> String {
    match detail {
        Detail::GateMove(gate) => {
            assert!(gate.tractor_plate.is_empty(), "no tractor, no passage");
            let direction = short(gate.direction().as_str_name(), "GATE_DIRECTION_");
            boxes(
                &format!("gate_{}", direction.to_lowercase()),
                &gate.containers[0],
            )
        }
        Detail::QuayMove(quay) => {
            assert!(!quay.call_id.is_empty() && !quay.vessel_imo.is_empty());
            let movement = match quay.direction() {
                pb::QuayDirection::Load => "loaded",
                _ => "discharged",
            };
            boxes(movement, quay.container.as_ref().expect("a container"))
        }
        Detail::VesselCall(call) => {
            assert!(!call.call_id.is_empty() && !call.vessel_imo.is_empty());
            let stage = short(call.stage().as_str_name(), "VESSEL_CALL_STAGE_");
            format!("vessel_call.{}=1", stage.to_lowercase())
        }
        Detail::ShipmentStep(step) => {
            assert!(!step.document_ref.is_empty());
            let stage = short(step.stage().as_str_name(), "SHIPMENT_STAGE_");
            format!("shipment.{}=1", stage.to_lowercase())
        }
        other => panic!("no sample is {other:?}"),
    }
}

fn quarter(event: &Event) -> String {
    let at = event.occurred_at.as_ref().expect("an instant").seconds;
    jiff::Timestamp::from_second(at - at.rem_euclid(900))
        .expect("in range")
        .to_string()
}

/// The outcome as the expected file tells it, without the stage.
fn outcome(mapped: &Result<Event, Refusal>) -> Vec<String> {
    match mapped {
        Err(refusal) => {
            vec![
                "REFUSED".into(),
                refusal.reason.to_string(),
                refusal.field.clone(),
            ]
        }
        Ok(event) => {
            let [party] = event.parties.as_slice() else {
                panic!("one party: {event:?}")
            };
            vec![
                event.facility.clone(),
                party.enterprise.clone(),
                short(party.role().as_str_name(), "ROLE_"),
                short(event.classifier().as_str_name(), "CLASSIFIER_"),
                quarter(event),
                figures(event.detail.as_ref().expect("a detail")),
            ]
        }
    }
}

fn is_container_number(number: &str) -> bool {
    let (letters, digits) = number.split_at(4.min(number.len()));
    letters.bytes().all(|b| b.is_ascii_uppercase())
        && digits.len() == 7
        && digits.bytes().all(|b| b.is_ascii_digit())
}

#[test]
fn every_sample_event_lands_where_a_person_says() {
    let expected = expected();
    let mut met = 0;
    for (options, fallback) in [("default", Fallback::default()), ("fallback", fallback())] {
        for file in FILES {
            let mut mapper = Mapper::new(fallback.clone());
            let mut events = Vec::new();
            document::each(&fixture(file), |event| events.push(event)).expect("JSON");
            events.iter().for_each(|event| mapper.note(event));
            for (index, event) in events.iter().enumerate() {
                let id = quaymeter::dcsa::event_id(event).expect("an id");
                let key = |options: &str| {
                    (
                        options.to_string(),
                        file.to_string(),
                        id.clone(),
                        index.to_string(),
                    )
                };
                let own = expected.get(&key(options)).inspect(|_| met += 1);
                let row = own.or_else(|| expected.get(&key("default")));
                let row = row.unwrap_or_else(|| panic!("no row for {file}[{index}] {id}"));
                check(
                    row,
                    &mapper.map(event),
                    &format!("{options} {file}[{index}] {id}"),
                );
            }
        }
    }
    assert_eq!(met, expected.len(), "each row is about an event");
}

fn check(row: &[String], mapped: &Result<Event, Refusal>, which: &str) {
    match row[0].as_str() {
        "service" => {
            // The service's verdict is checked where there is a service.
            let event = mapped.as_ref().unwrap_or_else(|r| panic!("{which}: {r}"));
            let Some(Detail::QuayMove(quay)) = &event.detail else {
                panic!("{which}")
            };
            let number = &quay.container.as_ref().expect("a container").number;
            assert_eq!(row[2], "CONTAINER_NUMBER", "{which}");
            assert!(!is_container_number(number), "{which}: {number}");
        }
        "cell" => assert_eq!(row[1..], outcome(mapped), "{which}"),
        _ => assert_eq!(row[1..], outcome(mapped)[..], "{which}: {mapped:?}"),
    }
}
