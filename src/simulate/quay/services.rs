//! The services that vessels use: pilotage, towage, mooring …

use super::super::fact::{Fact, Scribe, Source, What};
use super::super::random::{Dice, MINUTE};
use super::super::town::Town;
use super::Quays;
use crate::pb::{DurationKind, ServiceKind, ServiceStage};

impl Quays {
    /// The services that a call uses, by kind of vessel.
    pub(super) fn services(&self, dice: &mut Dice, town: &Town, scribe: &mut Scribe, number: u32) {
        use ServiceKind as Kind;
        let call = &self.calls[number as usize];
        let (berthed, unberthed) = (call.berthed, call.unberthed);
        let ship = if call.imo.is_empty() { 0.0 } else { 1.0 };
        let services = [
            (Kind::Pilotage, ship, berthed - 100 * MINUTE, 90.0),
            (Kind::Towage, ship, berthed - 40 * MINUTE, 35.0),
            (Kind::Mooring, 1.0, berthed - 8 * MINUTE, 15.0),
            (Kind::Pilotage, ship, unberthed - 5 * MINUTE, 80.0),
            (Kind::Towage, ship, unberthed - 10 * MINUTE, 30.0),
            (Kind::Mooring, 1.0, unberthed - 12 * MINUTE, 11.0),
            (Kind::Bunkering, 0.3 * ship, berthed + 90 * MINUTE, 240.0),
            (Kind::Supply, 0.35, berthed + 60 * MINUTE, 100.0),
            (Kind::Waste, 0.25, berthed + 70 * MINUTE, 60.0),
            (Kind::Survey, 0.2, berthed + 45 * MINUTE, 80.0),
            (Kind::Repair, 0.05, berthed + 50 * MINUTE, 300.0),
            (Kind::Insurance, 0.05, berthed - 300 * MINUTE, 30.0),
            (Kind::Information, 0.15, berthed - 400 * MINUTE, 20.0),
            (Kind::Other, 0.05, berthed + 30 * MINUTE, 45.0),
        ];
        for (kind, share, start, median_min) in services {
            if dice.chance(share) {
                let start = start + dice.minutes(-10, 10);
                self.service(dice, town, scribe, (number, kind, start, median_min));
            }
        }
    }

    fn service(
        &self,
        dice: &mut Dice,
        town: &Town,
        scribe: &mut Scribe,
        (number, kind, start, median_min): (u32, ServiceKind, i64, f64),
    ) {
        let call = &self.calls[number as usize];
        let order = scribe.number();
        let [carrier, agent, _] = call.parties;
        // Each provider is known for one or two services.
        let of_kind = i32::from(kind) as usize + 11 * dice.index(2);
        let parties = [
            town.providers[of_kind % town.providers.len()],
            agent,
            carrier,
        ];
        let fact = |stage, at| {
            let what = What::Service {
                kind,
                stage,
                order,
                call: number,
            };
            let place = town.terminals[call.terminal].facility;
            Fact::new(Source::Ygt, place, at, what).by(&parties)
        };
        scribe.tell(fact(ServiceStage::Ordered, start - dice.minutes(120, 900)));
        if dice.chance(0.04) {
            scribe.tell(fact(ServiceStage::Cancelled, start - dice.minutes(20, 100)));
            return;
        }
        let started = scribe.tell(fact(ServiceStage::Started, start));
        let took = dice.lognormal(median_min, 0.3).max(MINUTE);
        let completed = fact(ServiceStage::Completed, start + took);
        scribe.tell(completed.ending(DurationKind::ServiceTime, started));
    }
}
