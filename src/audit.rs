//! The recount: what the log's records come to by the specification alone,
//! written without a line of the counting that it is to judge. It keeps every
//! identity's story, sorts whole pairing lists, and sums at the end; nothing is
//! added and taken back.
//!
//! One facility at a time: identities, pairs and cells of facilities have
//! nothing to do with each other.

pub mod compare;
pub mod explain;
mod feed;
mod life;
mod pairs;
mod peek;
pub mod recount;
mod sum;
mod told;

pub use feed::{Error, Extent, Feed, Reach, Survey, survey};
pub use life::Version;
pub use recount::Recount;
pub use sum::{CallCell, Counted, bucket};

use crate::event::Millis;
use jiff::tz::TimeZone;

/// A UTC day, or a day of the reporting zone where it says so: days since
/// 1970-01-01.
pub type Day = i32;

const DAY_MS: i64 = 86_400_000;

/// The settings that shape numbers.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The reporting zone, whose days are the day cells.
    pub zone: TimeZone,
    /// The correction horizon in days.
    pub horizon_days: i32,
    /// For how many days quarter-hours and slots are kept.
    pub quarter_days: i32,
    /// For how many days days and vessel calls are kept.
    pub day_days: i32,
    /// What a 45-foot container counts, in thousandths of a TEU.
    pub teu_45ft_milli: i64,
}

/// The UTC day of an instant.
pub fn utc_day(at: Millis) -> Day {
    at.div_euclid(DAY_MS) as Day
}
