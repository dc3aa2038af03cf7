//! Durations from pairs, whatever the order of arrival: each list is kept
//! sorted, and an insertion or removal concerns its neighbours only.

use super::contribution::{PointKey, Side};
use super::ledger::{EntryId, Ledger};
use super::names::{NameId, Names};
use crate::event::{Classifier, Millis};
use crate::pb::DurationKind;
use compact_str::CompactString;
use hashbrown::HashMap;

const HOUR_MS: i64 = 3_600_000;

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

/// What a list is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ListKey {
    facility: NameId,
    classifier: Classifier,
    kind: DurationKind,
    key: CompactString,
}

/// A place in a list.
#[derive(Clone, Copy, Debug)]
struct Point {
    at: Millis,
    side: Side,
    settled: bool,
    entry: EntryId,
}

/// An event's place in a list, complete.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The facility.
    pub facility: NameId,
    /// The classifier.
    pub classifier: Classifier,
    /// Duration, side and key.
    pub point: &'a PointKey,
    /// The instant.
    pub at: Millis,
    /// The event.
    pub entry: EntryId,
}

/// All pairing lists.
pub struct Pairing {
    horizon_ms: i64,
    lists: HashMap<ListKey, Vec<Point>>,
}

impl Pairing {
    /// No lists yet; the horizon limits all durations but truck turns.
    pub fn new(horizon_ms: i64) -> Self {
        Self {
            horizon_ms,
            lists: HashMap::new(),
        }
    }

    /// Enters an event: what its neighbours were to each other is taken back,
    /// what they are to it is added.
    pub fn insert(&mut self, place: Place, ledger: &Ledger, names: &Names, out: &mut Vec<Paired>) {
        let limit = self.limit_ms(place.point.kind);
        let settled = ledger
            .get(place.entry)
            .is_some_and(|e| e.is_settled(place.point));
        let point = Point {
            at: place.at,
            side: place.point.side,
            settled,
            entry: place.entry,
        };
        let list = self.lists.entry(place.key()).or_default();
        let at = list.partition_point(|other| order(other, &point, ledger, names).is_lt());
        let before = at.checked_sub(1).map(|i| list[i]);
        let after = list.get(at).copied();
        let kind = place.point.kind;
        out.extend(pair(before, after, kind, limit, -1));
        out.extend(pair(before, Some(point), kind, limit, 1));
        out.extend(pair(Some(point), after, kind, limit, 1));
        list.insert(at, point);
    }

    /// Takes an event out again: the reverse of [`Pairing::insert`].
    pub fn remove(&mut self, place: Place, ledger: &Ledger, names: &Names, out: &mut Vec<Paired>) {
        let limit = self.limit_ms(place.point.kind);
        let key = place.key();
        let Some(list) = self.lists.get_mut(&key) else {
            return;
        };
        let Some(at) = find(list, &place, ledger, names) else {
            return;
        };
        let point = list.remove(at);
        let before = at.checked_sub(1).map(|i| list[i]);
        let after = list.get(at).copied();
        let kind = place.point.kind;
        out.extend(pair(before, Some(point), kind, limit, -1));
        out.extend(pair(Some(point), after, kind, limit, -1));
        out.extend(pair(before, after, kind, limit, 1));
        if list.is_empty() {
            self.lists.remove(&key);
        }
    }

    /// Freezes the pair of an event that is about to be forgotten: both places
    /// pair no more. Returns the partner and the partner's side.
    pub fn settle(
        &mut self,
        place: Place,
        ledger: &Ledger,
        names: &Names,
    ) -> Option<(EntryId, Side)> {
        let limit = self.limit_ms(place.point.kind);
        let list = self.lists.get_mut(&place.key())?;
        let at = find(list, &place, ledger, names)?;
        let (start, end) = match place.point.side {
            Side::Start => (at, at + 1),
            Side::End => (at.checked_sub(1)?, at),
        };
        pair(
            list.get(start).copied(),
            list.get(end).copied(),
            place.point.kind,
            limit,
            1,
        )?;
        list[start].settled = true;
        list[end].settled = true;
        let partner = list[start + end - at];
        Some((partner.entry, partner.side))
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    fn limit_ms(&self, kind: DurationKind) -> i64 {
        if kind == DurationKind::TruckTurn {
            24 * HOUR_MS
        } else {
            self.horizon_ms
        }
    }
}

impl Place<'_> {
    fn key(&self) -> ListKey {
        ListKey {
            facility: self.facility,
            classifier: self.classifier,
            kind: self.point.kind,
            key: self.point.key.clone(),
        }
    }
}

/// The pair of two neighbours, if they are one.
fn pair(
    start: Option<Point>,
    end: Option<Point>,
    kind: DurationKind,
    limit_ms: i64,
    sign: i64,
) -> Option<Paired> {
    let (start, end) = (start?, end?);
    let duration_ms = end.at - start.at;
    let pairs = start.side == Side::Start
        && end.side == Side::End
        && !start.settled
        && !end.settled
        && duration_ms <= limit_ms;
    pairs.then_some(Paired {
        sign,
        kind,
        duration_ms,
        end: end.entry,
    })
}

/// By instant, starts before ends, then identity in byte order.
fn order(a: &Point, b: &Point, ledger: &Ledger, names: &Names) -> std::cmp::Ordering {
    (a.at, a.side)
        .cmp(&(b.at, b.side))
        .then_with(|| ledger.compare(a.entry, b.entry, names))
}

fn find(list: &[Point], place: &Place, ledger: &Ledger, names: &Names) -> Option<usize> {
    let (at, side, entry) = (place.at, place.point.side, place.entry);
    let wanted = Point {
        at,
        side,
        settled: false,
        entry,
    };
    let found = list.partition_point(|other| order(other, &wanted, ledger, names).is_lt());
    list.get(found)
        .filter(|point| point.entry == entry)
        .map(|_| found)
}
