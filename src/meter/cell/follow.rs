//! Takes over what another meter counted: cells as they were stored, each with what
//! it was before. What is taken over counts as stored: it need not be stored again.

use super::series::Hot;
use super::{CallKey, Cells, Day, DayRecord, Owner, Quarter, SlotKey, Totals, quarter_of};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use compact_str::CompactString;

/// A value before and after; one without figures is no cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved<T> {
    /// Before.
    pub was: T,
    /// After.
    pub is: T,
}

/// What another meter stored at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The names that got the next numbers.
    pub names: Vec<CompactString>,
    /// The UTC day that the log clock has reached, if it is known.
    pub clock: Option<Day>,
    /// Records of days.
    pub records: Vec<((Owner, Day, NameId), Moved<DayRecord>)>,
    /// Vessel calls, as they are.
    pub calls: Vec<(CallKey, Figures)>,
    /// Slots.
    pub slots: Vec<(SlotKey, Moved<Figures>)>,
    /// Running totals.
    pub totals: Vec<(Owner, Moved<Totals>)>,
}

impl Followed {
    /// The quarter-hours that changed, of owners at facilities.
    pub fn touched(&self) -> impl Iterator<Item = (Quarter, NameId, Owner)> + '_ {
        self.records
            .iter()
            .flat_map(|&((owner, _, facility), ref moved)| {
                let changes = moved.was.quarters.changes(&moved.is.quarters);
                changes.map(move |(quarter, _)| (quarter, facility, owner))
            })
    }
}

impl Cells {
    /// Takes over what another meter stored. Cells out of retention, by the furthest
    /// clock that was told, are left out.
    pub fn follow(&mut self, followed: Followed) {
        for name in &followed.names {
            self.names.intern(name);
        }
        if let Some(day) = followed.clock.filter(|&day| self.clock < Some(day)) {
            self.advance(day);
            self.forget_storing();
        }
        for (key, moved) in followed.records {
            self.follow_record(key, moved);
        }
        for (key, figures) in followed.calls {
            if key.day >= self.oldest_day() {
                self.calls.take_over(key, figures);
            }
        }
        for (key, moved) in followed.slots {
            let quarter = quarter_of(key.start);
            if quarter >= self.oldest_quarter() {
                let more = i64::from(!moved.is.is_empty()) - i64::from(!moved.was.is_empty());
                self.census.slot(quarter, more);
                self.slots.take_over(key, moved.is);
            }
        }
        for (owner, Moved { was, is }) in followed.totals {
            let totals = &mut self.owners.entry(owner).or_default().totals;
            totals.added.merge(&is.added.less(&was.added));
            totals
                .taken_back
                .merge(&is.taken_back.less(&was.taken_back));
            // It falls only where a partition is counted anew; then it is the others'.
            totals.latest = match is.latest < was.latest {
                true => is.latest,
                false => totals.latest.max(is.latest),
            };
        }
    }

    fn follow_record(&mut self, key: (Owner, Day, NameId), moved: Moved<DayRecord>) {
        let (owner, day, facility) = key;
        if day < self.oldest_day() {
            return;
        }
        let oldest = self.oldest_quarter();
        let Moved { mut was, mut is } = moved;
        was.drop_before(oldest);
        is.drop_before(oldest);
        let [before, after] = [&was, &is].map(|of| i64::from(!of.day.is_empty()));
        self.census.day(day, after - before);
        for (quarter, more) in was.quarters.changes(&is.quarters) {
            self.census.quarter(quarter, more);
        }
        let series = self.owners.entry(owner).or_default();
        if let Err(at) = series.facilities.binary_search(&facility) {
            series.facilities.insert(at, facility);
        }
        let more = is.day.less(&was.day);
        let (hot, sum) = series.heat(day).record(facility, || {
            self.hot += 1;
            Hot {
                record: was,
                mark: 0,
            }
        });
        hot.record = is;
        if let Some(sum) = sum {
            sum.merge(&more);
        }
    }

    /// Nothing of this is to be stored.
    fn forget_storing(&mut self) {
        self.sweeps.clear();
        self.out.cut();
        while self.out.next().is_some() {}
        // What could not be encoded is not wanted either.
        let _ = self.out.take();
        for series in self.owners.values_mut() {
            (series.mark, series.totals_mark) = (0, 0);
        }
    }
}
