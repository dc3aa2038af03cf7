//! Posts many postings at once, owner by owner and place by place: what counts for
//! the same cells is added up before it is added to them. A sum does not depend on
//! the order, and memory that was touched once is not sought again.

use super::outbox::{Outbox, Value};
use super::series::{Hot, OwnerDay};
use super::{
    CallKey, CellKey, Cells, Census, Day, DayRecord, Owner, Posting, Quarter, Series, Totals,
    quarter_of,
};
use crate::event::Classifier;
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use std::sync::Arc;

/// Postings of a round: their numbers have 32 bits.
const POSTINGS_MAX: usize = 1 << 30;

/// A posting for one of its parties.
#[derive(Clone, Copy)]
struct Share {
    /// The owner: enterprise, role and classifier.
    owner: u64,
    /// Facility and quarter-hour.
    place: u64,
    posting: u32,
    party: u32,
}

/// All that is posted at once.
struct Round<'a> {
    postings: &'a [&'a Posting],
    /// The day of each, in the reporting zone.
    days: Vec<Day>,
    /// By owner, facility and quarter-hour.
    shares: Vec<Share>,
    oldest: Oldest,
}

/// What shares add up to.
#[derive(Default)]
struct Sums {
    quarter: Figures,
    day: Figures,
    totals: Totals,
}

/// Which cells are kept.
#[derive(Clone, Copy)]
struct Oldest {
    quarter: Quarter,
    day: Day,
}

impl Share {
    fn all<'a>(postings: &'a [&Posting]) -> impl Iterator<Item = Self> + 'a {
        (0..).zip(postings).flat_map(|(number, posting)| {
            let quarter = quarter_of(posting.at) as u32;
            let place = u64::from(posting.facility) << 32 | u64::from(quarter);
            (0..).zip(posting.owners()).map(move |(party, owner)| Self {
                owner: owner.number(),
                place,
                posting: number,
                party,
            })
        })
    }

    fn facility(&self) -> NameId {
        (self.place >> 32) as NameId
    }

    fn quarter(&self) -> Quarter {
        self.place as u32 as Quarter
    }
}

impl<'a> Round<'a> {
    fn of(postings: &'a [&'a Posting], days: Vec<Day>, oldest: Oldest) -> Self {
        let mut shares: Vec<Share> = Share::all(postings).collect();
        shares.sort_unstable_by_key(|share| (share.owner, share.place));
        Self {
            postings,
            days,
            shares,
            oldest,
        }
    }

    fn posting(&self, share: &Share) -> &'a Posting {
        self.postings[share.posting as usize]
    }

    fn day(&self, share: &Share) -> Day {
        self.days[share.posting as usize]
    }

    fn owner(&self, share: &Share) -> Option<Owner> {
        self.posting(share).owners().nth(share.party as usize)
    }

    fn of_one_day(&self, one: &Share, other: &Share) -> bool {
        one.facility() == other.facility() && self.day(one) == self.day(other)
    }
}

impl Cells {
    /// Posts all of these.
    pub(super) fn post(&mut self, postings: &[&Posting]) {
        let oldest = Oldest {
            quarter: self.oldest_quarter(),
            day: self.oldest_day(),
        };
        for postings in postings.chunks(POSTINGS_MAX) {
            let quarters = postings.iter().map(|posting| quarter_of(posting.at));
            let days = quarters.map(|quarter| self.day_of(quarter)).collect();
            let round = Round::of(postings, days, oldest);
            let mut sums = Sums::default();
            let shares = &round.shares;
            for shares in shares.chunk_by(|one, other| one.owner == other.owner) {
                self.post_owner(&round, shares, &mut sums);
            }
            for (posting, &day) in postings.iter().zip(&round.days) {
                self.post_slots(posting, oldest);
                self.post_call(posting, day, oldest);
            }
        }
    }

    /// All shares of one owner.
    fn post_owner(&mut self, round: &Round<'_>, shares: &[Share], sums: &mut Sums) {
        let Some(owner) = shares.first().and_then(|share| round.owner(share)) else {
            return;
        };
        let series = self.owners.entry(owner).or_default();
        if owner.classifier == Classifier::Actual {
            sums.of_totals(round, shares);
            let value = || Value::Totals(&series.totals);
            let mark = series.totals_mark;
            series.totals_mark = self.out.change(mark, || CellKey::Totals(owner), value);
            series.totals.added.merge(&sums.totals.added);
            series.totals.taken_back.merge(&sums.totals.taken_back);
        }
        for shares in shares.chunk_by(|one, other| round.of_one_day(one, other)) {
            let Some(first) = shares.first() else {
                continue;
            };
            let (facility, day) = (first.facility(), round.day(first));
            if day < round.oldest.day {
                continue;
            }
            let of_day = heated(series, owner, day, facility, &mut self.out);
            let (hot, sum) = of_day.record(facility, || {
                self.hot += 1;
                Hot::default()
            });
            let key = || CellKey::Day(owner, day, facility);
            let value = || Value::Record(&hot.record);
            hot.mark = self.out.change(hot.mark, key, value);
            sums.post_quarters(round, shares, &mut hot.record, &mut self.census);
            let more = merge(&mut hot.record.day, &sums.day);
            self.census.day(day, more);
            if let Some(sum) = sum {
                sum.merge(&sums.day);
            }
        }
    }

    fn post_slots(&mut self, posting: &Posting, oldest: Oldest) {
        let quarter = quarter_of(posting.at);
        if quarter < oldest.quarter {
            return;
        }
        for key in posting.slots() {
            let figures = self.slots.change(key, &mut self.out);
            let before = figures.is_empty();
            add(figures, posting, posting.sign);
            let more = i64::from(before) - i64::from(figures.is_empty());
            self.census.slot(quarter, more);
        }
    }

    fn post_call(&mut self, posting: &Posting, day: Day, oldest: Oldest) {
        let Some(call) = posting.call.as_ref().filter(|_| day >= oldest.day) else {
            return;
        };
        let key = CallKey {
            facility: posting.facility,
            call: Arc::clone(call),
            classifier: posting.classifier,
            day,
        };
        let figures = self.calls.change(&key, &mut self.out);
        add(figures, posting, posting.sign);
    }
}

impl Sums {
    /// Adds up what is added, and what is taken back.
    fn of_totals(&mut self, round: &Round<'_>, shares: &[Share]) {
        let Totals { added, taken_back } = &mut self.totals;
        added.clear();
        taken_back.clear();
        for share in shares {
            let posting = round.posting(share);
            let side = if posting.sign > 0 {
                &mut *added
            } else {
                &mut *taken_back
            };
            add(side, posting, 1);
        }
    }

    /// Adds up a day, and adds each of its quarter-hours to its cell.
    fn post_quarters(
        &mut self,
        round: &Round<'_>,
        shares: &[Share],
        record: &mut DayRecord,
        census: &mut Census,
    ) {
        self.day.clear();
        for shares in shares.chunk_by(|one, other| one.place == other.place) {
            self.quarter.clear();
            for posting in shares.iter().map(|share| round.posting(share)) {
                add(&mut self.quarter, posting, posting.sign);
            }
            self.day.merge(&self.quarter);
            let quarter = shares.first().map(Share::quarter);
            if let Some(quarter) = quarter.filter(|&quarter| quarter >= round.oldest.quarter) {
                census.quarter(quarter, record.quarters.add(quarter, &self.quarter));
            }
        }
    }
}

/// An owner's day, to which something is about to be added at a facility.
fn heated<'a>(
    series: &'a mut Series,
    owner: Owner,
    day: Day,
    facility: NameId,
    out: &mut Outbox,
) -> &'a mut OwnerDay {
    let of_day = series.hot.get(day);
    // Who has a record there has the facility on the list.
    let is_new = of_day.is_none_or(|of| of.records.get(facility).is_none());
    if is_new && let Err(at) = series.facilities.binary_search(&facility) {
        let value = || Value::Facilities(&series.facilities);
        series.mark = out.change(series.mark, || CellKey::Facilities(owner), value);
        series.facilities.insert(at, facility);
    }
    let of_day = series.heat(day);
    let value = || Value::Total(of_day.total());
    of_day.mark = out.change(of_day.mark, || CellKey::Total(owner, day), value);
    of_day
}

/// Adds to a cell; how many more there are, as one without figures is none.
fn merge(figures: &mut Figures, sum: &Figures) -> i64 {
    let before = figures.is_empty();
    figures.merge(sum);
    i64::from(before) - i64::from(figures.is_empty())
}

fn add(figures: &mut Figures, posting: &Posting, sign: i64) {
    for &(figure, value) in &posting.figures {
        figures.add(figure, sign * value);
    }
}
