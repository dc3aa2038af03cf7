//! Facts in the proto's words.

use super::fact::{Container, Fact, Source, What};
use super::identifiers::{self, SIZES};
use super::quay::Call;
use super::random::stir;
use super::town::Town;
use crate::pb;

/// How a version of a fact is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// Its revision.
    pub revision: i64,
    /// As an old system spells: an alias of the port, lower case, a container's
    /// number with a space and a hyphen. It means the same.
    pub quaint: bool,
}

/// Puts facts into words.
pub(super) struct Words<'a> {
    /// Tells the ids of this simulation from those of another.
    pub tag: u64,
    /// For names.
    pub town: &'a Town,
    /// For vessels.
    pub calls: &'a [Call],
}

impl Words<'_> {
    /// The reporter's id of a fact, which all its versions share.
    pub fn event_id(&self, fact: &Fact) -> String {
        let number = fact.identity;
        match fact.source {
            Source::Ygt => identifiers::uuid(self.tag, number).into(),
            Source::Tos => {
                let facility = &self.town.facilities[fact.facility as usize];
                let terminal = facility.rsplit('/').next().unwrap_or_default();
                let kind = match fact.what {
                    What::Gate { .. } => "GATE",
                    What::Quay { .. } => "QUAY",
                    What::Vessel { .. } => "CALL",
                    _ => "YARD",
                };
                format!("{terminal}-{kind}-{:04X}{number:08}", self.tag >> 48)
            }
            Source::Eir => format!("EIR{:05}{number:09}", self.tag % 100_000),
        }
    }

    /// A retraction that says no more than it must.
    pub fn retraction(&self, fact: &Fact, manner: Manner) -> pb::Event {
        pb::Event {
            event_id: self.event_id(fact),
            revision: manner.revision,
            retracted: true,
            facility: self.facility(fact, manner),
            ..pb::Event::default()
        }
    }

    /// A statement.
    pub fn statement(&self, fact: &Fact, manner: Manner) -> pb::Event {
        let enterprise = |number: u16| self.town.enterprises[number as usize].to_string();
        let party = |&(role, number): &(pb::Role, u16)| pb::Party {
            role: role.into(),
            enterprise: enterprise(number),
        };
        // What happened is ACTUAL, said or not.
        let unsaid = fact.classifier == pb::Classifier::Actual && fact.source == Source::Eir;
        let classifier = if unsaid {
            pb::Classifier::Unspecified
        } else {
            fact.classifier
        };
        pb::Event {
            event_id: self.event_id(fact),
            revision: manner.revision,
            retracted: false,
            classifier: classifier.into(),
            occurred_at: Some(self.instant(fact)),
            facility: self.facility(fact, manner),
            parties: fact.parties.iter().map(party).collect(),
            detail: Some(self.detail(&fact.what, manner)),
        }
    }

    /// Terminals tell the time to the microsecond; what is finer than a
    /// millisecond is cut off.
    fn instant(&self, fact: &Fact) -> pbjson_types::Timestamp {
        let mut instant = timestamp(fact.at);
        if fact.source == Source::Tos {
            instant.nanos += (stir(fact.identity.into()) % 1000) as i32 * 1000;
        }
        instant
    }

    fn facility(&self, fact: &Fact, manner: Manner) -> String {
        let name = &self.town.facilities[fact.facility as usize];
        if manner.quaint {
            name.replace("CNNBO", "CNNGB").to_lowercase()
        } else {
            name.to_string()
        }
    }

    fn detail(&self, what: &What, manner: Manner) -> pb::event::Detail {
        use pb::event::Detail;
        match what {
            What::Gate { .. } => Detail::GateMove(self.gate_move(what, manner)),
            What::Quay { .. } => Detail::QuayMove(self.quay_move(what, manner)),
            What::Yard {
                activity,
                container,
            } => Detail::YardMove(pb::YardMove {
                activity: (*activity).into(),
                container: Some(words_of(container, manner)),
            }),
            &What::Dispatch {
                order,
                stage,
                truck,
            } => Detail::DispatchStep(pb::DispatchStep {
                order_id: format!("PD{order:09}"),
                stage: stage.into(),
                tractor_plate: truck.map_or_else(String::new, |t| identifiers::tractor(t).into()),
                driver_ref: truck.map_or_else(String::new, driver),
            }),
            &What::Appointment {
                appointment,
                stage,
                slot,
            } => Detail::AppointmentStep(pb::AppointmentStep {
                appointment_id: format!("YY{appointment:09}"),
                stage: stage.into(),
                slot_start: Some(timestamp(slot.0)),
                slot_end: Some(timestamp(slot.1)),
            }),
            &What::Vessel { stage, call } => {
                let call = &self.calls[call as usize];
                Detail::VesselCall(pb::VesselCall {
                    stage: stage.into(),
                    call_id: call.id.to_string(),
                    vessel_imo: call.imo.to_string(),
                    call_sign: call.call_sign.to_string(),
                })
            }
            &What::Service {
                kind,
                stage,
                order,
                call,
            } => Detail::PortService(pb::PortService {
                service: kind.into(),
                stage: stage.into(),
                order_id: format!("FW{order:09}"),
                call_id: self.calls[call as usize].id.to_string(),
            }),
            &What::Shipment { stage, document } => Detail::ShipmentStep(pb::ShipmentStep {
                stage: stage.into(),
                document_ref: format!("NGB{document:09}"),
            }),
        }
    }

    fn gate_move(&self, what: &What, manner: Manner) -> pb::GateMove {
        let What::Gate {
            out,
            boxes,
            truck,
            visit,
        } = what
        else {
            return pb::GateMove::default();
        };
        let direction = if *out {
            pb::GateDirection::Out
        } else {
            pb::GateDirection::In
        };
        let plate = |of: fn(u32) -> compact_str::CompactString| {
            truck.map_or_else(String::new, |truck| of(truck).into())
        };
        pb::GateMove {
            direction: direction.into(),
            containers: boxes
                .iter()
                .map(|container| words_of(container, manner))
                .collect(),
            tractor_plate: plate(identifiers::tractor),
            trailer_plate: plate(identifiers::trailer),
            driver_ref: truck.map_or_else(String::new, driver),
            visit_ref: format!("VIS{visit:09}"),
            tractor_plate_before: String::new(),
        }
    }

    fn quay_move(&self, what: &What, manner: Manner) -> pb::QuayMove {
        let &What::Quay {
            load,
            restow,
            ref container,
            call,
        } = what
        else {
            return pb::QuayMove::default();
        };
        let direction = if load {
            pb::QuayDirection::Load
        } else {
            pb::QuayDirection::Discharge
        };
        let call = &self.calls[call as usize];
        pb::QuayMove {
            direction: direction.into(),
            container: Some(words_of(container, manner)),
            call_id: call.id.to_string(),
            vessel_imo: call.imo.to_string(),
            call_sign: call.call_sign.to_string(),
            voyage: call.voyage.to_string(),
            restow,
        }
    }
}

fn driver(truck: u32) -> String {
    format!("SJ{truck:06}")
}

fn words_of(container: &Container, manner: Manner) -> pb::Container {
    let number = identifiers::container(container.number);
    let number = if manner.quaint {
        format!("{} {}-{}", &number[..4], &number[4..10], &number[10..]).to_lowercase()
    } else {
        number.into()
    };
    pb::Container {
        number,
        size_type: SIZES[container.size as usize].code.into(),
        fullness: container.fullness.into(),
        gross_mass_kg: (container.mass_kg > 0).then_some(container.mass_kg),
    }
}

/// An instant in milliseconds as the proto's.
pub(super) fn timestamp(ms: i64) -> pbjson_types::Timestamp {
    pbjson_types::Timestamp {
        seconds: ms.div_euclid(1000),
        nanos: (ms.rem_euclid(1000) * 1_000_000) as i32,
    }
}
