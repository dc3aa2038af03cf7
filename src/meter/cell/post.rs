//! Posts many postings at once, owner by owner and place by place: what counts for
//! the same cells is added up before it is added to them. A sum does not depend on
//! the order, and memory that was touched once is not sought again.

use super::outbox::{Outbox, Value};
use super::series::{Hot, OwnerDay};
use super::{
    CallKey, CellKey, Cells, Census, Day, DayRecord, Merge, Owner, Posting, Quarter, Round, Series,
    Share, Totals, quarter_of,
};
use crate::event::Classifier;
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use std::sync::Arc;

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

impl Cells {
    /// Posts a part of what was merged, unless that was done.
    pub fn post(&mut self, merge: &Merge, part: &[Share]) {
        let oldest = self.oldest();
        let (mut sums, mut due) = (Sums::default(), Vec::new());
        for shares in part.chunk_by(Share::is_of_owner) {
            let owner = shares.first().and_then(Share::owner);
            let Some((owner, last)) = owner.zip(merge.last()) else {
                continue;
            };
            self.looked.note();
            let series = self.owners.entry(owner).or_default();
            let posted = series.posted;
            series.posted = posted.max(last);
            due.clear();
            due.extend(shares.iter().filter(|share| merge.number(share) > posted));
            self.post_owner(owner, (merge, &due), oldest, &mut sums);
        }
    }

    /// Posts what does not wait: slots, and vessel calls.
    pub(super) fn post_apart(&mut self, round: &Round) {
        let oldest = self.oldest();
        for posting in round.postings() {
            self.post_slots(posting, oldest);
            self.post_call(posting, oldest);
        }
    }

    fn oldest(&self) -> Oldest {
        Oldest {
            quarter: self.oldest_quarter(),
            day: self.oldest_day(),
        }
    }

    /// All shares of one owner.
    fn post_owner(
        &mut self,
        owner: Owner,
        (merge, shares): (&Merge, &[Share]),
        oldest: Oldest,
        sums: &mut Sums,
    ) {
        if shares.is_empty() {
            return;
        }
        let series = self.owners.entry(owner).or_default();
        if owner.classifier == Classifier::Actual {
            sums.of_totals(merge, shares);
            let value = || Value::Totals(&series.totals);
            let mark = series.totals_mark;
            series.totals_mark = self.out.change(mark, || CellKey::Totals(owner), value);
            series.totals.merge(&sums.totals);
        }
        for shares in shares.chunk_by(Share::is_of_day) {
            let Some(first) = shares.first() else {
                continue;
            };
            let (facility, day) = (first.facility(), first.day());
            if day < oldest.day {
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
            let census = (&mut self.census, oldest.quarter);
            sums.post_quarters(merge, shares, &mut hot.record, census);
            let more = add_up(&mut hot.record.day, &sums.day);
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
            posting.add_to(figures, posting.sign);
            let more = i64::from(before) - i64::from(figures.is_empty());
            self.census.slot(quarter, more);
        }
    }

    fn post_call(&mut self, posting: &Posting, oldest: Oldest) {
        let Some(call) = &posting.call else {
            return;
        };
        let day = self.days.day_of(quarter_of(posting.at));
        if day < oldest.day {
            return;
        }
        let key = CallKey {
            facility: posting.facility,
            call: Arc::clone(call),
            classifier: posting.classifier,
            day,
        };
        let figures = self.calls.change(&key, &mut self.out);
        posting.add_to(figures, posting.sign);
    }
}

impl Sums {
    /// Adds up what is added, and what is taken back.
    fn of_totals(&mut self, merge: &Merge, shares: &[Share]) {
        let Totals {
            added,
            taken_back,
            latest,
        } = &mut self.totals;
        added.clear();
        taken_back.clear();
        *latest = None;
        for posting in shares.iter().filter_map(|share| merge.posting(share)) {
            let side = if posting.sign > 0 {
                *latest = (*latest).max(Some(posting.at));
                &mut *added
            } else {
                &mut *taken_back
            };
            posting.add_to(side, 1);
        }
    }

    /// Adds up a day, and adds each of its quarter-hours to its cell.
    fn post_quarters(
        &mut self,
        merge: &Merge,
        shares: &[Share],
        record: &mut DayRecord,
        (census, oldest): (&mut Census, Quarter),
    ) {
        self.day.clear();
        for shares in shares.chunk_by(Share::is_of_quarter) {
            self.quarter.clear();
            for posting in shares.iter().filter_map(|share| merge.posting(share)) {
                posting.add_to(&mut self.quarter, posting.sign);
            }
            self.day.merge(&self.quarter);
            let quarter = shares.first().map(Share::quarter);
            if let Some(quarter) = quarter.filter(|&quarter| quarter >= oldest) {
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
fn add_up(figures: &mut Figures, sum: &Figures) -> i64 {
    let before = figures.is_empty();
    figures.merge(sum);
    i64::from(before) - i64::from(figures.is_empty())
}
