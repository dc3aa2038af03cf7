//! The rules of the specification, one by one, on a few events by hand. That
//! they hold for all events in any order is what `tests/law` shows.

#[path = "meter/pairs.rs"]
mod pairs;
#[path = "support/past.rs"]
mod past;
#[path = "meter/time.rs"]
mod time;
#[path = "support/cells.rs"]
mod wherever;
#[path = "meter/world.rs"]
mod world;

use quaymeter::event::{Classifier, Fullness, GateDirection, QuayDirection, Role};
use quaymeter::meter::Outcome;
use quaymeter::meter::figure::Meaning;
use quaymeter::pb::Movement;
use world::*;

fn came() -> Told {
    told("came", T0, truck(GateDirection::In, "truck"))
}

#[test]
fn a_retraction_takes_back_what_was_added() {
    let mut world = World::of([&came()]);
    assert_eq!(world.sum(Meaning::TrucksIn), 1);
    assert_eq!(
        world.hear(&retracted("came", T0).revision(1)),
        Outcome::Retracted
    );
    assert!(world.is_bare(), "an empty cell does not exist");
    assert_eq!(world.ever(Meaning::TrucksIn), (1, 1));
}

#[test]
fn a_retraction_that_comes_first_wins_over_its_statement() {
    let mut world = World::of([&retracted("came", T0).revision(3)]);
    assert_eq!(world.hear(&came().revision(2)), Outcome::Superseded);
    assert!(world.is_bare());
}

#[test]
fn a_retraction_beats_a_statement_of_its_revision() {
    let mut world = World::of([&came()]);
    assert_eq!(world.hear(&retracted("came", T0)), Outcome::Retracted);
    assert!(world.is_bare());
    assert_eq!(world.hear(&came()), Outcome::Superseded);
    assert!(world.is_bare());
    assert_eq!(world.hear(&retracted("came", T0)), Outcome::Duplicate);
    assert_eq!(world.meter.counts().conflicts, 0);
}

#[test]
fn a_later_revision_brings_back_what_was_retracted() {
    let mut world = World::of([&came(), &retracted("came", T0).revision(1)]);
    assert_eq!(world.hear(&came().revision(2)), Outcome::Revised);
    assert_eq!(world.sum(Meaning::TrucksIn), 1);
}

#[test]
fn the_same_version_again_changes_nothing() {
    let mut world = World::of([&came()]);
    assert_eq!(world.hear(&came()), Outcome::Duplicate);
    assert_eq!(world.sum(Meaning::TrucksIn), 1);
    // Nor was it taken back and added again.
    assert_eq!(world.ever(Meaning::TrucksIn), (1, 0));
    assert_eq!(world.meter.counts().duplicates, 1);
}

#[test]
fn an_older_revision_that_comes_late_changes_nothing() {
    let went = told("came", T0, truck(GateDirection::Out, "truck"));
    let mut world = World::of([&came().revision(2)]);
    assert_eq!(world.hear(&went.revision(1)), Outcome::Superseded);
    assert_eq!(world.sum(Meaning::TrucksIn), 1);
    assert_eq!(world.sum(Meaning::TrucksOut), 0);
}

#[test]
fn of_two_statements_of_one_revision_the_greater_hash_wins() {
    let (small, great) = (
        came().hashed(1),
        told("came", T0, truck(GateDirection::Out, "truck")).hashed(2),
    );
    for (first, second, won) in [(&small, &great, true), (&great, &small, false)] {
        let mut world = World::of([first]);
        assert_eq!(world.hear(second), Outcome::Conflict { won });
        assert_eq!(world.sum(Meaning::TrucksIn), 0);
        assert_eq!(world.sum(Meaning::TrucksOut), 1);
        assert_eq!(world.meter.counts().conflicts, 1);
    }
}

#[test]
fn an_event_is_told_apart_by_facility_source_and_id() {
    let world = World::of([
        &came(),
        &came().by("eir"),
        &came().at("CNNBO/BLCT"),
        &told("again", T0, truck(GateDirection::In, "truck")),
    ]);
    assert_eq!(world.meter.counts().identities, 4);
    assert_eq!(world.sum(Meaning::TrucksIn), 4);
}

#[test]
fn a_correction_moves_what_it_corrects() {
    let later = told("came", T0 + HOUR, gate(GateDirection::In, "", &["BOX"]));
    let world = World::of([&came(), &later.revision(1)]);
    let boxes = Meaning::Boxes(Movement::GateIn, Fullness::Laden);
    assert_eq!(world.quarters(Meaning::TrucksIn), []);
    let quarter = ((T0 + HOUR) / (15 * MINUTE)) as i32;
    assert_eq!(world.quarters(boxes), [(quarter, 1)]);
}

#[test]
fn an_event_counts_once_for_each_party_and_once_for_its_call() {
    let quay = quay(QuayDirection::Load, "BOX", false);
    let world = World::of([&told("loaded", T0, quay).also_for(Role::Terminal, "ygt:blct")]);
    let boxes = Meaning::Boxes(Movement::Loaded, Fullness::Laden);
    let day = ((T0 + 8 * HOUR) / DAY) as i32;
    assert_eq!(world.days(boxes), [(day, 1), (day, 1)]);
    let calls: Vec<i64> = world
        .cells
        .calls
        .iter()
        .map(|(_, f)| get(f, boxes))
        .collect();
    assert_eq!(calls, [1]);
}

#[test]
fn a_box_counts_its_teu_and_its_mass() {
    let boxes = ["BOX1", "BOX2"];
    let world = World::of([&told("came", T0, gate(GateDirection::In, "", &boxes))]);
    let (movement, fullness) = (Movement::GateIn, Fullness::Laden);
    assert_eq!(world.sum(Meaning::Boxes(movement, fullness)), 2);
    assert_eq!(world.sum(Meaning::TeuMilli(movement, fullness)), 4000);
    assert_eq!(world.sum(Meaning::MassKg(movement, fullness)), 40_000);
    // No tractor was named, so no truck passed.
    assert_eq!(world.sum(Meaning::TrucksIn), 0);
}

#[test]
fn only_what_happened_counts_in_the_running_totals() {
    let planned = came().classified(Classifier::Planned);
    let world = World::of([&planned]);
    assert_eq!(world.sum(Meaning::TrucksIn), 1);
    assert_eq!(world.ever(Meaning::TrucksIn), (0, 0));
}

#[test]
fn a_restow_is_no_throughput_and_ends_no_dwell() {
    let world = World::of([
        &told("in", T0, gate(GateDirection::In, "", &["BOX"])),
        &told("restow", T0 + HOUR, quay(QuayDirection::Load, "BOX", true)),
    ]);
    let boxes = |movement| world.sum(Meaning::Boxes(movement, Fullness::Laden));
    assert_eq!(boxes(Movement::Restowed), 1);
    assert_eq!(boxes(Movement::Loaded), 0);
    assert_eq!(world.durations(quaymeter::pb::DurationKind::Dwell), (0, 0));
}
