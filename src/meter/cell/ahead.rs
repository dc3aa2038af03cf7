//! Records that are read from the shelf before they are asked for: so nobody waits
//! for the disk while a question has the cells.

use super::outbox::Mark;
use super::series::Hot;
use super::{Cells, Day, DayRecord, Owner, Series, Shelf, Unread};
use crate::meter::names::NameId;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Owners' days that are wholly on the shelf, and what they were counted at.
#[derive(Debug)]
pub struct ToRead {
    cuts: Mark,
    days: Vec<(Owner, Vec<Day>)>,
}

/// What stands there of them. It is true of the cells until the next cut: what
/// changes after this was read is in memory, and stays there until it was cut.
#[derive(Debug, Default)]
pub struct Ahead {
    cuts: Mark,
    days: FxHashMap<(Owner, Day), Vec<(NameId, DayRecord)>>,
}

impl Cells {
    /// What of these owners' days can be read ahead; nothing if that is more than
    /// so many days, counted for each owner.
    pub fn to_read(
        &self,
        owners: impl Iterator<Item = Owner>,
        days: Range<Day>,
        most: usize,
    ) -> ToRead {
        let days = days.start.max(self.oldest_day())..days.end;
        let (mut found, mut sum) = (Vec::new(), 0);
        for owner in owners {
            debug_assert!(self.is_posted(owner));
            let series = self.owners.get(&owner).filter(|_| !days.is_empty());
            let cold = series.map(|series| series.cold_days(days.clone()).collect::<Vec<_>>());
            let Some(cold) = cold.filter(|cold| !cold.is_empty()) else {
                continue;
            };
            sum += cold.len();
            if sum > most {
                found.clear();
                break;
            }
            found.push((owner, cold));
        }
        ToRead {
            cuts: self.out.cuts(),
            days: found,
        }
    }

    /// Visits an owner's records of some days, in no order: those on the shelf
    /// from what was read ahead, if they are all there and it is still true.
    ///
    /// # Errors
    /// The shelf's, and those of `each`.
    pub fn records_ahead<E: From<Unread>>(
        &self,
        ahead: &Ahead,
        owner: Owner,
        days: Range<Day>,
        mut each: impl FnMut(Day, NameId, &DayRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        debug_assert!(self.is_posted(owner));
        let days = days.start.max(self.oldest_day())..days.end;
        let Some(series) = self.owners.get(&owner).filter(|_| !days.is_empty()) else {
            return Ok(());
        };
        if series.any_shelved(days.clone()) {
            match ahead.records(self, (owner, series), days.clone()) {
                Some(records) => {
                    for (day, facility, record) in records {
                        self.visit_shelved((series, day, facility), record, &mut each)?;
                    }
                }
                None => {
                    let records = self.shelf.records(owner, days.clone())?;
                    for ((day, facility), record) in &records {
                        self.visit_shelved((series, *day, *facility), record, &mut each)?;
                    }
                }
            }
        }
        for (day, hot) in series.hot.range(days) {
            for (facility, Hot { record, .. }) in hot.records.iter() {
                if !record.is_empty() {
                    each(day, facility, record)?;
                }
            }
        }
        Ok(())
    }

    /// Visits what stands on the shelf, unless memory knows better.
    fn visit_shelved<E>(
        &self,
        (series, day, facility): (&Series, Day, NameId),
        record: &DayRecord,
        each: &mut impl FnMut(Day, NameId, &DayRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        if !series.is_shelved(day, facility) {
            return Ok(());
        }
        let oldest = self.oldest_quarter();
        if record.quarters.first().is_none_or(|first| first >= oldest) {
            return each(day, facility, record);
        }
        let mut kept = record.clone();
        kept.drop_before(oldest);
        each(day, facility, &kept)
    }
}

impl ToRead {
    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Reads it.
    ///
    /// # Errors
    /// The shelf's.
    pub fn read(&self, shelf: &dyn Shelf) -> Result<Ahead, Unread> {
        let mut ahead = Ahead {
            cuts: self.cuts,
            days: FxHashMap::default(),
        };
        for (owner, days) in &self.days {
            let (Some(first), Some(last)) = (days.first(), days.last()) else {
                continue;
            };
            ahead
                .days
                .extend(days.iter().map(|&day| ((*owner, day), Vec::new())));
            for ((day, facility), record) in
                shelf.records(*owner, *first..last.saturating_add(1))?
            {
                if let Some(records) = ahead.days.get_mut(&(*owner, day)) {
                    records.push((facility, record));
                }
            }
        }
        Ok(ahead)
    }
}

impl Ahead {
    /// Whether it is true of the cells as they are now.
    pub fn is_of(&self, cells: &Cells) -> bool {
        self.cuts == cells.out.cuts()
    }

    /// An owner's records of some days; none if it is not true any more, or not
    /// all of what is on the shelf was read.
    fn records<'a>(
        &'a self,
        cells: &Cells,
        (owner, series): (Owner, &Series),
        days: Range<Day>,
    ) -> Option<impl Iterator<Item = (Day, NameId, &'a DayRecord)>> {
        if !self.is_of(cells) {
            return None;
        }
        let of = |day| Some((day, self.days.get(&(owner, day))?));
        let found: Option<Vec<_>> = series.shelved_days(days).map(of).collect();
        Some(found?.into_iter().flat_map(|(day, records)| {
            let each = records.iter();
            each.map(move |(facility, record)| (day, *facility, record))
        }))
    }
}
