//! The cells of one owner, by day of the reporting zone and facility: hot days
//! with records in memory, and days that are on the shelf but for their total.

use super::{Day, DayRecord, Packed, Quarter};
use crate::meter::figure::{Figure, Figures};
use crate::meter::names::NameId;
use std::collections::BTreeMap;
use std::ops::Range;

/// All days of an owner.
#[derive(Default)]
pub struct Series {
    /// Days of which records are in memory.
    pub(super) hot: BTreeMap<Day, OwnerDay>,
    /// Totals of all other days.
    pub(super) cold: BTreeMap<Day, Packed>,
    /// Where the owner has or had cells, ascending.
    pub(super) facilities: Vec<NameId>,
    /// Whether a facility came since they were stored.
    pub(super) unstored: bool,
}

/// An owner's day in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerDay {
    /// The day's figures over all facilities.
    pub(super) total: Figures,
    /// Whether the total changed since it was stored.
    pub(super) unstored: bool,
    /// By facility. One without figures is gone, which the shelf does not know
    /// yet.
    pub(super) records: BTreeMap<NameId, Hot>,
    /// Whether the shelf may have more.
    pub(super) shelved: bool,
}

/// A record in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hot {
    pub(super) record: DayRecord,
    /// Whether it changed since it was stored.
    pub(super) unstored: bool,
}

/// A day's total over all facilities, hot or cold.
#[derive(Clone, Copy, Debug)]
pub enum Total<'a> {
    /// As it is added up.
    Hot(&'a Figures),
    /// As it is kept.
    Cold(&'a Packed),
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

impl Series {
    /// Whether nothing is left of any day.
    pub fn is_empty(&self) -> bool {
        self.cold.is_empty() && self.hot.values().all(|day| day.total.is_empty())
    }

    /// Where the owner has or had cells, ascending.
    pub fn facilities(&self) -> &[NameId] {
        &self.facilities
    }

    /// The totals of some days that have any, in no order.
    pub fn totals(&self, days: Range<Day>) -> impl Iterator<Item = (Day, Total<'_>)> {
        let hot = self.hot.range(days.clone());
        let hot = hot.filter(|(_, day)| !day.total.is_empty());
        let hot = hot.map(|(&day, of)| (day, Total::Hot(&of.total)));
        let cold = self.cold.range(days);
        hot.chain(cold.map(|(&day, total)| (day, Total::Cold(total))))
    }

    /// The days from one on that may have records, ascending.
    pub fn days(&self, from: Day) -> Vec<Day> {
        let hot = self.hot.range(from..).map(|(&day, _)| day);
        let mut days: Vec<Day> = hot.collect();
        days.extend(self.cold.range(from..).map(|(&day, _)| day));
        days.sort_unstable();
        days
    }

    /// Whether a day's record at a facility must be asked of the shelf.
    pub(super) fn is_shelved(&self, day: Day, facility: NameId) -> bool {
        match self.hot.get(&day) {
            Some(hot) => hot.shelved && !hot.records.contains_key(&facility),
            None => self.cold.contains_key(&day),
        }
    }

    /// Whether the shelf has records of some of these days.
    pub(super) fn any_shelved(&self, days: Range<Day>) -> bool {
        self.cold.range(days.clone()).next().is_some()
            || self.hot.range(days).any(|(_, day)| day.shelved)
    }

    /// A day, in memory from now on.
    pub(super) fn heat(&mut self, day: Day) -> &mut OwnerDay {
        self.hot.entry(day).or_insert_with(|| {
            let mut heated = OwnerDay::default();
            if let Some(total) = self.cold.remove(&day) {
                heated.total.add_all(total.iter());
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
            !of.unstored && records.all(|hot| !hot.unstored)
        };
        let Some(cooled) = self.hot.get(&day).filter(|of| stored(of)) else {
            return 0;
        };
        if !cooled.total.is_empty() {
            self.cold.insert(day, Packed::of(&cooled.total));
        }
        self.hot.remove(&day).map_or(0, |of| of.records.len())
    }
}

impl DayRecord {
    /// Whether it has no figures at all.
    pub fn is_empty(&self) -> bool {
        self.day.is_empty() && self.quarters.is_empty()
    }

    /// Drops quarter-hours that are out of retention.
    pub fn drop_before(&mut self, oldest: Quarter) {
        self.quarters.retain(|&(quarter, _)| quarter >= oldest);
    }
}
