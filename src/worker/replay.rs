//! Brings a worker up to the log's end after a restart.

use super::{Error, Item, PUBLISH_EVENTS_MAX, Worker};
use crate::log::embedded::Log;
use crate::log::frame::event_bytes;
use crate::log::{self, Address, Offset};
use crate::wire;

impl Worker {
    /// Applies the log from the checkpoint to its end.
    pub(super) fn replay(&mut self, log: &Log) -> Result<(), Error> {
        if self.position < log.end() {
            tracing::info!(from = self.position, to = log.end(), "replaying the log");
        }
        for record in log.read_from(self.position)? {
            let record = record?;
            if record.schema != wire::SCHEMA {
                let (offset, schema) = (record.first_offset, record.schema);
                return Err(Error::Schema { offset, schema });
            }
            let mut address = record.end_address;
            address -= record
                .events
                .iter()
                .map(|bytes| event_bytes(bytes.len()))
                .sum::<u64>();
            for (index, bytes) in record.events.iter().enumerate() {
                let offset = record.first_offset + index as u64;
                if offset >= self.position {
                    self.replay_event(&record, offset, bytes, address)?;
                }
                address += event_bytes(bytes.len());
            }
            self.position = record.end_offset();
            if self.changes.len() >= PUBLISH_EVENTS_MAX {
                self.publish()?;
            }
        }
        self.publish()?;
        self.publisher.finish()
    }

    fn replay_event(
        &mut self,
        record: &log::Record,
        offset: Offset,
        bytes: &[u8],
        address: Address,
    ) -> Result<(), Error> {
        match wire::decode(bytes) {
            Ok(event) => {
                let item = Item::of(&self.fingerprints(), &record.source, event, bytes);
                self.apply(&record.source, record.appended_at, &item, address)
            }
            // Nobody but us writes this log, so this is a fault of ours: told,
            // counted, and never a reason to stop.
            Err(error) => {
                tracing::error!(offset, %error, "a record cannot be decoded");
                self.metrics.undecodable_records.increment(1);
                Ok(())
            }
        }
    }
}
