//! What one statement comes to: figures for its parties, and its spots in
//! pairing lists.

use crate::event::{
    Classifier, Container, Detail, DispatchStage, GateDirection, Millis, QuayDirection, Role,
    ServiceStage, Statement, VesselCallStage, YardActivity,
};
use crate::pb::{DurationKind, Movement};
use crate::truth::Figure;
use compact_str::CompactString;
use rustc_hash::FxHashMap;

/// A text's number.
pub(super) type Name = u32;

/// Texts by number: millions of events name few enterprises and trucks.
#[derive(Default)]
pub(super) struct Texts {
    numbers: FxHashMap<CompactString, Name>,
    texts: Vec<CompactString>,
}

impl Texts {
    pub fn number(&mut self, text: &str) -> Name {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.len() as Name;
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    pub fn text(&self, number: Name) -> &CompactString {
        const NONE: &CompactString = &CompactString::const_new("");
        self.texts.get(number as usize).unwrap_or(NONE)
    }
}

/// A duration's start or end: which list, but for the classifier, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Spot {
    pub kind: DurationKind,
    /// Tractor, dispatch order, call, container or service order.
    pub key: Name,
    pub end: bool,
    /// Of a truck, under the key before: its starts pair in the other list.
    pub before: bool,
}

/// The same by its text.
pub(super) struct Naming<'a> {
    pub kind: DurationKind,
    pub key: &'a str,
    pub end: bool,
    pub before: bool,
}

/// A statement, reduced to what counts.
pub(super) struct Told {
    pub classifier: Classifier,
    /// When it happened; pairs go by this.
    pub at: Millis,
    /// Start and end of its slot: it counts at the start.
    pub slot: Option<(Millis, Millis)>,
    /// Call id and vessel.
    pub call: Option<(Name, Name)>,
    pub parties: Box<[(Role, Name)]>,
    pub figures: Box<[(Figure, i64)]>,
    pub spots: Box<[Spot]>,
}

impl Told {
    pub fn of(statement: &Statement, texts: &mut Texts, teu_45ft_milli: i64) -> Self {
        let detail = &statement.detail;
        let parties = statement.parties.iter();
        let mut figures: Vec<(Figure, i64)> = step(detail).into_iter().map(|f| (f, 1)).collect();
        for (container, movement) in moved(detail) {
            let of = container.fullness;
            let teu = teu_milli(&container.size_type, teu_45ft_milli);
            for (figure, value) in [
                (Figure::Boxes(movement, of), 1),
                (Figure::TeuMilli(movement, of), teu),
                (
                    Figure::MassKg(movement, of),
                    i64::from(container.gross_mass_kg),
                ),
            ] {
                match figures.iter_mut().find(|(known, _)| *known == figure) {
                    Some((_, sum)) => *sum += value,
                    None => figures.push((figure, value)),
                }
            }
        }
        figures.retain(|&(_, value)| value != 0);
        Self {
            classifier: statement.classifier,
            at: statement.occurred_at,
            slot: match detail {
                Detail::AppointmentStep(step) => Some((step.slot_start, step.slot_end)),
                _ => None,
            },
            call: call(detail).map(|(id, vessel)| (texts.number(id), texts.number(vessel))),
            parties: parties
                .map(|party| (party.role, texts.number(&party.enterprise)))
                .collect(),
            figures: figures.into(),
            spots: spots(detail)
                .into_iter()
                .map(|spot| Spot {
                    kind: spot.kind,
                    key: texts.number(spot.key),
                    end: spot.end,
                    before: spot.before,
                })
                .collect(),
        }
    }

    /// The instant of the cells in which it counts.
    pub fn counted_at(&self) -> Millis {
        self.slot.map_or(self.at, |(start, _)| start)
    }

    /// The latest instant that it tells of.
    pub fn latest(&self) -> Millis {
        self.slot.map_or(self.at, |(_, end)| end.max(self.at))
    }
}

/// The durations' starts and ends that a statement names. On the first day of a key
/// a truck has two pseudonyms, and so two spots.
pub(super) fn spots(detail: &Detail) -> Vec<Naming<'_>> {
    let mut spots: Vec<_> = named(detail)
        .into_iter()
        .map(|(kind, end, key)| Naming {
            kind,
            key,
            end,
            before: false,
        })
        .collect();
    if let Detail::GateMove(gate) = detail
        && !gate.tractor_before.is_empty()
    {
        spots.push(Naming {
            kind: DurationKind::TruckTurn,
            key: &gate.tractor_before,
            end: gate.direction == GateDirection::Out,
            before: true,
        });
    }
    spots
}

/// Kind, whether it is an end, key.
fn named(detail: &Detail) -> Vec<(DurationKind, bool, &str)> {
    use DurationKind::{Acceptance, BerthStay, Dwell, ServiceTime, TruckTurn};
    match detail {
        Detail::GateMove(gate) => {
            let out = gate.direction == GateDirection::Out;
            let truck = Some((TruckTurn, out, &*gate.tractor));
            let truck = truck.filter(|_| !gate.tractor.is_empty());
            let boxes = gate.containers.iter();
            let boxes = boxes.map(|container| (Dwell, out, &*container.number));
            truck.into_iter().chain(boxes).collect()
        }
        Detail::QuayMove(quay) if !quay.restow => {
            let end = quay.direction == QuayDirection::Load;
            vec![(Dwell, end, &quay.container.number)]
        }
        Detail::DispatchStep(step) => match step.stage {
            DispatchStage::Offered => vec![(Acceptance, false, &step.order_id)],
            DispatchStage::Accepted => vec![(Acceptance, true, &step.order_id)],
            _ => Vec::new(),
        },
        Detail::VesselCall(call) => match call.stage {
            VesselCallStage::Berthed => vec![(BerthStay, false, &call.call_id)],
            VesselCallStage::Unberthed => vec![(BerthStay, true, &call.call_id)],
            _ => Vec::new(),
        },
        Detail::PortService(service) => match service.stage {
            ServiceStage::Started => vec![(ServiceTime, false, &service.order_id)],
            ServiceStage::Completed => vec![(ServiceTime, true, &service.order_id)],
            _ => Vec::new(),
        },
        Detail::QuayMove(_)
        | Detail::YardMove(_)
        | Detail::AppointmentStep(_)
        | Detail::ShipmentStep(_) => Vec::new(),
    }
}

/// The vessel call that a statement counts for: its id, and the vessel by IMO
/// number, else by call sign.
fn call(detail: &Detail) -> Option<(&str, &str)> {
    let (id, imo, sign) = match detail {
        Detail::QuayMove(quay) => (&quay.call_id, &quay.vessel_imo, &quay.call_sign),
        Detail::VesselCall(call) => (&call.call_id, &call.vessel_imo, &call.call_sign),
        _ => return None,
    };
    Some((id, if imo.is_empty() { sign } else { imo }))
}

fn moved(detail: &Detail) -> Vec<(&Container, Movement)> {
    match detail {
        Detail::GateMove(gate) => {
            let movement = match gate.direction {
                GateDirection::Out => Movement::GateOut,
                GateDirection::In | GateDirection::Unspecified => Movement::GateIn,
            };
            gate.containers.iter().map(|one| (one, movement)).collect()
        }
        Detail::QuayMove(quay) => {
            let movement = match (quay.restow, quay.direction) {
                (true, _) => Movement::Restowed,
                (false, QuayDirection::Load) => Movement::Loaded,
                (false, _) => Movement::Discharged,
            };
            vec![(&quay.container, movement)]
        }
        Detail::YardMove(yard) => {
            let movement = match yard.activity {
                YardActivity::Stuff => Movement::Stuffed,
                YardActivity::Strip => Movement::Stripped,
                YardActivity::Pick => Movement::Picked,
                YardActivity::Drop => Movement::Dropped,
                YardActivity::Inspect => Movement::Inspected,
                YardActivity::Reseal => Movement::Resealed,
                YardActivity::Remove | YardActivity::Unspecified => Movement::Removed,
            };
            vec![(&yard.container, movement)]
        }
        _ => Vec::new(),
    }
}

fn step(detail: &Detail) -> Option<Figure> {
    Some(match detail {
        Detail::GateMove(gate) if gate.tractor.is_empty() => return None,
        Detail::GateMove(gate) if gate.direction == GateDirection::Out => Figure::TrucksOut,
        Detail::GateMove(_) => Figure::TrucksIn,
        Detail::DispatchStep(step) => Figure::Dispatch(step.stage),
        Detail::AppointmentStep(step) => Figure::Appointment(step.stage),
        Detail::VesselCall(call) => Figure::VesselCall(call.stage),
        Detail::PortService(service) => Figure::Service(service.service, service.stage),
        Detail::ShipmentStep(step) => Figure::Shipment(step.stage),
        Detail::QuayMove(_) | Detail::YardMove(_) => return None,
    })
}

/// By the first of four characters; 0 for anything else.
fn teu_milli(size_type: &str, forty_five: i64) -> i64 {
    let mut characters = size_type.chars();
    match (characters.next(), characters.count()) {
        (Some('1'), 3) => 500,
        (Some('2'), 3) => 1000,
        (Some('3'), 3) => 1500,
        (Some('4'), 3) => 2000,
        (Some('B'), 3) => 1200,
        (Some('C'), 3) => 1225,
        (Some('G'), 3) => 2050,
        (Some('H'), 3) => 2150,
        (Some('L'), 3) => forty_five,
        (Some('M'), 3) => 2400,
        (Some('N'), 3) => 2450,
        _ => 0,
    }
}
