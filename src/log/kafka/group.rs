//! A member of the group that counts: reads the partitions of the log that are given to
//! it, and commits what that changes together with how far it has read. Every call
//! blocks, so it belongs to a thread of its own.

use super::alone;
use super::connection::{Connection, Context};
use super::dead_letter::DeadLetter;
use super::failure::{Failure, subject};
use super::polled::Read;
use super::transactions::{STEP, Transactions};
use crate::log::{Kind, Offset};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::Statistics;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a member is called, and which topics it reads and writes.
#[derive(Clone, Debug)]
pub struct Member {
    /// The group.
    pub group: String,
    /// Its stable name: a restart ends what it left open.
    pub transactional_id: String,
    /// The log.
    pub events: String,
    /// The changelogs.
    pub cells: String,
    /// Where records go that are none of ours.
    pub dead_letters: String,
}

/// What the group decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// These partitions are to be read, once [`Group::begin_reading`] says from where.
    Given(Vec<u32>),
    /// These are to be given up by [`Group::stop_reading`].
    Taken(Vec<u32>),
}

/// Where the log ends in a partition, as the brokers last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The high watermark.
    pub high_watermark: Offset,
    /// The last stable offset: before it no transaction is open.
    pub last_stable: Offset,
}

/// What comes next.
pub enum Next<'a> {
    /// A record of the log.
    Record(Read<'a>),
    /// The group decided something.
    Turn(Turn),
    /// Nothing came in time.
    Nothing,
}

/// A member of the group.
pub struct Group {
    consumer: BaseConsumer<Turns>,
    transactions: Transactions,
    member: Member,
    /// Whether the group waits for an answer to what it gave.
    owes: AtomicBool,
}

/// Keeps what the group decided until it is asked for. Once the member is leaving,
/// nobody asks any more, and whatever is decided is answered at once: else leaving would
/// wait for it for ever.
struct Turns {
    turns: Mutex<VecDeque<Turn>>,
    /// Where the log ends, as the client last told.
    ends: Mutex<Vec<(u32, Ends)>>,
    leaving: AtomicBool,
    context: Context,
}

impl ClientContext for Turns {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.context.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }

    fn generate_oauth_token(
        &self,
        asked: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.context.generate_oauth_token(asked)
    }

    fn stats(&self, statistics: Statistics) {
        let topics = statistics.topics.into_values();
        let partitions = topics.flat_map(|topic| topic.partitions.into_values());
        // Below zero is what is not known yet, and the partition of no partition.
        let ends = partitions.filter_map(|of| {
            let ends = Ends {
                high_watermark: of.hi_offset.try_into().ok()?,
                last_stable: of.ls_offset.try_into().ok()?,
            };
            Some((of.partition.try_into().ok()?, ends))
        });
        *self.ends.lock() = ends.collect();
    }
}

impl ConsumerContext for Turns {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let gives = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.leaving.load(Ordering::Relaxed) {
            // What cannot be answered either is cut off by the broker in time.
            let _ = match gives {
                true => consumer.incremental_assign(&TopicPartitionList::new()),
                false => consumer.incremental_unassign(list),
            };
            return;
        }
        let elements = list.elements();
        let partitions = elements.iter().map(|of| of.partition() as u32).collect();
        let turn = match gives {
            true => Turn::Given(partitions),
            false => Turn::Taken(partitions),
        };
        self.turns.lock().push_back(turn);
    }
}

impl Group {
    /// Joins the group. What was left open under this name is ended first.
    ///
    /// # Errors
    /// A configuration that the client does not take; the broker's.
    pub fn join(connection: &Connection, member: Member) -> Result<Self, Failure> {
        let transactions = Transactions::begin_as(connection, &member.transactional_id)?;
        let consumer = consumer(connection, &member)?;
        Ok(Self {
            consumer,
            transactions,
            member,
            owes: AtomicBool::new(false),
        })
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// What the client cannot recover from by itself.
    pub fn next(&self, wait: Duration) -> Result<Next<'_>, Failure> {
        if let Some(turn) = self.turn() {
            return Ok(Next::Turn(turn));
        }
        let polled = self.consumer.poll(wait);
        // What was decided meanwhile comes before the record; none is polled with it.
        match polled {
            Some(Ok(message)) => Ok(Next::Record(Read::of(message))),
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Next::Nothing),
            Some(Err(error)) => {
                let about = subject(&error, &self.member.events, &self.member.group);
                let failure = Failure::of("read topic")(error).with(about);
                match failure.kind {
                    // The client goes on trying.
                    Kind::Retry => {
                        let cause: &dyn std::error::Error = &failure;
                        tracing::warn!(cause, "reading the log");
                        Ok(Next::Nothing)
                    }
                    Kind::Abort | Kind::Fatal => Err(failure),
                }
            }
            None => Ok(self.turn().map_or(Next::Nothing, Next::Turn)),
        }
    }

    fn turn(&self) -> Option<Turn> {
        let turn = self.consumer.context().turns.lock().pop_front();
        if matches!(turn, Some(Turn::Given(_))) {
            self.owes.store(true, Ordering::Relaxed);
        }
        turn
    }

    /// Where the log ends in partitions that are read, if the client has told of it since
    /// the last call.
    pub fn ends(&self) -> Vec<(u32, Ends)> {
        std::mem::take(&mut *self.consumer.context().ends.lock())
    }

    /// Hears what the transactions' client has to say while none is open. To be called now
    /// and then.
    pub fn idle(&self) {
        self.transactions.idle();
    }

    /// How many steps of commits were tried again since the last call.
    pub fn retries(&self) -> u64 {
        self.transactions.retries()
    }

    /// Whether partitions were lost: another member may have them already.
    pub fn has_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// Reads partitions that were given, each from an offset on.
    ///
    /// # Errors
    /// The client's.
    pub fn begin_reading(&self, from: &[(u32, Offset)]) -> Result<(), Failure> {
        let list = self.list(from)?;
        let begun = self.consumer.incremental_assign(&list);
        begun.map_err(Failure::of("begin to read partitions"))?;
        self.owes.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Stops reading partitions that were taken.
    ///
    /// # Errors
    /// The client's.
    pub fn stop_reading(&self, partitions: &[u32]) -> Result<(), Failure> {
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            list.add_partition(&self.member.events, partition as i32);
        }
        let stopped = self.consumer.incremental_unassign(&list);
        stopped.map_err(Failure::of("stop reading partitions"))
    }

    /// Reads partitions again from offsets.
    ///
    /// # Errors
    /// The client's.
    pub fn read_again(&self, from: &[(u32, Offset)]) -> Result<(), Failure> {
        let operation = "go back in partitions";
        let sought = self.consumer.seek_partitions(self.list(from)?, STEP);
        // What became of each partition is told with it, and with it alone.
        for of in sought.map_err(Failure::of(operation))?.elements() {
            of.error().map_err(Failure::aborting(operation))?;
        }
        Ok(())
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// The client's.
    pub fn begin(&self) -> Result<(), Failure> {
        self.transactions.begin()
    }

    /// Puts a record into a partition's changelog.
    ///
    /// # Errors
    /// The client's: the transaction is to be aborted.
    pub fn put(&self, partition: u32, key: &[u8], value: Option<&[u8]>) -> Result<(), Failure> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.member.cells)
            .partition(partition as i32)
            .key(key);
        record.payload = value;
        self.transactions.put(record)
    }

    /// Puts a record where records go that are none of ours.
    ///
    /// # Errors
    /// The client's: the transaction is to be aborted.
    pub fn put_away(&self, letter: &DeadLetter) -> Result<(), Failure> {
        self.transactions
            .put(letter.to(&self.member.dead_letters, ()))
    }

    /// Commits what was put, and that the log is read up to these offsets. Only the
    /// latter is refused if the partitions are another member's by now.
    ///
    /// # Errors
    /// Then nothing is committed, or the outcome is not known, which a restart of the
    /// producer settles.
    pub fn commit(&self, read: &[(u32, Offset)]) -> Result<(), Failure> {
        self.transactions.drain()?;
        let metadata = self.consumer.group_metadata();
        // A broker takes offsets of nobody without looking; such a commit is not fenced.
        let lost = || KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownMemberId);
        let (false, Some(metadata)) = (self.has_lost(), metadata) else {
            return Err(Failure::aborting("commit, being no member")(lost()));
        };
        self.transactions.commit(self.list(read)?, metadata)
    }

    /// Aborts the transaction that is open, if there is one.
    ///
    /// # Errors
    /// The client's: the member is to be made anew.
    pub fn abort(&self) -> Result<(), Failure> {
        self.transactions.abort()
    }

    fn list(&self, offsets: &[(u32, Offset)]) -> Result<TopicPartitionList, Failure> {
        alone::offsets(&self.member.events, offsets.iter().copied())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let context = self.consumer.context();
        context.leaving.store(true, Ordering::Relaxed);
        let turns: Vec<Turn> = context.turns.lock().drain(..).collect();
        // What was decided and not asked for any more is answered too, or leaving waits for
        // it for ever.
        let mut owes = self.owes.load(Ordering::Relaxed);
        for turn in turns {
            match turn {
                Turn::Given(_) => owes = true,
                Turn::Taken(partitions) => {
                    let _ = self.stop_reading(&partitions);
                }
            }
        }
        if owes {
            let _ = self.consumer.incremental_assign(&TopicPartitionList::new());
        }
    }
}

fn consumer(connection: &Connection, member: &Member) -> Result<BaseConsumer<Turns>, Failure> {
    let mut config = connection.client();
    config
        .set("group.id", &member.group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        // No `group.instance.id`: a static member that is replaced in the middle of a
        // cooperative rebalance is given its part of it without another one, and what it
        // was to give up for others is nobody's from then on.
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "2000")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "16384")
        // Where the log ends is told with them.
        .set("statistics.interval.ms", "2000");
    let made = connection.make(
        &config,
        Turns {
            turns: Mutex::default(),
            ends: Mutex::default(),
            leaving: AtomicBool::new(false),
            context: connection.context(),
        },
    );
    let consumer: BaseConsumer<Turns> = made.map_err(Failure::of("make a consumer"))?;
    let subscribed = consumer.subscribe(&[&member.events]);
    subscribed.map_err(Failure::of("join the group"))?;
    Ok(consumer)
}
