//! When things count, how long they are kept, and what is forgotten.

use crate::wherever;
use crate::world::*;
use quaymeter::event::{AppointmentStage, AppointmentStep, Detail, GateDirection};
use quaymeter::meter::Outcome;
use quaymeter::meter::figure::Meaning;

fn came(id: &str, at: i64) -> Told {
    told(id, at, truck(GateDirection::In, "truck"))
}

/// Something else, by which the log clock moves.
fn clock(at: i64) -> Told {
    told("clock", at, truck(GateDirection::Out, "another"))
}

fn quarter(at: i64) -> i32 {
    at.div_euclid(15 * MINUTE) as i32
}

/// T0's day of the reporting zone, which is also its UTC day.
const DAY0: i32 = (T0 / DAY) as i32;

#[test]
fn a_quarter_holds_its_start_and_not_its_end() {
    let quarters = |at| World::of([&came("a", at)]).quarters(Meaning::TrucksIn);
    assert_eq!(quarters(T0), [(quarter(T0), 1)]);
    assert_eq!(quarters(T0 + 15 * MINUTE - 1), [(quarter(T0), 1)]);
    assert_eq!(quarters(T0 + 15 * MINUTE), [(quarter(T0) + 1, 1)]);
}

#[test]
fn a_day_begins_at_midnight_of_the_reporting_zone() {
    let days = |at| World::of([&came("a", at)]).days(Meaning::TrucksIn);
    // Midnight in Shanghai is 16:00 UTC.
    assert_eq!(days(T0 + 16 * HOUR - 1), [(DAY0, 1)]);
    assert_eq!(days(T0 + 16 * HOUR), [(DAY0 + 1, 1)]);
}

#[test]
fn an_appointment_step_counts_at_the_start_of_its_slot() {
    let slot_start = T0 + 2 * DAY;
    let step = Detail::AppointmentStep(AppointmentStep {
        appointment_id: "appointment".into(),
        stage: AppointmentStage::Confirmed,
        slot_start,
        slot_end: slot_start + HOUR,
    });
    let confirmed = Meaning::Appointment(AppointmentStage::Confirmed);
    let mut world = World::of([&told("a", T0, step)]);
    assert_eq!(world.quarters(confirmed), [(quarter(slot_start), 1)]);
    assert_eq!(world.days(confirmed), [(DAY0 + 2, 1)]);
    let (slot, figures) = wherever::slots(&world.cells).remove(0);
    assert_eq!(
        (slot.start, slot.end, get(&figures, confirmed)),
        (slot_start, slot_start + HOUR, 1)
    );
    world.hear(&retracted("a", T0).revision(1));
    assert!(wherever::slots(&world.cells).is_empty() && world.is_bare());
}

#[test]
fn an_identity_is_remembered_to_the_end_of_its_last_day() {
    let last = T0 + (HORIZON_DAYS + 1) * DAY - 1;
    let mut world = World::of([&came("a", T0), &clock(last)]);
    assert_eq!(world.hear(&came("a", T0)), Outcome::Duplicate);
    let mut world = World::of([&came("a", T0), &clock(last + 1)]);
    assert_eq!(world.meter.counts().forgotten, 1);
    assert_eq!(world.hear(&came("a", T0).appended(last + 1)), Outcome::New);
    // What it contributed before it was forgotten stays.
    assert_eq!(world.sum(Meaning::TrucksIn), 2);
}

#[test]
fn what_is_yet_to_happen_is_remembered_from_then_on() {
    let at = T0 + 3 * DAY;
    let ahead = || came("a", at).appended(T0);
    let mut world = World::of([&ahead(), &clock(at + HORIZON_DAYS * DAY)]);
    assert_eq!(world.hear(&ahead()), Outcome::Duplicate);
}

#[test]
fn a_duplicate_prolongs_what_is_remembered() {
    let again = came("a", T0).appended(T0 + 3 * DAY);
    let mut world = World::of([&came("a", T0), &again, &clock(T0 + 6 * DAY)]);
    assert_eq!(world.hear(&came("a", T0)), Outcome::Duplicate);
    assert_eq!(world.meter.counts().forgotten, 0);
}

#[test]
fn the_log_clock_never_goes_back() {
    let mut world = World::of([&came("a", T0), &clock(T0 + 5 * DAY)]);
    // Appended by a machine whose clock was wrong: forgotten is forgotten.
    assert_eq!(world.hear(&came("a", T0)), Outcome::New);
    assert_eq!(world.meter.clock(), Some(T0 + 5 * DAY));
}

#[test]
fn a_backfill_older_than_the_quarters_enters_day_cells_only() {
    let oldest = T0 - QUARTER_DAYS * DAY;
    let world = World::of([&came("a", oldest).appended(T0)]);
    assert_eq!(world.quarters(Meaning::TrucksIn), [(quarter(oldest), 1)]);
    let older = came("b", oldest - 1).appended(T0);
    let mut world = World::of([&older]);
    assert_eq!(world.quarters(Meaning::TrucksIn), []);
    assert_eq!(world.sum(Meaning::TrucksIn), 1);
    world.hear(&retracted("b", T0).revision(1));
    assert!(world.is_bare());
}

#[test]
fn what_left_retention_is_not_taken_back() {
    // Heard of again and again, it is known longer than its cells are kept.
    let heard = |days| came("a", T0).appended(T0 + days * DAY);
    let mut world = World::of([&heard(0), &heard(4)]);
    assert_eq!(world.quarters(Meaning::TrucksIn), [(quarter(T0), 1)]);
    world.hear(&heard(7));
    assert_eq!(world.quarters(Meaning::TrucksIn), []);
    assert_eq!(world.days(Meaning::TrucksIn), [(DAY0, 1)]);
    world.hear(&heard(9));
    assert_eq!(world.days(Meaning::TrucksIn), [(DAY0, 1)]);
    world.hear(&heard(10));
    assert!(world.is_bare());
    let gone = retracted("a", T0 + 10 * DAY).revision(1);
    assert_eq!(world.hear(&gone), Outcome::Retracted);
    assert!(world.is_bare(), "nothing goes negative");
}

#[test]
fn what_left_the_quarters_is_taken_back_from_its_day() {
    let heard = |days| came("a", T0).appended(T0 + days * DAY);
    let mut world = World::of([&heard(0), &heard(4), &heard(7)]);
    world.hear(&retracted("a", T0 + 7 * DAY).revision(1));
    assert!(world.is_bare());
}
