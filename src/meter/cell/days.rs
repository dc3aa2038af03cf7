//! In which day of the reporting zone quarter-hours lie, remembered.

use super::{Day, Quarter, local_day};
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;

/// Quarter-hours whose day is remembered.
const CACHED_MAX: usize = 100_000;

/// Days of a zone.
pub struct Days {
    zone: TimeZone,
    known: FxHashMap<Quarter, Day>,
}

impl Days {
    /// Days of this zone.
    pub fn of(zone: TimeZone) -> Self {
        Self {
            zone,
            known: FxHashMap::default(),
        }
    }

    /// The day in which a quarter-hour lies. The zone's offset is a multiple of 15
    /// minutes, so it lies in one.
    pub fn day_of(&mut self, quarter: Quarter) -> Day {
        if self.known.len() > CACHED_MAX {
            self.known.clear();
        }
        let zone = &self.zone;
        *self
            .known
            .entry(quarter)
            .or_insert_with(|| local_day(quarter, zone))
    }
}
