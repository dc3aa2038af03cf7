//! How many cells there are, of each grain, on the shelf and off it.

use super::{Day, QUARTERS_PER_DAY, Quarter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Counts by day, so that what goes out of retention goes out of them too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Day cells by day of the reporting zone.
    days: BTreeMap<Day, i64>,
    /// Quarter-hour cells by UTC day.
    quarters: BTreeMap<Day, i64>,
    /// Slots by the UTC day on which they start.
    slots: BTreeMap<Day, i64>,
}

impl Census {
    /// Day cells.
    pub fn days(&self) -> i64 {
        self.days.values().sum()
    }

    /// Quarter-hour cells.
    pub fn quarters(&self) -> i64 {
        self.quarters.values().sum()
    }

    /// Slots.
    pub fn slots(&self) -> i64 {
        self.slots.values().sum()
    }

    /// Counts those of another one too.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.days, &other.days),
            (&mut self.quarters, &other.quarters),
            (&mut self.slots, &other.slots),
        ];
        for (counts, others) in pairs {
            for (&day, &more) in others {
                add(counts, day, more);
            }
        }
    }

    /// The UTC days from the first to the last on which slots start.
    pub(super) fn slot_days(&self) -> Range<Day> {
        let (first, last) = (self.slots.first_key_value(), self.slots.last_key_value());
        let ends = first.zip(last);
        ends.map_or(0..0, |((&first, _), (&last, _))| {
            first..last.saturating_add(1)
        })
    }

    /// A day cell came (1) or went (−1).
    pub(super) fn day(&mut self, day: Day, more: i64) {
        add(&mut self.days, day, more);
    }

    /// A quarter-hour cell came or went.
    pub(super) fn quarter(&mut self, quarter: Quarter, more: i64) {
        add(&mut self.quarters, utc_day(quarter), more);
    }

    /// A slot came or went.
    pub(super) fn slot(&mut self, quarter: Quarter, more: i64) {
        add(&mut self.slots, utc_day(quarter), more);
    }

    /// Forgets what is out of retention.
    pub(super) fn retain(&mut self, oldest_quarter: Quarter, oldest_day: Day) {
        let oldest = utc_day(oldest_quarter);
        self.days.retain(|&day, _| day >= oldest_day);
        self.quarters.retain(|&day, _| day >= oldest);
        self.slots.retain(|&day, _| day >= oldest);
    }
}

fn utc_day(quarter: Quarter) -> Day {
    quarter.div_euclid(QUARTERS_PER_DAY)
}

fn add(to: &mut BTreeMap<Day, i64>, day: Day, more: i64) {
    if more != 0 {
        let count = to.entry(day).or_default();
        *count += more;
        if *count == 0 {
            to.remove(&day);
        }
    }
}
