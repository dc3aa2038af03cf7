//! Where ingest appends, each source in its turn: to the embedded log, or to Kafka.

use super::check::Checked;
use crate::log::committer::Handle;
use crate::log::kafka::producer::Producer;
use crate::log::{Appended, Batch, Error};
use crate::trace::Mark;
use crate::turns::{Limits, Size, Turns};
use crate::view::position::Position;
use crate::{wire, worker};
use compact_str::CompactString;
use std::time::{Duration, Instant};

/// Bytes on their way to the log of this machine: two groups' that are written within
/// a few milliseconds, so that what comes now waits for no more than these.
const AHEAD_BYTES: u64 = 512 << 10;

/// Events on their way to be counted. With the largest batch they are less than what
/// the worker's inbox takes, so that the log never waits for it.
const UNCOUNTED_EVENTS: u64 = 40_000;

/// Bytes on their way to the brokers, which take longer and more at once.
const KAFKA_AHEAD_BYTES: u64 = 16 << 20;

/// Appends what was accepted.
#[derive(Clone)]
pub struct Appends {
    log: Log,
    turns: Turns,
}

#[derive(Clone)]
enum Log {
    Embedded(Handle<worker::Batch>),
    Kafka(Producer),
}

impl Appends {
    /// To the log of this machine; with more bytes waiting than this, a batch waits
    /// only for a while.
    pub fn embedded(log: Handle<worker::Batch>, buffered_bytes: usize) -> Self {
        Self {
            log: Log::Embedded(log),
            turns: Turns::new(Limits {
                ahead_bytes: AHEAD_BYTES.min(buffered_bytes as u64 / 2),
                uncounted_events: UNCOUNTED_EVENTS,
                waiting_bytes: buffered_bytes as u64,
            }),
        }
    }

    /// To the topic; the same.
    pub fn kafka(log: Producer, buffered_bytes: usize) -> Self {
        Self {
            log: Log::Kafka(log),
            turns: Turns::new(Limits {
                ahead_bytes: KAFKA_AHEAD_BYTES.min(buffered_bytes as u64 / 2),
                uncounted_events: u64::MAX,
                waiting_bytes: buffered_bytes as u64,
            }),
        }
    }

    /// Whose turn it is.
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Appends what a batch has accepted; the position that includes it, once it is
    /// durable. It waits for its turn, and for room at most this long. A mark goes into
    /// the log with it.
    ///
    /// # Errors
    /// The log's.
    pub(super) async fn within(
        &self,
        wait: Duration,
        source: &str,
        checked: &mut Checked,
        mark: Option<Mark>,
    ) -> Result<Position, Error> {
        let started = Instant::now();
        let size = Size {
            bytes: checked.encoded.iter().map(|event| event.len() as u64).sum(),
            events: checked.items.len() as u64,
        };
        let place = self.turns.enter(wait, source, size).await;
        let place = place.map_err(|_| Error::Overloaded { wait })?;
        // It was not for want of room that it waited for its turn.
        let wait = wait.saturating_sub(started.elapsed()).max(wait / 2);
        let batch = Batch {
            source: source.into(),
            headers: mark.map(Mark::header).into_iter().collect(),
            schema: wire::SCHEMA,
            events: std::mem::take(&mut checked.encoded),
        };
        let items = std::mem::take(&mut checked.items);
        match &self.log {
            Log::Embedded(log) => {
                let place = Some(place);
                let payload = worker::Batch { items, mark, place };
                let appended = log.append_within(wait, batch, payload).await;
                let Appended { end_offset, .. } = appended?;
                Ok(Position::embedded(end_offset))
            }
            Log::Kafka(log) => {
                let facilities = items.into_iter().map(|item| item.event.facility);
                let facilities: Vec<CompactString> = facilities.collect();
                let ends = log.append_within(wait, &facilities, batch).await?;
                drop(place);
                Ok(Position::of(ends))
            }
        }
    }
}
