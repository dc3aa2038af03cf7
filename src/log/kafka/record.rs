//! What a record of the events' topic is: one event, so that programs in other
//! languages can read it without knowing anything of batches.
//!
//! | part | holds |
//! |---|---|
//! | key | the event's facility, UTF-8 |
//! | value | the event, as canonical protobuf (`quaymeter.v1.Event`) |
//! | [`TYPE`] | `quaymeter.v1.Event` |
//! | [`SCHEMA`] | the version of the canonical encoding, decimal |
//! | [`SOURCE`] | who reports it: part of its identity, and not in the value |
//! | [`APPENDED`] | when it was appended, ms since 1970-01-01T00:00Z, decimal |
//! | other headers | what came with the batch, for example `traceparent` |
//!
//! When it was appended is a header of its own, because Kafka's timestamp is
//! given anew by whatever copies a topic, and forgetting must not depend on that.

mod guard;
mod read;
mod refused;

pub use guard::headers_of;
pub use read::{Incoming, Parts, read};
pub use refused::{Reason, Refused};

use crate::log::Batch;
use bytes::Bytes;
use rdkafka::message::{self, OwnedHeaders};

/// The header that names the value's protobuf message.
pub const TYPE: &str = "quaymeter-type";

/// The header with the version of the canonical encoding.
pub const SCHEMA: &str = "quaymeter-schema";

/// The header that names who reports the event.
pub const SOURCE: &str = "quaymeter-source";

/// The header with the time at which it was appended.
pub const APPENDED: &str = "quaymeter-appended-ms";

/// The header [`TYPE`] of every record.
pub const EVENT_TYPE: &str = "quaymeter.v1.Event";

/// What the names of our own headers begin with, those of dead letters too.
pub const PREFIX: &str = "quaymeter-";

/// How far an append time may be ahead of the record's timestamp. Copies stamp
/// later, so an honest one is ahead only as far as clocks differ.
pub const APPENDED_AHEAD_MS: i64 = 86_400_000;

/// A header of a record that is written.
pub type Header<'a> = (&'a str, Bytes);

/// The headers of a batch's records: all have the same.
pub fn headers(batch: &Batch, appended_at: i64) -> Vec<Header<'_>> {
    let source = Bytes::copy_from_slice(batch.source.as_bytes());
    let own = [
        (TYPE, Bytes::from_static(EVENT_TYPE.as_bytes())),
        (SCHEMA, batch.schema.to_string().into()),
        (SOURCE, source),
        (APPENDED, appended_at.to_string().into()),
    ];
    let others = batch.headers.iter();
    let others = others.map(|(name, value)| (name.as_str(), value.clone()));
    own.into_iter().chain(others).collect()
}

/// As the client library takes them.
pub fn owned(headers: &[Header<'_>]) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |headers, (key, value)| {
        let value = Some(&value[..]);
        headers.insert(message::Header { key, value })
    })
}

/// Whether a batch's own header can travel with its records: it must not be
/// taken for one of ours, and clients in C end a name at its first NUL.
pub fn can_travel(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(PREFIX) && !name.contains('\0')
}

#[cfg(test)]
mod tests;
