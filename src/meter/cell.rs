//! The cells: what was counted, by facility, enterprise, role, classifier and
//! time, indexed for questions. They change only by [`Cells::apply`].

use super::codes;
use super::figure::{Figure, Figures};
use super::names::{NameId, Names};
use crate::event::{Classifier, Millis, Role};
use jiff::tz::TimeZone;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// A day of the reporting zone, or a UTC day where it says so: days since
/// 1970-01-01.
pub type Day = i32;

/// A quarter-hour: 900-second steps since 1970-01-01T00:00Z.
pub type Quarter = i32;

/// Milliseconds in a quarter-hour.
pub const QUARTER_MS: i64 = 900_000;

/// Milliseconds in a UTC day.
pub const DAY_MS: i64 = 86_400_000;

/// Whose figures: one enterprise in one role, of one classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The enterprise's name.
    pub enterprise: NameId,
    /// Its role.
    #[serde(with = "codes::role")]
    pub role: Role,
    /// The classifier.
    #[serde(with = "codes::classifier")]
    pub classifier: Classifier,
}

/// All figures of an owner at one facility on one day of the reporting zone:
/// what changes together is kept together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRecord {
    /// The day cell.
    pub day: Figures,
    /// The quarter-hour cells of that day, ascending, none empty.
    pub quarters: Vec<(Quarter, Figures)>,
}

/// A vessel call's figures on one day of the reporting zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallKey {
    /// The facility's name.
    pub facility: NameId,
    /// The call's id.
    pub call: NameId,
    /// The classifier.
    #[serde(with = "codes::classifier")]
    pub classifier: Classifier,
    /// The day.
    pub day: Day,
    /// The vessel that the events name: an IMO number, else a call sign.
    pub vessel: NameId,
}

/// An appointment slot's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlotKey {
    /// When it starts.
    pub start: Millis,
    /// When it ends.
    pub end: Millis,
    /// The facility's name.
    pub facility: NameId,
    /// Whose.
    pub owner: Owner,
}

/// Figures that are added to, or taken back from, the cells of some owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// 1 adds, −1 takes back.
    pub sign: i64,
    /// The facility's name.
    pub facility: NameId,
    /// The classifier.
    pub classifier: Classifier,
    /// The instant at which it counts.
    pub at: Millis,
    /// The end of the slot that starts at `at`, if it is an appointment step.
    pub slot_end: Option<Millis>,
    /// The vessel call (call id, vessel) that it counts for too, once.
    pub call: Option<(NameId, NameId)>,
    /// The enterprises that it counts for, each in a role.
    pub parties: SmallVec<[(Role, NameId); 4]>,
    /// What is added or taken back.
    pub figures: SmallVec<[(Figure, i64); 6]>,
}

/// One thing that the meter did, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A name got the next number.
    Name(compact_str::CompactString),
    /// The log clock reached this UTC day: what is out of retention goes.
    Clock(Day),
    /// Figures.
    Posting(Posting),
}

/// How long cells are kept and in which zone days are.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The reporting zone.
    pub zone: TimeZone,
    /// Days of quarter-hour cells (and slots) before the log clock's UTC day.
    pub quarter_days: i32,
    /// Days of day cells (and vessel calls) before the log clock's UTC day.
    pub day_days: i32,
}

/// Running totals of one owner: all that was ever added and taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Ever added.
    pub added: Figures,
    /// Ever taken back.
    pub taken_back: Figures,
}

/// All cells.
pub struct Cells {
    keeping: Keeping,
    /// The names that all keys use.
    pub names: Names,
    /// The log clock's UTC day; none before the first record.
    pub clock: Option<Day>,
    /// By owner, then (day of the reporting zone, facility).
    pub owners: FxHashMap<Owner, BTreeMap<(Day, NameId), DayRecord>>,
    /// Vessel calls.
    pub calls: BTreeMap<CallKey, Figures>,
    /// Appointment slots.
    pub slots: BTreeMap<SlotKey, Figures>,
    /// Running totals of ACTUAL figures.
    pub totals: BTreeMap<Owner, Totals>,
    days: FxHashMap<Quarter, Day>,
    changed: FxHashSet<CellKey>,
}

/// What is stored as one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellKey {
    /// A [`DayRecord`].
    Day(Owner, Day, NameId),
    /// A vessel call's figures.
    Call(CallKey),
    /// A slot's figures.
    Slot(SlotKey),
    /// An owner's running totals.
    Totals(Owner),
}

/// The quarter-hour of an instant.
pub fn quarter_of(at: Millis) -> Quarter {
    at.div_euclid(QUARTER_MS) as Quarter
}

/// The UTC day of an instant.
pub fn utc_day_of(at: Millis) -> Day {
    at.div_euclid(DAY_MS) as Day
}

impl Cells {
    /// No cells yet.
    pub fn new(keeping: Keeping) -> Self {
        Self {
            keeping,
            names: Names::default(),
            clock: None,
            owners: FxHashMap::default(),
            calls: BTreeMap::new(),
            slots: BTreeMap::new(),
            totals: BTreeMap::new(),
            days: FxHashMap::default(),
            changed: FxHashSet::default(),
        }
    }

    /// How long cells are kept and in which zone days are.
    pub fn keeping(&self) -> &Keeping {
        &self.keeping
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

    /// What has changed since the last call: to be stored, or removed from the
    /// store where it is no longer here.
    pub fn take_changed(&mut self) -> FxHashSet<CellKey> {
        std::mem::take(&mut self.changed)
    }

    /// Makes the changes, in order.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Name(name) => {
                    self.names.intern(name);
                }
                Change::Clock(day) => self.advance(*day),
                Change::Posting(posting) => self.post(posting),
            }
        }
    }

    /// The day of the reporting zone in which a quarter-hour lies. The zone's
    /// offset is a multiple of 15 minutes, so it lies in one.
    pub fn day_of(&mut self, quarter: Quarter) -> Day {
        if self.days.len() > DAYS_CACHED_MAX {
            self.days.clear();
        }
        let zone = &self.keeping.zone;
        *self
            .days
            .entry(quarter)
            .or_insert_with(|| local_day(quarter, zone))
    }

    fn post(&mut self, posting: &Posting) {
        let quarter = quarter_of(posting.at);
        let day = self.day_of(quarter);
        let in_quarters = quarter >= self.oldest_quarter();
        let in_days = day >= self.oldest_day();
        for &(role, enterprise) in &posting.parties {
            let owner = Owner {
                enterprise,
                role,
                classifier: posting.classifier,
            };
            if in_days {
                self.post_owner(owner, day, in_quarters.then_some(quarter), posting);
            }
            if let Some(end) = posting.slot_end.filter(|_| in_quarters) {
                self.post_slot(owner, end, posting);
            }
            if posting.classifier == Classifier::Actual {
                self.post_totals(owner, posting);
            }
        }
        if let Some((call, vessel)) = posting.call.filter(|_| in_days) {
            let Posting {
                facility,
                classifier,
                ..
            } = *posting;
            let key = CallKey {
                facility,
                call,
                classifier,
                day,
                vessel,
            };
            let figures = self.calls.entry(key).or_default();
            add(figures, posting, posting.sign);
            if figures.is_empty() {
                self.calls.remove(&key);
            }
            self.changed.insert(CellKey::Call(key));
        }
    }

    fn post_owner(&mut self, owner: Owner, day: Day, quarter: Option<Quarter>, posting: &Posting) {
        let records = self.owners.entry(owner).or_default();
        let record = records.entry((day, posting.facility)).or_default();
        add(&mut record.day, posting, posting.sign);
        if let Some(quarter) = quarter {
            let found = record.quarters.binary_search_by_key(&quarter, |&(q, _)| q);
            let at = found.unwrap_or_else(|at| {
                record.quarters.insert(at, (quarter, Figures::default()));
                at
            });
            add(&mut record.quarters[at].1, posting, posting.sign);
            if record.quarters[at].1.is_empty() {
                record.quarters.remove(at);
            }
        }
        if record.day.is_empty() && record.quarters.is_empty() {
            records.remove(&(day, posting.facility));
            if records.is_empty() {
                self.owners.remove(&owner);
            }
        }
        self.changed
            .insert(CellKey::Day(owner, day, posting.facility));
    }

    fn post_slot(&mut self, owner: Owner, end: Millis, posting: &Posting) {
        let key = SlotKey {
            start: posting.at,
            end,
            facility: posting.facility,
            owner,
        };
        let figures = self.slots.entry(key).or_default();
        add(figures, posting, posting.sign);
        if figures.is_empty() {
            self.slots.remove(&key);
        }
        self.changed.insert(CellKey::Slot(key));
    }

    fn post_totals(&mut self, owner: Owner, posting: &Posting) {
        let totals = self.totals.entry(owner).or_default();
        let side = if posting.sign > 0 {
            &mut totals.added
        } else {
            &mut totals.taken_back
        };
        add(side, posting, 1);
        self.changed.insert(CellKey::Totals(owner));
    }

    /// Drops what is out of retention on this UTC day of the log clock.
    fn advance(&mut self, day: Day) {
        self.clock = Some(day);
        let (oldest_quarter, oldest_day) = (self.oldest_quarter(), self.oldest_day());
        let changed = &mut self.changed;
        self.owners.retain(|&owner, records| {
            records.retain(|&(day, facility), record| {
                let before = record.quarters.len();
                record
                    .quarters
                    .retain(|&(quarter, _)| quarter >= oldest_quarter);
                let keep = day >= oldest_day;
                if !keep || record.quarters.len() != before {
                    changed.insert(CellKey::Day(owner, day, facility));
                }
                keep
            });
            !records.is_empty()
        });
        let gone = self.calls.extract_if(.., |key, _| key.day < oldest_day);
        changed.extend(gone.map(|(key, _)| CellKey::Call(key)));
        let gone = self
            .slots
            .extract_if(.., |key, _| quarter_of(key.start) < oldest_quarter);
        changed.extend(gone.map(|(key, _)| CellKey::Slot(key)));
    }
}

const QUARTERS_PER_DAY: i32 = 96;
const DAYS_CACHED_MAX: usize = 100_000;

fn add(figures: &mut Figures, posting: &Posting, sign: i64) {
    for &(figure, value) in &posting.figures {
        figures.add(figure, sign * value);
    }
}

fn local_day(quarter: Quarter, zone: &TimeZone) -> Day {
    let seconds = i64::from(quarter) * (QUARTER_MS / 1000);
    let offset = jiff::Timestamp::from_second(seconds)
        .map_or(0, |instant| i64::from(zone.to_offset(instant).seconds()));
    (seconds + offset).div_euclid(DAY_MS / 1000) as Day
}
