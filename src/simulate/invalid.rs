//! Events that are to be refused: each has one fault, so there is one reason.

use super::fact::{Fact, What};
use super::random::HOUR;
use super::wording::timestamp;
use crate::pb::{self, Reason, event::Detail};

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NoInstant,
    NoDetail,
    NoCall,
    Scheme,
    FacilityForm,
    LongEventId,
    NineParties,
    FiveContainers,
    Mass,
    Revision,
    PartyTwice,
    ContainerTwice,
    Uscc,
    ContainerNumber,
    SlotOrder,
    NoTruck,
    Future,
    FarPlan,
    Old,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 19] = [
        Self::NoInstant,
        Self::NoDetail,
        Self::NoCall,
        Self::Scheme,
        Self::FacilityForm,
        Self::LongEventId,
        Self::NineParties,
        Self::FiveContainers,
        Self::Mass,
        Self::Revision,
        Self::PartyTwice,
        Self::ContainerTwice,
        Self::Uscc,
        Self::ContainerNumber,
        Self::SlotOrder,
        Self::NoTruck,
        Self::Future,
        Self::FarPlan,
        Self::Old,
    ];

    /// The reason that the event is refused for.
    pub fn reason(self) -> Reason {
        match self {
            Self::NoInstant | Self::NoDetail | Self::NoCall => Reason::Missing,
            Self::Scheme | Self::FacilityForm => Reason::Malformed,
            Self::LongEventId => Reason::TooLong,
            Self::NineParties | Self::FiveContainers => Reason::TooMany,
            Self::Mass | Self::Revision => Reason::OutOfRange,
            Self::PartyTwice => Reason::DuplicateParty,
            Self::ContainerTwice => Reason::DuplicateContainer,
            Self::Uscc => Reason::UsccCheckCharacter,
            Self::ContainerNumber => Reason::ContainerNumber,
            Self::SlotOrder => Reason::SlotOrder,
            Self::NoTruck => Reason::NoTruckNorContainer,
            Self::Future | Self::FarPlan => Reason::Future,
            Self::Old => Reason::TooOld,
        }
    }

    /// Whether a fact can have this fault.
    pub fn fits(self, fact: &Fact) -> bool {
        match self {
            Self::NoCall => matches!(fact.what, What::Quay { .. } | What::Vessel { .. }),
            Self::Mass | Self::ContainerNumber => {
                matches!(fact.what, What::Quay { .. } | What::Yard { .. })
            }
            Self::FiveContainers | Self::ContainerTwice => {
                matches!(&fact.what, What::Gate { boxes, .. } if !boxes.is_empty())
            }
            Self::NoTruck => matches!(fact.what, What::Gate { .. }),
            Self::SlotOrder => matches!(fact.what, What::Appointment { .. }),
            Self::Uscc => fact.enterprise(pb::Role::Forwarder).is_some(),
            Self::Future | Self::Old => fact.classifier == pb::Classifier::Actual,
            _ => true,
        }
    }

    /// Does it to an event. `end` is the instant of the service's clock that
    /// too far and too old are measured from.
    pub fn apply(self, event: &mut pb::Event, end: i64) {
        const DAY: i64 = 24 * HOUR;
        match self {
            Self::NoInstant => event.occurred_at = None,
            Self::NoDetail => event.detail = None,
            Self::Scheme => rename_first(event, |id| format!("duns:{id}").replace("uscc:", "")),
            Self::FacilityForm => event.facility = event.facility.replace('/', " "),
            Self::LongEventId => event.event_id = format!("{:x<129}", event.event_id),
            Self::NineParties => fill(&mut event.parties, 9, |number, party| {
                party.enterprise = format!("ygt:ninth-{number}");
            }),
            Self::Revision => event.revision = -1,
            Self::PartyTwice => fill(&mut event.parties, 8, |_, _| {}),
            Self::Uscc => {
                for party in event
                    .parties
                    .iter_mut()
                    .filter(|p| p.role() == pb::Role::Forwarder)
                {
                    let wrong = if party.enterprise.ends_with('0') {
                        '1'
                    } else {
                        '0'
                    };
                    party.enterprise.pop();
                    party.enterprise.push(wrong);
                }
            }
            Self::Future => event.occurred_at = Some(timestamp(end + 30 * DAY)),
            Self::FarPlan => {
                event.set_classifier(pb::Classifier::Planned);
                event.occurred_at = Some(timestamp(end + 450 * DAY));
            }
            Self::Old => event.occurred_at = Some(timestamp(end - 60 * DAY)),
            _ => self.apply_to_detail(event.detail.as_mut()),
        }
    }

    fn apply_to_detail(self, detail: Option<&mut Detail>) {
        match (self, detail) {
            (Self::NoCall, Some(Detail::QuayMove(quay))) => quay.call_id.clear(),
            (Self::NoCall, Some(Detail::VesselCall(call))) => call.call_id.clear(),
            (Self::NoTruck, Some(Detail::GateMove(gate))) => {
                gate.containers.clear();
                gate.tractor_plate.clear();
            }
            (Self::FiveContainers, Some(Detail::GateMove(gate))) => {
                fill(&mut gate.containers, 5, |number, container| {
                    container.number = super::identifiers::container(19_000_000 + number).into();
                });
            }
            (Self::ContainerTwice, Some(Detail::GateMove(gate))) => {
                let count = gate.containers.len() + 1;
                fill(&mut gate.containers, count, |_, _| {});
            }
            (Self::SlotOrder, Some(Detail::AppointmentStep(step))) => {
                std::mem::swap(&mut step.slot_start, &mut step.slot_end);
            }
            (
                _,
                Some(Detail::QuayMove(pb::QuayMove {
                    container: Some(container),
                    ..
                })),
            )
            | (
                _,
                Some(Detail::YardMove(pb::YardMove {
                    container: Some(container),
                    ..
                })),
            ) => match self {
                Self::Mass => container.gross_mass_kg = Some(1_000_000),
                _ => container.number = "MSKU12345".into(),
            },
            _ => {}
        }
    }
}

fn rename_first(event: &mut pb::Event, rename: impl Fn(&str) -> String) {
    for party in event.parties.iter_mut().take(1) {
        party.enterprise = rename(&party.enterprise);
    }
}

/// Repeats the first of a list until there are `count`, and changes the copies.
fn fill<T: Clone>(list: &mut Vec<T>, count: usize, change: impl Fn(u32, &mut T)) {
    let Some(first) = list.first().cloned() else {
        return;
    };
    while list.len() < count {
        let mut copy = first.clone();
        change(list.len() as u32, &mut copy);
        list.push(copy);
    }
}
