//! A changelog that Kafka has compacted, removed values and all: what is left of it is
//! enough to answer, and to count on.

use crate::instances::{DEADLINE, PARTITIONS, World, assert_audited, assert_meant};
use crate::producer::client_of;
use crate::service::Service;
use jiff::Timestamp;
use quaymeter::answers::Client;
use quaymeter::deliver::{Delivered, Delivery, deliver};
use quaymeter::pb;
use quaymeter::simulate::{Options, Rates, Simulation};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events a second: as slowly as it takes for what is taken back to have been committed.
const RATE: u32 = 600;

/// What makes the cleaner remove at once what is replaced, and what says that something
/// is gone. Each append begins a new segment, and only the last one is not cleaned.
const AT_ONCE: [(&str, &str); 5] = [
    ("delete.retention.ms", "0"),
    ("max.compaction.lag.ms", "1"),
    ("min.cleanable.dirty.ratio", "0.001"),
    ("min.compaction.lag.ms", "0"),
    ("segment.ms", "1"),
];

type Place = (i32, i64);

/// A day of which much is taken back.
fn a_day() -> Simulation {
    let now = Timestamp::now().as_millisecond();
    let usual = Options::new(91, now).with_events(3_000);
    let rates = Rates {
        retractions: 0.2,
        ..usual.rates
    };
    Simulation::new(&Options { rates, ..usual })
}

async fn deliver_to(instance: &Service, day: &Simulation, rate: Option<u32>) -> Delivered {
    let delivery = Delivery {
        endpoint: instance.grpc.clone(),
        streams: 1,
        batch_events: 50,
        rate,
    };
    let delivered = deliver(day, &delivery, Arc::default()).await.unwrap();
    assert_eq!(delivered.surprises, 0, "{:?}", delivered.told);
    delivered
}

/// The settings of a world's changelogs.
struct Settings {
    admin: AdminClient<DefaultClientContext>,
    topic: String,
    planned: BTreeMap<String, String>,
}

impl Settings {
    async fn of(world: &World) -> Self {
        let admin: AdminClient<DefaultClientContext> = client_of(&world.broker).create().unwrap();
        let topic = world.topic("cells");
        let of = [&ResourceSpecifier::Topic(&topic)];
        let mut told = admin
            .describe_configs(of, &AdminOptions::new())
            .await
            .unwrap();
        let entries = told.remove(0).unwrap().entries.into_iter();
        let planned = entries.filter(|entry| entry.source == ConfigSource::DynamicTopic);
        let planned = planned.filter_map(|entry| Some((entry.name, entry.value?)));
        Self {
            planned: planned.collect(),
            admin,
            topic,
        }
    }

    /// Makes them as planned but for these.
    async fn alter(&self, but: &[(&str, &str)]) {
        let mut settings: BTreeMap<&str, &str> = BTreeMap::new();
        settings.extend(self.planned.iter().map(|(name, value)| (&**name, &**value)));
        settings.extend(but.iter().copied());
        let altered = AlterConfig::new(ResourceSpecifier::Topic(&self.topic));
        let altered = settings
            .iter()
            .fold(altered, |all, (name, value)| all.set(name, value));
        let done = self.admin.alter_configs([&altered], &AdminOptions::new());
        assert!(done.await.unwrap().iter().all(Result::is_ok));
    }
}

/// The places of all records of the changelogs, and of those which say that a key is
/// gone.
fn places(world: &World) -> (BTreeSet<Place>, BTreeSet<Place>) {
    let mut client = client_of(&world.broker);
    client
        .set("group.id", "looks")
        .set("enable.partition.eof", "true");
    client.set("isolation.level", "read_committed");
    let consumer: BaseConsumer = client.create().unwrap();
    let (mut all, mut gone) = (BTreeSet::new(), BTreeSet::new());
    let mut from = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        let topic = world.topic("cells");
        from.add_partition_offset(&topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&from).unwrap();
    let mut ended = 0;
    while ended < PARTITIONS {
        match consumer.poll(DEADLINE).expect("a record, or an end") {
            Ok(message) => {
                let place = (message.partition(), message.offset());
                all.insert(place);
                if message.payload().is_none() {
                    gone.insert(place);
                }
            }
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (all, gone)
}

async fn status(instance: &Service) -> pb::GetStatusResponse {
    let mut client = Client::connect(instance.grpc.clone()).await.unwrap();
    let asked = client.get_status(pb::GetStatusRequest::default()).await;
    asked.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_instance_counts_on_from_a_changelog_that_was_compacted() {
    let world = World::new();
    let first = world.start("first");
    let day = a_day();
    let positions = deliver_to(&first, &day, Some(RATE)).await.positions;
    assert_meant(&first, &day, &positions).await;
    let (all, gone) = tokio::task::block_in_place(|| places(&world));
    assert!(gone.len() > 10, "{} keys are gone", gone.len());
    let settings = Settings::of(&world).await;
    settings.alter(&AT_ONCE).await;
    // The cleaner dates what says that a key is gone when it first comes by, and takes
    // it away when it comes again, which it does for something new.
    let started = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(500));
    let left = loop {
        deliver_to(&first, &day, None).await;
        beat.tick().await;
        let (left, _) = tokio::task::block_in_place(|| places(&world));
        if left.is_disjoint(&gone) {
            break left;
        }
        assert!(started.elapsed() < DEADLINE, "it was not compacted");
    };
    println!("compacted in {:?}", started.elapsed());
    assert!(left.intersection(&all).count() < all.len() / 2);
    first.stop();
    // Nobody starts on topics that are not as planned.
    settings.alter(&[]).await;

    let second = world.start("second");
    assert_meant(&second, &day, &positions).await;
    let before = status(&second).await;
    // All of it is known: to the one who was never told, too.
    let again = deliver_to(&second, &day, None).await;
    assert_meant(&second, &day, &again.positions).await;
    assert_audited(&world, &second);
    let after = status(&second).await;
    assert_eq!(after.events, before.events + again.accepted as i64);
    let known = |of: pb::GetStatusResponse| (of.identities, of.revisions, of.retractions);
    assert_eq!(known(after), known(before));
    second.stop();
}
