//! Which events pair, and which pair anew.

use crate::wherever;
use crate::world::*;
use quaymeter::event::{Classifier, Detail, GateDirection, QuayDirection};
use quaymeter::event::{VesselCall, VesselCallStage};
use quaymeter::meter::figure::{Figure, Meaning};
use quaymeter::meter::histogram;
use quaymeter::pb::DurationKind;

fn came(id: &str, at: i64) -> Told {
    told(id, at, truck(GateDirection::In, "truck"))
}

fn went(id: &str, at: i64) -> Told {
    told(id, at, truck(GateDirection::Out, "truck"))
}

#[test]
fn an_end_pairs_with_the_start_immediately_before_it() {
    let (first, second) = (came("a", T0), came("b", T0 + 10 * MINUTE));
    let (end, late) = (went("c", T0 + 30 * MINUTE), went("d", T0 + 40 * MINUTE));
    for order in [
        [&first, &second, &end, &late],
        [&late, &end, &second, &first],
        [&end, &first, &late, &second],
    ] {
        let world = World::of(order);
        // The first start has a start after it, the last end an end before it.
        assert_eq!(world.turns(), (1, 20 * MINUTE));
    }
}

#[test]
fn a_start_between_takes_the_pair_over() {
    let mut world = World::of([&came("a", T0), &went("c", T0 + 30 * MINUTE)]);
    assert_eq!(world.turns(), (1, 30 * MINUTE));
    world.hear(&came("b", T0 + 10 * MINUTE));
    assert_eq!(world.turns(), (1, 20 * MINUTE));
    assert_eq!(world.meter.counts().repaired, 1);
    world.hear(&retracted("b", T0).revision(1));
    assert_eq!(world.turns(), (1, 30 * MINUTE));
}

#[test]
fn at_one_instant_a_start_comes_before_an_end() {
    for order in [
        [&came("z", T0), &went("a", T0)],
        [&went("a", T0), &came("z", T0)],
    ] {
        let world = World::of(order);
        assert_eq!(world.turns(), (1, 0));
        let zero = Meaning::DurationBucket(DurationKind::TruckTurn, histogram::ZERO);
        assert_eq!(world.sum(zero), 1);
    }
}

#[test]
fn at_one_instant_ends_come_in_the_byte_order_of_their_identities() {
    let start = came("start", T0 - MINUTE);
    let (a, b) = (
        went("a", T0).also_for(quaymeter::event::Role::Fleet, "ygt:a"),
        went("b", T0).also_for(quaymeter::event::Role::Fleet, "ygt:b"),
    );
    for order in [[&start, &a, &b], [&b, &a, &start]] {
        let world = World::of(order);
        let names = &world.cells.names;
        let count = Figure::of(Meaning::DurationCount(DurationKind::TruckTurn));
        let records = wherever::records(&world.cells).into_iter();
        let with = records.filter(|(_, record)| record.day.get(count) > 0);
        let with = with.map(|((owner, _, _), _)| names.get(owner.enterprise));
        let mut with: Vec<_> = with.collect();
        with.sort_unstable();
        assert_eq!(with, ["smdg:COS", "ygt:a"]);
    }
}

#[test]
fn a_truck_turn_lasts_at_most_24_hours() {
    let turns = |ms| World::of([&came("a", T0), &went("b", T0 + ms)]).turns();
    assert_eq!(turns(24 * HOUR), (1, 24 * HOUR));
    assert_eq!(turns(24 * HOUR + 1), (0, 0));
}

#[test]
fn a_dwell_lasts_at_most_the_horizon() {
    let dwell = |ms| {
        let world = World::of([
            &told("a", T0, gate(GateDirection::In, "", &["BOX"])),
            &told("b", T0 + ms, quay(QuayDirection::Load, "BOX", false)).appended(T0),
        ]);
        world.durations(DurationKind::Dwell)
    };
    let horizon = HORIZON_DAYS * DAY;
    assert_eq!(dwell(horizon), (1, horizon));
    assert_eq!(dwell(horizon + 1), (0, 0));
}

#[test]
fn a_pair_needs_the_same_key_facility_and_classifier_but_no_source() {
    let turns = |end: Told| World::of([&came("a", T0), &end]).turns();
    let end = || went("b", T0 + HOUR);
    assert_eq!(turns(end().by("eir")), (1, HOUR));
    assert_eq!(turns(end().at("CNNBO/BLCT")), (0, 0));
    assert_eq!(turns(end().classified(Classifier::Planned)), (0, 0));
    let other = told("b", T0 + HOUR, truck(GateDirection::Out, "other"));
    assert_eq!(turns(other), (0, 0));
}

#[test]
fn a_discharge_and_a_load_begin_and_end_a_dwell() {
    let world = World::of([
        &told("a", T0, quay(QuayDirection::Discharge, "BOX", false)),
        &told("b", T0 + HOUR, quay(QuayDirection::Load, "BOX", false)),
    ]);
    assert_eq!(world.durations(DurationKind::Dwell), (1, HOUR));
}

#[test]
fn a_pair_counts_when_it_ends() {
    let world = World::of([&came("a", T0), &went("b", T0 + HOUR)]);
    let quarter = ((T0 + HOUR) / (15 * MINUTE)) as i32;
    let count = Meaning::DurationCount(DurationKind::TruckTurn);
    assert_eq!(world.quarters(count), [(quarter, 1)]);
}

#[test]
fn a_berth_stay_counts_for_its_call_once() {
    let call = |stage| {
        Detail::VesselCall(VesselCall {
            stage,
            call_id: "call".into(),
            vessel_imo: "9321483".into(),
            call_sign: "".into(),
        })
    };
    let role = quaymeter::event::Role::Agent;
    let world = World::of([
        &told("a", T0, call(VesselCallStage::Berthed)),
        &told("b", T0 + HOUR, call(VesselCallStage::Unberthed)).also_for(role, "ygt:agent"),
    ]);
    assert_eq!(world.durations(DurationKind::BerthStay), (2, 2 * HOUR));
    let sum = Meaning::DurationSumMs(DurationKind::BerthStay);
    let calls: Vec<i64> = world.cells.calls.iter().map(|(_, f)| get(f, sum)).collect();
    assert_eq!(calls, [HOUR]);
}

#[test]
fn a_duration_on_a_bound_is_in_the_bucket_that_it_ends() {
    for (ms, bucket) in [
        (0, histogram::ZERO),
        (1, histogram::LOWEST),
        (500, -8),
        (501, -7),
        (1000, 0),
        (1001, 1),
        (1090, 1),
        (1091, 2),
        (2000, 8),
        (2001, 9),
        (4_096_000, 96),
        (4_096_001, 97),
    ] {
        assert_eq!(histogram::bucket(ms), bucket, "{ms} ms");
        let world = World::of([&came("a", T0), &went("b", T0 + ms)]);
        let figure = Meaning::DurationBucket(DurationKind::TruckTurn, bucket);
        assert_eq!(world.sum(figure), 1, "{ms} ms");
    }
}

/// A pair whose start is forgotten; the end is still known.
fn frozen() -> World {
    let end = went("b", T0 + HOUR).appended(T0 + 2 * DAY);
    let later = told("later", T0 + 5 * DAY, truck(GateDirection::In, "another"));
    let world = World::of([&came("a", T0), &end, &later]);
    assert_eq!(world.meter.counts().forgotten, 1);
    assert_eq!(world.turns(), (1, HOUR));
    world
}

#[test]
fn a_frozen_pair_stays_when_its_end_is_retracted() {
    let mut world = frozen();
    world.hear(&retracted("b", T0 + 5 * DAY).revision(1));
    assert_eq!(world.sum(Meaning::TrucksOut), 0);
    assert_eq!(world.turns(), (1, HOUR));
}

#[test]
fn the_partner_of_a_frozen_pair_pairs_no_more() {
    let mut world = frozen();
    world.hear(&came("new", T0 + 30 * MINUTE).appended(T0 + 5 * DAY));
    assert_eq!(world.turns(), (1, HOUR));
    // Nor does a correction make it free again.
    let corrected = went("b", T0 + 2 * HOUR).revision(1);
    world.hear(&corrected.appended(T0 + 5 * DAY));
    assert_eq!(world.turns(), (1, HOUR));
}

#[test]
fn who_had_no_pair_may_have_one_though_others_are_forgotten() {
    let mut world = frozen();
    let end = told(
        "c",
        T0 + 5 * DAY + HOUR,
        truck(GateDirection::Out, "another"),
    );
    world.hear(&end);
    assert_eq!(world.turns(), (2, 2 * HOUR));
}
