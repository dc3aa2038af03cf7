//! Appending to a topic: what is acknowledged is there, once and where it is
//! said to be; what is not is told as an error, in time and within bounds.

use crate::broker::{self, Broker};
use bytes::Bytes;
use quaymeter::config::{Config, Sources};
use quaymeter::event::{Event, Millis};
use quaymeter::log::kafka::connection::Connection;
use quaymeter::log::kafka::partition::partition_of;
use quaymeter::log::kafka::producer::{Ends, Options, Producer, RECORD_BYTES_MAX};
use quaymeter::log::kafka::record::{self, Incoming, Parts};
use quaymeter::log::{Batch, Error, Kind};
use quaymeter::wire;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 5;
const WITHIN: Duration = Duration::from_secs(60);

/// A client of these brokers.
pub fn client_of(broker: &Broker) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker.bootstrap());
    client
}

/// Who looks into their topics, at what is committed and at all there is.
pub fn looks_at(broker: &Broker) -> [BaseConsumer; 2] {
    ["read_committed", "read_uncommitted"].map(|isolation| {
        let mut client = client_of(broker);
        client
            .set("group.id", "looks")
            .set("isolation.level", isolation);
        client.create().unwrap()
    })
}

/// How the library reaches them.
pub fn connection_to(brokers: &str) -> Connection {
    let config = Config::resolve(Sources {
        flags: vec![("kafka.brokers", brokers.to_owned())],
        ..Sources::default()
    });
    Connection::of(&config.unwrap()).unwrap()
}

fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

fn unused_name() -> String {
    format!("t{:016x}.events", rand::random::<u64>())
}

/// A topic of the test's own.
pub async fn topic(broker: &Broker) -> String {
    let topic = unused_name();
    let admin: AdminClient<DefaultClientContext> = client_of(broker).create().unwrap();
    let new = NewTopic::new(&topic, PARTITIONS as i32, TopicReplication::Fixed(1));
    // Some tests have a clock of long ago.
    let new = new.set("retention.ms", "-1");
    let options = AdminOptions::new().operation_timeout(Some(WITHIN));
    let created = admin.create_topics(&[new], &options).await.unwrap();
    assert_eq!(created, [Ok(topic.clone())]);
    topic
}

fn start(broker: &Broker, topic: &str, options: Options) -> Producer {
    Producer::start(&connection_to(broker.bootstrap()), topic, options, now).unwrap()
}

fn facility(number: u64) -> String {
    format!("CNNBO/T{number}")
}

/// A batch of retractions, the smallest events there are, each of its own id.
fn batch(name: &str, facilities: &[String]) -> Batch {
    let event = |(index, facility): (usize, &String)| {
        wire::encode(&Event {
            event_id: format!("{name}.{index}").into(),
            revision: 1,
            facility: facility.as_str().into(),
            statement: None,
        })
        .into()
    };
    Batch {
        source: "tos".into(),
        headers: vec![(
            "traceparent".to_owned(),
            Bytes::copy_from_slice(name.as_bytes()),
        )],
        schema: wire::SCHEMA,
        events: facilities.iter().enumerate().map(event).collect(),
    }
}

async fn append(producer: &Producer, name: &str, facilities: &[String]) -> Result<Ends, Error> {
    let batch = batch(name, facilities);
    producer.append_within(WITHIN, facilities, batch).await
}

/// Everything in the topic, by partition and offset.
fn read_all(broker: &Broker, topic: &str) -> BTreeMap<(u32, u64), Incoming> {
    let consumer: BaseConsumer = client_of(broker)
        .set("group.id", "unused")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut assigned = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let place = (topic, partition as i32, Offset::Beginning);
        assigned
            .add_partition_offset(place.0, place.1, place.2)
            .unwrap();
    }
    consumer.assign(&assigned).unwrap();
    let (mut found, mut ended, began) = (BTreeMap::new(), HashSet::new(), Instant::now());
    while ended.len() < PARTITIONS as usize {
        assert!(
            began.elapsed() < WITHIN,
            "read {} records in time",
            found.len()
        );
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let place = (message.partition() as u32, message.offset() as u64);
                assert_eq!(found.insert(place, read(&message)), None);
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    found
}

fn read(message: &BorrowedMessage<'_>) -> Incoming {
    let incoming = record::read(Parts {
        key: message.key(),
        value: message.payload(),
        headers: record::headers_of(message).unwrap(),
        timestamp: message.timestamp().to_millis(),
        partition: message.partition() as u32,
        partitions: PARTITIONS,
    });
    incoming.unwrap()
}

/// The ends that a batch should be told, from where its records are.
fn ends_of(found: &BTreeMap<(u32, u64), Incoming>, name: &str) -> Ends {
    let is_its = |incoming: &Incoming| incoming.headers[0].1 == name.as_bytes();
    let mut ends = BTreeMap::new();
    for ((partition, offset), _) in found.iter().filter(|(_, incoming)| is_its(incoming)) {
        ends.insert(*partition, offset + 1);
    }
    ends.into_iter().collect()
}

fn ids(found: &BTreeMap<(u32, u64), Incoming>) -> Vec<String> {
    let mut ids: Vec<String> = found
        .values()
        .map(|one| one.event.event_id.to_string())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn an_acknowledged_batch_is_where_it_is_said_to_be() {
    let broker = broker::shared();
    let topic = topic(&broker).await;
    let producer = start(&broker, &topic, Options::default());
    let began = now();
    let facilities: Vec<String> = (0..40).map(facility).collect();
    let first = append(&producer, "first", &facilities).await.unwrap();
    let second = append(&producer, "second", &facilities[..1]).await.unwrap();
    let found = read_all(&broker, &topic);
    assert_eq!(found.len(), 41);
    assert_eq!(ends_of(&found, "first"), first);
    assert_eq!(ends_of(&found, "second"), second);
    for ((partition, _), incoming) in &found {
        assert_eq!(
            *partition,
            partition_of(&incoming.event.facility, PARTITIONS)
        );
        assert_eq!(incoming.source, "tos");
        assert!((began..=now()).contains(&incoming.appended_at));
    }
    assert_eq!(producer.gauge().waiting_bytes(), 0);
    producer.close(WITHIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_many_callers_keep_their_own_ends_and_order() {
    let broker = broker::shared();
    let topic = topic(&broker).await;
    let producer = start(&broker, &topic, Options::default());
    let callers = (0..64_u64).map(|caller| {
        let producer = producer.clone();
        tokio::spawn(async move {
            let mut told = Vec::new();
            for round in 0..4_u64 {
                let facilities: Vec<String> = (0..25).map(|n| facility(caller + n)).collect();
                let name = format!("{caller:02}.{round}");
                let ends = append(&producer, &name, &facilities).await.unwrap();
                told.push((name, ends));
            }
            told
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut told = Vec::new();
    for caller in callers {
        told.extend(caller.await.unwrap());
    }
    let found = read_all(&broker, &topic);
    assert_eq!(found.len(), 64 * 4 * 25);
    let unique: HashSet<String> = ids(&found).into_iter().collect();
    assert_eq!(unique.len(), found.len());
    for (name, ends) in told {
        assert_eq!(ends_of(&found, &name), ends, "{name}");
    }
}

#[tokio::test]
async fn events_to_a_topic_that_is_not_there_fail_in_time() {
    let broker = broker::shared();
    let producer = start(&broker, &unused_name(), Options::default());
    let began = Instant::now();
    let error = append(&producer, "lost", &[facility(0)]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(producer.gauge().waiting_bytes(), 0);
}

#[tokio::test]
async fn while_nothing_is_acknowledged_callers_wait_within_bounds_and_are_refused() {
    let options = Options {
        queue_bytes: 1 << 20,
        ..Options::default()
    };
    // Its topic is awaited for five seconds: so long nothing is acknowledged.
    let broker = broker::shared();
    let producer = start(&broker, &unused_name(), options);
    let facilities: Vec<String> = (0..200).map(facility).collect();
    let wait = Duration::from_millis(200);
    let appends = (0..50).map(|number| {
        let batch = batch(&format!("b{number}"), &facilities);
        producer.append_within(wait, &facilities, batch)
    });
    let outcomes = futures_util::future::join_all(appends);
    let gauge = producer.gauge();
    let bounded = async {
        let mut most = 0;
        loop {
            most = gauge.waiting_bytes().max(most);
            assert!(most <= 1 << 20);
            tokio::task::yield_now().await;
            if most > 1 << 19 {
                return most;
            }
        }
    };
    let (outcomes, _most) = tokio::join!(outcomes, bounded);
    let overloaded = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(Error::Overloaded { .. })));
    let overloaded = overloaded.count();
    assert!((30..50).contains(&overloaded), "{overloaded} of 50");
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!(gauge.waiting_bytes(), 0);
}

#[tokio::test]
async fn a_batch_with_an_event_too_large_is_refused_whole_and_others_are_not() {
    let broker = broker::shared();
    let topic = topic(&broker).await;
    let producer = start(&broker, &topic, Options::default());
    let facilities = [facility(0), facility(1)];
    let mut large = batch("large", &facilities);
    large.events[1] = vec![7; RECORD_BYTES_MAX].into();
    let (large, other) = tokio::join!(
        producer.append_within(WITHIN, &facilities, large),
        append(&producer, "other", &facilities),
    );
    let error = large.unwrap_err();
    assert_eq!(error.kind(), Kind::Abort);
    assert!(
        error.to_string().contains(&RECORD_BYTES_MAX.to_string()),
        "{error}"
    );
    other.unwrap();
    assert_eq!(ids(&read_all(&broker, &topic)), ["other.0", "other.1"]);
}

#[tokio::test]
async fn closing_sends_what_is_under_way() {
    let broker = broker::shared();
    let topic = topic(&broker).await;
    let producer = start(&broker, &topic, Options::default());
    let facilities: Vec<String> = (0..9).map(facility).collect();
    let (appended, closed) = tokio::join!(
        append(&producer, "last", &facilities),
        producer.close(WITHIN)
    );
    closed.unwrap();
    let found = read_all(&broker, &topic);
    assert_eq!(ends_of(&found, "last"), appended.unwrap());
    let late = append(&producer, "late", &facilities).await;
    assert!(matches!(late, Err(Error::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_broker_hangs_callers_are_refused_and_what_is_acknowledged_is_there_once() {
    let Some(broker) = Broker::own(1) else { return };
    let topic = topic(&broker).await;
    let options = Options {
        queue_bytes: 1 << 20,
        ..Options::default()
    };
    let producer = start(&broker, &topic, options);
    let facilities: Vec<String> = (0..200).map(facility).collect();
    append(&producer, "before", &facilities).await.unwrap();
    broker.pause(1);
    let wait = Duration::from_millis(500);
    let appends = (0..40).map(|number| {
        let (producer, facilities) = (producer.clone(), facilities.clone());
        tokio::spawn(async move {
            let name = format!("during{number}");
            let batch = batch(&name, &facilities);
            let outcome = producer.append_within(wait, &facilities, batch).await;
            (name, outcome)
        })
    });
    let appends: Vec<_> = appends.collect();
    // Refusals come while it hangs; the others are answered afterwards.
    let (first, _, rest) = futures_util::future::select_all(appends).await;
    let (first, waiting) = (first.unwrap(), producer.gauge().waiting_bytes());
    broker.resume(1);
    assert!(matches!(first, (_, Err(Error::Overloaded { .. }))));
    assert!((1 << 19..=1 << 20).contains(&waiting), "{waiting}");
    let mut told = Vec::new();
    for outcome in futures_util::future::join_all(rest).await {
        match outcome.unwrap() {
            (name, Ok(ends)) => told.push((name, ends)),
            (_, Err(error)) => assert_eq!(error.kind(), Kind::Retry, "{error}"),
        }
    }
    let found = read_all(&broker, &topic);
    assert!(!told.is_empty());
    assert_eq!(found.len(), (1 + told.len()) * facilities.len());
    for (name, ends) in told {
        assert_eq!(ends_of(&found, &name), ends, "{name}");
    }
}
