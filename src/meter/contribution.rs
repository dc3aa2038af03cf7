//! What one event contributes: figures for its parties' cells, and points in
//! pairing lists.

use super::cell::{Call, Posting};
use super::codes;
use super::figure::{Figure, Meaning};
use super::ledger::Mark;
use super::names::{NameId, Names};
use super::pairing::Side;
use super::recent::Recent;
use crate::event::{
    Classifier, Container, Detail, Fullness, GateDirection, GateMove, Millis, QuayDirection,
    QuayMove, Role, ServiceStage, Statement, VesselCallStage, YardActivity, container::teu_milli,
};
use crate::event::{DispatchStage, VesselCall};
use crate::fingerprint::{Fingerprint, Fingerprints};
use crate::pb::{DurationKind, Movement};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// Figures with their values, each figure once.
pub type Deltas = SmallVec<[(Figure, i64); 6]>;

/// What an event adds, and takes back when another version wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The facility's name.
    pub facility: NameId,
    /// The classifier of all its cells and pairs.
    pub classifier: Classifier,
    /// When it happened; pairs go by this.
    pub occurred_at: Millis,
    /// Start and end of its slot: an appointment step counts at the start.
    pub slot: Option<(Millis, Millis)>,
    /// The vessel call that it counts for too.
    pub call: Option<Arc<Call>>,
    /// For whom.
    pub parties: SmallVec<[(Role, NameId); 4]>,
    /// What, for each of them.
    pub figures: Deltas,
    /// Where it enters pairing lists.
    pub points: SmallVec<[PointKey; 2]>,
}

/// An event's place in a pairing list, but for its instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointKey {
    /// Which duration.
    #[serde(with = "codes::duration")]
    pub kind: DurationKind,
    /// Start or end.
    pub side: Side,
    /// The list: of a tractor, dispatch order, call, container or service order,
    /// at its facility, of its classifier.
    pub list: Fingerprint,
}

impl PointKey {
    /// How its place is noted when its pair is frozen.
    pub fn mark(&self) -> Mark {
        let side = match self.side {
            Side::End => Side::End,
            Side::Start | Side::Between => Side::Start,
        };
        (self.list, side)
    }

    /// Whether its pair is frozen, or that of the same truck's other list.
    pub fn is_settled(&self, all: &[Self], marks: &[Mark]) -> bool {
        let same = |other: &&Self| {
            let twins = self.kind == DurationKind::TruckTurn && other.kind == self.kind;
            other.list == self.list || twins
        };
        !marks.is_empty()
            && all
                .iter()
                .filter(same)
                .any(|other| marks.contains(&other.mark()))
    }
}

/// The two lists of a truck, of an event on the first day of a key; none of others.
pub fn twins(points: &[PointKey]) -> Option<[Fingerprint; 2]> {
    let mut trucks = points
        .iter()
        .filter(|point| point.kind == DurationKind::TruckTurn);
    Some([trucks.next()?.list, trucks.next()?.list])
}

/// What is needed beside a statement to know what it contributes.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Where it happened.
    pub facility: &'a str,
    /// Takes the fingerprints of lists.
    pub fingerprints: &'a Fingerprints,
    /// What a 45-foot container counts, in thousandths of a TEU.
    pub teu_45ft_milli: u32,
}

impl Contribution {
    /// What this statement contributes. `calls` shares the text of a call.
    pub fn of(statement: &Statement, names: &mut Names, calls: &mut Recent, terms: &Terms) -> Self {
        let mut of = Self {
            facility: names.intern(terms.facility),
            classifier: statement.classifier,
            occurred_at: statement.occurred_at,
            slot: None,
            call: None,
            parties: SmallVec::new(),
            figures: SmallVec::new(),
            points: SmallVec::new(),
        };
        for party in &statement.parties {
            let enterprise = names.intern(&party.enterprise);
            of.parties.push((party.role, enterprise));
        }
        of.detail(&statement.detail, calls, terms);
        of
    }

    /// The instant of the cells in which it counts.
    pub fn counted_at(&self) -> Millis {
        self.slot.map_or(self.occurred_at, |(start, _)| start)
    }

    /// Its posting to the cells: added with sign 1, taken back with −1.
    pub fn posting(&self, sign: i64) -> Posting {
        Posting {
            sign,
            facility: self.facility,
            classifier: self.classifier,
            at: self.counted_at(),
            slot_end: self.slot.map(|(_, end)| end),
            call: self.call.clone(),
            parties: self.parties.clone(),
            figures: self.figures.clone(),
        }
    }

    fn detail(&mut self, detail: &Detail, calls: &mut Recent, terms: &Terms) {
        match detail {
            Detail::GateMove(gate) => self.gate_move(gate, terms),
            Detail::QuayMove(quay) => self.quay_move(quay, calls, terms),
            Detail::YardMove(yard) => {
                self.container(&yard.container, yard_movement(yard.activity), terms);
            }
            Detail::DispatchStep(step) => {
                self.count(Meaning::Dispatch(step.stage));
                match step.stage {
                    DispatchStage::Offered => {
                        self.start(DurationKind::Acceptance, &step.order_id, terms);
                    }
                    DispatchStage::Accepted => {
                        self.end(DurationKind::Acceptance, &step.order_id, terms);
                    }
                    _ => {}
                }
            }
            Detail::AppointmentStep(step) => {
                self.count(Meaning::Appointment(step.stage));
                self.slot = Some((step.slot_start, step.slot_end));
            }
            Detail::VesselCall(call) => self.vessel_call(call, calls, terms),
            Detail::PortService(service) => {
                self.count(Meaning::Service(service.service, service.stage));
                match service.stage {
                    ServiceStage::Started => {
                        self.start(DurationKind::ServiceTime, &service.order_id, terms);
                    }
                    ServiceStage::Completed => {
                        self.end(DurationKind::ServiceTime, &service.order_id, terms);
                    }
                    _ => {}
                }
            }
            Detail::ShipmentStep(step) => self.count(Meaning::Shipment(step.stage)),
        }
    }

    fn gate_move(&mut self, gate: &GateMove, terms: &Terms) {
        let inwards = gate.direction == GateDirection::In;
        let side = if inwards { Side::Start } else { Side::End };
        let movement = if inwards {
            Movement::GateIn
        } else {
            Movement::GateOut
        };
        if !gate.tractor.is_empty() {
            self.count(if inwards {
                Meaning::TrucksIn
            } else {
                Meaning::TrucksOut
            });
            self.point(DurationKind::TruckTurn, side, &gate.tractor, terms);
        }
        if !gate.tractor_before.is_empty() {
            // Starts of this day pair in the other list, which goes on.
            let side = if inwards { Side::Between } else { Side::End };
            self.point(DurationKind::TruckTurn, side, &gate.tractor_before, terms);
        }
        for container in &gate.containers {
            self.container(container, movement, terms);
            self.point(DurationKind::Dwell, side, &container.number, terms);
        }
    }

    fn quay_move(&mut self, quay: &QuayMove, calls: &mut Recent, terms: &Terms) {
        self.call = Some(calls.call(&quay.call_id, &quay.vessel_imo, &quay.call_sign));
        if quay.restow {
            return self.container(&quay.container, Movement::Restowed, terms);
        }
        if quay.direction == QuayDirection::Load {
            self.container(&quay.container, Movement::Loaded, terms);
            self.end(DurationKind::Dwell, &quay.container.number, terms);
        } else {
            self.container(&quay.container, Movement::Discharged, terms);
            self.start(DurationKind::Dwell, &quay.container.number, terms);
        }
    }

    fn vessel_call(&mut self, vessel: &VesselCall, calls: &mut Recent, terms: &Terms) {
        self.count(Meaning::VesselCall(vessel.stage));
        self.call = Some(calls.call(&vessel.call_id, &vessel.vessel_imo, &vessel.call_sign));
        match vessel.stage {
            VesselCallStage::Berthed => self.start(DurationKind::BerthStay, &vessel.call_id, terms),
            VesselCallStage::Unberthed => self.end(DurationKind::BerthStay, &vessel.call_id, terms),
            _ => {}
        }
    }

    fn container(&mut self, container: &Container, movement: Movement, terms: &Terms) {
        let fullness: Fullness = container.fullness;
        let teu = teu_milli(&container.size_type, terms.teu_45ft_milli).unwrap_or(0);
        self.add(Meaning::Boxes(movement, fullness), 1);
        self.add(Meaning::TeuMilli(movement, fullness), i64::from(teu));
        self.add(
            Meaning::MassKg(movement, fullness),
            i64::from(container.gross_mass_kg),
        );
    }

    fn count(&mut self, meaning: Meaning) {
        self.add(meaning, 1);
    }

    fn add(&mut self, meaning: Meaning, value: i64) {
        let figure = Figure::of(meaning);
        match self.figures.iter_mut().find(|(known, _)| *known == figure) {
            Some((_, sum)) => *sum += value,
            None if value != 0 => self.figures.push((figure, value)),
            None => {}
        }
    }

    fn start(&mut self, kind: DurationKind, key: &str, terms: &Terms) {
        self.point(kind, Side::Start, key, terms);
    }

    fn end(&mut self, kind: DurationKind, key: &str, terms: &Terms) {
        self.point(kind, Side::End, key, terms);
    }

    fn point(&mut self, kind: DurationKind, side: Side, key: &str, terms: &Terms) {
        let number = |code: i32| code as u8;
        let (of, classifier) = (number(kind.into()), number(self.classifier.into()));
        let list = terms.fingerprints.list(of, classifier, terms.facility, key);
        self.points.push(PointKey { kind, side, list });
    }
}

fn yard_movement(activity: YardActivity) -> Movement {
    match activity {
        YardActivity::Stuff => Movement::Stuffed,
        YardActivity::Strip => Movement::Stripped,
        YardActivity::Pick => Movement::Picked,
        YardActivity::Drop => Movement::Dropped,
        YardActivity::Inspect => Movement::Inspected,
        YardActivity::Reseal => Movement::Resealed,
        YardActivity::Remove | YardActivity::Unspecified => Movement::Removed,
    }
}
