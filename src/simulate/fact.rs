//! What happens in the simulated world, kept small: names are numbers until a
//! fact is put into words.

use super::random::Dice;
use super::town::{Enterprise, Facility, Party};
use crate::pb::{
    AppointmentStage, Classifier, DispatchStage, DurationKind, Fullness, Role, ServiceKind,
    ServiceStage, ShipmentStage, VesselCallStage, YardActivity,
};
use smallvec::SmallVec;

/// A fact's number among those told.
pub(super) type FactId = u32;

/// Who reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The platform.
    Ygt,
    /// The terminals' operating systems.
    Tos,
    /// Equipment interchange receipts of the depots.
    Eir,
}

/// One container, as it was.
#[derive(Clone, Copy)]
pub(super) struct Container {
    /// Its number, for [`container`](super::identifiers::container).
    pub number: u32,
    /// Gross mass in kg; 0: nobody said.
    pub mass_kg: u32,
    /// Its place in [`SIZES`](super::identifiers::SIZES).
    pub size: u8,
    /// Empty, laden or unknown.
    pub fullness: Fullness,
}

impl Container {
    /// A new one.
    pub fn with(self, fullness: Fullness, mass_kg: u32) -> Self {
        Self {
            mass_kg,
            fullness,
            ..self
        }
    }
}

/// What happened.
#[derive(Clone)]
pub(super) enum What {
    /// A truck, or a wagon without a tractor, passed a gate.
    Gate {
        out: bool,
        boxes: SmallVec<[Container; 2]>,
        truck: Option<u32>,
        visit: u32,
    },
    /// A container went over the quay.
    Quay {
        load: bool,
        restow: bool,
        container: Container,
        call: u32,
    },
    /// A container was worked on.
    Yard {
        activity: YardActivity,
        container: Container,
    },
    /// A dispatch order's step.
    Dispatch {
        order: u32,
        stage: DispatchStage,
        truck: Option<u32>,
    },
    /// An appointment's step.
    Appointment {
        appointment: u32,
        stage: AppointmentStage,
        slot: (i64, i64),
    },
    /// A vessel call's moment.
    Vessel { stage: VesselCallStage, call: u32 },
    /// A service's step.
    Service {
        kind: ServiceKind,
        stage: ServiceStage,
        order: u32,
        call: u32,
    },
    /// A shipment's step.
    Shipment { stage: ShipmentStage, document: u32 },
}

/// One fact.
#[derive(Clone)]
pub(super) struct Fact {
    /// Which fact this is a version of; its own number if it is the true one.
    pub identity: FactId,
    /// Who reports it.
    pub source: Source,
    /// Where.
    pub facility: Facility,
    /// Whether it happened, is expected or is planned.
    pub classifier: Classifier,
    /// When, in milliseconds.
    pub at: i64,
    /// For whom.
    pub parties: SmallVec<[Party; 5]>,
    /// What.
    pub what: What,
    /// The durations that it ends, each with the fact that started it.
    pub ends: SmallVec<[(DurationKind, FactId); 1]>,
    /// Must not be retracted: a neighbour would then pair otherwise than meant.
    pub firm: bool,
}

impl Fact {
    /// One that happened.
    pub fn new(source: Source, facility: Facility, at: i64, what: What) -> Self {
        Self {
            identity: 0,
            source,
            facility,
            classifier: Classifier::Actual,
            at,
            parties: SmallVec::new(),
            what,
            ends: SmallVec::new(),
            firm: false,
        }
    }

    /// For these.
    pub fn by(mut self, parties: &[Party]) -> Self {
        self.parties.extend(parties.iter().copied());
        self
    }

    /// Ends what that one started, if it was told.
    pub fn ending(mut self, kind: DurationKind, start: Option<FactId>) -> Self {
        self.ends.extend(start.map(|start| (kind, start)));
        self
    }

    /// Not as having happened.
    pub fn only_as(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Must not be retracted, if `firm`.
    pub fn firm_if(mut self, firm: bool) -> Self {
        self.firm = firm;
        self
    }

    /// The enterprise in this role.
    pub fn enterprise(&self, role: Role) -> Option<Enterprise> {
        self.parties
            .iter()
            .find(|party| party.0 == role)
            .map(|party| party.1)
    }

    /// The lists in which this fact has neighbours: facility, classifier and
    /// key, told apart by a first digit.
    pub fn lists(&self) -> SmallVec<[u64; 3]> {
        let list = |digit: u64, key: u32| {
            let classifier = i32::from(self.classifier) as u64;
            (digit * 4 + classifier) << 48 | u64::from(self.facility) << 32 | u64::from(key)
        };
        let mut lists = SmallVec::new();
        match &self.what {
            What::Gate { boxes, truck, .. } => {
                lists.extend(truck.map(|truck| list(1, truck)));
                lists.extend(boxes.iter().map(|container| list(2, container.number)));
            }
            What::Quay {
                container,
                restow: false,
                ..
            } => lists.push(list(2, container.number)),
            What::Dispatch { order, .. } => lists.push(list(3, *order)),
            What::Vessel { call, .. } => lists.push(list(4, *call)),
            What::Service { order, .. } => lists.push(list(5, *order)),
            _ => {}
        }
        lists
    }
}

/// Writes down what is told, and gives out numbers.
pub(super) struct Scribe {
    /// What was told, by number.
    pub facts: Vec<Fact>,
    /// The day: from, until (both inclusive). What happened outside is not
    /// told.
    pub day: (i64, i64),
    /// Until when (inclusive) plans are told.
    pub plans_until: i64,
    boxes: u32,
    orders: u32,
}

impl Scribe {
    /// Of this day.
    pub fn new(day: (i64, i64), plans_until: i64) -> Self {
        Self {
            facts: Vec::new(),
            day,
            plans_until,
            boxes: 0,
            orders: 0,
        }
    }

    /// Tells a fact. None if it is outside of the day.
    pub fn tell(&mut self, mut fact: Fact) -> Option<FactId> {
        let until = match fact.classifier {
            Classifier::Actual => self.day.1,
            _ => self.plans_until,
        };
        if !(self.day.0..=until).contains(&fact.at) {
            return None;
        }
        // What is expected to end does not end what really began.
        let facts = &self.facts;
        fact.ends
            .retain(|(_, start)| facts[*start as usize].classifier == fact.classifier);
        fact.identity = self.facts.len() as FactId;
        self.facts.push(fact);
        Some(self.facts.len() as FactId - 1)
    }

    /// A container that is nowhere else.
    pub fn new_box(&mut self, dice: &mut Dice, size: u8, fullness: Fullness) -> Container {
        self.boxes += 1;
        let tare = super::identifiers::SIZES[size as usize].tare_kg;
        let cargo = if fullness == Fullness::Empty {
            0
        } else {
            dice.between(2_000, 24_000)
        };
        let mass_kg = if dice.chance(0.003) {
            0
        } else {
            tare + cargo as u32
        };
        Container {
            number: self.boxes,
            mass_kg,
            size,
            fullness,
        }
    }

    /// The number of a new order, appointment, visit or document.
    pub fn number(&mut self) -> u32 {
        self.orders += 1;
        self.orders
    }
}
