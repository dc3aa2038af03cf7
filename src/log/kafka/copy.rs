//! Copies events into the events' topic as they were appended once: with the append time
//! that they have, in order, and each exactly once. Records and how far was read are
//! committed together, so a copy that was interrupted goes on where it ended.

use super::alone;
use super::connection::{Connection, Context};
use super::failure::Failure;
use super::record;
use super::transactions::{STEP, Transactions};
use crate::log::{Batch, Kind, Offset, Record};
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::time::{Duration, Instant};

/// The pause before a question is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// Where events are copied to.
pub struct Copy {
    transactions: Transactions,
    /// Keeps how far was read.
    group: BaseConsumer<Context>,
    /// Into this topic.
    events: String,
    /// Under whose name it is kept how far was read.
    read: String,
    open: bool,
}

impl Copy {
    /// Into a topic of events, under a name that no other copy has; `read` is the topic
    /// under which it is kept how far was read.
    ///
    /// # Errors
    /// A configuration that the client does not take; the broker's.
    pub fn begin(
        connection: &Connection,
        name: &str,
        read: &str,
        events: &str,
    ) -> Result<Self, Failure> {
        let transactions = Transactions::begin_as(connection, name)?;
        let mut config = connection.client();
        config
            .set("group.id", name)
            .set("enable.auto.commit", "false");
        let made = connection.make(&config, connection.context());
        Ok(Self {
            transactions,
            group: made.map_err(Failure::of("make a consumer"))?,
            events: events.to_owned(),
            read: read.to_owned(),
            open: false,
        })
    }

    /// How far was read and copied of so many partitions; none of those of which nothing
    /// is known.
    ///
    /// # Errors
    /// The broker's.
    pub fn progress(&self, partitions: u32) -> Result<Vec<Option<Offset>>, Failure> {
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition(&self.read, partition as i32);
        }
        let started = Instant::now();
        let found = loop {
            let found = self.group.committed_offsets(list.clone(), STEP);
            match found.map_err(Failure::of("ask how far was copied")) {
                // A broker that has just begun does not know the group's coordinator yet.
                Err(failure) if failure.kind == Kind::Retry && started.elapsed() < STEP => {
                    self.group.poll(AGAIN);
                }
                found => break found?,
            }
        };
        let offset = |partition| {
            let of = found.find_partition(&self.read, partition as i32)?;
            let offset = of.offset().to_raw()?;
            (offset >= 0).then_some(offset as Offset)
        };
        Ok((0..partitions).map(offset).collect())
    }

    /// Copies one event of a record.
    ///
    /// # Errors
    /// The client's: nothing since the last commit is copied.
    pub fn put(&mut self, facility: &str, of: &Record, event: &Bytes) -> Result<(), Failure> {
        if !self.open {
            self.transactions.begin()?;
            self.open = true;
        }
        let batch = Batch {
            source: of.source.clone(),
            headers: of.headers.clone(),
            schema: of.schema,
            events: Vec::new(),
        };
        let headers = record::owned(&record::headers(&batch, of.appended_at));
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.events)
            .key(facility.as_bytes())
            .payload(&event[..])
            .timestamp(of.appended_at)
            .headers(headers);
        self.transactions.put(record)
    }

    /// Commits what was put, and that the source is read up to these offsets.
    ///
    /// # Errors
    /// The broker's: a copy that is begun again knows what is committed.
    pub fn commit(&mut self, read: &[(u32, Offset)]) -> Result<(), Failure> {
        if !self.open {
            return Ok(());
        }
        let unknown = || KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownGroup);
        let group = self.group.group_metadata();
        let group = group.ok_or_else(|| Failure::of("commit a copy")(unknown()))?;
        let list = alone::offsets(&self.read, read.iter().copied())?;
        self.transactions.commit(list, group)?;
        self.open = false;
        // It reads nothing, but has to be heard, and be given the token that it asks for.
        let _ = self.group.poll(Duration::ZERO);
        Ok(())
    }
}
