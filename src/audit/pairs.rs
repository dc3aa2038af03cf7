//! Durations: every list of one key is sorted anew for each day on which
//! something in it is forgotten, and once more at the end.

use super::Day;
use super::life::{Life, Turn};
use super::told::{Name, Spot, Texts, Told};
use crate::event::Millis;
use crate::pb::DurationKind;
use std::collections::{BTreeMap, BTreeSet};

/// The longest truck turn, inclusive.
const TRUCK_TURN_MS: i64 = 24 * 3_600_000;

/// A place in a list: whose, and what it says.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub life: usize,
    pub told: &'a Told,
    pub end: bool,
}

/// Whose place, of which classifier's list, and whether as an end. The classifier is part
/// of what pairs: an identity that has become ACTUAL is in another list than it was.
type Place = (usize, i32, bool);

impl Point<'_> {
    fn place(&self) -> Place {
        (self.life, self.told.classifier.into(), self.end)
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
        let mut members: Vec<(DurationKind, Name, usize)> = Vec::new();
        for (index, life) in self.lives.iter().enumerate() {
            let told = life.turns.iter().filter_map(|turn| turn.told.as_ref());
            let spots = told.flat_map(|told| told.spots.iter());
            members.extend(spots.map(|spot| (spot.kind, spot.key, index)));
        }
        members.sort_unstable();
        members.dedup();
        let mut pairs = Vec::new();
        for list in members.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let lives: Vec<usize> = list.iter().map(|&(_, _, life)| life).collect();
            self.list((list[0].0, list[0].1), &lives, &mut pairs);
        }
        pairs
    }

    /// The pairs of one kind and key, whatever the classifier.
    fn list(&self, of: (DurationKind, Name), lives: &[usize], pairs: &mut Vec<Pair<'a>>) {
        let forgotten = |life: usize| self.lives[life].forgotten_on(self.horizon_days);
        let due: BTreeSet<Day> = lives.iter().map(|&life| forgotten(life)).collect();
        // An identity's start or end that has been frozen pairs no more in that list.
        let mut settled: BTreeSet<Place> = BTreeSet::new();
        for &day in due.range(..=self.clock) {
            let alive = lives.iter().filter(|&&life| forgotten(life) >= day);
            let points = alive.filter_map(|&life| point(life, self.lives[life].before(day)?, of));
            for mut pair in self.neighbours(of, points.collect(), &settled) {
                if forgotten(pair.start.life) == day || forgotten(pair.end.life) == day {
                    settled.extend([pair.start.place(), pair.end.place()]);
                    pair.frozen = Some(day);
                    pairs.push(pair);
                }
            }
        }
        let alive = lives.iter().filter(|&&life| forgotten(life) > self.clock);
        let points = alive.filter_map(|&life| point(life, self.lives[life].last()?, of));
        pairs.extend(self.neighbours(of, points.collect(), &settled));
    }

    /// Each end with the start immediately before it, if there is one.
    fn neighbours(
        &self,
        (kind, key): (DurationKind, Name),
        points: Vec<Point<'a>>,
        settled: &BTreeSet<Place>,
    ) -> Vec<Pair<'a>> {
        let limit = match kind {
            DurationKind::TruckTurn => TRUCK_TURN_MS,
            _ => i64::from(self.horizon_days) * super::DAY_MS,
        };
        let mut lists: BTreeMap<i32, Vec<Point<'a>>> = BTreeMap::new();
        for point in points {
            let classifier = point.told.classifier.into();
            lists.entry(classifier).or_default().push(point);
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
                let free = !settled.contains(&start.place()) && !settled.contains(&end.place());
                if !start.end && end.end && free && end.told.at - start.told.at <= limit {
                    pairs.push(Pair {
                        kind,
                        key,
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

/// The place that what held gives a life in a list, if it gives it one.
fn point(life: usize, turn: &Turn, (kind, key): (DurationKind, Name)) -> Option<Point<'_>> {
    let told = turn.told.as_ref()?;
    let here = |spot: &&Spot| spot.kind == kind && spot.key == key;
    let spot = told.spots.iter().find(here)?;
    let end = spot.end;
    Some(Point { life, told, end })
}
