//! Trucks: dispatch, gate, and what is carried.

mod office;

use super::fact::{Container, Fact, FactId, Scribe, Source, What};
use super::identifiers::SIZES;
use super::plan::{Errand, Fate, Round, Stay, Trucks};
use super::quay::{self, Quays, Stowed};
use super::random::{Dice, HOUR, MINUTE, Rhythm};
use super::town::{Party, Place, Town};
use crate::pb::{
    AppointmentStage, Classifier, DispatchStage, DurationKind, Fullness, YardActivity,
};
use smallvec::{SmallVec, smallvec};

/// A box, and the fact that brought it to where it is, if that was told.
type Held = (Container, Option<FactId>);
type Boxes = SmallVec<[Held; 2]>;

/// An empty box in a depot.
#[derive(Clone, Copy)]
struct Returned {
    at: i64,
    held: Held,
    carrier: Party,
}

/// One order of one truck.
#[derive(Clone, Copy)]
struct Job {
    order: u32,
    document: u32,
    truck: u32,
    forwarder: Party,
    fleet: Party,
    shipper: Party,
    carrier: Party,
    terminal: Place,
    begin: i64,
}

/// A visit of a place, without its boxes.
#[derive(Clone, Copy)]
struct Visit {
    place: Place,
    source: Source,
    stay: Stay,
}

/// All roads.
pub(super) struct Roads<'a> {
    dice: &'a mut Dice,
    town: &'a Town,
    scribe: &'a mut Scribe,
    quays: &'a mut Quays,
    depots: Vec<Vec<Returned>>,
}

impl<'a> Roads<'a> {
    /// Empty ones.
    pub fn new(
        dice: &'a mut Dice,
        town: &'a Town,
        scribe: &'a mut Scribe,
        quays: &'a mut Quays,
    ) -> Self {
        Self {
            dice,
            town,
            scribe,
            quays,
            depots: vec![Vec::new(); town.depots.len()],
        }
    }

    /// Drives this many rounds, whose trucks come to the terminal within a span
    /// of time.
    pub fn drive(&mut self, rounds: usize, span: (i64, i64), trucks: u32) {
        let rhythm = Rhythm::new(span.0, span.1);
        let plan = |_| Round::new(self.dice, self.town, &rhythm);
        let mut rounds: Vec<Round> = (0..rounds).map(plan).collect();
        rounds.sort_by_key(Round::begin);
        let mut trucks = Trucks::new(self.town, trucks);
        for round in rounds {
            if let Some((truck, fleet)) = trucks.hire(self.dice, self.town, &round) {
                self.go(&round, truck, self.town.fleets[fleet].party);
            }
        }
    }

    fn go(&mut self, round: &Round, truck: u32, fleet: Party) {
        let place = self.town.terminals[round.terminal];
        let job = Job {
            order: self.scribe.number(),
            document: self.scribe.number(),
            truck,
            forwarder: self.town.forwarders[round.forwarder].party,
            fleet,
            shipper: round.shipper,
            carrier: self.town.carriers[self.town.carrier_share.throw(self.dice)],
            terminal: place,
            begin: round.begin(),
        };
        let at_terminal = Visit {
            place,
            source: Source::Tos,
            stay: round.stay,
        };
        if round.fate != Fate::Done {
            return self.come_to_grief(&job, at_terminal, round.fate);
        }
        let (mut brought, mut job_out, mut job_in) = (Boxes::new(), None, None);
        if let Some(errand) = round.export {
            let (job, boxes) = self.fetch(job, &errand);
            brought = boxes;
            job_out = Some(job);
        }
        let mut taken = Boxes::new();
        if round.import.is_some() {
            let (order, document) = (self.scribe.number(), self.scribe.number());
            let (job, boxes) = self.claim(
                Job {
                    order,
                    document,
                    ..job
                },
                round,
            );
            taken = boxes;
            job_in = Some(job);
        }
        let (first, last) = (
            job_out.or(job_in).unwrap_or(job),
            job_in.or(job_out).unwrap_or(job),
        );
        self.book(&first, at_terminal);
        let entered = self.pass(at_terminal, (&first, &brought), (&last, &taken));
        if let Some(job) = job_out {
            self.hand_over(&job, round, &brought, entered);
        }
        if let (Some(job), Some(errand)) = (job_in, round.import) {
            self.bring_back(&job, &errand, &taken);
        }
    }

    /// Fetches an empty box, or two of 20 feet, and has it stuffed.
    fn fetch(&mut self, mut job: Job, errand: &Errand) -> (Job, Boxes) {
        let visit = self.at_depot(errand);
        let boxes: Boxes = match self.reuse(errand) {
            Some(Returned { held, carrier, .. }) => {
                job.carrier = carrier;
                smallvec![held]
            }
            None => {
                let size = quay::size(self.dice);
                let twin = SIZES[size as usize].code.starts_with('2') && self.dice.chance(0.3);
                let one = |_| (self.scribe.new_box(self.dice, size, Fullness::Empty), None);
                (0..1 + usize::from(twin)).map(one).collect()
            }
        };
        self.hire(&job);
        self.step(&job, DispatchStage::PickedUp, errand.stay.1 + MINUTE);
        self.book(&job, visit);
        self.pass(visit, (&job, &Boxes::new()), (&job, &boxes));
        self.export_papers(&job, errand);
        let door = self.dice.chance(0.1);
        let stuffed = boxes.iter().map(|&(container, _)| {
            let mass = if self.dice.chance(0.003) {
                0
            } else {
                self.dice.between(4_000, 30_000)
            };
            container.with(Fullness::Laden, mass as u32)
        });
        let stuffed: Boxes = stuffed.map(|container| (container, None)).collect();
        for &(container, _) in &stuffed {
            self.work(&job, visit, YardActivity::Stuff, errand.worked, container);
            if door {
                let at = errand.worked + 10 * MINUTE;
                self.work(&job, visit, YardActivity::Pick, at, container);
            }
        }
        (job, stuffed)
    }

    /// An empty box that was brought to the depot more than an hour before.
    fn reuse(&mut self, errand: &Errand) -> Option<Returned> {
        if !self.dice.chance(0.4) {
            return None;
        }
        let there = &mut self.depots[errand.depot];
        let fits = |returned: &Returned| returned.at + HOUR < errand.stay.0;
        let found = there.iter().take(24).position(fits)?;
        Some(there.remove(found))
    }

    /// Claims a discharged box, or one that has lain there since before the day.
    fn claim(&mut self, mut job: Job, round: &Round) -> (Job, Boxes) {
        let known = self.dice.chance(0.8);
        let landed = if known {
            self.quays.collect(self.dice, round.terminal, round.stay.0)
        } else {
            None
        };
        let held = match landed {
            Some(landed) => {
                job.carrier = landed.carrier;
                (landed.container, landed.discharged)
            }
            None => {
                let size = quay::size(self.dice);
                (self.scribe.new_box(self.dice, size, Fullness::Laden), None)
            }
        };
        self.hire(&job);
        self.import_papers(&job, round.stay.0);
        if self.dice.chance(0.04) {
            let parties = [job.forwarder, job.terminal.operator];
            let place = job.terminal.facility;
            quay::inspect(
                self.dice,
                self.scribe,
                place,
                (held.0, round.stay.0),
                &parties,
            );
        }
        (job, smallvec![held])
    }

    /// What was brought waits for its vessel.
    fn hand_over(&mut self, job: &Job, round: &Round, brought: &Boxes, entered: Option<FactId>) {
        self.step(job, DispatchStage::Returned, round.stay.0 + 10 * MINUTE);
        for &(container, _) in brought {
            let cargo = Stowed {
                container,
                carrier: job.carrier,
                arrived: entered,
            };
            self.quays
                .stow(self.dice, round.terminal, round.stay.1, cargo);
        }
    }

    /// What was taken is stripped, and the empty box brought to a depot.
    fn bring_back(&mut self, job: &Job, errand: &Errand, taken: &Boxes) {
        let visit = self.at_depot(errand);
        self.step(
            job,
            DispatchStage::PickedUp,
            job.begin.max(errand.worked - HOUR),
        );
        let door = self.dice.chance(0.1);
        let mut empty = Boxes::new();
        for &(container, _) in taken {
            if door {
                let at = errand.worked - 10 * MINUTE;
                self.work(job, visit, YardActivity::Drop, at, container);
            }
            let mass = SIZES[container.size as usize].tare_kg;
            let container = container.with(Fullness::Empty, mass);
            self.work(job, visit, YardActivity::Strip, errand.worked, container);
            empty.push((container, None));
        }
        self.book(job, visit);
        let entered = self.pass(visit, (job, &empty), (job, &Boxes::new()));
        self.step(job, DispatchStage::Returned, errand.stay.0 + MINUTE);
        for &(container, _) in &empty {
            let held = (container, entered);
            let returned = Returned {
                at: errand.stay.1,
                held,
                carrier: job.carrier,
            };
            self.depots[errand.depot].push(returned);
        }
    }

    fn at_depot(&self, errand: &Errand) -> Visit {
        let place = self.town.depots[errand.depot];
        Visit {
            place,
            source: Source::Eir,
            stay: errand.stay,
        }
    }

    /// Passes a gate in and out. The fact of passing in, if it was told.
    fn pass(
        &mut self,
        visit: Visit,
        (first, brought): (&Job, &Boxes),
        (last, taken): (&Job, &Boxes),
    ) -> Option<FactId> {
        let number = self.scribe.number();
        let soon = self.scribe.day.1..self.scribe.day.1 + 6 * HOUR;
        let expected = soon.contains(&visit.stay.0) && self.dice.chance(0.15);
        let classifier = if expected {
            Classifier::Estimated
        } else {
            Classifier::Actual
        };
        let gate = |out, job: &Job, boxes: &Boxes, at| {
            let boxes = boxes.iter().map(|held| held.0).collect();
            let what = What::Gate {
                out,
                boxes,
                truck: Some(job.truck),
                visit: number,
            };
            let parties = [job.forwarder, job.carrier, job.fleet, visit.place.operator];
            let fact = Fact::new(visit.source, visit.place.facility, at, what);
            fact.by(&parties).only_as(classifier)
        };
        let entered = self.scribe.tell(gate(false, first, brought, visit.stay.0));
        let left = gate(true, last, taken, visit.stay.1).ending(DurationKind::TruckTurn, entered);
        let left = taken
            .iter()
            .fold(left, |left, held| left.ending(DurationKind::Dwell, held.1));
        self.scribe.tell(left);
        entered
    }

    fn work(
        &mut self,
        job: &Job,
        visit: Visit,
        activity: YardActivity,
        at: i64,
        container: Container,
    ) {
        let what = What::Yard {
            activity,
            container,
        };
        let parties = [job.forwarder, job.shipper, job.fleet, visit.place.operator];
        let parties = &parties[..if activity == YardActivity::Stuff {
            2
        } else {
            4
        }];
        self.scribe
            .tell(Fact::new(Source::Eir, visit.place.facility, at, what).by(parties));
    }

    fn step(&mut self, job: &Job, stage: DispatchStage, at: i64) -> Option<FactId> {
        self.scribe.tell(self.dispatch(job, stage, at))
    }

    fn dispatch(&self, job: &Job, stage: DispatchStage, at: i64) -> Fact {
        let unknown = [
            DispatchStage::Ordered,
            DispatchStage::Offered,
            DispatchStage::Accepted,
        ];
        let truck = (!unknown.contains(&stage)).then_some(job.truck);
        let what = What::Dispatch {
            order: job.order,
            stage,
            truck,
        };
        let fact = Fact::new(Source::Ygt, job.terminal.facility, at, what);
        match stage {
            DispatchStage::Ordered => fact.by(&[job.forwarder, job.shipper]),
            _ => fact.by(&[job.forwarder, job.fleet]),
        }
    }

    /// From the order to the truck's assignment.
    fn hire(&mut self, job: &Job) {
        let assigned = job.begin - self.dice.minutes(30, 180);
        let accepted = assigned - self.dice.minutes(5, 90);
        let offered = accepted - self.dice.lognormal(12.0, 0.9).clamp(2_000, 6 * HOUR);
        let rejected = self.dice.chance(0.03);
        let mut ordered = offered - self.dice.minutes(2, 300);
        if rejected {
            let at = offered - self.dice.minutes(10, 60);
            ordered = at - MINUTE;
            let other = Job {
                fleet: self.town.other(self.dice, job.fleet),
                ..*job
            };
            self.scribe.tell(
                self.dispatch(&other, DispatchStage::Offered, at)
                    .firm_if(true),
            );
            self.step(&other, DispatchStage::Rejected, offered - 3 * MINUTE);
        }
        self.step(job, DispatchStage::Ordered, ordered);
        let offer = self
            .dispatch(job, DispatchStage::Offered, offered)
            .firm_if(rejected);
        let offer = self.scribe.tell(offer);
        let accept = self
            .dispatch(job, DispatchStage::Accepted, accepted)
            .firm_if(rejected);
        self.scribe
            .tell(accept.ending(DurationKind::Acceptance, offer));
        self.step(job, DispatchStage::Assigned, assigned);
    }

    fn come_to_grief(&mut self, job: &Job, visit: Visit, fate: Fate) {
        if fate == Fate::Withdrawn {
            let ordered = job.begin - self.dice.minutes(200, 700);
            self.step(job, DispatchStage::Ordered, ordered);
            self.step(job, DispatchStage::Offered, ordered + 2 * MINUTE);
            let withdrawn = ordered + self.dice.minutes(5, 120);
            self.step(job, DispatchStage::Withdrawn, withdrawn);
            return;
        }
        self.hire(job);
        if fate == Fate::Terminated {
            let ended = job.begin - self.dice.minutes(2, 25);
            self.step(job, DispatchStage::Terminated, ended);
            let slot = self.slot(visit);
            self.appoint(job, visit, slot, &[AppointmentStage::Cancelled], ended);
            return;
        }
        self.book(job, visit);
        self.pass(visit, (job, &Boxes::new()), (job, &Boxes::new()));
        self.step(job, DispatchStage::Failed, visit.stay.1 + 5 * MINUTE);
    }
}
