//! Rolling quarter-hour cells up, the slow and obvious way.

use super::{Figures, Grain, Key, Truth};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use std::collections::BTreeMap;

/// What rolled-up cells are split by, beside time, role and classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// By facility; else its name is empty.
    pub facility: bool,
    /// By enterprise; else its id is empty.
    pub enterprise: bool,
}

impl Split {
    /// By both.
    pub const FULL: Self = Self {
        facility: true,
        enterprise: true,
    };
}

impl Truth {
    /// The quarter-hour cells that start in [from, to), rolled up to a grain of
    /// a zone.
    ///
    /// # Errors
    ///
    /// An instant at the very edge of representable time.
    pub fn rolled_up(
        &self,
        grain: Grain,
        zone: &TimeZone,
        split: Split,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<BTreeMap<Key, Figures>, jiff::Error> {
        let mut rows = BTreeMap::<Key, Figures>::new();
        let mut starts = BTreeMap::new();
        let quarters = self
            .cells
            .iter()
            .filter(|(key, _)| key.grain == Grain::Quarter);
        for (key, figures) in quarters {
            if !(from_ms..to_ms).contains(&key.start_ms) {
                continue;
            }
            let mut key = Key {
                grain,
                ..key.clone()
            };
            key.start_ms = match starts.get(&key.start_ms) {
                Some(&start) => start,
                None => *starts
                    .entry(key.start_ms)
                    .or_insert(start_of(grain, zone, key.start_ms)?),
            };
            if !split.facility {
                key.facility.clear();
            }
            if !split.enterprise {
                key.enterprise.clear();
            }
            rows.entry(key).or_default().merge(figures);
        }
        rows.retain(|_, figures| !figures.is_empty());
        Ok(rows)
    }
}

/// The start of the grain's interval, in a zone, that holds an instant; both in
/// milliseconds. An hour begins at each full hour of the local clock, and where a
/// change of the clock enters another hour: one that the clock is set back
/// within is longer, one that it is set back into is another.
///
/// # Errors
///
/// An instant at the very edge of representable time.
pub fn start_of(grain: Grain, zone: &TimeZone, at_ms: i64) -> Result<i64, jiff::Error> {
    let at = Timestamp::from_millisecond(at_ms)?.to_zoned(zone.clone());
    let start: Zoned = match grain {
        Grain::Quarter => return Ok(at_ms - at_ms.rem_euclid(super::QUARTER_MS)),
        Grain::Hour => return hour_of(zone, at_ms - at_ms.rem_euclid(super::QUARTER_MS)),
        Grain::Day => at.start_of_day()?,
        Grain::Week => {
            let days = i64::from(at.weekday().to_monday_zero_offset());
            let monday = at.date().checked_sub(jiff::Span::new().days(days))?;
            monday.to_zoned(zone.clone())?.start_of_day()?
        }
        Grain::Month => at.first_of_month()?.start_of_day()?,
    };
    Ok(start.timestamp().as_millisecond())
}

/// The start of the hour that holds a quarter-hour.
fn hour_of(zone: &TimeZone, quarter_ms: i64) -> Result<i64, jiff::Error> {
    let local = |ms| Ok::<_, jiff::Error>(Timestamp::from_millisecond(ms)?.to_zoned(zone.clone()));
    let hour = |at: &Zoned| (at.date(), at.hour());
    let (mut start, mut at) = (quarter_ms, local(quarter_ms)?);
    while at.minute() != 0 {
        let before = local(start - super::QUARTER_MS)?;
        if hour(&before) != hour(&at) {
            break;
        }
        (start, at) = (start - super::QUARTER_MS, before);
    }
    Ok(start)
}
