//! Figures as answers show them.

use crate::meter::figure::{Figures, Meaning};
use crate::meter::histogram;
use crate::pb;

/// The figures as a message, percentiles included.
pub fn message(figures: &Figures) -> pb::Figures {
    let mut message = pb::Figures::default();
    for (figure, value) in figures.iter() {
        if let Some(meaning) = figure.meaning() {
            put(&mut message, meaning, value);
        }
    }
    message.durations.iter_mut().for_each(percentiles);
    message
}

fn put(to: &mut pb::Figures, meaning: Meaning, count: i64) {
    match meaning {
        Meaning::Boxes(movement, fullness) => boxes(to, movement, fullness).boxes = count,
        Meaning::TeuMilli(movement, fullness) => boxes(to, movement, fullness).teu_milli = count,
        Meaning::MassKg(movement, fullness) => boxes(to, movement, fullness).gross_mass_kg = count,
        Meaning::TrucksIn => to.trucks_in = count,
        Meaning::TrucksOut => to.trucks_out = count,
        Meaning::Dispatch(stage) => {
            to.dispatch.push(pb::DispatchFigure {
                stage: stage.into(),
                count,
            });
        }
        Meaning::Appointment(stage) => {
            to.appointments.push(pb::AppointmentFigure {
                stage: stage.into(),
                count,
            });
        }
        Meaning::VesselCall(stage) => {
            to.vessel_calls.push(pb::VesselCallFigure {
                stage: stage.into(),
                count,
            });
        }
        Meaning::Shipment(stage) => {
            to.shipments.push(pb::ShipmentFigure {
                stage: stage.into(),
                count,
            });
        }
        Meaning::Service(service, stage) => {
            let (service, stage) = (service.into(), stage.into());
            to.services.push(pb::ServiceFigure {
                service,
                stage,
                count,
            });
        }
        Meaning::DurationCount(kind) => duration(to, kind).count = count,
        Meaning::DurationSumMs(kind) => duration(to, kind).sum_ms = count,
        Meaning::DurationBucket(kind, index) => {
            let index = (index != histogram::ZERO).then_some(index);
            duration(to, kind)
                .buckets
                .push(pb::DurationBucket { index, count });
        }
    }
}

// Figures come in ascending order, so those of one box or duration figure are
// neighbours.
fn boxes(
    to: &mut pb::Figures,
    movement: pb::Movement,
    fullness: pb::Fullness,
) -> &mut pb::BoxFigure {
    let (movement, fullness) = (movement.into(), fullness.into());
    if to
        .boxes
        .last()
        .is_none_or(|last| (last.movement, last.fullness) != (movement, fullness))
    {
        to.boxes.push(pb::BoxFigure {
            movement,
            fullness,
            ..Default::default()
        });
    }
    let last = to.boxes.len() - 1;
    &mut to.boxes[last]
}

fn duration(to: &mut pb::Figures, kind: pb::DurationKind) -> &mut pb::DurationFigure {
    let kind = kind.into();
    if to.durations.last().is_none_or(|last| last.kind != kind) {
        to.durations.push(pb::DurationFigure {
            kind,
            ..Default::default()
        });
    }
    let last = to.durations.len() - 1;
    &mut to.durations[last]
}

fn percentiles(of: &mut pb::DurationFigure) {
    let buckets: Vec<_> = of
        .buckets
        .iter()
        .map(|b| (b.index.unwrap_or(histogram::ZERO), b.count))
        .collect();
    let at = |p| histogram::percentile_s(&buckets, p).unwrap_or_default();
    (of.p50_s, of.p90_s, of.p95_s, of.p99_s) = (at(0.5), at(0.9), at(0.95), at(0.99));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::figure::Figure;
    use crate::pb::{DurationKind, Fullness, Movement};

    #[test]
    fn figures_of_one_box_or_duration_come_together() {
        let mut figures = Figures::default();
        let mut add = |meaning, value| figures.add(Figure::of(meaning), value);
        add(Meaning::MassKg(Movement::Loaded, Fullness::Laden), 24_000);
        add(Meaning::Boxes(Movement::Loaded, Fullness::Laden), 1);
        add(Meaning::Boxes(Movement::Loaded, Fullness::Empty), 2);
        add(Meaning::TeuMilli(Movement::GateIn, Fullness::Laden), 2_000);
        add(Meaning::TrucksOut, 3);
        let kind = DurationKind::TruckTurn;
        add(Meaning::DurationCount(kind), 100);
        add(Meaning::DurationSumMs(kind), 90_000);
        add(Meaning::DurationBucket(kind, histogram::ZERO), 90);
        add(Meaning::DurationBucket(kind, histogram::bucket(9_000)), 10);
        let message = message(&figures);
        assert_eq!(message.boxes.len(), 3);
        let laden = message
            .boxes
            .iter()
            .find(|b| b.movement() == Movement::Loaded && b.fullness() == Fullness::Laden);
        let laden = laden.unwrap();
        assert_eq!(
            (laden.boxes, laden.teu_milli, laden.gross_mass_kg),
            (1, 0, 24_000)
        );
        assert_eq!((message.trucks_in, message.trucks_out), (0, 3));
        let [turn] = &message.durations[..] else {
            panic!("one kind")
        };
        assert_eq!(
            (turn.count, turn.sum_ms, turn.buckets.len()),
            (100, 90_000, 2)
        );
        assert_eq!((turn.p50_s, turn.p90_s), (0.0, 0.0));
        assert!(
            (turn.p95_s / 9.0 - 1.0).abs() <= 0.045 && turn.p95_s.total_cmp(&turn.p99_s).is_eq()
        );
    }
}
