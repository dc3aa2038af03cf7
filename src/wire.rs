//! Protobuf ↔ event. What reporters send is judged and normalised here, once;
//! the log holds the canonical bytes of what was accepted, and nothing of a
//! plate or driver but a keyed pseudonym.

mod allowed;
mod detail;
mod judge;
mod read;
mod write;

pub use allowed::Allowed;
pub use judge::{Accepted, Judge, PLANNED_AHEAD_MS};

use crate::event::{Event, fault::Fault};
use crate::pb;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// The version of the canonical encoding, kept with each record of the log.
pub const SCHEMA: u32 = 1;

/// The most bytes of an event's canonical encoding. The limits of the single
/// fields keep every valid event below it, so [`accept`] needs not ask.
pub const ENCODED_BYTES_MAX: usize = 16 * 1024;

/// The most warnings of one event.
pub const WARNINGS_MAX: usize = 32;

/// Judges and normalises what a reporter sent. Of a retraction, only event id,
/// revision and facility are judged; the rest is dropped.
///
/// The error is the first fault in the order of the fields in the
/// specification: event id, revision, classifier, instant, facility, parties,
/// detail. A strict judge refuses, for its first warning, an event that has no
/// other fault.
pub fn accept(event: pb::Event, judge: &Judge<'_>) -> Result<Accepted, Fault> {
    accept_within(event, judge, Allowed::default())
}

/// The same, of a sender who may not speak of everything: what is not allowed is a
/// fault of the field that names it.
pub fn accept_within(
    event: pb::Event,
    judge: &Judge<'_>,
    allowed: Allowed<'_>,
) -> Result<Accepted, Fault> {
    let mut accepted = read::Reader::accepting(judge, allowed).read(event)?;
    if judge.strict && !accepted.warnings.is_empty() {
        return Err(accepted.warnings.swap_remove(0));
    }
    Ok(accepted)
}

/// Why a record's bytes are not an event.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More bytes than any valid event has.
    #[error("the record has {0} bytes, expected at most {ENCODED_BYTES_MAX}")]
    TooLarge(usize),
    /// Not a protobuf message of this type.
    #[error("the record is not an encoded event")]
    Protobuf(#[from] prost::DecodeError),
    /// A message that is not a valid event.
    #[error("the record is not a valid event")]
    Invalid(#[from] Fault),
}

/// Reads a log record. It holds whatever [`accept`] guarantees of form, order
/// and limits, and nothing but pseudonyms for plates and drivers; time is not
/// judged, and there are no warnings. What is valid but not normalised is
/// normalised, so only the bytes of [`encode`] come back from it unchanged.
/// Errors on anything else.
pub fn decode(bytes: &[u8]) -> Result<Event, Error> {
    if bytes.len() > ENCODED_BYTES_MAX {
        return Err(Error::TooLarge(bytes.len()));
    }
    Ok(read::Reader::replaying()
        .read(pb::Event::decode(bytes)?)?
        .event)
}

/// The canonical bytes: the protobuf encoding, fields ascending and defaults
/// left out, of the normalised event.
pub fn encode(event: &Event) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    encode_into(event, &mut bytes);
    bytes
}

/// Appends the canonical bytes.
pub fn encode_into(event: &Event, bytes: &mut Vec<u8>) {
    write::event(event, bytes);
}

/// The SHA-256 of the canonical bytes, with a `p` in place of each pseudonym. Of two
/// different statements with one identity and revision, the one with the greater
/// wins. What is sent again is no other statement, whatever became of the keys.
pub fn content_hash(event: &Event) -> [u8; 32] {
    let impersonal = event.impersonal();
    Sha256::digest(encode(impersonal.as_ref().unwrap_or(event))).into()
}

#[cfg(test)]
mod tests;
