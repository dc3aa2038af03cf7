//! What is written is read back, and nothing else is taken.

use super::*;
use crate::event::{Event, Millis};
use crate::log::kafka::partition::partition_of;
use crate::pb::{self, Role, event::Detail};
use crate::pseudonym::Pseudonyms;
use crate::wire::{self, Judge};
use pbjson_types::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;
use std::sync::LazyLock;

const NOW: Millis = 1_760_000_000_000;
const PARTITIONS: u32 = 12;

static PSEUDONYMS: LazyLock<Pseudonyms> = LazyLock::new(|| Pseudonyms::with_key(1, &[7; 32]));

/// A record that can be spoilt.
#[derive(Clone, Debug)]
struct Written {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: Option<Millis>,
    partition: u32,
}

impl Written {
    fn read(&self) -> Result<Incoming, Refused> {
        let headers = self.headers.iter();
        read(Parts {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: headers.map(|(name, value)| (name.as_str(), value.as_deref())),
            timestamp: self.timestamp,
            partition: self.partition,
            partitions: PARTITIONS,
        })
    }

    fn set(&mut self, name: &str, value: Option<&str>) {
        self.headers.retain(|(known, _)| known != name);
        if let Some(value) = value {
            self.headers.push((name.to_owned(), Some(value.into())));
        }
    }
}

/// As our producer writes it.
fn written(event: &Event, batch: &Batch, appended_at: Millis) -> Written {
    let headers = headers(batch, appended_at).into_iter();
    Written {
        key: Some(event.facility.as_bytes().to_vec()),
        value: Some(wire::encode(event)),
        headers: headers
            .map(|(name, value)| (name.to_owned(), Some(value.to_vec())))
            .collect(),
        timestamp: Some(appended_at),
        partition: partition_of(&event.facility, PARTITIONS),
    }
}

fn batch() -> Batch {
    Batch {
        source: "tos:1".into(),
        headers: vec![("traceparent".to_owned(), Bytes::from_static(b"00-1-2-01"))],
        schema: wire::SCHEMA,
        events: Vec::new(),
    }
}

fn sent() -> pb::Event {
    pb::Event {
        event_id: "gate-1".into(),
        occurred_at: Some(Timestamp {
            seconds: NOW / 1000,
            nanos: 0,
        }),
        facility: "CNNBO/BLCT2".into(),
        parties: vec![pb::Party {
            role: Role::Fleet.into(),
            enterprise: "ygt:F7".into(),
        }],
        detail: Some(Detail::GateMove(pb::GateMove {
            direction: 1,
            tractor_plate: "浙B12345".into(),
            ..pb::GateMove::default()
        })),
        ..pb::Event::default()
    }
}

fn accepted(sent: pb::Event) -> Event {
    let judge = Judge {
        now: NOW,
        horizon_ms: 1 << 32,
        day_retention_ms: 1 << 40,
        backfill: true,
        strict: false,
        pseudonyms: &PSEUDONYMS,
    };
    wire::accept(sent, &judge).unwrap().event
}

/// Spoils a good record, and says why it is refused.
fn refused(spoil: impl FnOnce(&mut Written)) -> Refused {
    let mut record = written(&accepted(sent()), &batch(), NOW);
    record.read().unwrap();
    spoil(&mut record);
    let refused = record.read().unwrap_err();
    assert!(!refused.to_string().contains("浙B12345"), "{refused}");
    refused
}

fn reason(spoil: impl FnOnce(&mut Written)) -> Reason {
    refused(spoil).reason
}

fn value_of(change: impl FnOnce(&mut pb::Event)) -> impl FnOnce(&mut Written) {
    |record| {
        let mut event = pb::Event::decode(record.value.as_deref().unwrap()).unwrap();
        change(&mut event);
        record.value = Some(event.encode_to_vec());
    }
}

#[test]
fn a_tombstone_and_what_is_no_event_are_refused() {
    assert_eq!(reason(|record| record.value = None), Reason::NoValue);
    for junk in [&b"\xff"[..], b"{\"event_id\":1}", &[0; 20_000]] {
        assert_eq!(
            reason(|record| record.value = Some(junk.to_vec())),
            Reason::Undecodable
        );
    }
    assert_eq!(
        reason(|record| record.value = Some(Vec::new())),
        Reason::InvalidEvent
    );
}

#[test]
fn a_header_of_ours_is_there_once_and_of_its_form() {
    for name in [TYPE, SCHEMA, SOURCE, APPENDED] {
        let absent = refused(|record| record.set(name, None));
        assert_eq!(absent.reason, Reason::BadHeader);
        assert!(absent.detail.starts_with(&format!("{name}: found nothing")));
        let twice = refused(|record| {
            let again = record.headers.iter().find(|(known, _)| known == name);
            record.headers.push(again.unwrap().clone());
        });
        assert_eq!(twice.reason, Reason::BadHeader);
        let null = refused(|record| {
            let values = record.headers.iter_mut().filter(|(known, _)| known == name);
            values.for_each(|(_, value)| *value = None);
        });
        assert_eq!(null.reason, Reason::BadHeader);
        for bad in ["浙B12345", "+1", " 1", "1 ", ""] {
            let found = refused(|record| record.set(name, Some(bad)));
            assert_eq!(found.reason, Reason::BadHeader, "{name}: {bad:?}");
        }
    }
    for name in [SCHEMA, APPENDED] {
        for bad in ["-1", "01", "1.0", "99999999999999999999"] {
            let found = reason(|record| record.set(name, Some(bad)));
            assert_eq!(found, Reason::BadHeader, "{name}: {bad:?}");
        }
    }
}

#[test]
fn a_schema_of_another_version_is_refused_as_such() {
    for version in ["0", "2", "9223372036854775807"] {
        assert_eq!(
            reason(|record| record.set(SCHEMA, Some(version))),
            Reason::UnknownSchema
        );
    }
}

#[test]
fn an_append_time_may_be_long_before_the_timestamp_but_not_long_after_it() {
    let with = |appended: Millis, timestamp: Option<Millis>| {
        let mut record = written(&accepted(sent()), &batch(), appended);
        record.timestamp = timestamp;
        record.read().map(|incoming| incoming.appended_at)
    };
    for appended in [0, NOW - 1, NOW, NOW + APPENDED_AHEAD_MS] {
        assert_eq!(with(appended, Some(NOW)), Ok(appended));
    }
    let ahead = with(NOW + APPENDED_AHEAD_MS + 1, Some(NOW)).unwrap_err();
    assert_eq!(ahead.reason, Reason::AppendedAhead);
    assert_eq!(with(NOW, None), Ok(NOW));
    let beyond = with(i64::MAX, None).unwrap_err();
    assert_eq!(beyond.reason, Reason::BadHeader);
}

#[test]
fn an_event_that_no_reporter_gets_accepted_is_refused_with_its_fault() {
    let found = refused(value_of(|event| event.parties.clear()));
    assert_eq!(found.reason, Reason::InvalidEvent);
    assert!(
        found.detail.starts_with("REASON_MISSING: parties: "),
        "{found}"
    );
    // In clear, as a reporter sends it and the log never holds it.
    let clear = refused(|record| record.value = Some(sent().encode_to_vec()));
    assert_eq!(clear.reason, Reason::InvalidEvent);
    assert!(clear.detail.contains("gate_move.tractor_plate"), "{clear}");
}

#[test]
fn a_valid_event_in_another_spelling_is_refused() {
    let lower = value_of(|event| event.facility = "cnngb/blct2".into());
    assert_eq!(reason(lower), Reason::NotCanonical);
    let finer = value_of(|event| event.occurred_at.as_mut().unwrap().nanos = 1);
    assert_eq!(reason(finer), Reason::NotCanonical);
    // A field that is not known, at the end.
    let more = |record: &mut Written| record.value.as_mut().unwrap().extend([0xf8, 0x07, 1]);
    assert_eq!(reason(more), Reason::NotCanonical);
}

#[test]
fn a_record_stands_under_its_facility_in_its_partition() {
    for key in [
        None,
        Some(vec![]),
        Some(b"CNNBO/BLCT3".to_vec()),
        Some(vec![0xff]),
    ] {
        assert_eq!(reason(|record| record.key = key), Reason::WrongKey);
    }
    assert_eq!(
        reason(|record| record.partition = (record.partition + 1) % PARTITIONS),
        Reason::WrongPartition
    );
}

#[test]
fn codes_are_all_different_and_in_capitals() {
    let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    for code in &codes {
        assert!(code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    }
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Reason::ALL.len());
}

#[test]
fn a_header_travels_unless_it_could_be_taken_for_ours() {
    for good in ["traceparent", "quaymeter", "港"] {
        assert!(can_travel(good), "{good}");
    }
    for bad in ["", "quaymeter-source", "quaymeter-x", "a\0"] {
        assert!(!can_travel(bad), "{bad:?}");
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let facility = select(vec!["CNNBO/BLCT2", "cnngb/zhct", "CNZOS/A_1"]);
    let fields = (
        "[a-z0-9箱]{1,30}",
        0..i64::MAX,
        any::<bool>(),
        facility,
        0..1_000_000_i64,
    );
    fields.prop_map(|(event_id, revision, retracted, facility, ago)| {
        accepted(pb::Event {
            event_id,
            revision,
            retracted,
            facility: facility.into(),
            occurred_at: Some(Timestamp {
                seconds: NOW / 1000 - ago,
                nanos: 7_000_000,
            }),
            ..sent()
        })
    })
}

fn any_headers() -> impl Strategy<Value = Vec<(String, Bytes)>> {
    vec(("[a-z.]{1,9}", vec(any::<u8>(), 0..9)), 0..4).prop_map(|all| {
        all.into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        event in any_event(),
        source in "[A-Za-z0-9._:-]{1,64}",
        headers in any_headers(),
        appended_at in 0..NOW * 2,
    ) {
        let source = source.into();
        let batch = Batch { source, headers, ..batch() };
        let record = written(&event, &batch, appended_at);
        let Batch { source, headers, .. } = batch;
        let expected = Incoming { event, source, appended_at, headers };
        prop_assert_eq!(record.read(), Ok(expected));
    }

    #[test]
    fn anything_is_judged_without_a_panic_and_alike(
        key in proptest::option::of(vec(any::<u8>(), 0..20)),
        value in proptest::option::of(vec(any::<u8>(), 0..200)),
        names in vec(select(vec![TYPE, SCHEMA, SOURCE, APPENDED, "quaymeter-", "x", ""]), 0..8),
        values in vec(proptest::option::of(vec(any::<u8>(), 0..8)), 8),
        timestamp in any::<Option<i64>>(),
        partition in any::<u32>(),
    ) {
        let names = names.into_iter().map(str::to_owned);
        let headers = names.zip(values).collect();
        let record = Written { key, value, headers, timestamp, partition };
        prop_assert_eq!(record.read(), record.read());
    }

    #[test]
    fn a_damaged_value_is_taken_only_if_it_is_canonical_all_the_same(
        event in any_event(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut record = written(&event, &batch(), NOW);
        let value = record.value.as_mut().unwrap();
        for (at, byte) in damage {
            let at = at.index(value.len());
            value[at] = byte;
        }
        if let Ok(incoming) = record.read() {
            prop_assert_eq!(Some(wire::encode(&incoming.event)), record.value);
        }
    }
}
