//! A record of the topic → an event. Pure: whether a record is taken depends on
//! nothing but the record and the topic's partitions, so every instance decides
//! alike, however often it reads it.

use super::super::partition::partition_of;
use super::{APPENDED, APPENDED_AHEAD_MS, EVENT_TYPE, PREFIX, Reason, Refused, SCHEMA, SOURCE};
use crate::event::{Event, Millis, enterprise};
use crate::wire;
use bytes::Bytes;
use compact_str::CompactString;

/// Where calendars end, late in 9999.
const APPENDED_MAX_MS: i64 = 253_402_207_199_999;

/// A record as it lies in the topic.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a, H> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order: an iterator over names and values.
    pub headers: H,
    /// Its timestamp, in ms since 1970-01-01T00:00Z, if it has one.
    pub timestamp: Option<Millis>,
    /// In which partition it is.
    pub partition: u32,
    /// Of how many.
    pub partitions: u32,
}

/// One event of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The event; the record's value is its canonical encoding.
    pub event: Event,
    /// Who reports it.
    pub source: CompactString,
    /// When it was appended first, in ms since 1970-01-01T00:00Z.
    pub appended_at: Millis,
    /// What else travelled with it, by name; a null is an empty value.
    pub headers: Vec<(String, Bytes)>,
}

/// Reads a record.
///
/// A plate or driver in clear is refused, because the log holds nothing but
/// pseudonyms. One whose text happens to have the form of a pseudonym cannot be
/// told from one; it counts like any other.
///
/// # Errors
/// The first of: no value, headers, append time, value, key, partition.
pub fn read<'a, H>(parts: Parts<'a, H>) -> Result<Incoming, Refused>
where
    H: IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
{
    let Some(value) = parts.value else {
        return Err(Refused::new(Reason::NoValue, "the record has no value"));
    };
    let headers = Sorted::of(parts.headers)?;
    headers.check_type()?;
    headers.check_schema()?;
    let source = headers.source()?;
    let appended_at = headers.appended_at(parts.timestamp)?;
    let event = canonical(value)?;
    check_place(&event, parts.key, parts.partition, parts.partitions)?;
    Ok(Incoming {
        event,
        source,
        appended_at,
        headers: headers.others,
    })
}

fn canonical(value: &[u8]) -> Result<Event, Refused> {
    let event = wire::decode(value)?;
    if wire::encode(&event) == value {
        return Ok(event);
    }
    // Of two spellings of one statement, the hash of the content would decide.
    let detail = "the event is not normalised, or not in canonical protobuf";
    Err(Refused::new(Reason::NotCanonical, detail))
}

/// Of two partitions with events of one facility, each would count for itself.
fn check_place(
    event: &Event,
    key: Option<&[u8]>,
    partition: u32,
    partitions: u32,
) -> Result<(), Refused> {
    let facility = event.facility.as_str();
    if key != Some(facility.as_bytes()) {
        let found = amount(key);
        let detail = format!("key: found {found}, expected the facility {facility}");
        return Err(Refused::new(Reason::WrongKey, detail));
    }
    let right = partition_of(facility, partitions);
    if partition != right {
        let detail = format!("partition {partition}, but {facility} belongs to {right}");
        return Err(Refused::new(Reason::WrongPartition, detail));
    }
    Ok(())
}

/// Our headers, and the others.
#[derive(Default)]
struct Sorted<'a> {
    kind: Option<&'a [u8]>,
    schema: Option<&'a [u8]>,
    source: Option<&'a [u8]>,
    appended: Option<&'a [u8]>,
    others: Vec<(String, Bytes)>,
}

impl<'a> Sorted<'a> {
    fn of(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Result<Self, Refused> {
        let mut sorted = Self::default();
        for (name, value) in headers {
            let value = value.unwrap_or_default();
            let place = match name {
                super::TYPE => &mut sorted.kind,
                SCHEMA => &mut sorted.schema,
                SOURCE => &mut sorted.source,
                APPENDED => &mut sorted.appended,
                // What a dead letter was given is not its own when it comes back.
                _ if name.starts_with(PREFIX) => continue,
                _ => {
                    let value = Bytes::copy_from_slice(value);
                    sorted.others.push((name.to_owned(), value));
                    continue;
                }
            };
            if place.replace(value).is_some() {
                return Err(Refused::header(name, "it twice", "it once"));
            }
        }
        Ok(sorted)
    }

    fn check_type(&self) -> Result<(), Refused> {
        if self.kind == Some(EVENT_TYPE.as_bytes()) {
            return Ok(());
        }
        Err(Refused::header(super::TYPE, &amount(self.kind), EVENT_TYPE))
    }

    fn check_schema(&self) -> Result<(), Refused> {
        let Some(version) = self.schema.and_then(decimal) else {
            let found = amount(self.schema);
            return Err(Refused::header(SCHEMA, &found, "a decimal number"));
        };
        if version == i64::from(wire::SCHEMA) {
            return Ok(());
        }
        let detail = format!("schema {version}, but {} is understood", wire::SCHEMA);
        Err(Refused::new(Reason::UnknownSchema, detail))
    }

    fn source(&self) -> Result<CompactString, Refused> {
        let name = self.source.and_then(|name| str::from_utf8(name).ok());
        let name = name.filter(|name| enterprise::is_name(name));
        name.map(CompactString::from).ok_or_else(|| {
            let expected = "1 to 64 characters `A-Z a-z 0-9 . _ : -`";
            Refused::header(SOURCE, &amount(self.source), expected)
        })
    }

    /// One far ahead would move the log's clock, and with it forgetting. Brokers
    /// bound timestamps (`message.timestamp.after.max.ms`), so that we need no
    /// clock of our own here.
    fn appended_at(&self, timestamp: Option<Millis>) -> Result<Millis, Refused> {
        let at = self.appended.and_then(decimal);
        let Some(at) = at.filter(|at| *at <= APPENDED_MAX_MS) else {
            let found = amount(self.appended);
            let expected = "milliseconds since 1970, decimal";
            return Err(Refused::header(APPENDED, &found, expected));
        };
        let ahead = timestamp.map_or(0, |timestamp| at.saturating_sub(timestamp));
        if ahead > APPENDED_AHEAD_MS {
            let detail = format!("appended {ahead} ms after the record's timestamp");
            return Err(Refused::new(Reason::AppendedAhead, detail));
        }
        Ok(at)
    }
}

/// A number without sign and leading zeros: one spelling for each.
fn decimal(text: &[u8]) -> Option<i64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if !digits || (text.len() > 1 && text[0] == b'0') {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// How much there is: what strangers write may be anything.
fn amount(found: Option<&[u8]>) -> String {
    found.map_or_else(
        || "nothing".to_owned(),
        |found| format!("{} bytes", found.len()),
    )
}
