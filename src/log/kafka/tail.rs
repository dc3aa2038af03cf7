//! Follows all partitions of a changelog: what is committed, in order.

use super::alone;
use super::answer::within;
use super::apart::Apart;
use super::connection::{Connection, Context};
use super::failure::{Failure, subject};
use crate::log::Kind;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::time::Duration;

/// How long the client may take to be made and to be told its partitions. No broker is
/// asked for that, and the library would wait for it for ever.
const OPENED: Duration = Duration::from_secs(10);

/// What is tried then.
const ASSIGN: &str = "assign the changelogs";

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
    consumer: Apart<BaseConsumer<Context>>,
    connection: Connection,
    topic: String,
}

impl Tail {
    /// Reads a topic from these offsets on, one for each partition.
    ///
    /// # Errors
    /// A configuration that the client does not take; one that hangs.
    pub fn open(connection: &Connection, topic: &str, from: &[i64]) -> Result<Self, Failure> {
        let (of, at) = (connection.clone(), places(topic, from)?);
        let opened = within(OPENED, move || assigned(&of, &at));
        let late = || Failure::unanswered(ASSIGN, OPENED);
        Ok(Self {
            consumer: Apart::of(opened.ok_or_else(late)??),
            connection: connection.clone(),
            topic: topic.to_owned(),
        })
    }

    /// Reads from these offsets on with another client, whatever this one is waiting for.
    ///
    /// # Errors
    /// Those of [`Tail::open`].
    pub fn open_anew(&mut self, from: &[i64]) -> Result<(), Failure> {
        *self = Self::open(&self.connection, &self.topic, from)?;
        Ok(())
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
                let about = subject(&error, &self.topic, self.connection.group());
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

/// All partitions of a topic, each at its offset.
fn places(topic: &str, from: &[i64]) -> Result<TopicPartitionList, Failure> {
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
    Ok(all)
}

fn assigned(
    connection: &Connection,
    at: &TopicPartitionList,
) -> Result<BaseConsumer<Context>, Failure> {
    // A commit is waited for by whoever asks for what he sent.
    let fetching = [
        ("fetch.wait.max.ms", "50"),
        ("fetch.queue.backoff.ms", "5"),
        ("queued.max.messages.kbytes", "16384"),
    ];
    let made = alone::consumer(connection, alone::COMMITTED, &fetching);
    let consumer = made.map_err(Failure::of("make a consumer"))?;
    consumer.assign(at).map_err(Failure::of(ASSIGN))?;
    Ok(consumer)
}

fn source(failure: &Failure) -> String {
    let source = std::error::Error::source(failure);
    source.map_or_else(|| failure.to_string(), ToString::to_string)
}
