//! A record as it was read from the log: an event of ours, or what is kept of one that
//! is not.

use super::dead_letter::{DeadLetter, Origin};
use super::partition::partition_of;
use super::record::{Incoming, Parts, Refused, headers_of, read};
use crate::log::{Offset, Record};
use crate::wire;
use bytes::Bytes;
use compact_str::CompactString;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Message as _};

/// Bytes of a record that is none of ours, beyond which it is not kept as a whole: a topic
/// may take a MiB, and what is told of it comes to it.
const LETTER_BYTES_MAX: usize = 900_000;

/// A record of the log as it is there.
pub struct Read<'a>(BorrowedMessage<'a>);

impl<'a> Read<'a> {
    /// As it was read.
    pub(super) fn of(message: BorrowedMessage<'a>) -> Self {
        Self(message)
    }

    /// Its partition.
    pub fn partition(&self) -> u32 {
        self.0.partition() as u32
    }

    /// Its offset.
    pub fn offset(&self) -> Offset {
        self.0.offset() as Offset
    }

    /// Its key.
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// Its value.
    pub fn value(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// The event that it is, in a topic of so many partitions.
    ///
    /// # Errors
    /// Why it is none of ours.
    pub fn event(&self, partitions: u32) -> Result<Incoming, Refused> {
        read(Parts {
            key: self.key(),
            value: self.value(),
            headers: headers_of(&self.0)?,
            timestamp: self.0.timestamp().to_millis(),
            partition: self.partition(),
            partitions,
        })
    }

    /// The same as a record of a log.
    ///
    /// # Errors
    /// Why it is none of ours.
    pub fn record(&self, partitions: u32) -> Result<Record, Refused> {
        let event = self.event(partitions)?;
        Ok(Record {
            first_offset: self.offset(),
            appended_at: event.appended_at,
            source: event.source,
            headers: event.headers,
            schema: wire::SCHEMA,
            events: vec![Bytes::copy_from_slice(self.value().unwrap_or_default())],
            end_address: 0,
        })
    }

    /// The last header of a name, as text: what of it is none is left out.
    pub fn header(&self, name: &str) -> Option<String> {
        let headers = headers_of(&self.0).ok()?;
        let of_name = headers.iter().rev().find(|header| header.0 == name)?;
        Some(String::from_utf8_lossy(of_name.1?).into_owned())
    }

    /// The event that it would be in its right place: under its facility's key, in the
    /// canonical encoding. `Incoming`'s append time is the record's own.
    ///
    /// # Errors
    /// Why it would still be none of ours.
    pub fn mended(&self, partitions: u32) -> Result<Incoming, Refused> {
        let value = self.value();
        let event = value.map(wire::decode).transpose()?;
        let facility = event.as_ref().map(|event| event.facility.clone());
        let value = event.as_ref().map(wire::encode);
        read(Parts {
            key: facility.as_ref().map(CompactString::as_bytes),
            value: value.as_deref(),
            headers: headers_of(&self.0)?,
            timestamp: self.0.timestamp().to_millis(),
            partition: facility
                .as_ref()
                .map_or(0, |of| partition_of(of, partitions)),
            partitions,
        })
    }

    /// What is kept of it, being none of ours. Of one that no topic may take with what
    /// is told of it, only that is kept.
    pub fn dead(&self, refused: &Refused) -> DeadLetter {
        let origin = Origin {
            topic: self.0.topic(),
            partition: self.0.partition(),
            offset: self.0.offset(),
        };
        if self.bytes() > LETTER_BYTES_MAX {
            return DeadLetter::of(None, None, None, refused, origin);
        }
        let headers = self.0.headers().map(BorrowedHeaders::detach);
        DeadLetter::of(self.key(), self.value(), headers, refused, origin)
    }

    /// How many there are of it. Headers whose names are no text cannot be asked for.
    fn bytes(&self) -> usize {
        let bytes = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let headers = headers_of(&self.0).map_or(0, |headers| {
            let each = headers.iter();
            each.map(|&(name, value)| name.len() + bytes(value)).sum()
        });
        bytes(self.key()) + bytes(self.value()) + headers
    }
}
