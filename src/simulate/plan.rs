//! A truck's round: when it is where.

use super::random::{Dice, HOUR, MINUTE, Rhythm};
use super::town::{Party, Town};

/// A stay between a gate's passages, in and out.
pub(super) type Stay = (i64, i64);

/// What becomes of a round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done.
    Done,
    /// 货代取消: it never comes to it.
    Withdrawn,
    /// 终止: it is ended before the truck leaves.
    Terminated,
    /// 落空: the truck comes in vain.
    InVain,
}

/// A depot's part in a round, with the work on the cargo.
#[derive(Clone, Copy)]
pub(super) struct Errand {
    /// Which depot.
    pub depot: usize,
    /// The stay there.
    pub stay: Stay,
    /// When the box is stuffed or stripped.
    pub worked: i64,
}

/// One round of one truck: an empty box from a depot, stuffed, to the terminal;
/// or a laden one from the terminal, stripped, to a depot; or both with one
/// visit of the terminal (双重运输).
#[derive(Clone, Copy)]
pub(super) struct Round {
    /// Whose order: an index into the town's forwarders.
    pub forwarder: usize,
    /// For which owner of the cargo.
    pub shipper: Party,
    /// Which terminal.
    pub terminal: usize,
    /// The stay there.
    pub stay: Stay,
    /// The empty box's way to the terminal.
    pub export: Option<Errand>,
    /// The empty box's way back.
    pub import: Option<Errand>,
    /// What becomes of it.
    pub fate: Fate,
}

impl Round {
    /// One whose truck comes to the terminal by the port's rhythm.
    pub fn new(dice: &mut Dice, town: &Town, rhythm: &Rhythm) -> Self {
        let forwarder = town.forwarder_share.throw(dice);
        let habits = &town.forwarders[forwarder];
        let usual = dice.chance(0.8);
        let terminal = if usual {
            dice.pick(&habits.terminals)
        } else {
            town.terminal_share.throw(dice)
        };
        let came = rhythm.throw(dice);
        let stay = (came, came + turn(dice, 36.0));
        let kind = dice.unit();
        let export = (kind < 0.58).then(|| export(dice, town, forwarder, came));
        let import = (kind >= 0.42).then(|| import(dice, town, forwarder, stay.1));
        let fate = match dice.unit() {
            _ if export.is_some() && import.is_some() => Fate::Done,
            u if u < 0.02 => Fate::Withdrawn,
            u if u < 0.03 => Fate::Terminated,
            u if u < 0.04 => Fate::InVain,
            _ => Fate::Done,
        };
        let shipper = town.shippers[dice.pick(&habits.shippers)];
        Self {
            forwarder,
            shipper,
            terminal,
            stay,
            export,
            import,
            fate,
        }
    }

    /// When the truck begins.
    pub fn begin(&self) -> i64 {
        self.export.map_or(self.stay.0, |errand| errand.stay.0)
    }

    /// When the truck has finished.
    pub fn finish(&self) -> i64 {
        self.import.map_or(self.stay.1, |errand| errand.stay.1)
    }
}

/// An empty box is fetched, and stuffed in time.
fn export(dice: &mut Dice, town: &Town, forwarder: usize, came: i64) -> Errand {
    let worked = came - dice.minutes(40, 100);
    let left = worked - dice.minutes(80, 200);
    Errand {
        depot: depot(dice, town, forwarder),
        stay: (left - turn(dice, 17.0), left),
        worked,
    }
}

/// A box is stripped, and the empty one brought back.
fn import(dice: &mut Dice, town: &Town, forwarder: usize, left: i64) -> Errand {
    let worked = left + dice.minutes(80, 220);
    let came = worked + dice.minutes(30, 90);
    Errand {
        depot: depot(dice, town, forwarder),
        stay: (came, came + turn(dice, 15.0)),
        worked,
    }
}

fn depot(dice: &mut Dice, town: &Town, forwarder: usize) -> usize {
    let usual = dice.chance(0.85);
    if usual {
        dice.pick(&town.forwarders[forwarder].depots)
    } else {
        dice.index(town.depots.len())
    }
}

/// How long a truck stays: one in twenty meets trouble and needs an hour more.
fn turn(dice: &mut Dice, median_min: f64) -> i64 {
    let usual = dice.lognormal(median_min, 0.33);
    let trouble = if dice.chance(0.05) {
        dice.lognormal(60.0, 0.25)
    } else {
        0
    };
    (usual + trouble).clamp(3 * MINUTE, 12 * HOUR)
}

/// Trucks, and until when each is busy.
pub(super) struct Trucks {
    busy_until: Vec<i64>,
    /// Whom to ask first in each fleet.
    next: Vec<u32>,
}

/// How long a truck rests between two rounds.
const REST: i64 = 20 * MINUTE;

impl Trucks {
    /// All free.
    pub fn new(town: &Town, trucks: u32) -> Self {
        let next = town.fleets.iter().map(|fleet| fleet.trucks.0).collect();
        Self {
            busy_until: vec![i64::MIN; trucks as usize],
            next,
        }
    }

    /// A truck for a round, and its fleet: of those that the forwarder knows,
    /// or of any. None if all that were asked are busy. Rounds are asked for in
    /// order of their begin, so a truck's rounds never overlap.
    pub fn hire(&mut self, dice: &mut Dice, town: &Town, round: &Round) -> Option<(u32, usize)> {
        for attempt in 0..40 {
            let known = attempt < 4 && dice.chance(0.8);
            let habits = &town.forwarders[round.forwarder].fleets;
            let fleet = if known {
                dice.pick(habits)
            } else {
                town.fleet_share.throw(dice)
            };
            if let Some(truck) = self.free(town, fleet, round.begin()) {
                self.busy_until[truck as usize] = round.finish() + REST;
                return Some((truck, fleet));
            }
        }
        None
    }

    fn free(&mut self, town: &Town, fleet: usize, from: i64) -> Option<u32> {
        let (first, end) = town.fleets[fleet].trucks;
        for _ in 0..(end - first).min(8) {
            let truck = self.next[fleet];
            self.next[fleet] = if truck + 1 < end { truck + 1 } else { first };
            if self.busy_until[truck as usize] < from {
                return Some(truck);
            }
        }
        None
    }
}
