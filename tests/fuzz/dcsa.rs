//! Documents and lines of DCSA's events.

use crate::{event, memory};
use quaymeter::dcsa::{Fallback, Mapper, document};
use quaymeter::pb;
use serde_json::Value;

pub const WORDS: &[&str] = &[
    "\"eventID\":", "\"eventType\":\"TRANSPORT\"", "\"eventType\":\"EQUIPMENT\"",
    "\"eventType\":\"SHIPMENT\"", "\"eventClassifierCode\":\"ACT\"", "\"equipmentEventTypeCode\":",
    "\"GTIN\"", "\"GTOT\"", "\"LOAD\"", "\"DISC\"", "\"transportCall\":{", "\"eventLocation\":{",
    "\"retractedEventID\":", "\"isRetracted\":true", "\"events\":[", "[", "]", "{", "}", "null",
    "\"2026-01-20T14:15:00+08:00\"", "\"eventCreatedDateTime\":", "\"-009999-01-02T01:59:59Z\"",
];

const SAMPLES: [&str; 6] = [
    include_str!("../fixtures/dcsa/tnt-220-response.json"),
    include_str!("../fixtures/dcsa/tnt-300-request-equipment.json"),
    include_str!("../fixtures/dcsa/tnt-300-request-shipment.json"),
    include_str!("../fixtures/dcsa/tnt-300-request-transport.json"),
    include_str!("../fixtures/dcsa/tnt-300-response.json"),
    include_str!("../fixtures/dcsa/tnt-ref-impl-events.json"),
];

/// The samples' events, each alone: changes then stay near one.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for sample in SAMPLES {
        let told = |event: Value| seeds.push(event.to_string().into_bytes());
        document::each(sample.as_bytes(), told).unwrap();
    }
    let some = [&seeds[0], &b","[..], &seeds[1]].concat();
    seeds.push([b"[", &some[..], b"]"].concat());
    seeds.push([b"{\"events\":[", &some[..], b"]}"].concat());
    seeds
}

pub fn judge(input: &[u8]) {
    let mut events = Vec::new();
    // A byte and a comma are a value of 32, in a vector that grows by doubling.
    let room = (64 << 10) + 256 * input.len();
    let read = memory::within(room, || document::each(input, |event| events.push(event)));
    if let Err(error) = read {
        assert!(error.line() > 0 || input.is_empty(), "no place: {error}");
    }
    let lines = input.split(|&byte| byte == b'\n');
    events.extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
    for fallback in [Fallback::default(), fallback()] {
        let mut mapper = Mapper::new(fallback);
        events.iter().for_each(|event| mapper.note(event));
        for event in &events {
            match mapper.map(event) {
                Ok(event) => event::hold(event),
                Err(refusal) => event::told(&refusal.field, &refusal.found, &refusal.expected),
            }
        }
    }
}

fn fallback() -> Fallback {
    Fallback {
        facility: Some("CNNBO/BLCT2".into()),
        parties: vec![pb::Party {
            role: pb::Role::Carrier.into(),
            enterprise: "smdg:COS".into(),
        }],
    }
}
