//! What holds for every event and for every sequence of bytes.

use super::samples::*;
use crate::event::fault::{FOUND_CHARS_MAX, Fault};
use crate::pb::{self, event::Detail};
use crate::wire::{ENCODED_BYTES_MAX, Error, Judge, WARNINGS_MAX, accept, decode, encode};
use pbjson_types::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// Texts that some field takes, and texts that hurt.
fn text() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "",
        "e-1",
        "CSQU3054383",
        "csqu 305438-4",
        "TCNU7200794",
        "22G1",
        "L5G1",
        "40HC",
        "9319466",
        "IMO 8814274",
        "浙B12345",
        "浙b·12345",
        "CNNBO/BLCT2",
        "cnzsn/a",
        "smdg:COS",
        "ygt:F7",
        "uscc:91110000600037341L",
        "uscc:91110000600037341A",
        "p1:AAAAAAAAAAAAAAAAAAAA",
        "\u{85}",
        "箱箱箱箱",
    ];
    prop_oneof![
        8 => select(KNOWN).prop_map(str::to_owned),
        1 => ".{0,12}",
        1 => ".{60,140}",
    ]
}

fn choice() -> impl Strategy<Value = i32> {
    prop_oneof![9 => 1..4, 1 => any::<i32>(), 1 => Just(0)]
}

fn moment() -> impl Strategy<Value = Option<Timestamp>> {
    let near = (-40 * DAY_MS..40 * DAY_MS).prop_map(|offset| instant(NOW + offset));
    let just = (-600_000_i64..0).prop_map(|offset| instant(NOW + offset));
    let wild = (any::<i64>(), any::<i32>())
        .prop_map(|(seconds, nanos)| Some(Timestamp { seconds, nanos }));
    prop_oneof![8 => just, 4 => near, 1 => wild, 1 => Just(None)]
}

fn any_container() -> impl Strategy<Value = pb::Container> {
    let number = prop_oneof![4 => "[A-Z]{3}[UJZX][0-9]{7}", 1 => text()];
    let mass = prop_oneof![4 => (1_u32..40_000).prop_map(Some), 1 => any::<Option<u32>>()];
    let fields = (number, text(), choice(), mass);
    fields.prop_map(
        |(number, size_type, fullness, gross_mass_kg)| pb::Container {
            number,
            size_type,
            fullness,
            gross_mass_kg,
        },
    )
}

fn detail() -> impl Strategy<Value = Detail> {
    let containers = || vec(any_container(), 0..6);
    let fields = (
        0..8,
        choice(),
        choice(),
        containers(),
        vec(text(), 4),
        moment(),
        moment(),
    );
    fields.prop_map(|(kind, first, second, mut containers, texts, from, to)| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| texts[i].clone());
        match kind {
            0 => Detail::GateMove(pb::GateMove {
                direction: first,
                containers,
                tractor_plate: a,
                trailer_plate: b,
                driver_ref: c,
                visit_ref: d,
                tractor_plate_before: String::new(),
            }),
            1 => Detail::QuayMove(pb::QuayMove {
                direction: first,
                container: containers.pop(),
                call_id: a,
                vessel_imo: b,
                call_sign: c,
                voyage: d,
                restow: second > 1,
            }),
            2 => Detail::YardMove(pb::YardMove {
                activity: first,
                container: containers.pop(),
            }),
            3 => Detail::DispatchStep(pb::DispatchStep {
                order_id: a,
                stage: first,
                tractor_plate: b,
                driver_ref: c,
            }),
            4 => Detail::AppointmentStep(pb::AppointmentStep {
                appointment_id: a,
                stage: first,
                slot_start: from,
                slot_end: to,
            }),
            5 => Detail::VesselCall(pb::VesselCall {
                stage: first,
                call_id: a,
                vessel_imo: b,
                call_sign: c,
            }),
            6 => Detail::PortService(pb::PortService {
                service: first,
                stage: second,
                order_id: a,
                call_id: b,
            }),
            _ => Detail::ShipmentStep(pb::ShipmentStep {
                stage: first,
                document_ref: a,
            }),
        }
    })
}

fn parties() -> impl Strategy<Value = Vec<pb::Party>> {
    let fine = ("[a-z]{3}", 1..9).prop_map(|(code, role)| pb::Party {
        role,
        enterprise: format!("ygt:{code}"),
    });
    let wild = (text(), choice()).prop_map(|(enterprise, role)| pb::Party { role, enterprise });
    vec(prop_oneof![30 => fine, 1 => wild], 1..9)
}

fn any_event() -> impl Strategy<Value = pb::Event> {
    let id = prop_oneof![9 => "[a-z]{1,9}", 1 => text()];
    let revision = prop_oneof![9 => 0..9_i64, 1 => any::<i64>()];
    let classifier = prop_oneof![9 => 0..4, 1 => any::<i32>()];
    let facility = prop_oneof![9 => select(vec!["CNNBO/BLCT2", "cnngb/zhct"]).prop_map(str::to_owned), 1 => text()];
    let identity = (id, revision, prop::bool::weighted(0.1), facility);
    let statement = (
        classifier,
        moment(),
        parties(),
        proptest::option::weighted(0.95, detail()),
    );
    (identity, statement).prop_map(
        |(
            (event_id, revision, retracted, facility),
            (classifier, occurred_at, parties, detail),
        )| {
            pb::Event {
                event_id,
                revision,
                retracted,
                classifier,
                occurred_at,
                facility,
                parties,
                detail,
            }
        },
    )
}

fn is_told_in_short(fault: &Fault) -> bool {
    fault.found.chars().count() <= FOUND_CHARS_MAX
        && !fault.found.contains(char::is_control)
        && !fault.found.is_empty()
        && !fault.field.is_empty()
}

/// What is accepted is kept whole, and in one form only.
fn check(sent: pb::Event) -> Result<bool, TestCaseError> {
    let accepted = match accept(sent.clone(), &judge()) {
        Ok(accepted) => accepted,
        Err(fault) => {
            prop_assert!(is_told_in_short(&fault), "{fault:?}");
            return Ok(false);
        }
    };
    prop_assert!(accepted.warnings.len() <= WARNINGS_MAX);
    prop_assert!(accepted.warnings.iter().all(is_told_in_short));
    let bytes = encode(&accepted.event);
    prop_assert!(bytes.len() <= ENCODED_BYTES_MAX);
    prop_assert_eq!(&pb::Event::decode(&*bytes).unwrap().encode_to_vec(), &bytes);
    prop_assert_eq!(&decode(&bytes).unwrap(), &accepted.event);
    let mut turned = sent;
    turned.parties.reverse();
    prop_assert_eq!(encode(&accept(turned, &judge()).unwrap().event), bytes);
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_accepted_comes_back_from_its_canonical_bytes(event in any_event()) {
        check(event)?;
    }

    #[test]
    fn damaged_messages_are_judged_without_a_panic(
        which in 0..8_usize,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = all()[which].encode_to_vec();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(event) = pb::Event::decode(&*bytes) {
            check(event)?;
        }
    }

    #[test]
    fn damaged_records_are_decoded_without_a_panic_and_normalised_once(
        which in 0..8_usize,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = encode(&take(all()[which].clone()).unwrap().event);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(event) = decode(&bytes) {
            let canonical = encode(&event);
            prop_assert_eq!(encode(&decode(&canonical).unwrap()), canonical);
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }
}

#[test]
fn the_generator_makes_events_that_are_accepted() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut accepted = 0;
    for _ in 0..500 {
        let event = any_event().new_tree(&mut runner).unwrap().current();
        accepted += usize::from(check(event).unwrap());
    }
    assert!(accepted > 50, "{accepted} of 500");
}

#[test]
fn every_kind_comes_back_from_its_canonical_bytes() {
    for event in all() {
        assert!(check(event.clone()).unwrap(), "{event:?}");
    }
    let retracted = pb::Event {
        retracted: true,
        ..all().remove(0)
    };
    assert!(check(retracted).unwrap());
}

#[test]
fn canonical_bytes_stay_as_they_are_from_release_to_release() {
    let kept: Vec<String> = all()
        .into_iter()
        .map(|event| {
            let hash = Sha256::digest(encode(&take(event).unwrap().event));
            hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
        })
        .collect();
    let expected = [
        "4e62b8a9", "3776bfdd", "5dc5dd39", "67f623ca", "5b95d6df", "f3dcd7ff", "c077b555",
        "029095a3",
    ];
    assert_eq!(kept, expected);
}

#[test]
fn the_largest_valid_event_is_far_below_the_limit() {
    let wide = |n: usize| "\u{10ffff}".repeat(n);
    let mut event = event(Detail::GateMove(pb::GateMove {
        visit_ref: wide(64),
        containers: ["CSQU3054383", "TCNU6225360", "HDMU6804878", "MSKU2666542"]
            .map(|number| pb::Container {
                size_type: wide(10),
                ..container(number)
            })
            .into(),
        ..gate_move()
    }));
    event.event_id = "x".repeat(128);
    event.revision = i64::MAX;
    event.facility = "CNNBO/0123456789ABCDEF".into();
    event.parties = (0..8)
        .map(|i| party(pb::Role::Fleet, &format!("nmfta:{i}{}", "x".repeat(63))))
        .collect();
    let bytes = encode(&take(event).unwrap().event);
    assert!(bytes.len() < ENCODED_BYTES_MAX / 8, "{}", bytes.len());
}

#[test]
fn time_is_not_judged_in_the_log() {
    let backfill = Judge {
        backfill: true,
        now: RETENTION_MS,
        ..judge()
    };
    let mut sent = event(Detail::ShipmentStep(shipment_step()));
    sent.occurred_at = instant(0);
    let event = accept(sent, &backfill).unwrap().event;
    assert_eq!(decode(&encode(&event)).unwrap(), event);
}

#[test]
fn a_record_with_a_plate_or_driver_in_clear_is_refused_without_telling_it() {
    for change in [
        (|it| it.tractor_plate = "浙B12345".into()) as fn(&mut pb::GateMove),
        |it| it.trailer_plate = "浙B12345".into(),
        |it| it.driver_ref = "浙B12345".into(),
    ] {
        let mut gate_move = pb::GateMove {
            tractor_plate: "p1:AAAAAAAAAAAAAAAAAAAA".into(),
            trailer_plate: String::new(),
            driver_ref: String::new(),
            ..gate_move()
        };
        assert!(decode(&event(Detail::GateMove(gate_move.clone())).encode_to_vec()).is_ok());
        change(&mut gate_move);
        let error = decode(&event(Detail::GateMove(gate_move)).encode_to_vec()).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)));
        assert!(!format!("{error} {error:?}").contains("浙B12345"));
    }
}

#[test]
fn a_record_that_is_too_large_is_refused_unread() {
    let error = decode(&vec![0; ENCODED_BYTES_MAX + 1]).unwrap_err();
    assert!(matches!(error, Error::TooLarge(found) if found == ENCODED_BYTES_MAX + 1));
}

#[test]
fn an_invalid_record_names_its_field() {
    let mut sent = event(Detail::ShipmentStep(shipment_step()));
    sent.parties.clear();
    let Err(Error::Invalid(fault)) = decode(&sent.encode_to_vec()) else {
        panic!("it is refused")
    };
    assert_eq!(fault.field, "parties");
}
