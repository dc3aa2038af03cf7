//! How it fails, with errors that a real broker would not give on demand. The
//! mock cluster is used for nothing but errors; tests/kafka has a real broker.

use super::*;
use crate::config::{Config, Sources};
use crate::log::Kind;
use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::error::Error as _;

const FACILITIES: [&str; 3] = ["CNNBO/A", "CNNBO/B", "CNNBO/C"];
const TOPIC: &str = "port.events";
const WAIT: Duration = Duration::from_secs(30);

fn batch() -> Batch {
    Batch {
        source: "tos".into(),
        headers: Vec::new(),
        schema: 1,
        events: vec![Bytes::from_static(b"event"); FACILITIES.len()],
    }
}

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 2, 1).unwrap();
    cluster
}

fn connection(brokers: &str) -> Connection {
    let config = Config::resolve(Sources {
        flags: vec![("kafka.brokers", brokers.to_owned())],
        ..Sources::default()
    });
    Connection::of(&config.unwrap()).unwrap()
}

fn start(brokers: &str, options: Options) -> Producer {
    Producer::start(&connection(brokers), TOPIC, options, || 1000).unwrap()
}

async fn append(producer: &Producer) -> Result<Ends, Error> {
    producer.append_within(WAIT, &FACILITIES, batch()).await
}

/// An error with its causes, as the caller prints it.
fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        told = format!("{told}: {inner}");
        cause = inner.source();
    }
    told
}

#[tokio::test]
async fn after_a_fatal_error_nothing_is_acknowledged_and_all_are_told_why() {
    let cluster = cluster();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refused; 100]);
    let producer = start(&cluster.bootstrap_servers(), Options::default());
    // What was under way may be told before the failure is noticed.
    append(&producer).await.unwrap_err();
    let cause = producer.failed().await;
    assert_eq!(cause.kind(), Kind::Fatal);
    assert!(told(&cause).contains("uthorization"), "{}", told(&cause));
    let error = append(&producer).await.unwrap_err();
    assert!(matches!(error, Error::Poisoned(_)), "{}", told(&error));
    assert_eq!(producer.close(WAIT).await.unwrap_err().kind(), Kind::Fatal);
}

#[tokio::test]
async fn what_brokers_have_but_cannot_say_where_is_not_acknowledged() {
    let cluster = cluster();
    let producer = start(&cluster.bootstrap_servers(), Options::default());
    append(&producer).await.unwrap();
    let repeated = RDKafkaRespErr::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER;
    cluster.request_errors(RDKafkaApiKey::Produce, &[repeated]);
    let error = append(&producer).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{}", told(&error));
    append(&producer).await.unwrap();
    producer.close(WAIT).await.unwrap();
}

#[tokio::test]
async fn a_passing_failure_of_a_broker_is_not_noticed() {
    let cluster = cluster();
    let producer = start(&cluster.bootstrap_servers(), Options::default());
    let passing = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &passing);
    let ends = append(&producer).await.unwrap();
    assert_eq!(ends.iter().map(|(_, end)| end).sum::<u64>(), 3);
}

#[tokio::test]
async fn without_a_broker_events_fail_after_the_delivery_time_and_closing_does_not_wait() {
    let options = Options {
        delivery: Duration::from_millis(300),
        ..Options::default()
    };
    // Nobody listens at the port of discarded messages.
    let producer = start("127.0.0.1:9", options);
    let error = append(&producer).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{}", told(&error));
    assert_eq!(producer.gauge().waiting_bytes(), 0);
    let patient = start("127.0.0.1:9", Options::default());
    let (appended, closed) = tokio::join!(append(&patient), patient.close(Duration::ZERO));
    closed.unwrap();
    assert_eq!(appended.unwrap_err().kind(), Kind::Retry);
    assert!(matches!(append(&patient).await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_batch_beyond_a_limit_is_refused_as_a_whole_before_anything_is_sent() {
    let options = Options {
        queue_bytes: 1 << 20,
        ..Options::default()
    };
    let producer = start("127.0.0.1:9", options);
    let refused = async |change: fn(&mut Batch)| {
        let mut batch = batch();
        change(&mut batch);
        let error = producer.append_within(WAIT, &FACILITIES, batch).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), Kind::Abort);
        error.to_string()
    };
    let told = refused(|batch| batch.events[1] = vec![0; RECORD_BYTES_MAX].into()).await;
    assert!(told.contains("event 1 takes") && told.contains("262144 are allowed"));
    let told = refused(|batch| batch.events = vec![vec![0; 100].into(); 2]).await;
    assert!(told.contains("3 facilities for 2 events"), "{told}");
    let told =
        refused(|batch| batch.headers = vec![("quaymeter-source".into(), Bytes::new())]).await;
    assert!(told.contains("quaymeter-source"), "{told}");
    refused(|batch| batch.headers = vec![("a\0b".into(), Bytes::new())]).await;
    let many = Batch {
        events: vec![Bytes::new(); 4000],
        ..batch()
    };
    let error = producer
        .append_within(WAIT, &vec!["CNNBO/A"; 4000], many)
        .await;
    assert!(matches!(error, Err(Error::TooLarge { limit: 1048576, .. })));
    assert_eq!(producer.gauge().waiting_bytes(), 0);
}

#[test]
fn the_library_has_more_room_than_is_ever_given_away() {
    for queue_bytes in [0, 1 << 20, 128 << 20, u32::MAX] {
        let options = Options {
            queue_bytes,
            ..Options::default()
        };
        let client = settings::complete(rdkafka::ClientConfig::new(), options);
        let number = |name| client.get(name).unwrap().parse::<u64>().unwrap();
        let least = u64::from(draft::BESIDE_RECORD);
        assert!(number("queue.buffering.max.messages") > u64::from(queue_bytes) / least);
        assert!(number("queue.buffering.max.kbytes") * 1024 > u64::from(queue_bytes));
        client.create::<BaseProducer>().unwrap();
    }
}

#[tokio::test]
async fn a_queue_of_the_library_that_is_full_after_all_is_an_overload() {
    let producer = start("127.0.0.1:9", Options::default());
    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
    let error = producer.unsent(full, WAIT);
    assert!(matches!(error, Error::Overloaded { wait: WAIT }));
}

#[tokio::test]
async fn an_append_time_never_goes_back() {
    let times = Mutex::new(vec![5, 9, 3, 7]);
    let clock = move || times.lock().pop().unwrap_or(0);
    let connection = connection("127.0.0.1:9");
    let producer = Producer::start(&connection, TOPIC, Options::default(), clock).unwrap();
    let found = [(); 5].map(|()| producer.now());
    assert_eq!(found, [7, 7, 9, 9, 9]);
}
