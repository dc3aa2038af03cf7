//! What a request's fields say, or what is wrong with them.

use crate::event::{Classifier, Millis, Role};
use crate::status;
use jiff::tz::TimeZone;
use pbjson_types::Timestamp;
use tonic::Status;

/// Rows per page if the request does not say.
pub const PAGE_DEFAULT: u32 = 1_000;

/// The most rows per page.
pub const PAGE_MAX: u32 = 10_000;

/// 1970-01-01 and 2200-01-01 in seconds.
const YEARS: std::ops::Range<i64> = 0..7_258_118_400;

/// An instant, truncated to milliseconds.
pub fn instant(field: &str, at: Option<Timestamp>) -> Result<Millis, Status> {
    let at = at.ok_or_else(|| status::invalid(field, "", "an instant"))?;
    if !YEARS.contains(&at.seconds) || !(0..1_000_000_000).contains(&at.nanos) {
        let found = format!("{} s {} ns", at.seconds, at.nanos);
        return Err(status::invalid(
            field,
            found,
            "an instant in the years 1970 to 2199",
        ));
    }
    Ok(at.seconds * 1000 + i64::from(at.nanos / 1_000_000))
}

/// An instant as a message.
pub fn message(at: Millis) -> Timestamp {
    let nanos = (at.rem_euclid(1000) * 1_000_000) as i32;
    Timestamp {
        seconds: at.div_euclid(1000),
        nanos,
    }
}

/// A number of rows.
pub fn limit(field: &str, found: u32, default: u32, most: u32) -> Result<usize, Status> {
    match found {
        0 => Ok(default as usize),
        found if found <= most => Ok(found as usize),
        found => Err(status::invalid(field, found, format!("at most {most}"))),
    }
}

/// Rows per page.
pub fn page_size(found: u32) -> Result<usize, Status> {
    limit("page_size", found, PAGE_DEFAULT, PAGE_MAX)
}

/// A role; UNSPECIFIED is none.
pub fn role(field: &str, found: i32) -> Result<Option<Role>, Status> {
    match Role::try_from(found) {
        Ok(Role::Unspecified) => Ok(None),
        Ok(role) => Ok(Some(role)),
        Err(_) => Err(status::invalid(field, found, "a known role")),
    }
}

/// A classifier; UNSPECIFIED is none.
pub fn classifier(field: &str, found: i32) -> Result<Option<Classifier>, Status> {
    match Classifier::try_from(found) {
        Ok(Classifier::Unspecified) => Ok(None),
        Ok(classifier) => Ok(Some(classifier)),
        Err(_) => Err(status::invalid(field, found, "a known classifier")),
    }
}

/// An IANA zone; the reporting zone if none is named.
pub fn zone(found: &str, reporting: &TimeZone) -> Result<TimeZone, Status> {
    if found.is_empty() {
        return Ok(reporting.clone());
    }
    TimeZone::get(found)
        .map_err(|_| status::invalid("zone", found, "an IANA time zone, such as Asia/Shanghai"))
}
