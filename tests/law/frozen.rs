//! A pair that is frozen, and one of its two who goes on under another classifier.

use super::{audit, dump, metered, model};
use crate::generate::DAYS;
use crate::model::Rec;
use quaymeter::event::*;

/// 2026-11-01T00:00Z.
const FIRST_MS: i64 = 1_793_491_200_000;
const DAY_MS: i64 = 86_400_000;

/// The box goes in or out of the gate, some days later, as is told then.
fn rec(id: &str, revision: i64, classifier: Classifier, direction: GateDirection, day: i64) -> Rec {
    let at = FIRST_MS + day * DAY_MS;
    let number = "BOX1".into();
    let gate = GateMove {
        direction,
        containers: [Container {
            number,
            size_type: "22G1".into(),
            fullness: Fullness::Empty,
            gross_mass_kg: 0,
        }]
        .into_iter()
        .collect(),
        tractor: "".into(),
        tractor_before: "".into(),
        trailer: "".into(),
        driver: "".into(),
        visit_ref: "".into(),
    };
    let party = Party {
        role: Role::Yard,
        enterprise: "smdg:E0".into(),
    };
    Rec {
        source: "tos",
        appended_at: at,
        event: Event {
            event_id: id.into(),
            revision,
            facility: "CNNBO/T0".into(),
            statement: Some(Statement {
                classifier,
                occurred_at: at,
                parties: [party].into_iter().collect(),
                detail: Detail::GateMove(gate),
            }),
        },
        content: [revision as u8; 32],
    }
}

/// Planned in and out are a pair; out is forgotten, which freezes it. Then in is told to
/// have been: that is another list, in which it pairs with an actual out. A place is
/// one of a list, and the classifier is part of a list's key.
#[test]
fn who_was_frozen_in_one_list_pairs_in_another() {
    use {Classifier::*, GateDirection::*};
    let records = [
        rec("out", 1, Planned, Out, 1),
        rec("in", 1, Planned, In, 0),
        rec("in", 2, Actual, In, DAYS.horizon + 2),
        rec("left", 1, Actual, Out, DAYS.horizon + 3),
    ];
    let mut records = records.to_vec();
    // A day after the other, so that it is not forgotten with it.
    records[1].appended_at += 2 * DAY_MS;
    let (expected, totals) = model::cells(&records, DAYS);
    let dwells = |classifier: Classifier| {
        let of = |(key, _): &(&model::Key, _)| key.0 == "day" && key.4 == i32::from(classifier);
        let cells = expected.iter().filter(of);
        cells
            .filter_map(|(_, figures)| figures.get("DurationCount(Dwell)"))
            .sum::<i64>()
    };
    assert_eq!((dwells(Planned), dwells(Actual)), (1, 1));
    let (_, cells) = metered(&records, records.len());
    assert_eq!(dump(&cells), expected);
    let (recounted, recounted_totals, _) = audit::recounted(&records);
    assert_eq!((recounted, recounted_totals), (expected, totals));
}
