//! Vessels: their calls, and what the cranes move.

mod services;

use super::fact::{Container, Fact, FactId, Scribe, Source, What};
use super::identifiers::{SIZES, call_sign, imo};
use super::random::{Dice, HOUR, MINUTE};
use super::town::{Party, Town};
use crate::pb::{Classifier, DurationKind, Fullness, VesselCallStage, YardActivity};
use compact_str::{CompactString, format_compact};

/// A vessel's call.
pub(super) struct Call {
    /// The reporter's id.
    pub id: CompactString,
    /// A ship's IMO number; empty for a barge.
    pub imo: CompactString,
    /// A barge's call sign; empty for a ship.
    pub call_sign: CompactString,
    /// The voyage.
    pub voyage: CompactString,
    parties: [Party; 3],
    terminal: usize,
    berthed: i64,
    unberthed: i64,
}

/// A box that was discharged.
#[derive(Clone, Copy)]
pub(super) struct Landed {
    /// The box.
    pub container: Container,
    /// Whose.
    pub carrier: Party,
    /// That it was discharged, if it was told.
    pub discharged: Option<FactId>,
    at: i64,
    taken: bool,
}

/// A place on a vessel, and when it is loaded.
struct Stowage {
    at: i64,
    call: u32,
    cargo: Option<Stowed>,
}

/// A box that is to be loaded.
#[derive(Clone, Copy)]
pub(super) struct Stowed {
    /// The box.
    pub container: Container,
    /// Whose.
    pub carrier: Party,
    /// That it came in, if it was told.
    pub arrived: Option<FactId>,
}

/// All quays.
pub(super) struct Quays {
    /// Calls by number.
    pub calls: Vec<Call>,
    landed: Vec<Vec<Landed>>,
    stowage: Vec<Vec<Stowage>>,
}

/// How much the quays do.
pub(super) struct Volume {
    /// Boxes over the quay a day.
    pub moves_per_day: f64,
    /// Calls a day.
    pub calls_per_day: f64,
    /// Calls that berth from, until.
    pub span: (i64, i64),
}

impl Quays {
    /// Plans all calls, and tells of the vessels, their services and what they
    /// discharge.
    pub fn new(dice: &mut Dice, town: &Town, scribe: &mut Scribe, volume: &Volume) -> Self {
        let terminals = town.terminals.len();
        let mut quays = Self {
            calls: Vec::new(),
            landed: std::iter::repeat_with(Vec::new).take(terminals).collect(),
            stowage: std::iter::repeat_with(Vec::new).take(terminals).collect(),
        };
        let days = (volume.span.1 - volume.span.0) as f64 / (24 * HOUR) as f64;
        for _ in 0..(volume.calls_per_day * days).ceil() as usize {
            quays.plan(dice, town, scribe, volume);
        }
        for landed in &mut quays.landed {
            landed.sort_by_key(|landed| landed.at);
        }
        for stowage in &mut quays.stowage {
            stowage.sort_by_key(|stowage| stowage.at);
        }
        quays
    }

    fn plan(&mut self, dice: &mut Dice, town: &Town, scribe: &mut Scribe, volume: &Volume) {
        let number = self.calls.len() as u32;
        let terminal = town.terminal_share.throw(dice);
        let barge = dice.chance(0.35);
        let mean = volume.moves_per_day / volume.calls_per_day;
        let share = if barge { 0.15 } else { 1.46 };
        let spread = 0.4 + 1.2 * dice.unit();
        let moves = ((mean * share * spread) as i64).max(4);
        let cranes = (moves / 220 + 1).min(7);
        let pace = HOUR / (cranes * dice.between(24, 34));
        let berthed = dice.between(volume.span.0, volume.span.1);
        let begun = berthed + dice.minutes(30, 90);
        let call = Call {
            id: format_compact!("V{:06}", 100_000 + number),
            imo: if barge { "".into() } else { imo(number % 1500) },
            call_sign: if barge {
                call_sign(number % 300)
            } else {
                "".into()
            },
            voyage: format_compact!("{:03}{}", number % 900 + 1, dice.pick(&["E", "W"])),
            parties: [
                town.carriers[town.carrier_share.throw(dice)],
                dice.pick(&town.agents),
                town.terminals[terminal].operator,
            ],
            terminal,
            berthed,
            unberthed: begun + (moves + 1) * pace + dice.minutes(25, 70),
        };
        self.calls.push(call);
        self.moments(dice, town, scribe, number);
        self.services(dice, town, scribe, number);
        self.work(dice, town, scribe, number, (begun, pace, moves));
    }

    /// Arrival to departure; planned days ahead, estimated when near.
    fn moments(&self, dice: &mut Dice, town: &Town, scribe: &mut Scribe, number: u32) {
        let call = &self.calls[number as usize];
        let arrived = call.berthed - dice.minutes(90, 600);
        let departed = call.unberthed + dice.minutes(15, 60);
        let moments = [
            (VesselCallStage::Arrived, arrived),
            (VesselCallStage::Berthed, call.berthed),
            (VesselCallStage::Unberthed, call.unberthed),
            (VesselCallStage::Departed, departed),
        ];
        for classifier in [
            Classifier::Planned,
            Classifier::Estimated,
            Classifier::Actual,
        ] {
            if classifier == Classifier::Estimated && call.berthed > scribe.day.1 + 24 * HOUR {
                continue;
            }
            // A plan is off by up to hours, but keeps its order.
            let off = match classifier {
                Classifier::Actual => 0,
                Classifier::Estimated => dice.minutes(-60, 60),
                _ => dice.minutes(-240, 240),
            };
            let mut berthed = None;
            for (stage, at) in moments {
                let what = What::Vessel {
                    stage,
                    call: number,
                };
                let place = town.terminals[call.terminal].facility;
                let fact = Fact::new(Source::Tos, place, at + off, what).by(&call.parties);
                let ended = if stage == VesselCallStage::Unberthed {
                    berthed
                } else {
                    None
                };
                let fact = fact
                    .ending(DurationKind::BerthStay, ended)
                    .only_as(classifier);
                let told = scribe.tell(fact);
                if stage == VesselCallStage::Berthed {
                    berthed = told;
                }
            }
        }
    }

    /// The cranes' sequence: discharge, restows, load.
    fn work(
        &mut self,
        dice: &mut Dice,
        town: &Town,
        scribe: &mut Scribe,
        number: u32,
        (begun, pace, moves): (i64, i64, i64),
    ) {
        let discharges = moves * dice.between(35, 65) / 100;
        let restows = moves * dice.between(0, 5) / 100;
        let terminal = self.calls[number as usize].terminal;
        for step in 0..moves {
            let at = begun + step * pace + dice.between(0, pace);
            if step < discharges {
                let landed = self.discharge(dice, town, scribe, number, at);
                self.landed[terminal].push(landed);
            } else if step < discharges + restows {
                let container = new_box(dice, scribe, Fullness::Laden);
                self.restow(town, scribe, number, at, container);
            } else {
                self.stowage[terminal].push(Stowage {
                    at,
                    call: number,
                    cargo: None,
                });
            }
        }
    }

    fn discharge(
        &self,
        dice: &mut Dice,
        town: &Town,
        scribe: &mut Scribe,
        number: u32,
        at: i64,
    ) -> Landed {
        let call = &self.calls[number as usize];
        let fullness = fullness(dice, 0.12);
        let container = new_box(dice, scribe, fullness);
        let what = What::Quay {
            load: false,
            restow: false,
            container,
            call: number,
        };
        let place = town.terminals[call.terminal].facility;
        let fact = Fact::new(Source::Tos, place, at, what).by(&call.parties);
        let discharged = scribe.tell(fact);
        Landed {
            container,
            carrier: call.parties[0],
            discharged,
            at,
            taken: false,
        }
    }

    fn restow(&self, town: &Town, scribe: &mut Scribe, number: u32, at: i64, container: Container) {
        let call = &self.calls[number as usize];
        let place = town.terminals[call.terminal].facility;
        let what = What::Quay {
            load: false,
            restow: true,
            container,
            call: number,
        };
        scribe.tell(Fact::new(Source::Tos, place, at, what).by(&call.parties));
        let what = What::Quay {
            load: true,
            restow: true,
            container,
            call: number,
        };
        scribe.tell(Fact::new(Source::Tos, place, at + 9 * MINUTE, what).by(&call.parties));
    }

    /// A laden box that has lain at a terminal for two hours at an instant; it
    /// is not given again.
    pub fn collect(&mut self, dice: &mut Dice, terminal: usize, at: i64) -> Option<Landed> {
        let landed = &mut self.landed[terminal];
        let count = landed.partition_point(|landed| landed.at < at - 2 * HOUR);
        let start = count - dice.index(count.min(1500));
        let free = landed[..start].iter_mut().rev().take(24);
        let mut laden = free.filter(|l| !l.taken && l.container.fullness == Fullness::Laden);
        let found = laden.next()?;
        found.taken = true;
        Some(*found)
    }

    /// Keeps a place on a vessel that loads at least three hours after an
    /// instant. Whether there was one.
    pub fn stow(&mut self, dice: &mut Dice, terminal: usize, at: i64, cargo: Stowed) -> bool {
        let stowage = &mut self.stowage[terminal];
        let first = stowage.partition_point(|place| place.at <= at + 3 * HOUR);
        let first = first + dice.index((stowage.len() - first).min(1500));
        let mut free = stowage[first..]
            .iter_mut()
            .take(24)
            .filter(|place| place.cargo.is_none());
        let Some(place) = free.next() else {
            return false;
        };
        place.cargo = Some(cargo);
        true
    }

    /// Loads all vessels: with what was stowed, transhipment, boxes that came
    /// by rail, and boxes that have lain there since before the day.
    pub fn load(&mut self, dice: &mut Dice, town: &Town, scribe: &mut Scribe) {
        for terminal in 0..town.terminals.len() {
            for at in 0..self.stowage[terminal].len() {
                let Stowage { at, call, cargo } = self.stowage[terminal][at];
                let place = town.terminals[terminal].facility;
                if at > scribe.day.1 {
                    self.foretell(dice, town, scribe, (call, at));
                    continue;
                }
                let cargo = cargo.unwrap_or_else(|| self.filler(dice, town, scribe, (call, at)));
                let what = What::Quay {
                    load: true,
                    restow: false,
                    container: cargo.container,
                    call,
                };
                let [_, agent, operator] = self.calls[call as usize].parties;
                let fact = Fact::new(Source::Tos, place, at, what);
                let fact = fact.by(&[cargo.carrier, agent, operator]);
                scribe.tell(fact.ending(DurationKind::Dwell, cargo.arrived));
            }
        }
    }

    /// Some of what a later vessel is to load.
    fn foretell(
        &self,
        dice: &mut Dice,
        town: &Town,
        scribe: &mut Scribe,
        (number, at): (u32, i64),
    ) {
        if !dice.chance(0.06) {
            return;
        }
        let call = &self.calls[number as usize];
        let container = new_box(dice, scribe, Fullness::Laden);
        let what = What::Quay {
            load: true,
            restow: false,
            container,
            call: number,
        };
        let place = town.terminals[call.terminal].facility;
        let fact = Fact::new(Source::Tos, place, at, what).by(&call.parties);
        scribe.tell(fact.only_as(Classifier::Planned));
    }

    fn filler(
        &mut self,
        dice: &mut Dice,
        town: &Town,
        scribe: &mut Scribe,
        (number, at): (u32, i64),
    ) -> Stowed {
        let terminal = self.calls[number as usize].terminal;
        let [carrier, _, operator] = self.calls[number as usize].parties;
        let transhipped = if dice.chance(0.2) {
            self.collect(dice, terminal, at)
        } else {
            None
        };
        if let Some(Landed {
            container,
            carrier,
            discharged,
            ..
        }) = transhipped
        {
            return Stowed {
                container,
                carrier,
                arrived: discharged,
            };
        }
        let fullness = fullness(dice, 0.3);
        let container = new_box(dice, scribe, fullness);
        let mut arrived = None;
        if dice.chance(0.08) {
            let visit = scribe.number();
            let boxes = [container].into_iter().collect();
            let what = What::Gate {
                out: false,
                boxes,
                truck: None,
                visit,
            };
            let place = town.terminals[terminal].facility;
            let came = at - dice.minutes(240, 1200);
            arrived =
                scribe.tell(Fact::new(Source::Tos, place, came, what).by(&[carrier, operator]));
        }
        Stowed {
            container,
            carrier,
            arrived,
        }
    }
}

/// The yard's own works on an import box between discharge and gate.
pub(super) fn inspect(
    dice: &mut Dice,
    scribe: &mut Scribe,
    place: u16,
    (container, at): (Container, i64),
    parties: &[Party],
) {
    let steps = [
        YardActivity::Remove,
        YardActivity::Inspect,
        YardActivity::Reseal,
    ];
    let mut at = at - dice.minutes(70, 110);
    for activity in steps {
        let what = What::Yard {
            activity,
            container,
        };
        scribe.tell(Fact::new(Source::Tos, place, at, what).by(parties));
        at += dice.minutes(5, 20);
    }
}

/// A new box of a random size.
fn new_box(dice: &mut Dice, scribe: &mut Scribe, fullness: Fullness) -> Container {
    let size = size(dice);
    scribe.new_box(dice, size, fullness)
}

/// A size by its share.
pub(super) fn size(dice: &mut Dice) -> u8 {
    let mut at = dice.unit();
    let found = SIZES.iter().position(|size| {
        at -= size.share;
        at < 0.0
    });
    found.unwrap_or_default() as u8
}

fn fullness(dice: &mut Dice, empty: f64) -> Fullness {
    match dice.unit() {
        u if u < empty => Fullness::Empty,
        u if u < empty + 0.01 => Fullness::Unknown,
        _ => Fullness::Laden,
    }
}
