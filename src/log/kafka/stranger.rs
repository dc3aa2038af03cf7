//! A record as it stands in the log: an event of ours, or what is kept of one that is
//! not.

use super::dead_letter::{DeadLetter, Origin};
use super::record::{Incoming, Parts, Refused, headers_of, read};
use crate::log::Offset;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Message as _, OwnedHeaders};

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
}

/// A record that is none of ours, and why.
pub struct Letter {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Option<OwnedHeaders>,
    refused: Refused,
    partition: i32,
    offset: i64,
}

impl Letter {
    /// Keeps a record. Of one that no topic may take with what is told of it, only
    /// that is kept.
    pub fn of(record: &Read<'_>, refused: Refused) -> Self {
        let headers = record.0.headers();
        let of_header =
            |header: Header<'_, &[u8]>| header.key.len() + header.value.map_or(0, <[u8]>::len);
        // Names that are no text cannot be asked for, and are few bytes.
        let told = headers_of(&record.0);
        let in_headers: usize = told.map_or(0, |told| {
            told.iter()
                .map(|&(key, value)| of_header(Header { key, value }))
                .sum()
        });
        let bytes = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let fits = bytes(record.key()) + bytes(record.value()) + in_headers <= LETTER_BYTES_MAX;
        let kept = |part: Option<&[u8]>| part.filter(|_| fits).map(<[u8]>::to_vec);
        Self {
            key: kept(record.key()),
            value: kept(record.value()),
            headers: headers.filter(|_| fits).map(BorrowedHeaders::detach),
            refused,
            partition: record.0.partition(),
            offset: record.0.offset(),
        }
    }

    /// As it is put away, out of a topic.
    pub(super) fn dead<'a>(&'a self, topic: &'a str) -> DeadLetter<'a> {
        let origin = Origin {
            topic,
            partition: self.partition,
            offset: self.offset,
        };
        let (key, value) = (self.key.as_deref(), self.value.as_deref());
        DeadLetter::of(key, value, self.headers.clone(), &self.refused, origin)
    }

    /// Why it is none of ours.
    pub fn refused(&self) -> &Refused {
        &self.refused
    }
}
