//! The cells: what was counted, by facility, enterprise, role, classifier and
//! time, indexed for questions. They change only by [`Cells::apply`].

use super::figure::{Figure, Figures};
use super::names::{NameId, Names};
use crate::event::{Classifier, Millis, Role};
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The enterprise's name.
    pub enterprise: NameId,
    /// Its role.
    pub role: Role,
    /// The classifier.
    pub classifier: Classifier,
}

/// All figures of an owner at one facility on one day of the reporting zone:
/// what changes together is kept together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayRecord {
    /// The day cell.
    pub day: Figures,
    /// The quarter-hour cells of that day, ascending, none empty.
    pub quarters: Vec<(Quarter, Figures)>,
}

/// A vessel call's figures on one day of the reporting zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey {
    /// The facility's name.
    pub facility: NameId,
    /// The call's id.
    pub call: NameId,
    /// The classifier.
    pub classifier: Classifier,
    /// The day.
    pub day: Day,
    /// The vessel that the events name: an IMO number, else a call sign.
    pub vessel: NameId,
}

/// An appointment slot's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Running totals.
    pub totals: BTreeMap<Owner, Totals>,
}

impl Keeping {
    /// The day of the reporting zone on which an instant lies.
    pub fn day_of(&self, at: Millis) -> Day {
        let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
        let offset = i64::from(self.zone.to_offset(at).seconds());
        ((at.as_millisecond() + offset * 1000).div_euclid(DAY_MS)) as Day
    }
}

impl Cells {
    /// No cells.
    pub fn new(keeping: Keeping) -> Self {
        Self {
            keeping,
            names: Names::default(),
            clock: None,
            owners: FxHashMap::default(),
            calls: BTreeMap::new(),
            slots: BTreeMap::new(),
            totals: BTreeMap::new(),
        }
    }

    /// How long cells are kept.
    pub fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// The first quarter that is kept.
    pub fn oldest_quarter(&self) -> Quarter {
        let day = self.clock.map(|clock| clock - self.keeping.quarter_days);
        day.map_or(Quarter::MIN, |day| day * 96)
    }

    /// The first day that is kept.
    pub fn oldest_day(&self) -> Day {
        self.clock
            .map_or(Day::MIN, |clock| clock - self.keeping.day_days)
    }

    /// Applies changes in order.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Name(name) => {
                    self.names.intern(name);
                }
                Change::Clock(day) => self.clock = Some(*day),
                Change::Posting(posting) => self.post(posting),
            }
        }
    }

    fn post(&mut self, posting: &Posting) {
        let day = self.keeping.day_of(posting.at);
        let quarter = posting.at.div_euclid(QUARTER_MS) as Quarter;
        let add = |to: &mut Figures| {
            for &(figure, value) in &posting.figures {
                to.add(figure, posting.sign * value);
            }
        };
        for &(role, enterprise) in &posting.parties {
            let owner = Owner {
                enterprise,
                role,
                classifier: posting.classifier,
            };
            let days = self.owners.entry(owner).or_default();
            let record = days.entry((day, posting.facility)).or_default();
            add(&mut record.day);
            match record.quarters.binary_search_by_key(&quarter, |&(q, _)| q) {
                Ok(at) => add(&mut record.quarters[at].1),
                Err(at) => {
                    record.quarters.insert(at, (quarter, Figures::default()));
                    add(&mut record.quarters[at].1);
                }
            }
            record.quarters.retain(|(_, figures)| !figures.is_empty());
            if record.day.is_empty() && record.quarters.is_empty() {
                days.remove(&(day, posting.facility));
            }
            if let Some(end) = posting.slot_end {
                let facility = posting.facility;
                add(self
                    .slots
                    .entry(SlotKey {
                        start: posting.at,
                        end,
                        facility,
                        owner,
                    })
                    .or_default());
            }
        }
        self.slots.retain(|_, figures| !figures.is_empty());
        if let Some((call, vessel)) = posting.call {
            let (facility, classifier) = (posting.facility, posting.classifier);
            let key = CallKey {
                facility,
                call,
                classifier,
                day,
                vessel,
            };
            add(self.calls.entry(key).or_default());
        }
        self.calls.retain(|_, figures| !figures.is_empty());
    }
}
