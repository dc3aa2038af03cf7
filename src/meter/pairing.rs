//! Durations from pairs, whatever the order of arrival: each list is kept
//! sorted, and an insertion or removal concerns its neighbours only.
//!
//! A list is a chain from its latest point to its earliest: most points come at
//! the late end.

use super::cell::Day;
use super::contribution::PointKey;
use super::ledger::{EntryId, Mark};
use super::slab::Slab;
use super::tables::Tables;
use crate::event::Millis;
use crate::fingerprint::Fingerprint;
use crate::pb::DurationKind;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;

/// Start or end of a duration. At one instant, starts come before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// It starts.
    Start,
    /// It ends.
    End,
    /// A start on the first day of a key, in the list of the key before: it pairs
    /// in its own list, and here only keeps its neighbours apart.
    Between,
}

/// A pair that begins or ceases to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paired {
    /// 1: it is added; −1: it is taken back.
    pub sign: i64,
    /// Which duration.
    pub kind: DurationKind,
    /// How long, in ms.
    pub duration_ms: i64,
    /// The end event: it counts there, for its parties.
    pub end: EntryId,
}

/// An event's place in a list, complete.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Duration, side and list.
    pub point: PointKey,
    /// The instant.
    pub at: Millis,
    /// The event.
    pub entry: EntryId,
    /// Whether its pair is frozen.
    pub settled: bool,
}

/// A link of a chain, 16 bytes.
#[derive(Clone, Copy, Debug)]
struct Point {
    // The instant in ms, the duration's number (3 bits), the side (1 bit) and
    // whether its pair is frozen (1 bit).
    when: i64,
    entry: EntryId,
    /// The one before it in time.
    next: u32,
}

/// A list: its key, and its latest point.
#[derive(Clone, Copy, Debug)]
struct List {
    key: Fingerprint,
    head: u32,
}

const NONE: u32 = u32::MAX;
const SETTLED: i64 = 1;

impl Point {
    fn new(place: &Place) -> Self {
        let kind = i64::from(i32::from(place.point.kind));
        let side = i64::from(place.point.side == Side::End);
        let settled = place.settled || place.point.side == Side::Between;
        Self {
            when: place.at << 5 | kind << 2 | side << 1 | i64::from(settled),
            entry: place.entry,
            next: NONE,
        }
    }

    fn at(&self) -> Millis {
        self.when >> 5
    }

    fn side(&self) -> Side {
        if self.when & 2 == 0 {
            Side::Start
        } else {
            Side::End
        }
    }

    fn kind(&self) -> DurationKind {
        DurationKind::try_from((self.when >> 2 & 7) as i32).unwrap_or(DurationKind::Unspecified)
    }

    /// Instant, then starts before ends.
    fn rank(&self) -> i64 {
        self.when >> 1
    }
}

/// Orders two identities by their bytes, for points of equal rank.
pub trait Ties {
    /// Why they could not be told.
    type Error;

    /// Compares the identities of two entries in byte order.
    fn compare(&mut self, one: EntryId, other: EntryId) -> Result<Ordering, Self::Error>;
}

/// All pairing lists.
pub struct Pairing {
    horizon_ms: i64,
    points: Slab<Point>,
    lists: Tables<List>,
    /// Of events on the first day of a key: both lists of the truck.
    twins: FxHashMap<EntryId, [Fingerprint; 2]>,
}

impl Pairing {
    /// How many places all lists have.
    pub fn places(&self) -> usize {
        self.points.len()
    }

    /// No lists yet; the horizon limits all durations but truck turns.
    pub fn new(horizon_ms: i64) -> Self {
        let vacant = Point {
            when: 0,
            entry: NONE,
            next: NONE,
        };
        Self {
            horizon_ms,
            points: Slab::new(vacant),
            lists: Tables::new(),
            twins: FxHashMap::default(),
        }
    }

    /// Notes the two lists of a truck in which an event is.
    pub fn join(&mut self, entry: EntryId, lists: [Fingerprint; 2]) {
        self.twins.insert(entry, lists);
    }

    /// Drops what was noted of an event that is in no list any more.
    pub fn part(&mut self, entry: EntryId) {
        self.twins.remove(&entry);
    }

    /// The other list of the truck in which an event is, if it is in two.
    pub fn twin(&self, entry: EntryId, list: Fingerprint) -> Option<Fingerprint> {
        match *self.twins.get(&entry)? {
            [one, other] if one == list => Some(other),
            [one, other] if other == list => Some(one),
            _ => None,
        }
    }

    /// Freezes the place of an event in a list.
    pub fn freeze(&mut self, list: Fingerprint, entry: EntryId) {
        let mut place = self.head(list);
        while place != NONE && self.points[place].entry != entry {
            place = self.points[place].next;
        }
        if place != NONE {
            self.points[place].when |= SETTLED;
        }
    }

    /// Enters an event: what its neighbours were to each other is taken back,
    /// what they are to it is added.
    ///
    /// # Errors
    /// If ties could not be told; then nothing is entered.
    pub fn insert<T: Ties>(
        &mut self,
        place: &Place,
        ties: &mut T,
        out: &mut Vec<Paired>,
    ) -> Result<(), T::Error> {
        let mut point = Point::new(place);
        let (mut after, mut before) = (NONE, self.head(place.point.list));
        while before != NONE && !self.is_before(before, &point, ties)? {
            (after, before) = (before, self.points[before].next);
        }
        let (earlier, later) = (self.at(before), self.at(after));
        out.extend(self.pair(earlier, later, -1));
        out.extend(self.pair(earlier, Some(point), 1));
        out.extend(self.pair(Some(point), later, 1));
        point.next = before;
        let new = self.points.insert(point);
        self.link(place.point.list, after, new);
        Ok(())
    }

    /// Takes an event out again: the reverse of [`Pairing::insert`].
    pub fn remove(&mut self, list: Fingerprint, entry: EntryId, out: &mut Vec<Paired>) {
        let (mut after, mut found) = (NONE, self.head(list));
        while found != NONE && self.points[found].entry != entry {
            (after, found) = (found, self.points[found].next);
        }
        let Some(point) = self.at(found) else { return };
        let (earlier, later) = (self.at(point.next), self.at(after));
        out.extend(self.pair(earlier, Some(point), -1));
        out.extend(self.pair(Some(point), later, -1));
        out.extend(self.pair(earlier, later, 1));
        self.link(list, after, point.next);
        self.points.remove(found);
    }

    /// The lists in which entries that are due have a point, by the day on which
    /// they are.
    pub fn due(&self, day_of: impl Fn(EntryId) -> Option<Day>) -> BTreeMap<Day, Vec<Fingerprint>> {
        let mut due: BTreeMap<Day, Vec<Fingerprint>> = BTreeMap::new();
        for list in self.lists.iter().flatten() {
            for day in self
                .chain(list.head)
                .filter_map(|point| day_of(point.entry))
            {
                let lists = due.entry(day).or_default();
                if lists.last() != Some(&list.key) {
                    lists.push(list.key);
                }
            }
        }
        due
    }

    /// Freezes each pair of a list of which one is due: both places pair no more.
    pub fn settle(
        &mut self,
        list: Fingerprint,
        is_due: impl Fn(EntryId) -> bool,
        mut mark: impl FnMut(EntryId, Mark),
    ) {
        let mut later = self.head(list);
        while later != NONE {
            let earlier = self.points[later].next;
            let (start, end) = (self.at(earlier), self.at(later));
            if self.pair(start, end, 1).is_some() {
                let both = [earlier, later].map(|place| self.points[place]);
                if both.iter().any(|point| is_due(point.entry)) {
                    for (place, point) in [earlier, later].into_iter().zip(both) {
                        self.points[place].when |= SETTLED;
                        mark(point.entry, (list, point.side()));
                    }
                }
            }
            later = earlier;
        }
    }

    /// Takes what is due out of a list. Who become neighbours pair like any.
    pub fn forget(
        &mut self,
        list: Fingerprint,
        is_due: impl Fn(EntryId) -> bool,
        out: &mut Vec<Paired>,
    ) {
        let (mut later, mut place) = (NONE, self.head(list));
        while place != NONE {
            let mut gone = Vec::new();
            while place != NONE && is_due(self.points[place].entry) {
                gone.push(place);
                place = self.points[place].next;
            }
            if !gone.is_empty() {
                out.extend(self.pair(self.at(place), self.at(later), 1));
                self.link(list, later, place);
                gone.into_iter().for_each(|place| self.points.remove(place));
            }
            if place != NONE {
                (later, place) = (place, self.points[place].next);
            }
        }
    }

    /// Adds a point to a list that is put in order later, by [`Pairing::sort`].
    pub fn load(&mut self, place: &Place) {
        let mut point = Point::new(place);
        point.next = self.head(place.point.list);
        let new = self.points.insert(point);
        self.link(place.point.list, NONE, new);
    }

    /// Puts all lists in order.
    ///
    /// # Errors
    /// If ties could not be told.
    pub fn sort<T: Ties>(&mut self, ties: &mut T) -> Result<(), T::Error> {
        for table in self.lists.iter_mut() {
            for list in table.iter_mut() {
                list.head = sort(&mut self.points, list.head, ties)?;
            }
        }
        Ok(())
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn chain(&self, head: u32) -> impl Iterator<Item = Point> + '_ {
        std::iter::successors(self.at(head), |point| self.at(point.next))
    }

    fn at(&self, place: u32) -> Option<Point> {
        (place != NONE).then(|| self.points[place])
    }

    fn head(&self, list: Fingerprint) -> u32 {
        let found = self
            .lists
            .of(list)
            .find(list.hash(), |other| other.key == list);
        found.map_or(NONE, |list| list.head)
    }

    /// Lets the point `after`, or the list itself if that is none, go on with
    /// `next`. A list without points is dropped.
    fn link(&mut self, key: Fingerprint, after: u32, next: u32) {
        if after != NONE {
            self.points[after].next = next;
            return;
        }
        let table = self.lists.of_mut(key);
        match table.find_entry(key.hash(), |other| other.key == key) {
            Ok(found) if next == NONE => drop(found.remove()),
            Ok(mut found) => found.get_mut().head = next,
            Err(_) if next == NONE => {}
            Err(_) => {
                let list = List { key, head: next };
                table.insert_unique(key.hash(), list, |list| list.key.hash());
            }
        }
    }

    fn is_before<T: Ties>(&self, place: u32, new: &Point, ties: &mut T) -> Result<bool, T::Error> {
        Ok(order(&self.points[place], new, ties)?.is_lt())
    }

    /// The pair of two neighbours, if they are one.
    fn pair(&self, start: Option<Point>, end: Option<Point>, sign: i64) -> Option<Paired> {
        let (start, end) = (start?, end?);
        let kind = end.kind();
        let limit_ms = if kind == DurationKind::TruckTurn {
            24 * HOUR_MS
        } else {
            self.horizon_ms
        };
        let duration_ms = end.at() - start.at();
        let pairs = start.side() == Side::Start
            && end.side() == Side::End
            && (start.when | end.when) & SETTLED == 0
            && duration_ms <= limit_ms;
        pairs.then_some(Paired {
            sign,
            kind,
            duration_ms,
            end: end.entry,
        })
    }
}

/// By instant, starts before ends, then identity in byte order.
fn order<T: Ties>(one: &Point, other: &Point, ties: &mut T) -> Result<Ordering, T::Error> {
    match one.rank().cmp(&other.rank()) {
        Ordering::Equal => ties.compare(one.entry, other.entry),
        unequal => Ok(unequal),
    }
}

/// Sorts a chain; its new head.
fn sort<T: Ties>(points: &mut Slab<Point>, head: u32, ties: &mut T) -> Result<u32, T::Error> {
    let mut chain = Vec::new();
    let mut place = head;
    while place != NONE {
        let point = points[place];
        // By insertion, from the early end: most come in order already.
        let mut at = chain.len();
        while at > 0 && order(&point, &chain[at - 1], ties)?.is_lt() {
            at -= 1;
        }
        chain.insert(at, point);
        place = point.next;
    }
    let mut places = Vec::with_capacity(chain.len());
    place = head;
    while place != NONE {
        places.push(place);
        place = points[place].next;
    }
    let mut next = NONE;
    for (&place, point) in places.iter().zip(chain) {
        points[place] = Point { next, ..point };
        next = place;
    }
    Ok(next)
}
