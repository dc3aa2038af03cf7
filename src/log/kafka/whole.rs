//! A partition of the events' topic as a log: its events from the first that is kept on,
//! without the records that are none of ours.

use super::alone;
use super::connection::{Connection, Context};
use super::failure;
use super::polled::Read;
use crate::log::readable::{Readable, Records};
use crate::log::{Error, Kind, Offset, Record};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a question to a broker may take.
const ASKED: Duration = Duration::from_secs(10);

/// How long is waited for a record at a time.
const POLLED: Duration = Duration::from_millis(100);

/// How long nothing may come before it is given up.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The partition.
pub struct Whole {
    connection: Connection,
    topic: Arc<str>,
    partition: u32,
    partitions: u32,
    start: Offset,
    end: Offset,
}

impl Whole {
    /// One of so many partitions, as it is now.
    ///
    /// # Errors
    /// The broker's.
    pub fn open(
        connection: &Connection,
        topic: &str,
        partition: u32,
        partitions: u32,
    ) -> Result<Self, Error> {
        let mut whole = Self {
            connection: connection.clone(),
            topic: topic.into(),
            partition,
            partitions,
            start: 0,
            end: 0,
        };
        let (start, end) = whole.bounds(&whole.consumer()?)?;
        (whole.start, whole.end) = (start, end);
        Ok(whole)
    }

    /// Its first offset, and the one up to which everything is committed.
    fn bounds(&self, consumer: &BaseConsumer<Context>) -> Result<(Offset, Offset), Error> {
        let found = consumer.fetch_watermarks(&self.topic, self.partition as i32, ASKED);
        let (start, end) = found.map_err(|error| self.failed(error))?;
        Ok((start.max(0) as Offset, end.max(0) as Offset))
    }

    fn consumer(&self) -> Result<BaseConsumer<Context>, Error> {
        let fetching = [("queued.max.messages.kbytes", "16384")];
        let made = alone::consumer(&self.connection, alone::COMMITTED, &fetching);
        made.map_err(|error| self.failed(error))
    }

    fn assign(&self, consumer: &BaseConsumer<Context>, from: Offset) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        let from = rdkafka::Offset::Offset(from as i64);
        list.add_partition_offset(&self.topic, self.partition as i32, from)
            .and_then(|()| consumer.assign(&list))
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: KafkaError) -> Error {
        let place = format!("{}, partition {}", self.topic, self.partition);
        Error::Broker {
            operation: "read topic",
            subject: failure::subject(&error, &place, self.connection.group()).into(),
            kind: failure::kind(&error),
            source: Arc::new(error),
        }
    }

    fn late(&self) -> Error {
        self.failed(KafkaError::MessageConsumption(
            RDKafkaErrorCode::OperationTimedOut,
        ))
    }
}

impl Readable for Whole {
    fn start(&self) -> Offset {
        self.start
    }

    /// In records.
    fn amount(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    fn read(&self) -> Result<Box<dyn Records + '_>, Error> {
        let consumer = self.consumer()?;
        self.assign(&consumer, self.start)?;
        Ok(Box::new(Reading {
            of: self,
            consumer,
            next: self.start,
            stable: self.start,
            ahead: None,
        }))
    }
}

/// A reading of it.
struct Reading<'a> {
    of: &'a Whole,
    consumer: BaseConsumer<Context>,
    /// The offset after what was read.
    next: Offset,
    /// What lies before it is decided.
    stable: Offset,
    /// Read, and not asked for yet.
    ahead: Option<Record>,
}

/// What a poll gave.
enum Polled {
    Event(Record),
    /// A record that is no event, at this offset.
    Other(Offset),
    End,
    Nothing,
}

impl Reading<'_> {
    /// Waits until it is decided what lies before an offset; how long, a transaction
    /// that is open there may tell.
    fn decided(&mut self, end: Offset) -> Result<bool, Error> {
        let started = Instant::now();
        while self.stable < end {
            let (_, stable) = self.of.bounds(&self.consumer)?;
            // A log that is shorter is the caller's to tell.
            if stable == self.stable && started.elapsed() > ASKED {
                return Ok(false);
            }
            self.stable = stable;
        }
        Ok(true)
    }

    fn poll(&self) -> Result<Polled, Error> {
        let message = match self.consumer.poll(POLLED) {
            None => return Ok(Polled::Nothing),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Polled::End),
            Some(Err(error)) => {
                let error = self.of.failed(error);
                return match error.kind() {
                    Kind::Retry => Ok(Polled::Nothing),
                    Kind::Abort | Kind::Fatal => Err(error),
                };
            }
            Some(Ok(message)) => Read::of(message),
        };
        // What is none of ours is in the dead letters, and counts nowhere.
        Ok(match message.record(self.of.partitions) {
            Ok(record) => Polled::Event(record),
            Err(_) => Polled::Other(message.offset()),
        })
    }
}

impl Records for Reading<'_> {
    fn next_before(&mut self, end: Offset) -> Result<Option<Record>, Error> {
        let decided = self.decided(end)?;
        let (mut since, mut asked_anew) = (Instant::now(), false);
        while self.next < end {
            if let Some(record) = self.ahead.take_if(|record| record.first_offset < end) {
                self.next = record.end_offset();
                return Ok(Some(record));
            }
            // What is ahead lies behind the end, so there is nothing between.
            if self.ahead.is_some() {
                self.next = end;
                break;
            }
            match self.poll()? {
                Polled::Event(record) => self.ahead = Some(record),
                Polled::Other(offset) => self.next = offset + 1,
                Polled::End if !decided => break,
                // What is left are ends of transactions.
                Polled::End if asked_anew => self.next = end,
                // This may have been the end before that was decided.
                Polled::End => {
                    self.of.assign(&self.consumer, self.next)?;
                    asked_anew = true;
                }
                Polled::Nothing if since.elapsed() > IDLE_MAX => return Err(self.of.late()),
                Polled::Nothing => continue,
            }
            since = Instant::now();
        }
        Ok(None)
    }

    fn position(&self) -> Offset {
        self.next
    }

    fn amount(&self) -> u64 {
        self.next.saturating_sub(self.of.start)
    }
}
