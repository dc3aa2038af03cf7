//! The cells: what was counted, by facility, enterprise, role, classifier and
//! time.
//!
//! Cells of days that are over hardly change and are seldom asked for. They are
//! kept on a shelf, which is the store; in memory are those that changed lately,
//! and of each owner and day the total over its facilities.

mod ahead;
mod all;
mod calls;
mod census;
mod cold;
mod days;
mod few;
mod follow;
mod looked;
mod outbox;
mod packed;
mod post;
mod quarters;
mod round;
mod series;
mod shelf;
mod slots;
mod storing;
mod unposted;

pub use ahead::{Ahead, ToRead};
pub use all::{Cells, Parts};
pub use calls::{Call, Calls};
pub use census::Census;
pub use days::Days;
pub use follow::{Followed, Moved};
pub use packed::Packed;
pub use quarters::Quarters;
pub use round::{Merge, Round, Share};
pub use series::{Series, Total};
pub use shelf::{Bare, Records, Shelf, Unread, Wanted, Warm};
pub use storing::Cooling;
pub use unposted::{ToPost, Whose};

use super::codes;
use super::figure::{Figure, Figures};
use super::names::NameId;
use crate::event::{Classifier, Millis, Role};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// A day of the reporting zone, or a UTC day where it says so: days since
/// 1970-01-01.
pub type Day = i32;

/// A quarter-hour: 900-second steps since 1970-01-01T00:00Z.
pub type Quarter = i32;

/// Milliseconds in a quarter-hour.
pub const QUARTER_MS: i64 = 900_000;

/// Milliseconds in a UTC day.
pub const DAY_MS: i64 = 86_400_000;

const QUARTERS_PER_DAY: i32 = 96;

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

impl Owner {
    /// Another one for every owner.
    fn number(self) -> u64 {
        let (role, classifier) = (self.role as u16, self.classifier as u16);
        u64::from(self.enterprise) << 32 | u64::from(role) << 16 | u64::from(classifier)
    }

    /// The least and the greatest number of an enterprise's owners.
    fn numbers_of(enterprise: NameId) -> (u64, u64) {
        let first = u64::from(enterprise) << 32;
        (first, first | u64::from(u32::MAX))
    }

    /// The owner of such a number.
    fn numbered(number: u64) -> Option<Self> {
        let role = Role::try_from(i32::from((number >> 16) as u16));
        let classifier = Classifier::try_from(i32::from(number as u16));
        Some(Self {
            enterprise: (number >> 32) as NameId,
            role: role.ok()?,
            classifier: classifier.ok()?,
        })
    }
}

/// All figures of an owner at one facility on one day of the reporting zone:
/// what changes together is kept together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRecord {
    /// The day cell.
    pub day: Figures,
    /// The quarter-hour cells of that day.
    pub quarters: Quarters,
}

/// A vessel call's figures on one day of the reporting zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallKey {
    /// The facility's name.
    pub facility: NameId,
    /// The call.
    #[serde(with = "codes::shared")]
    pub call: Arc<Call>,
    /// The classifier.
    #[serde(with = "codes::classifier")]
    pub classifier: Classifier,
    /// The day.
    pub day: Day,
}

/// An appointment slot's figures. Slots are kept by the UTC day on which they start, and
/// of a day each owner's together, so that who asks for his passes over nobody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlotKey {
    /// Whose.
    pub owner: Owner,
    /// When it starts.
    pub start: Millis,
    /// When it ends.
    pub end: Millis,
    /// The facility's name.
    pub facility: NameId,
}

impl SlotKey {
    /// The UTC day on which it starts.
    pub fn day(&self) -> Day {
        utc_day_of(self.start)
    }

    /// The least and the greatest key of an owner.
    pub(super) fn ends_of(owner: Owner) -> [Self; 2] {
        let at = |instant, facility| Self {
            owner,
            start: instant,
            end: instant,
            facility,
        };
        [at(Millis::MIN, NameId::MIN), at(Millis::MAX, NameId::MAX)]
    }
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
    /// The vessel call that it counts for too, once.
    pub call: Option<Arc<Call>>,
    /// The enterprises that it counts for, each in a role.
    pub parties: SmallVec<[(Role, NameId); 4]>,
    /// What is added or taken back.
    pub figures: SmallVec<[(Figure, i64); 6]>,
}

impl Posting {
    /// Adds its figures to others, as they are (1) or with the other sign (−1).
    fn add_to(&self, figures: &mut Figures, sign: i64) {
        for &(figure, value) in &self.figures {
            figures.add(figure, sign * value);
        }
    }

    /// The owners that it counts for.
    fn owners(&self) -> impl Iterator<Item = Owner> + '_ {
        self.parties.iter().map(|&(role, enterprise)| Owner {
            enterprise,
            role,
            classifier: self.classifier,
        })
    }

    /// Their slots, if it is an appointment step.
    fn slots(&self) -> impl Iterator<Item = SlotKey> + '_ {
        self.slot_end.into_iter().flat_map(move |end| {
            self.owners().map(move |owner| SlotKey {
                owner,
                start: self.at,
                end,
                facility: self.facility,
            })
        })
    }
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
    /// The latest instant at which anything that was ever added counts.
    pub latest: Option<Millis>,
}

impl Totals {
    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        self.added.merge(&other.added);
        self.taken_back.merge(&other.taken_back);
        self.latest = self.latest.max(other.latest);
    }

    /// Whether nothing was ever added.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.taken_back.is_empty()
    }
}

/// What is stored as one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CellKey {
    /// A [`DayRecord`].
    Day(Owner, Day, NameId),
    /// An owner's total of a day over all facilities, as [`Packed`] bytes.
    Total(Owner, Day),
    /// The facilities at which an owner has or had cells.
    Facilities(Owner),
    /// A vessel call's figures.
    Call(CallKey),
    /// A slot's figures.
    Slot(SlotKey),
    /// An owner's running totals.
    Totals(Owner),
}

/// Something to be stored: a key, and its value or none if it is gone.
pub type Stored = (CellKey, Option<Vec<u8>>);

/// What is out of retention and may still be on the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// All records and the total of an owner's day.
    Day(Owner, Day),
    /// The quarter-hours of an owner's day.
    Quarters(Owner, Day),
    /// All slots that start before this UTC day.
    Slots(Day),
}

/// The quarter-hour of an instant.
pub fn quarter_of(at: Millis) -> Quarter {
    at.div_euclid(QUARTER_MS) as Quarter
}

/// The UTC day of an instant.
pub fn utc_day_of(at: Millis) -> Day {
    at.div_euclid(DAY_MS) as Day
}

/// The day of a zone in which a quarter-hour lies. A zone's offset is a multiple
/// of 15 minutes, so it lies in one.
pub fn local_day(quarter: Quarter, zone: &TimeZone) -> Day {
    let seconds = i64::from(quarter) * (QUARTER_MS / 1000);
    let offset = jiff::Timestamp::from_second(seconds)
        .map_or(0, |instant| i64::from(zone.to_offset(instant).seconds()));
    (seconds + offset).div_euclid(DAY_MS / 1000) as Day
}
