//! Days pass one by one, also when nothing is appended on them.

use super::{dump, metered};
use crate::model::Rec;
use quaymeter::event::*;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// 2026-11-01T00:00Z.
const FIRST_MS: i64 = 1_793_491_200_000;

/// A truck at the gate at an hour of the first day, told of on a later day.
fn gate(id: &str, direction: GateDirection, hour: i64, told: i64) -> Rec {
    let detail = Detail::GateMove(GateMove {
        direction,
        containers: Default::default(),
        tractor: "truck".into(),
        tractor_before: "".into(),
        trailer: "".into(),
        driver: "".into(),
        visit_ref: "".into(),
    });
    let party = Party {
        role: Role::Fleet,
        enterprise: "ygt:F".into(),
    };
    Rec {
        source: "tos",
        appended_at: FIRST_MS + told * DAY_MS,
        event: Event {
            event_id: id.into(),
            revision: 0,
            facility: "CNNBO/A".into(),
            statement: Some(Statement {
                classifier: Classifier::Actual,
                occurred_at: FIRST_MS + hour * HOUR_MS,
                parties: [party].into_iter().collect(),
                detail,
            }),
        },
        content: [1; 32],
    }
}

/// A retraction of what never was, elsewhere: it only moves the log clock.
fn elsewhere(told: i64) -> Rec {
    Rec {
        source: "other",
        appended_at: FIRST_MS + told * DAY_MS,
        event: Event {
            event_id: told.to_string().into(),
            revision: 0,
            facility: "CNZOS/B".into(),
            statement: None,
        },
        content: [0; 32],
    }
}

#[test]
fn a_day_without_records_forgets_as_one_with_an_unrelated_record() {
    use GateDirection::{In, Out};
    // The horizon is 4 days. The second truck's way out is forgotten after day
    // 4, its way in, told of again on day 2, after day 6, the first truck's way
    // in after day 8.
    let mut records = vec![
        gate("in-2", In, 10, 0),
        gate("out-2", Out, 11, 0),
        gate("in-2", In, 10, 2),
        gate("in-1", In, 9, 4),
        gate("out-1", Out, 12, 5),
        elsewhere(9),
    ];
    let (_, silent) = metered(&records, usize::MAX);
    records.insert(5, elsewhere(7));
    let (_, busy) = metered(&records, usize::MAX);
    assert_eq!(dump(&silent), dump(&busy));
    let days = dump(&silent).into_iter().filter(|(key, _)| key.0 == "day");
    let turns: Vec<_> = days
        .filter_map(|(_, cell)| cell.get("DurationCount(TruckTurn)").copied())
        .collect();
    assert_eq!(turns, [2]);
}
