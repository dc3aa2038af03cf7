//! Transactions of a producer that has a name: whoever comes with the same one ends what
//! was left open, and shuts the former out. Every call blocks.

#[cfg(test)]
mod tests;

use super::answer::within;
use super::connection::{Connection, Context};
use super::failure::Failure;
use crate::failpoint;
use crate::log::Kind;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After this time without a commit the broker ends a transaction.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a step of a transaction may take before it is given up.
pub const STEP: Duration = Duration::from_secs(15);

/// After this time a call is given up that heeds no time. The broker has ended the
/// transaction by then.
const PATIENCE: Duration = TRANSACTION_TIMEOUT.saturating_add(Duration::from_secs(2));

/// The facility of the library's line about a partition that brokers do not let into a
/// transaction.
const SHUT_OUT: &str = "ADDPARTS";

/// How such a line ends if a permission is missing.
const DENIED: &str = "Broker: Topic authorization failed";

/// The producer.
pub struct Transactions {
    producer: Arc<BaseProducer<Reports>>,
    id: String,
}

/// Keeps why a record could not be delivered.
struct Reports {
    /// The first that was not, and its topic.
    failed: Mutex<Option<(KafkaError, String)>>,
    /// The library's words about a partition that brokers do not let into the transaction.
    /// It then purges the records of that, whose reports do not say why.
    shut_out: Mutex<Option<String>>,
    /// Steps that were tried again.
    again: AtomicU64,
    context: Context,
}

impl ClientContext for Reports {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if facility == SHUT_OUT && text.ends_with(DENIED) {
            // Before it comes the thread's name.
            let words = text.split_once("]: ").map_or(text, |(_, words)| words);
            *self.shut_out.lock() = Some(words.to_owned());
        }
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
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = result {
            let failed = || (error.clone(), record.topic().to_owned());
            self.failed.lock().get_or_insert_with(failed);
        }
    }
}

impl Transactions {
    /// Ends what was left open under a name, and goes on under it.
    ///
    /// # Errors
    /// A configuration that the client does not take; the broker's.
    pub fn begin_as(connection: &Connection, id: &str) -> Result<Self, Failure> {
        let producer = Arc::new(producer(connection, id)?);
        let id = id.to_owned();
        Ok(Self { producer, id })
    }

    /// Hears what the client has to say while no transaction is open, and gives it what it
    /// asks for, such as a token. To be called now and then.
    pub fn idle(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// The client's.
    pub fn begin(&self) -> Result<(), Failure> {
        // What was given up with the last one may have been told since.
        self.producer.poll(Duration::ZERO);
        let reports = self.producer.context();
        reports.failed.lock().take();
        reports.shut_out.lock().take();
        let begun = self.producer.begin_transaction();
        begun.map_err(Failure::of("begin a transaction"))
    }

    /// Puts a record into it.
    ///
    /// # Errors
    /// The client's: the transaction is to be aborted.
    pub fn put(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), Failure> {
        let started = Instant::now();
        let mut record = record;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if started.elapsed() < STEP =>
                {
                    record = back;
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => {
                    // What was put before it may tell why.
                    let denied = self.drain().err().filter(Failure::is_denied);
                    let failed = || Failure::aborting("write a transaction")(error);
                    return Err(denied.unwrap_or_else(failed));
                }
            }
        }
    }

    /// Commits what was put, once it is drained, and offsets of a group with it.
    ///
    /// # Errors
    /// Then nothing is committed, or the outcome is not known, which a restart of the
    /// producer settles.
    pub fn commit(
        &self,
        offsets: TopicPartitionList,
        group: ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        self.drain()?;
        failpoint::reached("kafka.offsets.before");
        self.put_offsets(offsets, group)?;
        failpoint::reached("kafka.commit.before");
        self.again(|| {
            let committed = self.producer.commit_transaction(STEP);
            committed.map_err(Failure::of("commit a transaction"))
        })?;
        failpoint::reached("kafka.commit.after");
        Ok(())
    }

    /// Puts offsets of a group into the transaction. While the group's coordinator is gone
    /// the client library looks for the new one only when some connection comes or goes,
    /// and no time that it is given ends its waiting; so ours does, and ends the client.
    fn put_offsets(
        &self,
        offsets: TopicPartitionList,
        group: ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        let operation = "commit offsets";
        let all = Arc::new((offsets, group));
        self.again(|| {
            let (producer, all) = (Arc::clone(&self.producer), Arc::clone(&all));
            let put = move || producer.send_offsets_to_transaction(&all.0, &all.1, STEP);
            let put = within(PATIENCE, put);
            put.ok_or_else(|| Failure::unanswered(operation, PATIENCE))?
                .map_err(Failure::of(operation))
        })
    }

    /// Aborts the transaction that is open, if there is one.
    ///
    /// # Errors
    /// The client's: the producer is to be made anew.
    pub fn abort(&self) -> Result<(), Failure> {
        // An abort with reports outstanding would wait for its whole time.
        let _ = self.drain();
        self.again(|| {
            let aborted = self.producer.abort_transaction(STEP);
            aborted.map_err(Failure::of("abort a transaction"))
        })
    }

    /// Waits until all that was put is reported.
    ///
    /// # Errors
    /// Some of it was not delivered: the transaction is to be aborted.
    pub fn drain(&self) -> Result<(), Failure> {
        let (started, reports) = (Instant::now(), self.producer.context());
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(1));
            if started.elapsed() > STEP {
                let late = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
                return Err(Failure::aborting("write a transaction")(late));
            }
        }
        let Some((error, topic)) = reports.failed.lock().take() else {
            return Ok(());
        };
        Err(match reports.shut_out.lock().take() {
            None => Failure::aborting("write to topic")(error).with(topic),
            Some(words) => {
                let denied = RDKafkaErrorCode::TopicAuthorizationFailed;
                let denied = KafkaError::MessageProduction(denied);
                Failure::aborting("write a transaction:")(denied).with(words)
            }
        })
    }

    /// Calls a step again while it says that this may help.
    fn again(&self, step: impl Fn() -> Result<(), Failure>) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let Err(failure) = step() else { return Ok(()) };
            if failure.kind != Kind::Retry || started.elapsed() > STEP {
                return Err(failure.with(format_args!("of {}", self.id)));
            }
            self.producer
                .context()
                .again
                .fetch_add(1, Ordering::Relaxed);
            self.producer.poll(Duration::from_millis(1));
        }
    }

    /// How many steps were tried again since the last call.
    pub fn retries(&self) -> u64 {
        self.producer.context().again.swap(0, Ordering::Relaxed)
    }
}

fn producer(connection: &Connection, id: &str) -> Result<BaseProducer<Reports>, Failure> {
    let mut config = connection.client();
    let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
    config
        .set("transactional.id", id)
        .set("transaction.timeout.ms", timeout)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // As the Java client, and as `partition_of`.
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "4194304")
        .set("queue.buffering.max.kbytes", "262144");
    for (name, value) in [("linger.ms", "2"), ("compression.type", "lz4")] {
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    let made = connection.make(
        &config,
        Reports {
            failed: Mutex::default(),
            shut_out: Mutex::default(),
            again: AtomicU64::new(0),
            context: connection.context(),
        },
    );
    let producer: BaseProducer<Reports> = made.map_err(Failure::of("make a producer"))?;
    let begun = producer.init_transactions(2 * STEP);
    let failed = |error| Failure::of("begin transactions")(error).with(format_args!("of {id}"));
    begun.map_err(failed)?;
    Ok(producer)
}
