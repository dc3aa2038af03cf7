//! A recount of sent events by brute force, straight from the specification:
//! the highest revision of each identity, sums, and pairs of neighbours. It
//! shares no code with the simulator or the meter.

use jiff::{Timestamp, tz::TimeZone};
use quaymeter::pb::{self, Classifier, DurationKind, Movement, Role, event::Detail};
use quaymeter::simulate::{Expected, Sent};
use quaymeter::truth::{CallKey, Figure, Figures, Grain, Key, SlotKey, Truth};
use std::collections::BTreeMap;

type Identity = (String, &'static str, String);

/// A kind of duration, a facility, a classifier and a key.
type List = (DurationKind, String, Classifier, String);

/// Recounts.
pub fn recount(sent: impl Iterator<Item = Sent>, zone: &TimeZone) -> Result<Truth, jiff::Error> {
    let mut winners = BTreeMap::<Identity, pb::Event>::new();
    for Sent {
        source,
        mut event,
        expected,
    } in sent
    {
        if expected != Expected::Accepted {
            continue;
        }
        event.facility = event.facility.to_uppercase().replace("CNNGB/", "CNNBO/");
        let identity = (event.facility.clone(), source, event.event_id.clone());
        let rank = |event: &pb::Event| (event.revision, event.retracted);
        match winners.get(&identity) {
            Some(known) if rank(known) >= rank(&event) => {}
            _ => {
                winners.insert(identity, event);
            }
        }
    }
    winners.retain(|_, event| !event.retracted);
    let mut truth = Truth::default();
    for event in winners.values() {
        count(&mut truth, event, &figures(event), zone)?;
        count_call(&mut truth, event, 0);
        count_slot(&mut truth, event);
    }
    for (end, kind, lasted_ms) in pairs(&winners) {
        let added = [
            (Figure::Count(kind), 1),
            (Figure::SumMs(kind), lasted_ms),
            (Figure::Bucket(kind, bucket(lasted_ms)), 1),
        ];
        count(&mut truth, end, &added, zone)?;
        if kind == DurationKind::BerthStay {
            count_call(&mut truth, end, lasted_ms);
        }
    }
    truth.cells.retain(|_, figures| !figures.is_empty());
    Ok(truth)
}

fn millis(instant: &Option<pbjson_types::Timestamp>) -> i64 {
    instant
        .as_ref()
        .map_or(0, |t| t.seconds * 1000 + i64::from(t.nanos / 1_000_000))
}

fn classifier(event: &pb::Event) -> Classifier {
    match event.classifier() {
        Classifier::Unspecified => Classifier::Actual,
        other => other,
    }
}

fn count(
    truth: &mut Truth,
    event: &pb::Event,
    added: &[(Figure, i64)],
    zone: &TimeZone,
) -> Result<(), jiff::Error> {
    let at = match &event.detail {
        Some(Detail::AppointmentStep(step)) => millis(&step.slot_start),
        _ => millis(&event.occurred_at),
    };
    let day = Timestamp::from_millisecond(at)?
        .to_zoned(zone.clone())
        .start_of_day()?;
    let starts = [
        (Grain::Quarter, at - at.rem_euclid(900_000)),
        (Grain::Day, day.timestamp().as_millisecond()),
    ];
    for party in &event.parties {
        for (grain, start_ms) in starts {
            let key = Key {
                grain,
                facility: event.facility.as_str().into(),
                enterprise: party.enterprise.as_str().into(),
                role: party.role(),
                classifier: classifier(event),
                start_ms,
            };
            let cell: &mut Figures = truth.cells.entry(key).or_default();
            added
                .iter()
                .for_each(|&(figure, value)| cell.add(figure, value));
        }
    }
    Ok(())
}

/// What an event counts without its neighbours.
fn figures(event: &pb::Event) -> Vec<(Figure, i64)> {
    let mut added = Vec::new();
    let mut boxes = |movement, container: &pb::Container| {
        let teu = match container.size_type.as_bytes() {
            [b'1', _, _, _] => 500,
            [b'2', _, _, _] => 1000,
            [b'4', _, _, _] => 2000,
            [b'L', _, _, _] => 2250,
            [b'M', _, _, _] => 2400,
            _ => 0,
        };
        let fullness = container.fullness();
        added.push((Figure::Boxes(movement, fullness), 1));
        added.push((Figure::TeuMilli(movement, fullness), teu));
        let mass = container.gross_mass_kg.unwrap_or(0);
        added.push((Figure::MassKg(movement, fullness), mass.into()));
    };
    match &event.detail {
        Some(Detail::GateMove(gate)) => {
            let inward = gate.direction() == pb::GateDirection::In;
            let movement = if inward {
                Movement::GateIn
            } else {
                Movement::GateOut
            };
            gate.containers
                .iter()
                .for_each(|container| boxes(movement, container));
            if !gate.tractor_plate.is_empty() {
                added.push((
                    if inward {
                        Figure::TrucksIn
                    } else {
                        Figure::TrucksOut
                    },
                    1,
                ));
            }
        }
        Some(Detail::QuayMove(quay)) => {
            let movement = match quay.direction() {
                _ if quay.restow => Movement::Restowed,
                pb::QuayDirection::Load => Movement::Loaded,
                _ => Movement::Discharged,
            };
            quay.container
                .iter()
                .for_each(|container| boxes(movement, container));
        }
        Some(Detail::YardMove(yard)) => {
            let movement = Movement::try_from(yard.activity + 5).unwrap_or_default();
            yard.container
                .iter()
                .for_each(|container| boxes(movement, container));
        }
        Some(Detail::DispatchStep(step)) => added.push((Figure::Dispatch(step.stage()), 1)),
        Some(Detail::AppointmentStep(step)) => added.push((Figure::Appointment(step.stage()), 1)),
        Some(Detail::VesselCall(call)) => added.push((Figure::VesselCall(call.stage()), 1)),
        Some(Detail::PortService(s)) => added.push((Figure::Service(s.service(), s.stage()), 1)),
        Some(Detail::ShipmentStep(step)) => added.push((Figure::Shipment(step.stage()), 1)),
        None => {}
    }
    added
}

/// Every list that an event is in, and whether it starts something there.
fn lists(event: &pb::Event) -> Vec<(DurationKind, String, bool)> {
    let number = |c: &pb::Container| c.number.to_uppercase().replace([' ', '-'], "");
    match &event.detail {
        Some(Detail::GateMove(gate)) => {
            let inward = gate.direction() == pb::GateDirection::In;
            let dwell = |c| (DurationKind::Dwell, number(c), inward);
            let mut lists: Vec<_> = gate.containers.iter().map(dwell).collect();
            if !gate.tractor_plate.is_empty() {
                lists.push((DurationKind::TruckTurn, gate.tractor_plate.clone(), inward));
            }
            lists
        }
        Some(Detail::QuayMove(quay)) if !quay.restow => {
            let start = quay.direction() == pb::QuayDirection::Discharge;
            quay.container
                .iter()
                .map(|c| (DurationKind::Dwell, number(c), start))
                .collect()
        }
        Some(Detail::DispatchStep(step)) => match step.stage() {
            pb::DispatchStage::Offered => {
                vec![(DurationKind::Acceptance, step.order_id.clone(), true)]
            }
            pb::DispatchStage::Accepted => {
                vec![(DurationKind::Acceptance, step.order_id.clone(), false)]
            }
            _ => Vec::new(),
        },
        Some(Detail::VesselCall(call)) => match call.stage() {
            pb::VesselCallStage::Berthed => {
                vec![(DurationKind::BerthStay, call.call_id.clone(), true)]
            }
            pb::VesselCallStage::Unberthed => {
                vec![(DurationKind::BerthStay, call.call_id.clone(), false)]
            }
            _ => Vec::new(),
        },
        Some(Detail::PortService(service)) => match service.stage() {
            pb::ServiceStage::Started => {
                vec![(DurationKind::ServiceTime, service.order_id.clone(), true)]
            }
            pb::ServiceStage::Completed => {
                vec![(DurationKind::ServiceTime, service.order_id.clone(), false)]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Every end with the start immediately before it, and the milliseconds
/// between.
fn pairs(winners: &BTreeMap<Identity, pb::Event>) -> Vec<(&pb::Event, DurationKind, i64)> {
    let mut all = BTreeMap::<List, Vec<(i64, bool, &Identity, &pb::Event)>>::new();
    for (identity, event) in winners {
        for (kind, key, start) in lists(event) {
            let list = (kind, event.facility.clone(), classifier(event), key);
            let entry = (millis(&event.occurred_at), !start, identity, event);
            all.entry(list).or_default().push(entry);
        }
    }
    let mut pairs = Vec::new();
    for ((kind, ..), mut list) in all {
        list.sort_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
        let days = if kind == DurationKind::TruckTurn {
            1
        } else {
            35
        };
        for neighbours in list.windows(2) {
            let [(from, false, ..), (to, true, _, event)] = neighbours else {
                continue;
            };
            if to - from <= days * 86_400_000 {
                pairs.push((*event, kind, to - from));
            }
        }
    }
    pairs
}

/// The bucket by trial, from the lowest.
fn bucket(lasted_ms: i64) -> Option<i32> {
    let holds = |index: &i32| lasted_ms as f64 <= (f64::from(*index) / 8.0).exp2() * 1000.0;
    if lasted_ms == 0 {
        None
    } else {
        (-79..300).find(holds)
    }
}

/// Counts a quay move, or a berth stay that lasted.
fn count_call(truth: &mut Truth, event: &pb::Event, stay_ms: i64) {
    let call_id = match &event.detail {
        Some(Detail::QuayMove(quay)) => &quay.call_id,
        Some(Detail::VesselCall(call)) if stay_ms > 0 => &call.call_id,
        _ => return,
    };
    let key = CallKey {
        facility: event.facility.as_str().into(),
        call_id: call_id.as_str().into(),
        classifier: classifier(event),
    };
    let sums = truth.calls.entry(key).or_default();
    match &event.detail {
        Some(Detail::QuayMove(quay)) if quay.restow => sums.restowed += 1,
        Some(Detail::QuayMove(quay)) => match quay.direction() {
            pb::QuayDirection::Load => sums.loaded += 1,
            _ => sums.discharged += 1,
        },
        _ => {
            sums.berth_stays += 1;
            sums.berth_stay_ms += stay_ms;
        }
    }
}

fn count_slot(truth: &mut Truth, event: &pb::Event) {
    let Some(Detail::AppointmentStep(step)) = &event.detail else {
        return;
    };
    for party in &event.parties {
        let key = SlotKey {
            slot_start_ms: millis(&step.slot_start),
            slot_end_ms: millis(&step.slot_end),
            facility: event.facility.as_str().into(),
            enterprise: party.enterprise.as_str().into(),
            role: Role::try_from(party.role).unwrap_or_default(),
            classifier: classifier(event),
        };
        let slot = truth.slots.entry(key).or_default();
        match step.stage() {
            pb::AppointmentStage::Confirmed => slot.confirmed += 1,
            pb::AppointmentStage::Changed => slot.changed += 1,
            pb::AppointmentStage::Cancelled => slot.cancelled += 1,
            pb::AppointmentStage::Used => slot.used += 1,
            _ => {}
        }
    }
}
