//! What goes with trucks on paper: appointments and shipments.

use super::super::fact::{Fact, Source, What};
use super::super::plan::Errand;
use super::super::random::{HOUR, MINUTE};
use super::{Job, Roads, Visit};
use crate::pb::{AppointmentStage, ShipmentStage};

impl Roads<'_> {
    /// The slot that a visit is meant for: most come within it.
    pub(super) fn slot(&mut self, visit: Visit) -> (i64, i64) {
        let length = if visit.source == Source::Tos {
            HOUR
        } else {
            2 * HOUR
        };
        let meant = visit.stay.0
            - if self.dice.chance(0.9) {
                0
            } else {
                self.dice.minutes(-30, 30)
            };
        let start = meant - meant.rem_euclid(length);
        (start, start + length)
    }

    /// The appointments of a visit: the one that is used, and those before it
    /// that were given up, missed or refused.
    pub(super) fn book(&mut self, job: &Job, visit: Visit) {
        use AppointmentStage as Stage;
        let slot = self.slot(visit);
        let length = slot.1 - slot.0;
        let earlier = (slot.0 - 2 * length, slot.1 - 2 * length);
        match self.dice.unit() {
            u if u < 0.05 => self.change(job, visit, earlier),
            u if u < 0.07 => {
                let at = earlier.0 - self.dice.minutes(10, 60);
                self.appoint(job, visit, earlier, &[Stage::Cancelled], at);
            }
            // Confirmed, and nobody came.
            u if u < 0.10 => self.appoint(job, visit, earlier, &[], earlier.0),
            u if u < 0.11 => {
                let at = earlier.0 + self.dice.minutes(-40, -31);
                self.appoint(job, visit, earlier, &[Stage::Refused], at);
            }
            _ => {}
        }
        let at = visit.stay.0 - self.dice.between(2_000, 30_000);
        self.appoint(job, visit, slot, &[Stage::Used], at);
    }

    /// A slot that was confirmed and given up for another one.
    fn change(&mut self, job: &Job, visit: Visit, slot: (i64, i64)) {
        let at = slot.0 - self.dice.minutes(5, 60);
        self.appoint(job, visit, slot, &[AppointmentStage::Changed], at);
    }

    /// An appointment that is requested, confirmed and comes to an end.
    pub(super) fn appoint(
        &mut self,
        job: &Job,
        visit: Visit,
        slot: (i64, i64),
        end: &[AppointmentStage],
        at: i64,
    ) {
        let appointment = self.scribe.number();
        let requested = at - self.dice.minutes(100, 600);
        let confirmed = requested + self.dice.between(1_000, 10 * MINUTE);
        let begin = [
            (AppointmentStage::Requested, requested),
            (AppointmentStage::Confirmed, confirmed),
        ];
        for (stage, at) in begin
            .into_iter()
            .chain(end.iter().map(|&stage| (stage, at)))
        {
            let what = What::Appointment {
                appointment,
                stage,
                slot,
            };
            let parties = [job.forwarder, job.fleet, visit.place.operator];
            let fact = Fact::new(Source::Ygt, visit.place.facility, at, what).by(&parties);
            self.scribe.tell(fact);
        }
    }

    fn paper(&mut self, job: &Job, stage: ShipmentStage, at: i64) {
        let what = What::Shipment {
            stage,
            document: job.document,
        };
        let parties = [job.forwarder, job.shipper, job.carrier];
        self.scribe
            .tell(Fact::new(Source::Ygt, job.terminal.facility, at, what).by(&parties));
    }

    pub(super) fn export_papers(&mut self, job: &Job, errand: &Errand) {
        let released = job.begin - self.dice.minutes(240, 600);
        let booked = released - self.dice.minutes(60, 600);
        let weighed = errand.worked + self.dice.minutes(5, 30);
        let cleared = errand.worked + self.dice.minutes(60, 240);
        self.paper(job, ShipmentStage::Booked, booked);
        self.paper(job, ShipmentStage::Released, released);
        if self.dice.chance(0.03) {
            self.paper(job, ShipmentStage::ReleaseRevoked, released + 20 * MINUTE);
            self.paper(job, ShipmentStage::Released, released + 90 * MINUTE);
        }
        self.paper(job, ShipmentStage::VgmDeclared, weighed);
        self.paper(job, ShipmentStage::CustomsCleared, cleared);
    }

    pub(super) fn import_papers(&mut self, job: &Job, claimed: i64) {
        let cleared = claimed - self.dice.minutes(100, 600);
        let released = cleared + self.dice.minutes(5, 60);
        if self.dice.chance(0.03) {
            let held = cleared - self.dice.minutes(60, 300);
            self.paper(job, ShipmentStage::Held, held);
        }
        self.paper(job, ShipmentStage::CustomsCleared, cleared);
        self.paper(job, ShipmentStage::Released, released);
    }
}
