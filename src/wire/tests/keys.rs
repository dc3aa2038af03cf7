//! Which keys make an event's pseudonyms, and what they are no part of.

use super::samples::*;
use crate::event::{self, GateMove};
use crate::pb::{self, Classifier, Reason, event::Detail};
use crate::pseudonym::{Day, Key, Kind, Pseudonyms};
use crate::wire::{Error, Judge, accept, content_hash, decode, encode};
use prost::Message as _;

const TODAY: Day = (NOW / DAY_MS) as Day;

fn keys(later: &[(u16, Day)]) -> Pseudonyms {
    let key = |&(id, from): &(u16, Day)| Key::new(id, Some(from), &[id as u8; 32]);
    Pseudonyms::of(Key::new(1, None, &[1; 32]), later.iter().map(key).collect())
}

/// A gate move at an instant, as it is kept by a service with these keys.
fn told(at: i64, classifier: Classifier, keys: &Pseudonyms) -> event::Event {
    let mut sent = event(Detail::GateMove(gate_move()));
    sent.occurred_at = instant(at);
    sent.classifier = classifier.into();
    let judge = Judge {
        pseudonyms: keys,
        ..judge()
    };
    accept(sent, &judge).unwrap().event
}

fn gate(event: event::Event) -> GateMove {
    match event.statement.unwrap().detail {
        event::Detail::GateMove(gate) => gate,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_events_key_is_that_of_its_own_day_and_the_first_day_has_the_one_before_too() {
    let keys = keys(&[(2, TODAY - 3)]);
    let of = |day: Day, ms: i64| {
        let at = i64::from(day) * DAY_MS + ms;
        let gate = gate(told(at, Classifier::Actual, &keys));
        let prefix = |text: &str| text.split(':').next().unwrap().to_owned();
        [
            &gate.tractor,
            &gate.tractor_before,
            &gate.trailer,
            &gate.driver,
        ]
        .map(|text| prefix(text))
    };
    assert_eq!(of(TODAY - 4, DAY_MS - 1), ["p1", "", "p1", "p1"]);
    assert_eq!(of(TODAY - 3, 0), ["p2", "p1", "p2", "p2"]);
    assert_eq!(of(TODAY - 3, DAY_MS - 1), ["p2", "p1", "p2", "p2"]);
    assert_eq!(of(TODAY - 2, 0), ["p2", "", "p2", "p2"]);
    let first = gate(told(
        i64::from(TODAY - 3) * DAY_MS,
        Classifier::Actual,
        &keys,
    ));
    let before = keys.in_force(TODAY - 4).key;
    assert_eq!(
        first.tractor_before,
        before.pseudonym(Kind::Plate, "浙B12345")
    );
}

#[test]
fn no_plan_that_may_have_come_before_a_key_was_added_is_of_one_of_its_days() {
    // The key begins tomorrow; plans of 400 days from today on may have come.
    let keys = keys(&[(2, TODAY + 1)]);
    for classifier in [Classifier::Planned, Classifier::Estimated] {
        let latest = gate(told(NOW + 400 * DAY_MS, classifier, &keys));
        assert!(latest.tractor.starts_with("p1:"), "{classifier:?}");
    }
    let later = Judge {
        now: NOW + 2 * DAY_MS,
        pseudonyms: &keys,
        ..judge()
    };
    let mut sent = event(Detail::GateMove(gate_move()));
    sent.classifier = Classifier::Planned.into();
    sent.occurred_at = instant(NOW + 402 * DAY_MS);
    let plan = gate(accept(sent, &later).unwrap().event);
    assert!(plan.tractor.starts_with("p2:"), "{plan:?}");
    assert!(plan.tractor_before.starts_with("p1:"), "{plan:?}");
}

#[test]
fn keys_are_no_part_of_the_content_and_everything_else_is() {
    let hash = |event: &event::Event| content_hash(event);
    let at = i64::from(TODAY) * DAY_MS;
    let first = told(at, Classifier::Actual, &keys(&[]));
    let other = told(at, Classifier::Actual, &keys(&[(9, TODAY)]));
    assert_ne!(encode(&first), encode(&other));
    assert_eq!(hash(&first), hash(&other));
    let changed = |change: fn(&mut GateMove)| {
        let mut event = first.clone();
        if let Some(told) = &mut event.statement
            && let event::Detail::GateMove(gate) = &mut told.detail
        {
            change(gate);
        }
        hash(&event)
    };
    // That there was a driver is a part of it, and counts.
    assert_ne!(changed(|it| it.driver.clear()), hash(&first));
    assert_ne!(changed(|it| it.tractor.clear()), hash(&first));
    assert_ne!(changed(|it| it.trailer.clear()), hash(&first));
    assert_ne!(changed(|it| it.visit_ref.clear()), hash(&first));
    assert_eq!(changed(|it| it.driver = "p7:x".into()), hash(&first));
}

#[test]
fn the_pseudonym_before_is_in_records_and_refused_in_what_is_sent() {
    let at = i64::from(TODAY) * DAY_MS;
    let kept = told(at, Classifier::Actual, &keys(&[(2, TODAY)]));
    assert_eq!(decode(&encode(&kept)).unwrap(), kept);
    let mut sent = gate_move();
    sent.tractor_plate_before = "浙B12345".into();
    let fault = take(event(Detail::GateMove(sent))).unwrap_err();
    let field = "gate_move.tractor_plate_before";
    assert_eq!(
        (fault.reason, &*fault.field.to_string()),
        (Reason::Malformed, field)
    );
    assert!(!format!("{fault:?}").contains("12345"));
}

#[test]
fn a_record_with_a_wrong_pseudonym_before_is_refused() {
    let own = "p1:AAAAAAAAAAAAAAAAAAAA";
    for (tractor, before) in [(own, own), (own, "浙B12345"), ("", own)] {
        let gate_move = pb::GateMove {
            tractor_plate: tractor.into(),
            tractor_plate_before: before.into(),
            trailer_plate: String::new(),
            driver_ref: String::new(),
            ..gate_move()
        };
        let error = decode(&event(Detail::GateMove(gate_move)).encode_to_vec()).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        assert!(!format!("{error:?}").contains("12345"));
    }
}
