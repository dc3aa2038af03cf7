//! Reads a part of a partition on its own: single records, and what is committed up to
//! an end.

use super::alone;
use super::connection::{Connection, Context};
use super::failure::Failure;
use crate::log::{Kind, Offset};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::time::{Duration, Instant};

/// How long a question to a broker may take.
const ASKED: Duration = Duration::from_secs(10);

/// How long is waited for a record at a time.
const POLLED: Duration = Duration::from_millis(100);

/// What reads; each of it is for one at a time.
pub struct Reader {
    /// Sees all records.
    raw: BaseConsumer<Context>,
    /// Sees what is committed.
    committed: BaseConsumer<Context>,
    topic: String,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker failed, or the client.
    #[error("read a part of topic {topic}, partition {partition}")]
    Broker {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// How.
        source: Failure,
    },
    /// It took too long.
    #[error("read topic {topic}, partition {partition}: not done within {waited:?}")]
    Late {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// How long.
        waited: Duration,
    },
    /// There is no record at this offset any more.
    #[error("read topic {topic}, partition {partition}: no record at offset {offset}")]
    Gone {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: Offset,
    },
}

impl Error {
    /// What to do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Broker { source, .. } => source.kind,
            Self::Late { .. } => Kind::Retry,
            Self::Gone { .. } => Kind::Fatal,
        }
    }

    /// Whether the brokers do not let us.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Broker { source, .. } if source.is_denied())
    }
}

impl Reader {
    /// Of a topic.
    ///
    /// # Errors
    /// A configuration that the client does not take.
    pub fn new(connection: &Connection, topic: &str) -> Result<Self, Failure> {
        let consumer = |isolation| {
            // What is not asked for is read in vain.
            let fetching = [
                ("queued.min.messages", "1"),
                ("fetch.wait.max.ms", "10"),
                ("fetch.queue.backoff.ms", "5"),
            ];
            alone::consumer(connection, isolation, &fetching)
                .map_err(Failure::of("make a consumer"))
        };
        Ok(Self {
            raw: consumer(alone::ALL)?,
            committed: consumer(alone::COMMITTED)?,
            topic: topic.to_owned(),
        })
    }

    /// Hears what the client has to say while nothing is read, and gives it what it asks
    /// for: a token, before the one that it has is over. To be called now and then.
    pub fn idle(&self) {
        for consumer in [&self.raw, &self.committed] {
            // Nothing is assigned, so no record comes.
            let _ = consumer.poll(Duration::ZERO);
        }
    }

    /// The first offset that is there and the one after the last, transactions that are
    /// open included.
    ///
    /// # Errors
    /// The broker's.
    pub fn bounds(&self, partition: u32) -> Result<(i64, i64), Error> {
        self.watermarks(&self.raw, partition)
    }

    /// The value of the record at an offset.
    ///
    /// # Errors
    /// The broker's; no such record.
    pub fn record(&self, partition: u32, offset: Offset) -> Result<Vec<u8>, Error> {
        let mut found = None;
        self.read(&self.raw, partition, offset as i64, |message| {
            if message.offset() == offset as i64 {
                found = message.payload().map(<[u8]>::to_vec);
            }
            false
        })?;
        found.ok_or_else(|| Error::Gone {
            topic: self.topic.clone(),
            partition,
            offset,
        })
    }

    /// Visits what is committed from a place on, at least up to what was written before
    /// this was called: waits for transactions that were open then, at most so long.
    ///
    /// # Errors
    /// The broker's; it took too long.
    pub fn committed(
        &self,
        partition: u32,
        from: i64,
        wait: Duration,
        mut each: impl FnMut(i64, &[u8], Option<&[u8]>),
    ) -> Result<(), Error> {
        let (started, (_, written)) = (Instant::now(), self.bounds(partition)?);
        loop {
            // Of a consumer of what is committed, it ends where the first open
            // transaction begins.
            let (_, stable) = self.watermarks(&self.committed, partition)?;
            if stable >= written {
                break;
            }
            if started.elapsed() > wait {
                return Err(self.late(partition, started));
            }
            // Whatever comes is served, and nothing does.
            let _ = self.committed.poll(Duration::from_millis(5));
        }
        if written <= from {
            return Ok(());
        }
        self.read(&self.committed, partition, from, |message| {
            each(
                message.offset(),
                message.key().unwrap_or_default(),
                message.payload(),
            );
            true
        })
    }

    /// Visits records from an offset on, until there is no more or it is enough.
    fn read(
        &self,
        consumer: &BaseConsumer<Context>,
        partition: u32,
        from: i64,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> Result<(), Error> {
        let mut at = TopicPartitionList::new();
        let offset = rdkafka::Offset::Offset(from);
        let assigned = at
            .add_partition_offset(&self.topic, partition as i32, offset)
            .and_then(|()| consumer.assign(&at));
        assigned.map_err(|error| self.broker(partition, error))?;
        let started = Instant::now();
        let read = loop {
            match consumer.poll(POLLED) {
                Some(Ok(message)) if message.partition() == partition as i32 => {
                    if !each(&message) {
                        break Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break Ok(()),
                Some(Err(error)) => {
                    let error = self.broker(partition, error);
                    if error.kind() != Kind::Retry {
                        break Err(error);
                    }
                }
                Some(Ok(_)) | None => {}
            }
            if started.elapsed() > 6 * ASKED {
                break Err(self.late(partition, started));
            }
        };
        let left = consumer.unassign();
        left.map_err(|error| self.broker(partition, error))?;
        read
    }

    fn watermarks(&self, of: &BaseConsumer<Context>, partition: u32) -> Result<(i64, i64), Error> {
        let found = of.fetch_watermarks(&self.topic, partition as i32, ASKED);
        found.map_err(|error| self.broker(partition, error))
    }

    fn broker(&self, partition: u32, error: KafkaError) -> Error {
        Error::Broker {
            topic: self.topic.clone(),
            partition,
            source: Failure::of("ask the broker")(error),
        }
    }

    fn late(&self, partition: u32, since: Instant) -> Error {
        Error::Late {
            topic: self.topic.clone(),
            partition,
            waited: since.elapsed(),
        }
    }
}
