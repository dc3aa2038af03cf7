//! Reads all partitions of a topic up to the ends that they have when it begins, in no
//! group.

use super::alone;
use super::connection::{Connection, Context};
use super::failure::{self, Failure};
use super::polled::Read;
use crate::log::{Kind, Offset};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a question to a broker may take.
const ASKED: Duration = Duration::from_secs(10);

/// How long is waited for a record at a time.
const POLLED: Duration = Duration::from_millis(100);

/// How long nothing may come before it is given up.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What reads them.
pub struct Sweep {
    consumer: BaseConsumer<Context>,
    topic: String,
    group: String,
    /// Of each partition: where it begins, and where it ended.
    bounds: Vec<(Offset, Offset)>,
    /// Partitions that are read.
    active: BTreeSet<u32>,
}

impl Sweep {
    /// Of so many partitions.
    ///
    /// # Errors
    /// The broker's.
    pub fn open(connection: &Connection, topic: &str, partitions: u32) -> Result<Self, Failure> {
        let fetching = [("queued.max.messages.kbytes", "65536")];
        let made = alone::consumer(connection, alone::COMMITTED, &fetching);
        let consumer = made.map_err(Failure::of("make a consumer"))?;
        let bounds = (0..partitions).map(|partition| {
            let found = consumer.fetch_watermarks(topic, partition as i32, ASKED);
            let failed = |error| Failure::of("ask for the ends of topic")(error).with(topic);
            let (start, end) = found.map_err(failed)?;
            Ok((start.max(0) as Offset, end.max(0) as Offset))
        });
        Ok(Self {
            bounds: bounds.collect::<Result<_, Failure>>()?,
            consumer,
            topic: topic.to_owned(),
            group: connection.group().to_owned(),
            active: BTreeSet::new(),
        })
    }

    /// Of each partition: its first offset, and the one after its last.
    pub fn bounds(&self) -> &[(Offset, Offset)] {
        &self.bounds
    }

    /// Begins at these offsets, one for each partition, but not before its first.
    ///
    /// # Errors
    /// The client's.
    pub fn begin(&mut self, from: &[Offset]) -> Result<(), Failure> {
        let each = (0..).zip(from.iter().zip(&self.bounds));
        let left: Vec<(u32, Offset)> = each
            .map(|(partition, (&from, &(start, end)))| (partition, from.max(start), end))
            .filter(|(_, from, end)| from < end)
            .map(|(partition, from, _)| (partition, from))
            .collect();
        self.active = left.iter().map(|&(partition, _)| partition).collect();
        let list = alone::offsets(&self.topic, left)?;
        let assigned = self.consumer.assign(&list);
        assigned.map_err(Failure::of("assign partitions"))
    }

    /// Waits for the next record; none once all that is read was read. What becomes of it
    /// is told with its partition, so that it can be held back.
    ///
    /// # Errors
    /// What the client cannot recover from by itself; nothing came for a minute.
    pub fn next<T>(&mut self, take: impl FnOnce(Read<'_>) -> T) -> Result<Option<T>, Failure> {
        let mut since = Instant::now();
        while !self.active.is_empty() {
            match self.consumer.poll(POLLED) {
                Some(Ok(message)) => {
                    since = Instant::now();
                    let (partition, next) = (message.partition() as u32, message.offset() + 1);
                    let end = self.bounds.get(partition as usize).map_or(0, |of| of.1) as i64;
                    if next >= end {
                        self.active.remove(&partition);
                    }
                    if next <= end {
                        return Ok(Some(take(Read::of(message))));
                    }
                }
                // Before the end there were but ends of transactions.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.active.remove(&(partition as u32));
                }
                Some(Err(error)) if failure::kind(&error) != Kind::Retry => {
                    return Err(self.failed(error));
                }
                Some(Err(_)) | None if since.elapsed() > IDLE_MAX => {
                    let late = RDKafkaErrorCode::OperationTimedOut;
                    return Err(self.failed(KafkaError::MessageConsumption(late)));
                }
                Some(Err(_)) | None => {}
            }
        }
        Ok(None)
    }

    /// Reads no more of a partition until it is resumed.
    ///
    /// # Errors
    /// The client's.
    pub fn pause(&mut self, partition: u32) -> Result<(), Failure> {
        let paused = self.consumer.pause(&self.list(partition));
        paused.map_err(Failure::of("pause a partition"))?;
        self.active.remove(&partition);
        Ok(())
    }

    /// Goes on reading a partition behind the record at this offset.
    ///
    /// # Errors
    /// The client's.
    pub fn resume(&mut self, partition: u32, offset: Offset) -> Result<(), Failure> {
        if self
            .bounds
            .get(partition as usize)
            .is_some_and(|of| offset + 1 < of.1)
        {
            let resumed = self.consumer.resume(&self.list(partition));
            resumed.map_err(Failure::of("resume a partition"))?;
            self.active.insert(partition);
        }
        Ok(())
    }

    fn failed(&self, error: KafkaError) -> Failure {
        let about = failure::subject(&error, &self.topic, &self.group);
        Failure::of("read topic")(error).with(about)
    }

    fn list(&self, partition: u32) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition as i32);
        list
    }
}
