//! Where ingest appends: to the embedded log, or to Kafka.

use super::check::Checked;
use crate::log::committer::Handle;
use crate::log::kafka::producer::Producer;
use crate::log::{Appended, Batch, Error};
use crate::trace::Mark;
use crate::view::position::Position;
use crate::{wire, worker};
use compact_str::CompactString;
use std::time::Duration;

/// Appends what was accepted.
#[derive(Clone)]
pub enum Appends {
    /// To the log of this machine.
    Embedded(Handle<worker::Batch>),
    /// To the topic.
    Kafka(Producer),
}

impl Appends {
    /// Appends what a batch has accepted; the position that includes it, once it is
    /// durable. It waits for room at most this long. A mark goes into the log with it.
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
        let batch = Batch {
            source: source.into(),
            headers: mark.map(Mark::header).into_iter().collect(),
            schema: wire::SCHEMA,
            events: std::mem::take(&mut checked.encoded),
        };
        let items = std::mem::take(&mut checked.items);
        match self {
            Self::Embedded(log) => {
                let payload = worker::Batch { items, mark };
                let appended = log.append_within(wait, batch, payload).await;
                let Appended { end_offset, .. } = appended?;
                Ok(Position::embedded(end_offset))
            }
            Self::Kafka(log) => {
                let facilities = items.into_iter().map(|item| item.event.facility);
                let facilities: Vec<CompactString> = facilities.collect();
                let ends = log.append_within(wait, &facilities, batch).await?;
                Ok(Position::of(ends))
            }
        }
    }
}
