//! The truth: what the facts that were not taken back come to. It reckons from
//! what was meant: a turn is that of a visit, not of two events that happen to
//! be neighbours.

use super::fact::{Container, Fact, What};
use super::identifiers::SIZES;
use super::quay::Call;
use super::town::Town;
use crate::pb::{AppointmentStage, Classifier, DurationKind, Movement, Role, YardActivity};
use crate::truth::{CallKey, Figure, Figures, Grain, Key, QUARTER_MS, SlotKey, Truth, start_of};
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// A quarter cell's key. Facilities and enterprises are numbered in byte order,
/// so these sort as cells do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    facility: u16,
    enterprise: u16,
    role: Role,
    classifier: Classifier,
    quarter: i64,
}

type Added = SmallVec<[(Figure, i64); 10]>;

/// Reckons the truth, with days of a zone.
pub(super) fn reckon(
    facts: &[Fact],
    void: &[bool],
    town: &Town,
    calls: &[Call],
    zone: &TimeZone,
) -> Result<Truth, jiff::Error> {
    let mut truth = Truth::default();
    let mut cells = FxHashMap::<Cell, Figures>::default();
    for fact in facts.iter().filter(|fact| !void[fact.identity as usize]) {
        let durations = durations(fact, facts, void);
        let added = figures(fact, &durations);
        let quarter = counted_at(fact).div_euclid(QUARTER_MS);
        for &(role, enterprise) in &fact.parties {
            let Fact {
                facility,
                classifier,
                ..
            } = *fact;
            let cell = Cell {
                facility,
                enterprise,
                role,
                classifier,
                quarter,
            };
            let figures = cells.entry(cell).or_default();
            added
                .iter()
                .for_each(|&(figure, value)| figures.add(figure, value));
        }
        add_to_slots(&mut truth, town, fact);
        add_to_call(&mut truth, town, calls, fact, &durations);
    }
    let mut cells: Vec<(Cell, Figures)> = cells.into_iter().collect();
    cells.sort_unstable_by_key(|&(cell, _)| cell);
    truth.cells = both_grains(cells, town, zone)?;
    Ok(truth)
}

/// Quarter cells, and the days that they add up to.
fn both_grains(
    quarters: Vec<(Cell, Figures)>,
    town: &Town,
    zone: &TimeZone,
) -> Result<BTreeMap<Key, Figures>, jiff::Error> {
    let mut starts = FxHashMap::default();
    let mut cells = Vec::with_capacity(quarters.len() * 5 / 4);
    let mut days = Vec::<(Key, Figures)>::new();
    for (cell, mut figures) in quarters {
        let start_ms = cell.quarter * QUARTER_MS;
        let day = match starts.get(&cell.quarter) {
            Some(&day) => day,
            None => start_of(Grain::Day, zone, start_ms)?,
        };
        starts.insert(cell.quarter, day);
        let key = |grain, start_ms| Key {
            grain,
            facility: town.facilities[cell.facility as usize].clone(),
            enterprise: town.enterprises[cell.enterprise as usize].clone(),
            role: cell.role,
            classifier: cell.classifier,
            start_ms,
        };
        let day = key(Grain::Day, day);
        match days.last_mut() {
            Some((last, sum)) if *last == day => sum.merge(&figures),
            _ => days.push((day, figures.clone())),
        }
        figures.shrink();
        cells.push((key(Grain::Quarter, start_ms), figures));
    }
    cells.extend(days);
    Ok(cells.into_iter().collect())
}

/// The instant at which a fact counts.
fn counted_at(fact: &Fact) -> i64 {
    match fact.what {
        What::Appointment { slot, .. } => slot.0,
        _ => fact.at,
    }
}

/// The durations that a fact ends, in milliseconds, as far as what started them
/// was not taken back.
fn durations(fact: &Fact, facts: &[Fact], void: &[bool]) -> SmallVec<[(DurationKind, i64); 3]> {
    let stands = |start: u32| !void[start as usize];
    let lasted = |start: u32| fact.at - facts[start as usize].at;
    let ends = fact.ends.iter().filter(|(_, start)| stands(*start));
    ends.map(|&(kind, start)| (kind, lasted(start))).collect()
}

fn figures(fact: &Fact, durations: &[(DurationKind, i64)]) -> Added {
    let mut added = Added::new();
    match &fact.what {
        What::Gate {
            out, boxes, truck, ..
        } => {
            let movement = if *out {
                Movement::GateOut
            } else {
                Movement::GateIn
            };
            boxes
                .iter()
                .for_each(|container| add_box(&mut added, movement, container));
            let trucks = if *out {
                Figure::TrucksOut
            } else {
                Figure::TrucksIn
            };
            added.extend(truck.map(|_| (trucks, 1)));
        }
        What::Quay {
            load,
            restow,
            container,
            ..
        } => {
            let movement = match (load, restow) {
                (_, true) => Movement::Restowed,
                (true, _) => Movement::Loaded,
                (false, _) => Movement::Discharged,
            };
            add_box(&mut added, movement, container);
        }
        What::Yard {
            activity,
            container,
        } => add_box(&mut added, worked(*activity), container),
        &What::Dispatch { stage, .. } => added.push((Figure::Dispatch(stage), 1)),
        &What::Appointment { stage, .. } => added.push((Figure::Appointment(stage), 1)),
        &What::Vessel { stage, .. } => added.push((Figure::VesselCall(stage), 1)),
        &What::Service { kind, stage, .. } => added.push((Figure::Service(kind, stage), 1)),
        &What::Shipment { stage, .. } => added.push((Figure::Shipment(stage), 1)),
    }
    for &(kind, lasted_ms) in durations {
        added.push((Figure::Count(kind), 1));
        added.push((Figure::SumMs(kind), lasted_ms));
        added.push((Figure::Bucket(kind, bucket(lasted_ms)), 1));
    }
    added
}

fn add_box(added: &mut Added, movement: Movement, container: &Container) {
    let size = &SIZES[container.size as usize];
    added.push((Figure::Boxes(movement, container.fullness), 1));
    added.push((
        Figure::TeuMilli(movement, container.fullness),
        size.teu_milli,
    ));
    added.push((
        Figure::MassKg(movement, container.fullness),
        container.mass_kg.into(),
    ));
}

fn worked(activity: YardActivity) -> Movement {
    match activity {
        YardActivity::Unspecified => Movement::Unspecified,
        YardActivity::Stuff => Movement::Stuffed,
        YardActivity::Strip => Movement::Stripped,
        YardActivity::Pick => Movement::Picked,
        YardActivity::Drop => Movement::Dropped,
        YardActivity::Inspect => Movement::Inspected,
        YardActivity::Reseal => Movement::Resealed,
        YardActivity::Remove => Movement::Removed,
    }
}

/// The least i with a duration of at most 2^(i/8) seconds; none for zero.
fn bucket(lasted_ms: i64) -> Option<i32> {
    if lasted_ms <= 0 {
        return None;
    }
    let holds = |index: i32| lasted_ms as f64 <= upper_ms(index);
    let near = (8.0 * (lasted_ms as f64 / 1000.0).log2()).round() as i32;
    (near - 1..=near + 1).find(|&index| holds(index))
}

/// A bucket's upper bound in milliseconds. Whole powers of two are exact, and
/// no other one is near a whole number of milliseconds, which a test checks.
fn upper_ms(index: i32) -> f64 {
    let power = 2f64.powi(index.div_euclid(8));
    1000.0 * power * 2f64.powf(f64::from(index.rem_euclid(8)) / 8.0)
}

fn add_to_slots(truth: &mut Truth, town: &Town, fact: &Fact) {
    let What::Appointment { stage, slot, .. } = fact.what else {
        return;
    };
    for &(role, enterprise) in &fact.parties {
        let key = SlotKey {
            slot_start_ms: slot.0,
            slot_end_ms: slot.1,
            facility: town.facilities[fact.facility as usize].clone(),
            enterprise: town.enterprises[enterprise as usize].clone(),
            role,
            classifier: fact.classifier,
        };
        let slot = match stage {
            AppointmentStage::Confirmed => &mut truth.slots.entry(key).or_default().confirmed,
            AppointmentStage::Changed => &mut truth.slots.entry(key).or_default().changed,
            AppointmentStage::Cancelled => &mut truth.slots.entry(key).or_default().cancelled,
            AppointmentStage::Used => &mut truth.slots.entry(key).or_default().used,
            _ => continue,
        };
        *slot += 1;
    }
}

fn add_to_call(
    truth: &mut Truth,
    town: &Town,
    calls: &[Call],
    fact: &Fact,
    durations: &[(DurationKind, i64)],
) {
    let (call, counts) = match fact.what {
        What::Quay { call, .. } => (call, true),
        What::Vessel { call, .. } => (call, !durations.is_empty()),
        _ => return,
    };
    if !counts {
        return;
    }
    let key = CallKey {
        facility: town.facilities[fact.facility as usize].clone(),
        call_id: calls[call as usize].id.clone(),
        classifier: fact.classifier,
    };
    let sums = truth.calls.entry(key).or_default();
    match fact.what {
        What::Quay { restow: true, .. } => sums.restowed += 1,
        What::Quay { load: true, .. } => sums.loaded += 1,
        What::Quay { .. } => sums.discharged += 1,
        _ => {
            sums.berth_stays += durations.len() as i64;
            sums.berth_stay_ms += durations
                .iter()
                .map(|&(_, lasted_ms)| lasted_ms)
                .sum::<i64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_close_at_their_upper_bound() {
        assert_eq!(bucket(0), None);
        assert_eq!(bucket(1000), Some(0));
        assert_eq!(bucket(1001), Some(1));
        assert_eq!(bucket(999), Some(0));
        assert_eq!(bucket(2_048_000), Some(88));
        assert_eq!(bucket(2_048_001), Some(89));
        assert_eq!(bucket(2_047_999), Some(88));
        // 2^(1/8) s is 1090.507… ms.
        assert_eq!((bucket(1090), bucket(1091)), (Some(1), Some(2)));
    }

    #[test]
    fn no_bound_but_powers_of_two_is_near_a_whole_millisecond() {
        // Up to 2^22 s, beyond 35 days.
        for index in (0..176).filter(|index| index % 8 != 0) {
            let bound = upper_ms(index);
            assert!(
                (bound - bound.round()).abs() > 1e-5,
                "bound {index}: {bound}"
            );
        }
    }
}
