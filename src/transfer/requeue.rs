//! The dead letters: what there is, and back into the log with those that are, or can be
//! made, events of ours.

use crate::log::kafka::connection::Connection;
use crate::log::kafka::dead_letter;
use crate::log::kafka::failure::Failure;
use crate::log::kafka::polled::Read;
use crate::log::kafka::producer::Producer;
use crate::log::kafka::record::{Incoming, Refused};
use crate::log::kafka::sweep::Sweep;
use crate::log::{self, Batch, Offset};
use crate::wire;
use futures_util::future;
use serde::Serialize;
use std::time::Duration;

/// Letters that are under way at once.
const TOGETHER_MAX: usize = 500;

/// How long one waits for room.
const ROOM: Duration = Duration::from_secs(30);

/// What is told of a dead letter. Its value is a stranger's and may hold anything, so of
/// that only the size is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its partition in the topic of dead letters.
    pub partition: u32,
    /// Its offset there.
    pub offset: Offset,
    /// Why it was put away: a stable name.
    pub reason: String,
    /// The same for people.
    pub detail: String,
    /// Where it came from: the topic.
    pub from_topic: String,
    /// Its partition there.
    pub from_partition: String,
    /// Its offset there.
    pub from_offset: String,
    /// Bytes of its value.
    pub bytes: usize,
}

/// A dead letter, and the event that it is, or can be made.
pub type Judged = (Letter, Result<Mended, Refused>);

/// Which letters are meant; all that is not given means any.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Of these reasons.
    pub reasons: Vec<String>,
    /// At this partition and offset of the topic of dead letters.
    pub place: Option<(u32, Offset)>,
}

impl Which {
    fn means(&self, letter: &Letter) -> bool {
        let of_reason = self.reasons.is_empty() || self.reasons.contains(&letter.reason);
        let here = (letter.partition, letter.offset);
        of_reason && self.place.is_none_or(|place| place == here)
    }
}

/// The topic of dead letters.
pub struct Letters {
    sweep: Sweep,
    which: Which,
    /// Of the events' topic.
    partitions: u32,
}

impl Letters {
    /// Of so many partitions, as many as the events have.
    ///
    /// # Errors
    /// The brokers'.
    pub fn open(
        connection: &Connection,
        topic: &str,
        partitions: u32,
        which: Which,
    ) -> Result<Self, Failure> {
        let mut sweep = Sweep::open(connection, topic, partitions)?;
        sweep.begin(&vec![0; partitions as usize])?;
        Ok(Self {
            sweep,
            which,
            partitions,
        })
    }

    /// The next one that is meant, and what it would be in its right place; none once
    /// all that were there when it was opened were read.
    ///
    /// # Errors
    /// The brokers'.
    pub fn next_meant(&mut self) -> Result<Option<Judged>, Failure> {
        loop {
            let (which, partitions) = (&self.which, self.partitions);
            let found = self.sweep.next(|read| {
                let letter = letter(&read);
                which.means(&letter).then(|| {
                    let mended = read.mended(partitions).map(Mended);
                    (letter, mended)
                })
            })?;
            match found {
                None => return Ok(None),
                Some(None) => {}
                Some(found) => return Ok(found),
            }
        }
    }
}

fn letter(read: &Read<'_>) -> Letter {
    let told = |name| read.header(name).unwrap_or_default();
    Letter {
        partition: read.partition(),
        offset: read.offset(),
        reason: told(dead_letter::REASON),
        detail: told(dead_letter::DETAIL),
        from_topic: told(dead_letter::TOPIC),
        from_partition: told(dead_letter::PARTITION),
        from_offset: told(dead_letter::OFFSET),
        bytes: read.value().map_or(0, <[u8]>::len),
    }
}

/// An event that a dead letter is, or can be made.
pub struct Mended(Incoming);

/// Appends events, as if they came now: they were never counted. Sent again, they count
/// once.
///
/// # Errors
/// The first that the log did not take; others may be in it.
pub async fn requeue(producer: &Producer, events: &[Mended]) -> Result<(), log::Error> {
    for together in events.chunks(TOGETHER_MAX) {
        let each = together.iter().map(|Mended(incoming)| async {
            let facility = [incoming.event.facility.clone()];
            let batch = Batch {
                source: incoming.source.clone(),
                headers: incoming.headers.clone(),
                schema: wire::SCHEMA,
                events: vec![wire::encode(&incoming.event).into()],
            };
            producer.append_within(ROOM, &facility, batch).await
        });
        future::try_join_all(each).await?;
    }
    Ok(())
}
