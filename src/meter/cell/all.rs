//! All cells. They change only by [`Cells::take`], before which whatever that
//! changes must be in memory: [`Cells::wanted`] says what is not.

use super::looked::Looked;
use super::outbox::{Outbox, Value};
use super::series::Hot;
use super::slots::Slots;
use super::unposted::Unposted;
use super::{
    Ahead, Bare, CallKey, Calls, CellKey, Census, Change, DAY_MS, Day, DayRecord, Days, Keeping,
    Owner, Packed, Posting, QUARTER_MS, QUARTERS_PER_DAY, Quarter, Series, Shelf, SlotKey, Sweep,
    Totals, Unread, Wanted, Warm, local_day, quarter_of,
};
use crate::event::{AppointmentStage, Millis};
use crate::meter::figure::{Figure, Figures, Meaning};
use crate::meter::names::{NameId, Names};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// All cells.
pub struct Cells {
    keeping: Keeping,
    pub(super) shelf: Arc<dyn Shelf>,
    /// The names that all keys use.
    pub names: Names,
    /// The log clock's UTC day; none before the first record.
    pub clock: Option<Day>,
    /// Vessel calls.
    pub calls: Calls,
    pub(super) owners: FxHashMap<Owner, Series>,
    pub(super) slots: Slots,
    pub(super) census: Census,
    /// The latest day that may be on the shelf.
    pub(super) shelved_until: Day,
    /// Records in memory.
    pub(super) hot: usize,
    pub(super) days: Days,
    pub(super) unposted: Unposted,
    pub(super) out: Outbox,
    pub(super) sweeps: Vec<Sweep>,
    pub(super) looked: Looked,
}

/// Cells as they were stored, but for those on the shelf.
#[derive(Default)]
pub struct Parts {
    /// The names that all keys use.
    pub names: Names,
    /// The log clock's UTC day.
    pub clock: Option<Day>,
    /// Totals of owners' days.
    pub days: Vec<(Owner, Day, Packed)>,
    /// Where owners have or had cells.
    pub facilities: Vec<(Owner, Vec<NameId>)>,
    /// Vessel calls.
    pub calls: BTreeMap<CallKey, Figures>,
    /// Running totals.
    pub totals: BTreeMap<Owner, Totals>,
    /// How many cells there are.
    pub census: Census,
}

impl Cells {
    /// No cells yet, and none that will not be in memory.
    pub fn new(keeping: Keeping) -> Self {
        Self::shelved(keeping, Arc::new(Bare), Parts::default())
    }

    /// Cells that were stored: all of them are on the shelf.
    pub fn shelved(keeping: Keeping, shelf: Arc<dyn Shelf>, parts: Parts) -> Self {
        let mut owners: FxHashMap<Owner, Series> = FxHashMap::default();
        let mut shelved_until = Day::MIN;
        for (owner, day, total) in parts.days {
            owners.entry(owner).or_default().cold.insert(day, &total);
            shelved_until = shelved_until.max(day);
        }
        for (owner, facilities) in parts.facilities {
            owners.entry(owner).or_default().facilities = facilities;
        }
        for (owner, totals) in parts.totals {
            owners.entry(owner).or_default().totals = totals;
        }
        Self {
            days: Days::of(keeping.zone.clone()),
            keeping,
            shelf,
            names: parts.names,
            clock: parts.clock,
            calls: Calls::stored(parts.calls),
            owners,
            slots: Slots::shelved(parts.census.slot_days().end),
            census: parts.census,
            shelved_until,
            hot: 0,
            unposted: Unposted::default(),
            out: Outbox::default(),
            sweeps: Vec::new(),
            looked: Looked::default(),
        }
    }

    /// How long cells are kept and in which zone days are.
    pub fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// Where cells are that are not in memory.
    pub fn shelf(&self) -> &Arc<dyn Shelf> {
        &self.shelf
    }

    /// How many cells there are.
    pub fn census(&self) -> &Census {
        debug_assert!(self.unposted.is_empty());
        &self.census
    }

    /// The oldest quarter-hour that is kept, at the log clock.
    pub fn oldest_quarter(&self) -> Quarter {
        self.clock.map_or(Quarter::MIN, |day| {
            (day - self.keeping.quarter_days) * QUARTERS_PER_DAY
        })
    }

    /// The oldest day of the reporting zone that is kept, at the log clock.
    pub fn oldest_day(&self) -> Day {
        self.clock
            .map_or(Day::MIN, |day| day - self.keeping.day_days)
    }

    /// The owners that have cells, in no order; those to whom nothing is posted yet are
    /// none of them.
    pub fn owners(&self) -> impl Iterator<Item = (Owner, &Series)> {
        let owners = self.owners.iter().map(|(&owner, series)| (owner, series));
        let owners = owners.inspect(|_| self.looked.note());
        owners.filter(|(_, series)| !series.is_empty())
    }

    /// How many owners and slots were looked at.
    #[cfg(test)]
    pub fn looked(&self) -> usize {
        self.looked.count()
    }

    /// An owner's cells.
    pub fn owner(&self, owner: Owner) -> Option<&Series> {
        self.owners.get(&owner)
    }

    /// The running totals of ACTUAL figures, by owner.
    pub fn totals(&self) -> BTreeMap<Owner, &Totals> {
        debug_assert!(self.unposted.is_empty());
        let totals = self.owners.iter().map(|(&owner, of)| (owner, &of.totals));
        totals.filter(|(_, totals)| !totals.is_empty()).collect()
    }

    /// Visits an owner's records of some days, in no order.
    ///
    /// # Errors
    /// The shelf's, and those of `each`.
    pub fn records<E: From<Unread>>(
        &self,
        owner: Owner,
        days: Range<Day>,
        each: impl FnMut(Day, NameId, &DayRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        self.records_ahead(&Ahead::default(), owner, days, each)
    }

    /// An owner's record of a day at a facility.
    ///
    /// # Errors
    /// The shelf's.
    pub fn record(
        &self,
        owner: Owner,
        day: Day,
        facility: NameId,
    ) -> Result<Option<DayRecord>, Unread> {
        debug_assert!(self.is_posted(owner));
        let Some(series) = self.owners.get(&owner) else {
            return Ok(None);
        };
        let found = if series.is_shelved(day, facility) {
            self.shelf.record(owner, day, facility)?
        } else {
            let of_day = series.hot.get(day);
            let hot = of_day.and_then(|of| of.records.get(facility));
            hot.map(|hot| hot.record.clone())
        };
        Ok(found.map(|mut record| {
            record.drop_before(self.oldest_quarter());
            record
        }))
    }

    /// Visits the slots that start on the UTC days in which an interval lies, all or those
    /// of some owners, whose cells must be posted and of whom nobody else is looked at: by
    /// day and owner, until `each` says that it is enough.
    ///
    /// # Errors
    /// The shelf's.
    pub fn slots(
        &self,
        starts: Range<Millis>,
        whose: Option<&[Owner]>,
        each: &mut dyn FnMut(&SlotKey, &Figures) -> bool,
    ) -> Result<(), Unread> {
        let oldest = i64::from(self.oldest_quarter()) * QUARTER_MS;
        let days = utc_days(starts.start.max(oldest)..starts.end);
        let mut each = |key: &SlotKey, figures: &Figures| {
            self.looked.note();
            each(key, figures)
        };
        for place in self.slot_places(days, whose) {
            if !self.slots.visit(&*self.shelf, place, &mut each)? {
                break;
            }
        }
        Ok(())
    }

    /// On which of some UTC days slots may start, and of whom.
    fn slot_places(
        &self,
        days: Range<Day>,
        whose: Option<&[Owner]>,
    ) -> BTreeSet<(Day, Option<Owner>)> {
        let Some(owners) = whose else {
            let any = self.census.slot_days();
            let days = days.start.max(any.start)..days.end.min(any.end);
            return days.map(|day| (day, None)).collect();
        };
        let mut places = BTreeSet::new();
        for &owner in owners {
            debug_assert!(self.is_posted(owner));
            for day in self.booked(owner, &days) {
                let around = day.saturating_sub(1)..=day.saturating_add(1);
                let around = around.filter(|day| days.contains(day));
                places.extend(around.map(|day| (day, Some(owner))));
            }
        }
        places
    }

    /// An owner's days around some UTC days that have appointment steps. What is in a slot
    /// is in its owner's day too, which is kept for longer and is one of the reporting zone:
    /// it lies in the UTC day of that number and those beside it.
    fn booked(&self, owner: Owner, days: &Range<Day>) -> impl Iterator<Item = Day> {
        let around = days.start.saturating_sub(1)..days.end.saturating_add(1);
        let series = self.owners.get(&owner).into_iter();
        let totals = series.flat_map(move |series| series.totals(around.clone()));
        let stages = (0..).map_while(|stage| AppointmentStage::try_from(stage).ok());
        let steps: Vec<Figure> = stages
            .map(|stage| Figure::of(Meaning::Appointment(stage)))
            .collect();
        totals.filter_map(move |(day, total)| (total.sum(&steps) != 0).then_some(day))
    }

    /// What these changes need in memory.
    pub fn wanted(&self, changes: &[Change]) -> Wanted {
        let mut wanted = Wanted::default();
        // No instant behind it lies in a day that is on the shelf.
        let shelved_ms = (i64::from(self.shelved_until) + 2).saturating_mul(DAY_MS);
        for change in changes {
            let Change::Posting(posting) = change else {
                continue;
            };
            if posting.at < shelved_ms {
                self.want_records(posting, &mut wanted);
            }
            for key in posting.slots() {
                self.slots.want(&key, &mut wanted);
            }
        }
        wanted.records.sort_unstable();
        wanted.records.dedup();
        wanted.slots.sort_unstable();
        wanted.slots.dedup();
        wanted
    }

    fn want_records(&self, posting: &Posting, wanted: &mut Wanted) {
        let day = local_day(quarter_of(posting.at), &self.keeping.zone);
        for owner in posting.owners() {
            let series = self.owners.get(&owner);
            if series.is_some_and(|series| series.is_shelved(day, posting.facility)) {
                wanted.records.push((owner, day, posting.facility));
            }
        }
    }

    /// Takes what was wanted into memory.
    pub fn warm(&mut self, warm: Warm) {
        let oldest = self.oldest_quarter();
        for ((owner, day, facility), mut record) in warm.records {
            record.drop_before(oldest);
            let of_day = self.owners.entry(owner).or_default().heat(day);
            of_day.record(facility, || {
                self.hot += 1;
                Hot { record, mark: 0 }
            });
        }
        for (key, figures) in warm.slots {
            self.slots.warm(key, figures);
        }
    }

    /// Drops what is out of retention on this UTC day of the log clock.
    pub(super) fn advance(&mut self, day: Day) {
        // What goes now was still there at the cut.
        self.encode(usize::MAX);
        let before = self.days.day_of(self.oldest_quarter().max(0));
        self.clock = Some(day);
        let (oldest_quarter, oldest_day) = (self.oldest_quarter(), self.oldest_day());
        // All quarter-hours of days before this one are out.
        let bare_before = self.days.day_of(oldest_quarter.max(0));
        let (sweeps, hot) = (&mut self.sweeps, &mut self.hot);
        let out = &mut self.out;
        self.owners.retain(|&owner, series| {
            for day in series.days(Day::MIN) {
                if day < oldest_day {
                    sweeps.push(Sweep::Day(owner, day));
                } else if (before..bare_before).contains(&day) {
                    sweeps.push(Sweep::Quarters(owner, day));
                }
            }
            series.cold.remove_before(oldest_day);
            let gone = series.hot.remove_before(oldest_day);
            *hot -= gone.map(|day| day.records.len()).sum::<usize>();
            let days = series.hot.iter_mut();
            for (_, day) in days.take_while(|(day, _)| *day <= bare_before) {
                let records = day.records.iter_mut();
                records.for_each(|(_, hot)| hot.record.drop_before(oldest_quarter));
            }
            let left = !series.hot.is_empty() || !series.cold.is_empty();
            if !left && !series.facilities.is_empty() {
                let value = || Value::Facilities(&series.facilities);
                series.mark = out.change(series.mark, || CellKey::Facilities(owner), value);
                series.facilities.clear();
            }
            // It stays until it is stored that it is gone: it may come back before.
            let unstored = series.mark != 0 || series.totals_mark != 0;
            left || unstored || !series.totals.is_empty()
        });
        self.census.retain(oldest_quarter, oldest_day);
        let gone = self.calls.drop_before(oldest_day);
        gone.for_each(|key| self.out.gone(CellKey::Call(key)));
        let oldest = oldest_quarter.div_euclid(QUARTERS_PER_DAY);
        self.slots.drop_before(oldest);
        sweeps.push(Sweep::Slots(oldest));
    }
}

/// The UTC days in which an interval lies, as far as they have numbers.
fn utc_days(instants: Range<Millis>) -> Range<Day> {
    let numbers = i64::from(Day::MIN)..=i64::from(Day::MAX);
    let day = |at: Millis| {
        at.div_euclid(DAY_MS)
            .clamp(*numbers.start(), *numbers.end()) as Day
    };
    match instants.is_empty() {
        true => 0..0,
        false => day(instants.start)..day(instants.end - 1).saturating_add(1),
    }
}
