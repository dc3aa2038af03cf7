//! The cells of one owner, by day of the reporting zone and facility: hot days
//! with records in memory, and days that are on the shelf but for their total.

use super::cold::{Cold, PackedRef};
use super::few::Few;
use super::outbox::Mark;
use super::{Day, DayRecord, Packed, Quarter, Totals};
use crate::meter::figure::{Figure, Figures};
use crate::meter::names::NameId;
use std::ops::Range;

/// All days of an owner.
#[derive(Default)]
pub struct Series {
    /// Days of which records are in memory.
    pub(super) hot: Few<Day, OwnerDay>,
    /// Totals of all other days.
    pub(super) cold: Cold,
    /// Where the owner has or had cells, ascending.
    pub(super) facilities: Vec<NameId>,
    /// When they changed.
    pub(super) mark: Mark,
    /// Running totals.
    pub(super) totals: Totals,
    /// When those changed.
    pub(super) totals_mark: Mark,
    /// The number of the last round that is posted here.
    pub(super) posted: u64,
}

/// An owner's day in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerDay {
    /// The day's figures over all facilities; none while there is but one record
    /// at most, whose figures these are.
    sum: Option<Figures>,
    /// When the total changed.
    pub(super) mark: Mark,
    /// By facility. One without figures is gone, which the shelf does not know
    /// yet.
    pub(super) records: Few<NameId, Hot>,
    /// Whether the shelf may have more.
    pub(super) shelved: bool,
}

/// A record in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hot {
    pub(super) record: DayRecord,
    /// When it changed.
    pub(super) mark: Mark,
}

/// A day's total over all facilities, hot or cold.
#[derive(Clone, Copy, Debug)]
pub enum Total<'a> {
    /// As it is added up.
    Hot(&'a Figures),
    /// As it is kept.
    Cold(PackedRef<'a>),
}

impl Total<'_> {
    /// The sum of some figures, which ascend.
    pub fn sum(&self, wanted: &[Figure]) -> i64 {
        match self {
            Self::Hot(figures) => wanted.iter().map(|&figure| figures.get(figure)).sum(),
            Self::Cold(packed) => {
                let last = wanted.last().copied();
                let within = packed.iter().take_while(|&(f, _)| Some(f) <= last);
                let found = within.filter(|(figure, _)| wanted.contains(figure));
                found.map(|(_, value)| value).sum()
            }
        }
    }

    /// Adds all of it to figures.
    pub fn add_to(&self, figures: &mut Figures) {
        match self {
            Self::Hot(total) => figures.merge(total),
            Self::Cold(total) => figures.add_all(total.iter()),
        }
    }
}

impl OwnerDay {
    /// The day's figures over all facilities; none if there never were any.
    pub(super) fn total(&self) -> Option<&Figures> {
        let only = || self.records.values().next().map(|hot| &hot.record.day);
        let total = self.sum.as_ref().or_else(only);
        total.filter(|total| !total.is_empty())
    }

    /// A record, made if it is not there, and the sum to which whatever is added
    /// to it must be added too.
    pub(super) fn record(
        &mut self,
        facility: NameId,
        make: impl FnOnce() -> Hot,
    ) -> (&mut Hot, Option<&mut Figures>) {
        if self.sum.is_none() && self.records.get(facility).is_none() {
            let only = self.records.values().next();
            self.sum = only.map(|hot| hot.record.day.clone());
        }
        let hot = self.records.get_or_insert_with(facility, make);
        (hot, self.sum.as_mut())
    }
}

impl Series {
    /// Whether nothing is left of any day.
    pub fn is_empty(&self) -> bool {
        self.cold.is_empty() && self.hot.values().all(|day| day.total().is_none())
    }

    /// The running totals, of classifier ACTUAL.
    pub fn running(&self) -> &Totals {
        &self.totals
    }

    /// Where the owner has or had cells, ascending.
    pub fn facilities(&self) -> &[NameId] {
        &self.facilities
    }

    /// The totals of some days that have any, in no order.
    pub fn totals(&self, days: Range<Day>) -> impl Iterator<Item = (Day, Total<'_>)> {
        let hot = self.hot.range(days.clone());
        let hot = hot.filter_map(|(day, of)| Some((day, Total::Hot(of.total()?))));
        let cold = self.cold.range(days);
        hot.chain(cold.map(|(day, total)| (day, Total::Cold(total))))
    }

    /// The days from one on that may have records, ascending.
    pub fn days(&self, from: Day) -> Vec<Day> {
        let hot = self.hot.iter().map(|(day, _)| day);
        let mut days: Vec<Day> = hot.filter(|&day| day >= from).collect();
        days.extend(self.cold_days(from..Day::MAX));
        days.sort_unstable();
        days
    }

    /// Whether a day's record at a facility must be asked of the shelf.
    pub(super) fn is_shelved(&self, day: Day, facility: NameId) -> bool {
        match self.hot.get(day) {
            Some(hot) => hot.shelved && hot.records.get(facility).is_none(),
            None => self.cold.contains(day),
        }
    }

    /// Whether the shelf has records of some of these days.
    pub(super) fn any_shelved(&self, days: Range<Day>) -> bool {
        self.shelved_days(days).next().is_some()
    }

    /// Those of some days that are wholly on the shelf, ascending.
    pub(super) fn cold_days(&self, days: Range<Day>) -> impl Iterator<Item = Day> {
        self.cold.range(days).map(|(day, _)| day)
    }

    /// Those of some days of which the shelf has records, in no order.
    pub(super) fn shelved_days(&self, days: Range<Day>) -> impl Iterator<Item = Day> {
        let hot = self.hot.range(days.clone());
        let hot = hot.filter_map(|(day, of)| of.shelved.then_some(day));
        hot.chain(self.cold_days(days))
    }

    /// A day, in memory from now on.
    pub(super) fn heat(&mut self, day: Day) -> &mut OwnerDay {
        self.hot.get_or_insert_with(day, || {
            let mut heated = OwnerDay::default();
            if let Some(total) = self.cold.remove(day) {
                heated.sum.get_or_insert_default().add_all(total.iter());
                heated.shelved = true;
            }
            heated
        })
    }

    /// Leaves a day to the shelf if all of it was stored; how many records that
    /// were in memory.
    pub(super) fn cool(&mut self, day: Day) -> usize {
        let stored = |of: &OwnerDay| {
            let mut records = of.records.values();
            of.mark == 0 && records.all(|hot| hot.mark == 0)
        };
        let Some(cooled) = self.hot.get(day).filter(|of| stored(of)) else {
            return 0;
        };
        if let Some(total) = cooled.total() {
            self.cold.insert(day, &Packed::of(total));
        }
        self.hot.remove(day).map_or(0, |of| of.records.len())
    }
}

impl DayRecord {
    /// Whether it has no figures at all.
    pub fn is_empty(&self) -> bool {
        self.day.is_empty() && self.quarters.is_empty()
    }

    /// Drops quarter-hours that are out of retention.
    pub fn drop_before(&mut self, oldest: Quarter) {
        self.quarters.remove_before(oldest);
    }
}
