//! Instants as people write them.

use anyhow::{Context as _, Result};
use jiff::civil::DateTime;
use jiff::{Span, Timestamp, ToSpan as _, Zoned};

/// An instant: `now`, `today`, `yesterday`, `-24h` (before now), an instant with
/// its offset (`2026-11-23T08:00:00+08:00`), or a date or time of the zone that
/// `now` is in (`2026-11-23`, `2026-11-23T08:00`).
pub fn parse(text: &str, now: &Zoned) -> Result<Timestamp> {
    let wrong = || {
        format!(
            "reading the time {text:?}: expected now, today, yesterday, -24h, 2026-11-23, \
             2026-11-23T08:00 or 2026-11-23T08:00:00+08:00"
        )
    };
    let at = match text {
        "now" => now.clone(),
        "today" => now.start_of_day()?,
        "yesterday" => now.checked_sub(1.day())?.start_of_day()?,
        ago if ago.starts_with('-') => {
            let span: Span = ago.parse().with_context(wrong)?;
            now.checked_add(span).with_context(wrong)?
        }
        _ => match text.parse::<Timestamp>() {
            Ok(at) => return Ok(at),
            Err(_) => {
                let local: DateTime = text.parse().with_context(wrong)?;
                local
                    .to_zoned(now.time_zone().clone())
                    .with_context(wrong)?
            }
        },
    };
    Ok(at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Zoned = "2026-11-23T12:34:56+08:00[Asia/Shanghai]".parse().unwrap();
        for (text, expected) in [
            ("now", "2026-11-23T04:34:56Z"),
            ("today", "2026-11-22T16:00:00Z"),
            ("yesterday", "2026-11-21T16:00:00Z"),
            ("-24h", "2026-11-22T04:34:56Z"),
            ("-90m", "2026-11-23T03:04:56Z"),
            ("-7d", "2026-11-16T04:34:56Z"),
            ("2026-11-23", "2026-11-22T16:00:00Z"),
            ("2026-11-23T08:00", "2026-11-23T00:00:00Z"),
            ("2026-11-23 08:00:30", "2026-11-23T00:00:30Z"),
            ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z"),
            ("2026-11-23T08:00:00-05:00", "2026-11-23T13:00:00Z"),
        ] {
            assert_eq!(parse(text, &now).unwrap().to_string(), expected, "{text}");
        }
        for wrong in ["", "tomorrowish", "-", "24:00", "2026-13-01"] {
            assert!(parse(wrong, &now).is_err(), "{wrong}");
        }
    }
}
