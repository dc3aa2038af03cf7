//! Asks brokers about topics, and makes those that are missing. All of it blocks
//! until a broker answers or a deadline has passed: not for an async thread.

use super::{Difference, Found, Plan, TopicPlan, differences};
use crate::log::Kind;
use crate::log::kafka::apart::Apart;
use crate::log::kafka::connection::{Connection, Context, Trouble};
use crate::log::kafka::{Error, is_passing};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::producer::{BaseProducer, Producer as _};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long brokers have for anything that is asked here.
const WITHIN: Duration = Duration::from_secs(10);

/// After this time the client library is given up, which should have told long since that
/// no broker has answered.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// How long it is tried, at least, when every broker that is known refuses or has
/// let a connection time out: one may just be starting, but who waits wants to be told.
const ALL_DOWN_WITHIN: Duration = Duration::from_secs(2);

/// How long one try lasts, after which it is seen what the client has to tell.
const TRY: Duration = Duration::from_millis(500);

/// How long after one broker told of a new topic another may still know nothing of it,
/// or not its settings.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// How often it is seen whether a new topic is known everywhere.
const PAUSE: Duration = Duration::from_millis(100);

/// How long it is listened to what a client has to tell.
const LISTEN: Duration = Duration::from_millis(10);

/// A connection that asks about topics.
pub struct Admin {
    connection: Connection,
    context: Context,
    clients: Apart<Clients>,
}

struct Clients {
    /// Asks for metadata. The other client never tells what is wrong with it.
    probe: BaseProducer<Context>,
    admin: AdminClient<Context>,
}

/// What differs between the plan and the topics that are there.
///
/// # Errors
/// No broker answers; it refuses to tell.
pub fn check(connection: &Connection, plan: &Plan) -> Result<Vec<Difference>, Error> {
    Ok(differences(plan, &Admin::of(connection)?.found(plan)?))
}

/// As [`check`], for who can do nothing with topics that differ. A topic that is missing
/// may have been made just now, through another broker than the one that is asked.
///
/// # Errors
/// Those of `check`; any difference.
pub fn require(connection: &Connection, plan: &Plan) -> Result<(), Error> {
    let (begun, admin) = (Instant::now(), Admin::of(connection)?);
    loop {
        let found = admin.found(plan).map(|found| differences(plan, &found));
        let is_young = match &found {
            Ok(differences) => differences.iter().any(Difference::is_of_existence),
            Err(error) => matches!(error, Error::Untold { .. }),
        };
        if is_young && begun.elapsed() < KNOWN_WITHIN {
            thread::sleep(PAUSE);
            continue;
        }
        return match found? {
            differences if differences.is_empty() => Ok(()),
            differences => Err(Error::Differ { differences }),
        };
    }
}

impl Admin {
    /// Of these brokers. Nobody is asked yet.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn of(connection: &Connection) -> Result<Self, Error> {
        let config = connection.client();
        let context = connection.context();
        let no_client = |error: KafkaError| connection.no_client(&error);
        let probe = connection.make(&config, context.clone());
        let admin = connection.make(&config, context.clone());
        Ok(Self {
            connection: connection.clone(),
            context,
            clients: Apart::of(Clients {
                probe: probe.map_err(no_client)?,
                admin: admin.map_err(no_client)?,
            }),
        })
    }

    /// The planned topics that are there, as they are.
    ///
    /// # Errors
    /// No broker answers; it refuses to tell.
    pub fn found(&self, plan: &Plan) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        for topic in &plan.topics {
            found.extend(self.topic(&topic.name)?);
        }
        Ok(found)
    }

    /// How many partitions a topic has; none if there is no such topic.
    ///
    /// # Errors
    /// No broker answers; it refuses to tell.
    pub fn partitions(&self, name: &str) -> Result<Option<u32>, Error> {
        let metadata = self.metadata(name)?;
        let topic = existing(name, &metadata)?;
        Ok(topic.map(|topic| topic.partitions().len() as u32))
    }

    /// Makes the planned topics that are not there, and tells of each that it
    /// made. Others may do so at the same time. What is there is left as it is.
    /// If a number of partitions differs, nothing is made.
    ///
    /// # Errors
    /// No broker answers; it refuses to tell or to make a topic.
    pub fn create(&self, plan: &Plan, made: &mut dyn FnMut(&TopicPlan)) -> Result<(), Error> {
        let found = self.found(plan)?;
        if differences(plan, &found)
            .iter()
            .any(Difference::is_of_partitions)
        {
            return Ok(());
        }
        let is_there = |topic: &TopicPlan| found.iter().any(|found| found.name == topic.name);
        for topic in plan.topics.iter().filter(|topic| !is_there(topic)) {
            if self.make(topic)? {
                made(topic);
            }
        }
        self.wait_for(plan)
    }

    /// Whether this made it, and not somebody else.
    fn make(&self, topic: &TopicPlan) -> Result<bool, Error> {
        let settings: Vec<(&str, String)> = topic
            .settings
            .iter()
            .map(|(name, required)| (*name, required.value()))
            .collect();
        let replication = TopicReplication::Fixed(topic.replication);
        let new = NewTopic::new(&topic.name, topic.partitions, replication);
        let new = settings
            .iter()
            .fold(new, |new, (name, value)| new.set(name, value));
        let options = options().operation_timeout(Some(WITHIN));
        let results = wait(self.clients.admin.create_topics([&new], &options));
        let failed = |source| Error::Failed {
            operation: "create topic",
            subject: format!(
                "{} with {} partitions of {} replicas",
                topic.name, topic.partitions, topic.replication
            ),
            source,
        };
        for result in results.map_err(|error| failed(code(&error)))? {
            match result {
                Ok(_) => {}
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => return Ok(false),
                Err((_, code)) => return Err(failed(code)),
            }
        }
        Ok(true)
    }

    /// Brokers learn of new topics one after the other. Those that are missing
    /// when the time is over are told by whoever compares.
    fn wait_for(&self, plan: &Plan) -> Result<(), Error> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let in_time = Instant::now() < deadline;
            match self.found(plan) {
                Ok(found) if found.len() == plan.topics.len() || !in_time => return Ok(()),
                Err(error) if !in_time || !is_of_the_moment(&error) => return Err(error),
                Ok(_) | Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn topic(&self, name: &str) -> Result<Option<Found>, Error> {
        let metadata = self.metadata(name)?;
        let Some(topic) = existing(name, &metadata)? else {
            return Ok(None);
        };
        let replicas = topic.partitions().iter().map(|one| one.replicas().len());
        Ok(Some(Found {
            name: name.into(),
            partitions: count(topic.partitions().len()),
            replication: count(replicas.min().unwrap_or(0)),
            settings: self.settings(name)?,
        }))
    }

    fn settings(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let asked = [ResourceSpecifier::Topic(name)];
        let told = wait(self.clients.admin.describe_configs(&asked, &options()));
        let failed = |source| failed("describe topic", name, source);
        let mut settings = BTreeMap::new();
        for resource in told.map_err(|error| failed(code(&error)))? {
            for entry in resource.map_err(failed)?.entries {
                settings.extend(entry.value.map(|value| (entry.name, value)));
            }
        }
        // The client library drops what the broker said instead.
        if settings.is_empty() {
            return Err(Error::Untold { topic: name.into() });
        }
        Ok(settings)
    }

    /// What brokers know of a topic.
    fn metadata(&self, topic: &str) -> Result<Metadata, Error> {
        let begun = Instant::now();
        loop {
            let client = self.clients.probe.client();
            let error = match client.fetch_metadata(Some(topic), TRY) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => code(&error),
            };
            let trouble = self.trouble();
            let within = if trouble.all_down {
                ALL_DOWN_WITHIN
            } else {
                WITHIN
            };
            if !is_passing(error) {
                return Err(failed("ask for topic", topic, error));
            }
            let after = begun.elapsed();
            if after >= within {
                let (brokers, why) = (self.connection.brokers(), trouble.why);
                return Err(match trouble.refused {
                    true => Error::Refused { brokers, why },
                    false => Error::Unreachable {
                        brokers,
                        after,
                        why,
                    },
                });
            }
        }
    }

    /// What the client told so far.
    fn trouble(&self) -> Trouble {
        self.clients.probe.poll(LISTEN);
        self.context.trouble()
    }
}

/// Waits for what the client library answers, within the options' time unless it hangs.
/// A runtime's own way to wait panics on the threads of another.
fn wait<T>(answer: impl Future<Output = KafkaResult<T>>) -> KafkaResult<T> {
    let deadline = Instant::now() + GIVEN_UP;
    let waker = Waker::from(Arc::new(Waiting(thread::current())));
    let mut context = task::Context::from_waker(&waker);
    let mut answer = pin!(answer);
    loop {
        if let Poll::Ready(answer) = answer.as_mut().poll(&mut context) {
            return answer;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut));
        }
        thread::park_timeout(left);
    }
}

struct Waiting(Thread);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// None if there is no such topic.
fn existing<'a>(name: &str, metadata: &'a Metadata) -> Result<Option<&'a MetadataTopic>, Error> {
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
        return Ok(None);
    };
    match topic.error().map(RDKafkaErrorCode::from) {
        None => Ok(Some(topic)),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            Ok(None)
        }
        Some(code) => Err(failed("ask for topic", name, code)),
    }
}

/// Of a topic that was made just now, and that not every broker knows.
fn is_of_the_moment(error: &Error) -> bool {
    matches!(error, Error::Untold { .. }) || error.kind() == Kind::Retry
}

fn failed(operation: &'static str, subject: &str, source: RDKafkaErrorCode) -> Error {
    Error::Failed {
        operation,
        subject: subject.into(),
        source,
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(WITHIN))
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    match error {
        KafkaError::AdminOp(code) => *code,
        other => other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
    }
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
