//! The topic is for others too: a program in another language, with a client of
//! its own and the protos alone, reads what docs/records.md promises.

use crate::broker::{self, Broker};
use crate::producer::{connection_to, topic};
use quaymeter::log::Batch;
use quaymeter::log::kafka::producer::{Options, Producer};
use quaymeter::pb::{self, event::Detail};
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::wire::{self, Judge};
use serde_json::{Value, json};
use std::{env, path::Path, path::PathBuf, process::Command, time::Duration};

const NOW: i64 = 1_760_000_000_000;
const WITHIN: Duration = Duration::from_secs(60);

/// A truck with a box that leaves, and another one that never did.
fn sent() -> [pb::Event; 2] {
    let gate_move = pb::GateMove {
        direction: pb::GateDirection::Out.into(),
        containers: vec![pb::Container {
            number: "CSQU3054383".into(),
            size_type: "22G1".into(),
            fullness: pb::Fullness::Laden.into(),
            gross_mass_kg: Some(21_000),
        }],
        tractor_plate: "浙B12345".into(),
        ..pb::GateMove::default()
    };
    let party = |role: pb::Role, enterprise: &str| pb::Party {
        role: role.into(),
        enterprise: enterprise.into(),
    };
    let gate = pb::Event {
        event_id: "gate-1".into(),
        occurred_at: Some(pbjson_types::Timestamp {
            seconds: NOW / 1000 - 60,
            nanos: 250_000_000,
        }),
        facility: "cnngb/blct2".into(),
        parties: vec![
            party(pb::Role::Fleet, "ygt:F7"),
            party(pb::Role::Carrier, "smdg:COS"),
        ],
        detail: Some(Detail::GateMove(gate_move)),
        ..pb::Event::default()
    };
    let retraction = pb::Event {
        event_id: "gate-0".into(),
        revision: 3,
        retracted: true,
        facility: "CNNBO/BLCT2".into(),
        ..pb::Event::default()
    };
    [gate, retraction]
}

/// The events as ingest appends them.
fn batch(sent: [pb::Event; 2]) -> Batch {
    let judge = Judge {
        now: NOW,
        horizon_ms: 1 << 32,
        day_retention_ms: 1 << 40,
        backfill: false,
        strict: true,
        pseudonyms: &Pseudonyms::with_key(1, &[7; 32]),
    };
    let encoded = |event| wire::encode(&wire::accept(event, &judge).unwrap().event).into();
    Batch {
        source: "tos:1".into(),
        headers: vec![("traceparent".to_owned(), "00-ab-cd-01".into())],
        schema: wire::SCHEMA,
        events: sent.map(encoded).into(),
    }
}

fn python_reads(broker: &Broker, topic: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let default = || root.join("target/tools/python/bin/python").into();
    let python = PathBuf::from(env::var_os("QUAYMETER_TEST_PYTHON").unwrap_or_else(default));
    assert!(python.exists(), "{python:?} is missing: run `make tools`");
    let stubs = tempfile::tempdir().unwrap();
    let mut made = Command::new(&python);
    made.current_dir(root)
        .args(["-m", "grpc_tools.protoc", "-Iproto", "--python_out"])
        .arg(stubs.path())
        .arg("proto/quaymeter/v1/event.proto");
    assert!(made.status().unwrap().success());
    let read = Command::new(python)
        .arg(root.join("examples/records.py"))
        .args([broker.bootstrap(), topic])
        .env("PYTHONPATH", stubs.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("the program runs");
    let why = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{}:\n{why}", read.status);
    let lines = String::from_utf8(read.stdout).unwrap();
    let parsed = lines.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_program_in_another_language_reads_what_was_appended() {
    let broker = broker::shared();
    let topic = topic(&broker).await;
    let options = Options::default();
    let producer =
        Producer::start(&connection_to(broker.bootstrap()), &topic, options, || NOW).unwrap();
    let facilities = ["CNNBO/BLCT2"; 2];
    let appended = producer.append_within(WITHIN, &facilities, batch(sent()));
    let ends = appended.await.unwrap();
    let found = python_reads(&broker, &topic);
    let pseudonym = &found[0]["event"]["gate_move"]["tractor_plate"];
    assert!(
        pseudonym.as_str().unwrap().starts_with("p1:"),
        "{pseudonym}"
    );
    let record = |offset: u64, event: Value| {
        json!({
            "partition": ends[0].0,
            "offset": offset,
            "source": "tos:1",
            "appended_ms": NOW,
            "traceparent": "00-ab-cd-01",
            "event": event,
        })
    };
    let gate = json!({
        "event_id": "gate-1",
        "classifier": "CLASSIFIER_ACTUAL",
        "occurred_at": "2025-10-09T08:52:20.250Z",
        "facility": "CNNBO/BLCT2",
        "parties": [
            { "role": "ROLE_CARRIER", "enterprise": "smdg:COS" },
            { "role": "ROLE_FLEET", "enterprise": "ygt:F7" },
        ],
        "gate_move": {
            "direction": "GATE_DIRECTION_OUT",
            "containers": [{
                "number": "CSQU3054383",
                "size_type": "22G1",
                "fullness": "FULLNESS_LADEN",
                "gross_mass_kg": 21_000,
            }],
            "tractor_plate": pseudonym,
        },
    });
    let retraction = json!({
        "event_id": "gate-0",
        "revision": "3",
        "retracted": true,
        "facility": "CNNBO/BLCT2",
    });
    assert_eq!(found, [record(0, gate), record(1, retraction)]);
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].1, 2);
}
