//! The rules that hold for every kind.

use super::samples::*;
use crate::event::Classifier;
use crate::pb::{self, Reason, event::Detail};
use crate::wire::{Allowed, accept, accept_within};
use std::collections::BTreeSet;

fn sample() -> pb::Event {
    event(Detail::ShipmentStep(shipment_step()))
}

/// Changes the sample, and says what it is refused for.
fn refusal(change: impl FnOnce(&mut pb::Event)) -> (Reason, String) {
    let mut event = sample();
    change(&mut event);
    let fault = take(event).expect_err("it is refused");
    (fault.reason, fault.field.into())
}

fn refused(reason: Reason, field: &str, change: impl FnOnce(&mut pb::Event)) {
    assert_eq!(refusal(change), (reason, field.to_owned()));
}

#[test]
fn every_sample_is_accepted_without_a_warning() {
    for event in all() {
        let accepted = take(event.clone()).unwrap_or_else(|fault| panic!("{event:?}: {fault}"));
        assert_eq!(accepted.warnings, [], "{event:?}");
    }
}

#[test]
fn an_event_id_has_1_to_128_bytes_without_control_characters() {
    refused(Reason::Missing, "event_id", |e| e.event_id.clear());
    refused(Reason::TooLong, "event_id", |e| {
        e.event_id = "箱".repeat(43);
    });
    for bad in ["a\nb", "a\u{7f}", "a\u{85}", "\0"] {
        refused(Reason::Malformed, "event_id", |e| e.event_id = bad.into());
    }
    for good in ["x".repeat(128), "箱".repeat(42), " ".into()] {
        let accepted = take(pb::Event {
            event_id: good.clone(),
            ..sample()
        })
        .unwrap();
        assert_eq!(accepted.event.event_id, good);
    }
}

#[test]
fn a_revision_is_not_negative() {
    refused(Reason::OutOfRange, "revision", |e| e.revision = -1);
    refused(Reason::OutOfRange, "revision", |e| e.revision = i64::MIN);
    assert_eq!(
        take(pb::Event {
            revision: i64::MAX,
            ..sample()
        })
        .unwrap()
        .event
        .revision,
        i64::MAX
    );
}

#[test]
fn an_unspecified_classifier_is_actual_and_an_unknown_one_malformed() {
    refused(Reason::Malformed, "classifier", |e| e.classifier = 9);
    let statement = take(sample()).unwrap().event.statement.unwrap();
    assert_eq!(statement.classifier, Classifier::Actual);
}

#[test]
fn a_retraction_needs_event_id_revision_and_facility_and_keeps_nothing_else() {
    let retraction = pb::Event {
        event_id: "e-1".into(),
        retracted: true,
        facility: "cnngb/blct2".into(),
        ..pb::Event::default()
    };
    let bare = take(retraction.clone()).unwrap();
    assert_eq!(
        (bare.event.facility.as_str(), &bare.event.statement),
        ("CNNBO/BLCT2", &None)
    );
    let junk = pb::Event {
        classifier: 99,
        occurred_at: instant(i64::MAX / 2),
        parties: vec![party(pb::Role::Fleet, "junk"); 20],
        detail: Some(Detail::GateMove(pb::GateMove::default())),
        ..retraction.clone()
    };
    assert_eq!(take(junk).unwrap(), bare);
    for (field, event) in [
        (
            "event_id",
            pb::Event {
                event_id: String::new(),
                ..retraction.clone()
            },
        ),
        (
            "revision",
            pb::Event {
                revision: -1,
                ..retraction.clone()
            },
        ),
        (
            "facility",
            pb::Event {
                facility: String::new(),
                ..retraction.clone()
            },
        ),
    ] {
        assert_eq!(take(event).unwrap_err().field, field);
    }
}

#[test]
fn an_instant_is_truncated_to_milliseconds() {
    let mut event = sample();
    event.occurred_at = Some(pbjson_types::Timestamp {
        seconds: NOW / 1000 - 1,
        nanos: 999_999_999,
    });
    assert_eq!(
        take(event).unwrap().event.statement.unwrap().occurred_at,
        NOW - 1
    );
}

#[test]
fn an_instant_lies_between_1970_and_9999_with_nanoseconds_of_one_second() {
    let at = |seconds, nanos| Some(pbjson_types::Timestamp { seconds, nanos });
    refused(Reason::Missing, "occurred_at", |e| e.occurred_at = None);
    for seconds in [-1, i64::MIN, i64::MAX, 253_402_300_800] {
        refused(Reason::OutOfRange, "occurred_at", |e| {
            e.occurred_at = at(seconds, 0);
        });
    }
    for nanos in [-1, 1_000_000_000, i32::MIN, i32::MAX] {
        refused(Reason::Malformed, "occurred_at", |e| {
            e.occurred_at = at(NOW / 1000, nanos);
        });
    }
    refused(Reason::TooOld, "occurred_at", |e| e.occurred_at = at(0, 0));
    refused(Reason::Future, "occurred_at", |e| {
        (e.classifier, e.occurred_at) = (pb::Classifier::Planned.into(), at(253_402_207_199, 0));
    });
}

#[test]
fn actual_events_may_be_10_minutes_ahead_and_others_400_days() {
    let (ten_minutes, days) = (600_000, 400 * DAY_MS);
    for (classifier, ahead) in [
        (pb::Classifier::Unspecified, ten_minutes),
        (pb::Classifier::Actual, ten_minutes),
        (pb::Classifier::Estimated, days),
        (pb::Classifier::Planned, days),
    ] {
        let event = |at| pb::Event {
            classifier: classifier.into(),
            occurred_at: instant(at),
            ..sample()
        };
        assert!(take(event(NOW + ahead)).is_ok(), "{classifier:?}");
        let fault = take(event(NOW + ahead + 1)).unwrap_err();
        assert_eq!(
            (fault.reason, fault.field.as_str()),
            (Reason::Future, "occurred_at")
        );
    }
}

#[test]
fn older_than_the_horizon_needs_backfill_and_older_than_day_cells_is_refused() {
    let backfill = crate::wire::Judge {
        backfill: true,
        ..judge()
    };
    for classifier in [pb::Classifier::Actual, pb::Classifier::Planned] {
        let event = |at| pb::Event {
            classifier: classifier.into(),
            occurred_at: instant(at),
            ..sample()
        };
        assert!(take(event(NOW - HORIZON_MS)).is_ok());
        let old = event(NOW - HORIZON_MS - 1);
        assert_eq!(take(old.clone()).unwrap_err().reason, Reason::TooOld);
        assert!(accept(old, &backfill).is_ok());
        assert!(accept(event(NOW - RETENTION_MS), &backfill).is_ok());
        let fault = accept(event(NOW - RETENTION_MS - 1), &backfill).unwrap_err();
        assert_eq!(
            (fault.reason, fault.field.as_str()),
            (Reason::TooOld, "occurred_at")
        );
    }
}

#[test]
fn extreme_settings_do_not_overflow() {
    let mut judge = judge();
    (judge.now, judge.horizon_ms, judge.day_retention_ms) = (i64::MAX, i64::MAX, i64::MAX);
    assert!(accept(sample(), &judge).is_ok());
    judge.now = i64::MIN;
    assert_eq!(accept(sample(), &judge).unwrap_err().reason, Reason::Future);
}

#[test]
fn a_facility_is_required_and_of_its_form() {
    refused(Reason::Missing, "facility", |e| e.facility.clear());
    refused(Reason::Malformed, "facility", |e| {
        e.facility = "CNNBO".into();
    });
    refused(Reason::TooLong, "facility", |e| {
        e.facility = "CNNBO/".to_owned() + &"A".repeat(17);
    });
}

#[test]
fn zhongshan_and_zhenjiang_warn() {
    for facility in ["CNZSN/A", "cnzhe/a"] {
        let accepted = take(pb::Event {
            facility: facility.into(),
            ..sample()
        })
        .unwrap();
        assert_eq!(accepted.warnings[0].reason, Reason::SuspectLocode);
    }
}

#[test]
fn there_are_1_to_8_parties() {
    refused(Reason::Missing, "parties", |e| e.parties.clear());
    let many = |n| {
        (0..n)
            .map(|i| party(pb::Role::Fleet, &format!("ygt:F{i}")))
            .collect()
    };
    refused(Reason::TooMany, "parties", |e| e.parties = many(9));
    assert!(
        take(pb::Event {
            parties: many(8),
            ..sample()
        })
        .is_ok()
    );
}

#[test]
fn parties_are_sorted_by_role_and_enterprise() {
    let sent = [
        (pb::Role::Fleet, "ygt:B"),
        (pb::Role::Forwarder, "ygt:Z"),
        (pb::Role::Fleet, "ygt:A"),
    ];
    let parties = sent.iter().map(|&(role, id)| party(role, id)).collect();
    let statement = take(pb::Event {
        parties,
        ..sample()
    })
    .unwrap()
    .event
    .statement
    .unwrap();
    let found: Vec<_> = statement
        .parties
        .iter()
        .map(|p| (p.role, p.enterprise.as_str()))
        .collect();
    assert_eq!(found, [sent[1], sent[2], sent[0]]);
}

#[test]
fn no_party_is_there_twice_in_one_role() {
    refused(Reason::DuplicateParty, "parties[3]", |e| {
        e.parties.push(e.parties[1].clone());
    });
    let mut event = sample();
    event.parties.push(party(pb::Role::Agent, "smdg:COS"));
    assert!(take(event).is_ok());
}

#[test]
fn a_party_has_a_role_and_an_enterprise() {
    refused(Reason::Missing, "parties[1].role", |e| {
        e.parties[1].role = 0;
    });
    refused(Reason::Malformed, "parties[1].role", |e| {
        e.parties[1].role = 99;
    });
    let field = "parties[1].enterprise";
    refused(Reason::Missing, field, |e| e.parties[1].enterprise.clear());
    refused(Reason::Malformed, field, |e| {
        e.parties[1].enterprise = "duns:1".into();
    });
    refused(Reason::TooLong, field, |e| {
        e.parties[1].enterprise = format!("ygt:{}", "a".repeat(65));
    });
    refused(Reason::UsccCheckCharacter, field, |e| {
        e.parties[1].enterprise = "uscc:913302001440695665".into();
    });
    refused(Reason::Malformed, field, |e| {
        e.parties[1].enterprise = "uscc:91110000600037341l".into();
    });
}

#[test]
fn a_detail_is_required() {
    refused(Reason::Missing, "detail", |e| e.detail = None);
}

#[test]
fn the_first_fault_in_the_order_of_the_fields_is_told() {
    let mut event = sample();
    event.detail = None;
    event.parties.clear();
    event.facility.clear();
    event.occurred_at = None;
    event.classifier = -1;
    event.revision = -1;
    event.event_id.clear();
    let repairs: [fn(&mut pb::Event); 7] = [
        |e| e.event_id = sample().event_id,
        |e| e.revision = 0,
        |e| e.classifier = 0,
        |e| e.occurred_at = sample().occurred_at,
        |e| e.facility = sample().facility,
        |e| e.parties = sample().parties,
        |e| e.detail = sample().detail,
    ];
    let fields = [
        "event_id",
        "revision",
        "classifier",
        "occurred_at",
        "facility",
        "parties",
        "detail",
    ];
    for (field, repair) in fields.iter().zip(repairs) {
        assert_eq!(take(event.clone()).unwrap_err().field, field);
        repair(&mut event);
    }
    assert!(take(event).is_ok());
}

#[test]
fn strict_refuses_for_the_first_warning_but_names_a_real_fault_before_it() {
    let strict = crate::wire::Judge {
        strict: true,
        ..judge()
    };
    let mut gate_move = gate_move();
    gate_move.containers[0].gross_mass_kg = None;
    gate_move.containers[1].size_type = "XX".into();
    let mut event = event(Detail::GateMove(gate_move.clone()));
    assert_eq!(take(event.clone()).unwrap().warnings.len(), 2);
    assert_eq!(
        accept(event.clone(), &strict).unwrap_err().reason,
        Reason::MissingMass
    );
    gate_move.containers[1].number = "X".into();
    event.detail = Some(Detail::GateMove(gate_move));
    assert_eq!(
        accept(event, &strict).unwrap_err().reason,
        Reason::ContainerNumber
    );
    assert!(accept(sample(), &strict).is_ok());
}

/// One that names what it may speak of: facility, parties and kind.
fn within(change: impl FnOnce(&mut pb::Event)) -> Result<(), (Reason, String)> {
    let facilities = BTreeSet::from(["CNNBO/BLCT2".to_owned()]);
    let enterprises = ["ygt:F7", "smdg:COS", "uscc:91110000600037341L"];
    let enterprises = enterprises.map(str::to_owned).into();
    let allowed = Allowed {
        facilities: Some(&facilities),
        enterprises: Some(&enterprises),
        vessel_calls: false,
    };
    let mut event = sample();
    change(&mut event);
    let taken = accept_within(event, &judge(), allowed);
    taken
        .map(|_| ())
        .map_err(|fault| (fault.reason, fault.field.into()))
}

#[test]
fn what_a_sender_may_not_speak_of_is_refused_by_its_field() {
    let refused = |field: &str| Err((Reason::NotAllowed, field.to_owned()));
    assert_eq!(within(|_| ()), Ok(()));
    // By its normalised name, whatever the sender writes.
    assert_eq!(within(|e| e.facility = "cnnbo/blct2".into()), Ok(()));
    assert_eq!(within(|e| e.facility = "CNNBG/BLCT2".into()), Ok(()));
    let other = |e: &mut pb::Event| e.facility = "CNNBO/BLCT3".into();
    assert_eq!(within(other), refused("facility"));
    // By its place in the list as it was sent.
    let party = |e: &mut pb::Event| e.parties[1].enterprise = "smdg:MSK".into();
    assert_eq!(within(party), refused("parties[1].enterprise"));
    let call = |e: &mut pb::Event| e.detail = Some(Detail::VesselCall(vessel_call()));
    assert_eq!(within(call), refused("vessel_call"));
    let quay = |e: &mut pb::Event| e.detail = Some(Detail::QuayMove(quay_move()));
    assert_eq!(within(quay), Ok(()));
}

#[test]
fn a_retraction_is_judged_by_its_facility_alone() {
    let retracted = |facility: &'static str| {
        within(move |e| {
            e.retracted = true;
            e.facility = facility.into();
            e.parties[0].enterprise = "smdg:MSK".into();
        })
    };
    assert_eq!(retracted("CNNBO/BLCT2"), Ok(()));
    let refused = Err((Reason::NotAllowed, "facility".to_owned()));
    assert_eq!(retracted("CNNBO/BLCT3"), refused);
}

#[test]
fn what_may_not_be_spoken_of_is_told_after_what_is_malformed_before_it() {
    let both = within(|e| {
        e.event_id.clear();
        e.facility = "CNNBO/BLCT3".into();
    });
    assert_eq!(both, Err((Reason::Missing, "event_id".to_owned())));
}
