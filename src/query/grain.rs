//! How time is cut into rows, in any zone whose offsets are whole
//! quarter-hours.
//!
//! - A quarter is a UTC quarter-hour.
//! - An hour starts wherever local clocks show a full hour, and wherever a
//!   change of the clocks enters another local hour. So an hour lasts 60 min but
//!   beside a change of the clocks by less than an hour: on Lord Howe it is 30
//!   min long in spring and 90 min in autumn, when half of it is lived twice.
//! - Days, weeks from Monday and months start at the first instant of their
//!   first local date. A day has 23, 24 or 25 hours, on Lord Howe 23½ or 24½.

use crate::event::Millis;
use crate::meter::cell::{DAY_MS, Day, QUARTER_MS};
use crate::pb::Grain;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The most days that a question may span when rows are quarters or hours.
pub const FINE_DAYS_MAX: i64 = 400;

/// The most days that a question may span otherwise: ten years.
pub const COARSE_DAYS_MAX: i64 = 3_653;

/// Why time cannot be cut so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The interval is empty or runs backwards.
    #[error("an instant after `from`")]
    Order,
    /// The interval is too long.
    #[error("at most {0} days after `from`")]
    TooLong(i64),
    /// An end of the interval is not where a row starts.
    #[error("the start of a row in the zone, the nearest being {} and {}", show(*before), show(*after))]
    Misaligned {
        /// Which end.
        field: &'static str,
        /// The last row start before it.
        before: Millis,
        /// The first row start after it.
        after: Millis,
    },
    /// The zone's offset is not a whole number of quarter-hours somewhere.
    #[error("a zone whose offset is a multiple of 15 min, which it is not at {}", show(*.0))]
    Offset(Millis),
}

/// The instant in RFC 3339.
pub fn show(at: Millis) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| format!("{at} ms"), |at| at.to_string())
}

/// Where the rows of [from, to) start, and `to` at the end.
pub fn edges(
    grain: Grain,
    zone: &TimeZone,
    from: Millis,
    to: Millis,
) -> Result<Vec<Millis>, Error> {
    if from >= to {
        return Err(Error::Order);
    }
    let fine = matches!(grain, Grain::Quarter | Grain::Hour);
    let days_max = if fine { FINE_DAYS_MAX } else { COARSE_DAYS_MAX };
    if to - from > days_max * DAY_MS {
        return Err(Error::TooLong(days_max));
    }
    aligned("from", grain, zone, from)?;
    aligned("to", grain, zone, to)?;
    if grain == Grain::Total {
        return Ok(vec![from, to]);
    }
    let mut edges = vec![from];
    let mut at = from;
    while at < to {
        at = next(grain, zone, at)?;
        edges.push(at);
    }
    Ok(edges)
}

fn aligned(field: &'static str, grain: Grain, zone: &TimeZone, at: Millis) -> Result<(), Error> {
    let before = floor(grain, zone, at)?;
    if before == at {
        return Ok(());
    }
    Err(Error::Misaligned {
        field,
        before,
        after: next(grain, zone, before)?,
    })
}

/// The start of the row in which an instant lies.
pub fn floor(grain: Grain, zone: &TimeZone, at: Millis) -> Result<Millis, Error> {
    let quarter = at - at.rem_euclid(QUARTER_MS);
    match grain {
        Grain::Hour => {
            let mut start = quarter;
            while !starts_hour(zone, start)? {
                start -= QUARTER_MS;
            }
            Ok(start)
        }
        Grain::Day | Grain::Week | Grain::Month => {
            date_start(zone, period(grain, date_of(zone, at)))
        }
        _ => Ok(quarter),
    }
}

/// The first row start that is not before an instant.
pub fn ceil(grain: Grain, zone: &TimeZone, at: Millis) -> Result<Millis, Error> {
    let start = floor(grain, zone, at)?;
    if start == at {
        Ok(at)
    } else {
        next(grain, zone, start)
    }
}

/// The start of the row after the one that starts at `start`.
fn next(grain: Grain, zone: &TimeZone, start: Millis) -> Result<Millis, Error> {
    match grain {
        Grain::Hour => {
            let mut at = start + QUARTER_MS;
            while !starts_hour(zone, at)? {
                at += QUARTER_MS;
            }
            Ok(at)
        }
        Grain::Day | Grain::Week | Grain::Month => {
            let mut date = period(grain, date_of(zone, start));
            let mut at = start;
            // A date that a zone skipped has no instant: it starts with the next.
            while at <= start {
                date = following(grain, date);
                at = date_start(zone, date)?;
            }
            Ok(at)
        }
        _ => Ok(start + QUARTER_MS),
    }
}

/// Whether an hour of the zone starts at this quarter-hour.
fn starts_hour(zone: &TimeZone, at: Millis) -> Result<bool, Error> {
    let hour = 4 * QUARTER_MS;
    let local = at + offset_ms(zone, at)?;
    let before = at - QUARTER_MS;
    let local_before = before + offset_ms(zone, before)?;
    Ok(local % hour == 0 || local.div_euclid(hour) != local_before.div_euclid(hour))
}

fn offset_ms(zone: &TimeZone, at: Millis) -> Result<i64, Error> {
    let offset = i64::from(zone.to_offset(timestamp(at)).seconds()) * 1000;
    if offset % QUARTER_MS == 0 {
        Ok(offset)
    } else {
        Err(Error::Offset(at))
    }
}

// Instants come from requests that were checked to lie in 1970 to 2199, so
// neither they nor their neighbours are out of jiff's range.
fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or_default()
}

fn date_of(zone: &TimeZone, at: Millis) -> Date {
    zone.to_datetime(timestamp(at)).date()
}

fn period(grain: Grain, date: Date) -> Date {
    let first = match grain {
        Grain::Week => date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
        Grain::Month => Ok(date.first_of_month()),
        _ => Ok(date),
    };
    first.unwrap_or(date)
}

fn following(grain: Grain, date: Date) -> Date {
    match grain {
        Grain::Week => date.saturating_add(1.week()),
        Grain::Month => date.saturating_add(1.month()),
        _ => date.saturating_add(1.day()),
    }
}

fn date_start(zone: &TimeZone, date: Date) -> Result<Millis, Error> {
    let start = zone
        .to_zoned(date.at(0, 0, 0, 0))
        .map_or(0, |at| at.timestamp().as_millisecond());
    if start % QUARTER_MS == 0 {
        Ok(start)
    } else {
        Err(Error::Offset(start))
    }
}

/// The day of the zone in which an instant lies.
pub fn day_of(zone: &TimeZone, at: Millis) -> Day {
    let offset = i64::from(zone.to_offset(timestamp(at)).seconds()) * 1000;
    (at + offset).div_euclid(DAY_MS) as Day
}

/// When a day of the zone starts.
pub fn day_start(zone: &TimeZone, day: Day) -> Millis {
    let date = Date::constant(1970, 1, 1).saturating_add(i64::from(day).days());
    zone.to_zoned(date.at(0, 0, 0, 0))
        .map_or(i64::from(day) * DAY_MS, |at| {
            at.timestamp().as_millisecond()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn ms(at: &str) -> Millis {
        at.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn minutes(grain: Grain, name: &str, from: &str, to: &str) -> Vec<i64> {
        let edges = edges(grain, &zone(name), ms(from), ms(to)).unwrap();
        edges
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) / 60_000)
            .collect()
    }

    #[test]
    fn a_day_of_changing_clocks_has_23_or_25_hours() {
        let new_york = "America/New_York";
        let spring = minutes(
            Grain::Hour,
            new_york,
            "2026-03-08T05:00Z",
            "2026-03-09T04:00Z",
        );
        assert_eq!(spring, vec![60; 23]);
        let autumn = minutes(
            Grain::Hour,
            new_york,
            "2026-11-01T04:00Z",
            "2026-11-02T05:00Z",
        );
        assert_eq!(autumn, vec![60; 25]);
        let days = minutes(
            Grain::Day,
            new_york,
            "2026-03-07T05:00Z",
            "2026-03-10T04:00Z",
        );
        assert_eq!(days, [24 * 60, 23 * 60, 24 * 60]);
    }

    #[test]
    fn lord_howe_has_an_hour_of_30_minutes_and_one_of_90() {
        let lord_howe = "Australia/Lord_Howe";
        // 2026-10-04 02:00 +10:30 becomes 02:30 +11.
        let spring = minutes(
            Grain::Hour,
            lord_howe,
            "2026-10-03T13:30Z",
            "2026-10-04T13:00Z",
        );
        assert_eq!(spring, [vec![60, 60, 30], vec![60; 21]].concat());
        // 2026-04-05 02:00 +11 becomes 01:30 +10:30.
        let autumn = minutes(
            Grain::Hour,
            lord_howe,
            "2026-04-04T13:00Z",
            "2026-04-05T13:30Z",
        );
        assert_eq!(autumn, [vec![60, 90], vec![60; 22]].concat());
        let days = minutes(
            Grain::Day,
            lord_howe,
            "2026-04-04T13:00Z",
            "2026-04-06T13:30Z",
        );
        assert_eq!(days, [24 * 60 + 30, 24 * 60]);
    }

    #[test]
    fn kathmandu_hours_start_at_a_quarter_past_the_utc_hour() {
        let hours = minutes(
            Grain::Hour,
            "Asia/Kathmandu",
            "2026-11-22T18:15Z",
            "2026-11-23T18:15Z",
        );
        assert_eq!(hours, vec![60; 24]);
        let half = edges(
            Grain::Hour,
            &zone("Asia/Kathmandu"),
            ms("2026-11-22T18:00Z"),
            ms("2026-11-23T18:15Z"),
        );
        let (before, after) = (ms("2026-11-22T17:15Z"), ms("2026-11-22T18:15Z"));
        assert_eq!(
            half,
            Err(Error::Misaligned {
                field: "from",
                before,
                after
            })
        );
    }

    #[test]
    fn weeks_start_on_monday_and_months_on_the_first() {
        let weeks = edges(
            Grain::Week,
            &zone("Asia/Shanghai"),
            ms("2026-11-15T16:00Z"),
            ms("2026-11-29T16:00Z"),
        );
        assert_eq!(
            weeks.unwrap(),
            [
                ms("2026-11-15T16:00Z"),
                ms("2026-11-22T16:00Z"),
                ms("2026-11-29T16:00Z")
            ]
        );
        let months = minutes(
            Grain::Month,
            "Asia/Shanghai",
            "2024-01-31T16:00Z",
            "2024-03-31T16:00Z",
        );
        assert_eq!(months, [29 * 1440, 31 * 1440]);
    }

    #[test]
    fn a_misaligned_end_names_its_neighbours() {
        let shanghai = zone("Asia/Shanghai");
        let wrong = edges(
            Grain::Day,
            &shanghai,
            ms("2026-11-22T16:00Z"),
            ms("2026-11-23T17:00Z"),
        )
        .unwrap_err();
        let text = wrong.to_string();
        assert!(
            text.contains("2026-11-23T16:00:00Z and 2026-11-24T16:00:00Z"),
            "{text}"
        );
        let order = edges(
            Grain::Total,
            &shanghai,
            ms("2026-11-22T16:00Z"),
            ms("2026-11-22T16:00Z"),
        );
        assert_eq!(order, Err(Error::Order));
        let long = edges(
            Grain::Quarter,
            &shanghai,
            ms("2026-01-01T00:00Z"),
            ms("2027-02-05T00:15Z"),
        );
        assert_eq!(long, Err(Error::TooLong(400)));
    }

    #[test]
    fn a_zone_off_the_quarters_is_refused() {
        // Monrovia kept −0:44:30 until 1972.
        let monrovia = zone("Africa/Monrovia");
        for grain in [Grain::Hour, Grain::Day, Grain::Month] {
            let refused = edges(
                grain,
                &monrovia,
                ms("1970-06-01T00:00Z"),
                ms("1970-07-01T00:00Z"),
            );
            assert!(matches!(refused, Err(Error::Offset(_))), "{refused:?}");
        }
        assert!(
            edges(
                Grain::Day,
                &monrovia,
                ms("2026-06-01T00:00Z"),
                ms("2026-07-01T00:00Z")
            )
            .is_ok()
        );
    }

    #[test]
    fn a_skipped_date_has_no_row() {
        let apia = minutes(
            Grain::Day,
            "Pacific/Apia",
            "2011-12-29T10:00Z",
            "2011-12-31T10:00Z",
        );
        assert_eq!(apia, [1440, 1440]);
    }

    #[test]
    fn days_of_a_zone_start_at_its_midnight() {
        for name in [
            "Asia/Shanghai",
            "UTC",
            "America/New_York",
            "Australia/Lord_Howe",
        ] {
            let zone = zone(name);
            for day in 20_000..21_000 {
                let start = day_start(&zone, day);
                assert_eq!(
                    (day_of(&zone, start - 1), day_of(&zone, start)),
                    (day - 1, day)
                );
            }
        }
    }
}
