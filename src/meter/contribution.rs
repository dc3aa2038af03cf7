//! What one event contributes: figures for its parties' cells, and points in
//! pairing lists.

use super::cell::Posting;
use super::codes;
use super::figure::{Figure, Meaning};
use super::names::{NameId, Names};
use crate::event::{
    Classifier, Container, Detail, Fullness, GateDirection, GateMove, Millis, QuayDirection,
    QuayMove, Role, ServiceStage, Statement, VesselCallStage, YardActivity, container::teu_milli,
};
use crate::event::{DispatchStage, VesselCall};
use crate::pb::{DurationKind, Movement};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Figures with their values, each figure once.
pub type Deltas = SmallVec<[(Figure, i64); 6]>;

/// What an event adds, reduced to what must be known to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The classifier of all its cells and pairs.
    #[serde(with = "codes::classifier")]
    pub classifier: Classifier,
    /// When it happened; pairs go by this.
    pub occurred_at: Millis,
    /// Start and end of its slot: an appointment step counts at the start.
    pub slot: Option<(Millis, Millis)>,
    /// The vessel call (call id, vessel) that it counts for too.
    pub call: Option<(NameId, NameId)>,
    /// For whom.
    pub parties: SmallVec<[PartyId; 4]>,
    /// What, for each of them.
    pub figures: Deltas,
    /// Where it enters pairing lists.
    pub points: SmallVec<[PointKey; 2]>,
}

/// One enterprise in one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyId {
    /// The role.
    #[serde(with = "codes::role")]
    pub role: Role,
    /// The enterprise's name.
    pub enterprise: NameId,
}

/// Start or end of a duration. At one instant, starts come before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// It starts.
    Start,
    /// It ends.
    End,
}

/// An event's place in a pairing list, but for its instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointKey {
    /// Which duration.
    #[serde(with = "codes::duration")]
    pub kind: DurationKind,
    /// Start or end.
    pub side: Side,
    /// Tractor, dispatch order, call, container or service order.
    pub key: CompactString,
}

impl Contribution {
    /// What this statement contributes. `forty_five_ft_milli` is what a 45-foot
    /// container counts, in thousandths of a TEU.
    pub fn of(statement: &Statement, names: &mut Names, forty_five_ft_milli: u32) -> Self {
        let mut of = Self {
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
            of.parties.push(PartyId {
                role: party.role,
                enterprise,
            });
        }
        of.detail(&statement.detail, names, forty_five_ft_milli);
        of
    }

    /// The instant of the cells in which it counts.
    pub fn counted_at(&self) -> Millis {
        self.slot.map_or(self.occurred_at, |(start, _)| start)
    }

    /// Its posting to the cells: added with sign 1, taken back with −1.
    pub fn posting(&self, facility: NameId, sign: i64) -> Posting {
        Posting {
            sign,
            facility,
            classifier: self.classifier,
            at: self.counted_at(),
            slot_end: self.slot.map(|(_, end)| end),
            call: self.call,
            parties: self.owners(),
            figures: self.figures.clone(),
        }
    }

    /// For whom, as postings say it.
    pub fn owners(&self) -> SmallVec<[(Role, NameId); 4]> {
        self.parties
            .iter()
            .map(|party| (party.role, party.enterprise))
            .collect()
    }

    fn detail(&mut self, detail: &Detail, names: &mut Names, forty_five: u32) {
        match detail {
            Detail::GateMove(gate) => self.gate_move(gate, forty_five),
            Detail::QuayMove(quay) => self.quay_move(quay, names, forty_five),
            Detail::YardMove(yard) => {
                self.container(&yard.container, yard_movement(yard.activity), forty_five);
            }
            Detail::DispatchStep(step) => {
                self.count(Meaning::Dispatch(step.stage));
                match step.stage {
                    DispatchStage::Offered => self.start(DurationKind::Acceptance, &step.order_id),
                    DispatchStage::Accepted => self.end(DurationKind::Acceptance, &step.order_id),
                    _ => {}
                }
            }
            Detail::AppointmentStep(step) => {
                self.count(Meaning::Appointment(step.stage));
                self.slot = Some((step.slot_start, step.slot_end));
            }
            Detail::VesselCall(call) => self.vessel_call(call, names),
            Detail::PortService(service) => {
                self.count(Meaning::Service(service.service, service.stage));
                match service.stage {
                    ServiceStage::Started => {
                        self.start(DurationKind::ServiceTime, &service.order_id);
                    }
                    ServiceStage::Completed => {
                        self.end(DurationKind::ServiceTime, &service.order_id);
                    }
                    _ => {}
                }
            }
            Detail::ShipmentStep(step) => self.count(Meaning::Shipment(step.stage)),
        }
    }

    fn gate_move(&mut self, gate: &GateMove, forty_five: u32) {
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
            self.point(DurationKind::TruckTurn, side, &gate.tractor);
        }
        for container in &gate.containers {
            self.container(container, movement, forty_five);
            self.point(DurationKind::Dwell, side, &container.number);
        }
    }

    fn quay_move(&mut self, quay: &QuayMove, names: &mut Names, forty_five: u32) {
        self.call = Some(call(
            &quay.call_id,
            &quay.vessel_imo,
            &quay.call_sign,
            names,
        ));
        if quay.restow {
            return self.container(&quay.container, Movement::Restowed, forty_five);
        }
        if quay.direction == QuayDirection::Load {
            self.container(&quay.container, Movement::Loaded, forty_five);
            self.end(DurationKind::Dwell, &quay.container.number);
        } else {
            self.container(&quay.container, Movement::Discharged, forty_five);
            self.start(DurationKind::Dwell, &quay.container.number);
        }
    }

    fn vessel_call(&mut self, vessel: &VesselCall, names: &mut Names) {
        self.count(Meaning::VesselCall(vessel.stage));
        self.call = Some(call(
            &vessel.call_id,
            &vessel.vessel_imo,
            &vessel.call_sign,
            names,
        ));
        match vessel.stage {
            VesselCallStage::Berthed => self.start(DurationKind::BerthStay, &vessel.call_id),
            VesselCallStage::Unberthed => self.end(DurationKind::BerthStay, &vessel.call_id),
            _ => {}
        }
    }

    fn container(&mut self, container: &Container, movement: Movement, forty_five: u32) {
        let fullness: Fullness = container.fullness;
        let teu = teu_milli(&container.size_type, forty_five).unwrap_or(0);
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

    fn start(&mut self, kind: DurationKind, key: &str) {
        self.point(kind, Side::Start, key);
    }

    fn end(&mut self, kind: DurationKind, key: &str) {
        self.point(kind, Side::End, key);
    }

    fn point(&mut self, kind: DurationKind, side: Side, key: &str) {
        self.points.push(PointKey {
            kind,
            side,
            key: key.into(),
        });
    }
}

/// A call's names: its id, and the vessel by IMO number, else by call sign.
fn call(call_id: &str, imo: &str, call_sign: &str, names: &mut Names) -> (NameId, NameId) {
    let vessel = if imo.is_empty() { call_sign } else { imo };
    (names.intern(call_id), names.intern(vessel))
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
