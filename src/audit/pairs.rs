//! Durations: every list of one key is sorted anew for each day on which
//! something in it is forgotten, and once more at the end. The lists of one truck
//! under several pseudonyms are looked at together.

use super::Day;
use super::life::{Life, Turn};
use super::told::{Name, Spot, Texts, Told};
use crate::event::Millis;
use crate::pb::DurationKind;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// The longest truck turn, inclusive.
const TRUCK_TURN_MS: i64 = 24 * 3_600_000;

/// A place in a list: whose, and what it says.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub life: usize,
    pub told: &'a Told,
    pub end: bool,
    spot: &'a Spot,
}

/// Whose place, in which classifier's list of which key, and whether as an end. The classifier is part
/// of what pairs: an identity that has become ACTUAL is in another list than it was.
type Place = (usize, i32, Name, bool);

impl<'a> Point<'a> {
    /// Its place, and that in the other list of the same truck if it has two: they
    /// are frozen together.
    fn places(self) -> impl Iterator<Item = Place> + 'a {
        let classifier = self.told.classifier.into();
        let truck = self.spot.kind == DurationKind::TruckTurn;
        let (kind, key) = (self.spot.kind, self.spot.key);
        let spots = self.told.spots.iter();
        let spots = spots.filter(move |spot| spot.kind == kind && (truck || spot.key == key));
        spots.map(move |spot| (self.life, classifier, spot.key, spot.end))
    }
}

/// Two that were or are each other's.
pub(super) struct Pair<'a> {
    pub kind: DurationKind,
    /// What both have in common: a tractor, an order, a call, a container.
    pub key: Name,
    pub start: Point<'a>,
    pub end: Point<'a>,
    /// The day before which it was frozen; none: it may still change.
    pub frozen: Option<Day>,
}

impl Pair<'_> {
    pub fn lasted_ms(&self) -> Millis {
        self.end.told.at - self.start.told.at
    }
}

/// All lives, and what is asked of them.
pub(super) struct Lists<'a> {
    pub lives: &'a [Life],
    pub texts: &'a Texts,
    pub horizon_days: i32,
    /// The log clock's day.
    pub clock: Day,
}

impl<'a> Lists<'a> {
    /// Every pair of every list.
    pub fn pairs(&self) -> Vec<Pair<'a>> {
        let told = |life: &'a Life| life.turns.iter().filter_map(|turn| turn.told.as_ref());
        let mut trucks = Trucks::default();
        self.lives
            .iter()
            .flat_map(told)
            .for_each(|told| trucks.join(told));
        let mut members: Vec<(DurationKind, Name, usize)> = Vec::new();
        for (index, life) in self.lives.iter().enumerate() {
            let spots = told(life).flat_map(|told| told.spots.iter());
            members.extend(spots.map(|spot| (spot.kind, trucks.group(spot), index)));
        }
        members.sort_unstable();
        members.dedup();
        let mut pairs = Vec::new();
        for list in members.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let lives: Vec<usize> = list.iter().map(|&(_, _, life)| life).collect();
            let here = |spot: &Spot| (spot.kind, trucks.group(spot)) == (list[0].0, list[0].1);
            self.lists(&here, &lives, &mut pairs);
        }
        pairs
    }

    /// The pairs of some lists that freeze together, whatever the classifier.
    fn lists(&self, here: &dyn Fn(&Spot) -> bool, lives: &[usize], pairs: &mut Vec<Pair<'a>>) {
        let forgotten = |life: usize| self.lives[life].forgotten_on(self.horizon_days);
        let due: BTreeSet<Day> = lives.iter().map(|&life| forgotten(life)).collect();
        // An identity's start or end that has been frozen pairs no more in that list.
        let mut settled: BTreeSet<Place> = BTreeSet::new();
        for &day in due.range(..=self.clock) {
            let alive = lives.iter().filter(|&&life| forgotten(life) >= day);
            let turns = alive.filter_map(|&life| Some((life, self.lives[life].before(day)?)));
            for mut pair in self.neighbours(points(turns, here), &settled) {
                if forgotten(pair.start.life) == day || forgotten(pair.end.life) == day {
                    settled.extend(pair.start.places().chain(pair.end.places()));
                    pair.frozen = Some(day);
                    pairs.push(pair);
                }
            }
        }
        let alive = lives.iter().filter(|&&life| forgotten(life) > self.clock);
        let turns = alive.filter_map(|&life| Some((life, self.lives[life].last()?)));
        pairs.extend(self.neighbours(points(turns, here), &settled));
    }

    /// Each end with the start immediately before it, if there is one.
    fn neighbours(&self, points: Vec<Point<'a>>, settled: &BTreeSet<Place>) -> Vec<Pair<'a>> {
        let mut lists: BTreeMap<(Name, i32), Vec<Point<'a>>> = BTreeMap::new();
        for point in points {
            let classifier = point.told.classifier.into();
            let list = lists.entry((point.spot.key, classifier)).or_default();
            list.push(point);
        }
        let mut pairs = Vec::new();
        for mut list in lists.into_values() {
            let order = |point: &Point<'a>| {
                let identity = self.lives[point.life].identity(self.texts);
                (point.told.at, point.end, identity)
            };
            list.sort_by(|a, b| order(a).cmp(&order(b)));
            for two in list.windows(2) {
                let (start, end) = (two[0], two[1]);
                let kind = end.spot.kind;
                let limit = match kind {
                    DurationKind::TruckTurn => TRUCK_TURN_MS,
                    _ => i64::from(self.horizon_days) * super::DAY_MS,
                };
                let frozen =
                    |point: Point<'a>| point.places().any(|place| settled.contains(&place));
                let opposite = !start.end && !start.spot.before && end.end;
                if opposite
                    && end.told.at - start.told.at <= limit
                    && !frozen(start)
                    && !frozen(end)
                {
                    pairs.push(Pair {
                        kind,
                        key: end.spot.key,
                        start,
                        end,
                        frozen: None,
                    });
                }
            }
        }
        pairs
    }
}

/// The places that what held gives lives in some lists.
fn points<'a>(
    turns: impl Iterator<Item = (usize, &'a Turn)>,
    here: &dyn Fn(&Spot) -> bool,
) -> Vec<Point<'a>> {
    let mut points = Vec::new();
    for (life, turn) in turns {
        let Some(told) = &turn.told else { continue };
        let spots = told.spots.iter().filter(|spot| here(spot));
        points.extend(spots.map(|spot| Point {
            life,
            told,
            end: spot.end,
            spot,
        }));
    }
    points
}

/// Which pseudonyms are one truck's, as far as is told: events of the first day of a
/// key have two.
#[derive(Default)]
struct Trucks(FxHashMap<Name, Name>);

impl Trucks {
    fn join(&mut self, told: &Told) {
        let trucks = told.spots.iter();
        let mut trucks = trucks.filter(|spot| spot.kind == DurationKind::TruckTurn);
        if let (Some(one), Some(other)) = (trucks.next(), trucks.next()) {
            let (one, other) = (self.first(one.key), self.first(other.key));
            if one != other {
                self.0.insert(one.max(other), one.min(other));
            }
        }
    }

    fn group(&self, spot: &Spot) -> Name {
        match spot.kind {
            DurationKind::TruckTurn => self.first(spot.key),
            _ => spot.key,
        }
    }

    /// Each step leads to a lower number: a truck has had few keys.
    fn first(&self, mut name: Name) -> Name {
        while let Some(&lower) = self.0.get(&name) {
            name = lower;
        }
        name
    }
}
