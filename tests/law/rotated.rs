//! Keys that change, and keys that were drawn anew: no figure tells of it.

use super::{audit, dump, metered, model, rearranged, totals};
use crate::generate::{DAYS, hash, rec};
use crate::model::Rec;
use proptest::prelude::*;
use quaymeter::event::*;
use quaymeter::meter::cell::DAY_MS;
use std::collections::BTreeSet;

/// 2026-11-01T00:00Z.
const FIRST_DAY: i64 = 20_758;

/// A truck's pseudonym under a key, as it could be.
fn pseudonym(id: usize, truck: &str) -> compact_str::CompactString {
    compact_str::format_compact!("p{id}:{truck:_<20}")
}

/// The same under keys that begin on these days.
fn rotated(records: &[Rec], days: &BTreeSet<i64>, first_id: usize) -> Vec<Rec> {
    let mut records = records.to_vec();
    for rec in &mut records {
        let Some(told) = &mut rec.event.statement else {
            continue;
        };
        let day = told.occurred_at.div_euclid(DAY_MS);
        if let Detail::GateMove(gate) = &mut told.detail
            && !gate.tractor.is_empty()
        {
            let id = first_id + days.range(..=day).count();
            if days.contains(&day) {
                gate.tractor_before = pseudonym(id - 1, &gate.tractor);
            }
            gate.tractor = pseudonym(id, &gate.tractor);
        }
    }
    records
}

fn days() -> impl Strategy<Value = BTreeSet<i64>> {
    let day = (-6..16i64).prop_map(|day| FIRST_DAY + day);
    prop::collection::btree_set(day, 0..8)
}

/// Records of which most are gate moves of one truck, within few days.
fn turns() -> impl Strategy<Value = Rec> {
    let at = 0..4 * 24 * 4i64;
    (rec(), at, 1..3i32, 0..40u8, any::<bool>()).prop_map(|(mut rec, at, direction, id, own)| {
        if let Some(told) = rec.event.statement.as_mut().filter(|_| own) {
            let gate = GateMove {
                direction: GateDirection::try_from(direction).unwrap(),
                containers: Default::default(),
                tractor: "truck1".into(),
                tractor_before: "".into(),
                trailer: "".into(),
                driver: "".into(),
                visit_ref: "".into(),
            };
            told.detail = Detail::GateMove(gate);
            told.occurred_at = (FIRST_DAY * 96 + at) * 900_000;
            rec.event.event_id = compact_str::format_compact!("turn{id}");
            rec.content = hash(&rec.event.statement);
        }
        rec
    })
}

/// By the day on which they were appended.
fn arrived(mut records: Vec<Rec>) -> Vec<Rec> {
    records.sort_by_key(|rec| rec.appended_at.div_euclid(DAY_MS));
    records
}

/// Appended within two days, so that nothing is forgotten.
fn lately(mut records: Vec<Rec>) -> Vec<Rec> {
    for rec in &mut records {
        rec.appended_at = FIRST_DAY * DAY_MS + (rec.appended_at - FIRST_DAY * DAY_MS) / 6;
    }
    arrived(records)
}

fn records() -> impl Strategy<Value = Vec<Rec>> {
    prop::collection::vec(turns(), 1..60)
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn with_keys_that_change_cells_are_what_a_recount_gives(
        records in records(),
        days in days(),
        seed in any::<u64>(),
    ) {
        let records = rotated(&arrived(records), &days, 1);
        let (expected, expected_totals) = model::cells(&records, DAYS);
        let restart_at = seed as usize % records.len();
        let (_, cells) = metered(&records, restart_at);
        prop_assert_eq!(&dump(&cells), &expected);
        prop_assert_eq!(&totals(&cells), &expected_totals);
        let (recounted, _, _) = audit::recounted(&records);
        prop_assert_eq!(&recounted, &expected);
    }

    #[test]
    fn no_change_of_keys_changes_a_figure(
        records in records(),
        days in days(),
        seed in any::<u64>(),
    ) {
        let records = lately(records);
        let (expected, _) = model::cells(&records, DAYS);
        let other = rearranged(&rotated(&records, &days, 1), seed);
        let (_, cells) = metered(&other, seed as usize % other.len());
        prop_assert_eq!(&dump(&cells), &expected);
    }

    #[test]
    fn no_change_of_keys_changes_a_figure_when_events_are_forgotten(
        records in records(),
        days in days(),
        seed in any::<u64>(),
    ) {
        // A version that moves a frozen turn into another key's days pairs anew, as
        // one that names another truck does: so here each identity has one.
        let mut identities = BTreeSet::new();
        let mut records = arrived(records);
        records.retain(|rec| {
            let event = &rec.event;
            identities.insert((event.facility.clone(), rec.source, event.event_id.clone()))
        });
        let (expected, _) = model::cells(&records, DAYS);
        let other = rearranged(&rotated(&records, &days, 1), seed);
        let (_, cells) = metered(&other, seed as usize % other.len());
        prop_assert_eq!(&dump(&cells), &expected);
    }

    #[test]
    fn what_is_sent_again_under_other_keys_is_no_conflict_and_changes_nothing(
        records in records(),
        days in days(),
        seed in any::<u64>(),
    ) {
        let records = rotated(&lately(records), &days, 1);
        let (expected, _) = model::cells(&records, DAYS);
        let (meter, _) = metered(&records, usize::MAX);
        let mut all = records.clone();
        // Those of the first keys are erased meanwhile, or all are drawn anew.
        let raw = |rec: &Rec| {
            let mut rec = rec.clone();
            if let Some(told) = &mut rec.event.statement
                && let Detail::GateMove(gate) = &mut told.detail
            {
                let truck = gate.tractor.split_once(':').map(|(_, truck)| truck.trim_end_matches('_').into());
                gate.tractor = truck.unwrap_or_default();
                gate.tractor_before.clear();
            }
            rec
        };
        let again: Vec<Rec> = records.iter().skip(seed as usize % 2).step_by(2).map(raw).collect();
        all.extend(rotated(&again, &days.iter().skip(1).copied().collect(), 20));
        let all = rearranged(&arrived(all), seed);
        let (other, cells) = metered(&all, seed as usize % all.len());
        prop_assert_eq!(&dump(&cells), &expected);
        let (recounted, _, _) = audit::recounted(&all);
        prop_assert_eq!(&recounted, &expected);
        prop_assert_eq!(other.counts().identities, meter.counts().identities);
        let conflicts = |again: &dyn Fn(&Rec) -> Vec<Rec>| {
            let doubled = records.iter().flat_map(|rec| {
                let mut both = vec![rec.clone()];
                both.extend(again(rec));
                both
            });
            metered(&arrived(doubled.collect()), usize::MAX).0.counts().conflicts
        };
        let same = |rec: &Rec| vec![rec.clone()];
        let redrawn = |rec: &Rec| rotated(&[raw(rec)], &BTreeSet::new(), 20);
        prop_assert_eq!(conflicts(&redrawn), conflicts(&same));
    }
}
