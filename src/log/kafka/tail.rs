//! Follows all partitions of a changelog: what is committed, in order.

use super::alone;
use super::connection::{Connection, Context};
use super::failure::{Failure, subject};
use crate::log::Kind;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::time::Duration;

/// What comes next.
#[derive(Debug)]
pub enum Next<'a> {
    /// A committed record.
    Record {
        /// Its partition.
        partition: u32,
        /// Its offset.
        place: i64,
        /// Its key.
        key: &'a [u8],
        /// Its value; none for a tombstone.
        value: Option<&'a [u8]>,
    },
    /// All that is committed of a partition was read.
    End {
        /// Which.
        partition: u32,
    },
    /// Nothing came in time.
    Nothing,
}

/// A consumer of all partitions, in no group.
pub struct Tail {
    consumer: BaseConsumer<Context>,
    topic: String,
    group: String,
}

impl Tail {
    /// Reads a topic from these offsets on, one for each partition.
    ///
    /// # Errors
    /// A configuration that the client does not take.
    pub fn open(connection: &Connection, topic: &str, from: &[i64]) -> Result<Self, Failure> {
        // A commit is waited for by whoever asks for what he sent.
        let fetching = [
            ("fetch.wait.max.ms", "50"),
            ("fetch.queue.backoff.ms", "5"),
            ("queued.max.messages.kbytes", "16384"),
        ];
        let made = alone::consumer(connection, alone::COMMITTED, &fetching);
        let consumer = made.map_err(Failure::of("make a consumer"))?;
        let mut all = TopicPartitionList::new();
        for (partition, &offset) in (0..).zip(from) {
            let offset = match offset {
                // The first of a compacted topic may be any.
                0 => rdkafka::Offset::Beginning,
                offset => rdkafka::Offset::Offset(offset),
            };
            let added = all.add_partition_offset(topic, partition, offset);
            added.map_err(Failure::of("assign a partition"))?;
        }
        let assigned = consumer.assign(&all);
        assigned.map_err(Failure::of("assign the changelogs"))?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            group: connection.group().to_owned(),
        })
    }

    /// Waits for what comes next, and hands it over.
    ///
    /// # Errors
    /// What the client cannot recover from by itself.
    pub fn next<T>(&self, wait: Duration, take: impl FnOnce(Next<'_>) -> T) -> Result<T, Failure> {
        match self.consumer.poll(wait) {
            None => Ok(take(Next::Nothing)),
            Some(Ok(message)) => Ok(take(Next::Record {
                partition: message.partition() as u32,
                place: message.offset(),
                key: message.key().unwrap_or_default(),
                value: message.payload(),
            })),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(take(Next::End {
                partition: partition as u32,
            })),
            Some(Err(error)) => {
                let about = subject(&error, &self.topic, &self.group);
                let failure = Failure::of("read topic")(error).with(about);
                match failure.kind {
                    // The client goes on trying.
                    Kind::Retry => {
                        tracing::warn!(error = %source(&failure), "following the changelogs");
                        Ok(take(Next::Nothing))
                    }
                    Kind::Abort | Kind::Fatal => Err(failure),
                }
            }
        }
    }
}

fn source(failure: &Failure) -> String {
    let source = std::error::Error::source(failure);
    source.map_or_else(|| failure.to_string(), ToString::to_string)
}
