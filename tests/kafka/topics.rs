//! `quaymeter topics` and a broker: each test has topics of its own.

use crate::broker::{self, Broker};
use quaymeter::config::{Config, Sources};
use quaymeter::log::kafka::connection::Connection;
use quaymeter::log::kafka::topics::admin::{self, Admin};
use quaymeter::log::kafka::topics::{Difference, Plan};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a broker that is busy with other tests.
const WITHIN: Duration = Duration::from_secs(30);

/// Topics that no other test has.
struct Place {
    broker: Arc<Broker>,
    prefix: String,
}

impl Place {
    fn new() -> Self {
        let prefix = format!("topics-{:016x}", rand::random::<u64>());
        let broker = broker::shared();
        Self { broker, prefix }
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn command(&self, what: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quaymeter"));
        command.args(["topics", what, "--brokers", self.broker.bootstrap()]);
        command.args(["--kafka-prefix", &self.prefix]);
        // So that flags can say something else.
        command.env("QUAYMETER_KAFKA_PARTITIONS", "3");
        command.env("QUAYMETER_KAFKA_REPLICATION", "1");
        command.env("QUAYMETER_KAFKA_MIN_INSYNC", "1");
        command.args(more).output().unwrap()
    }

    fn config(&self) -> Config {
        let flags = [
            ("kafka.brokers", self.broker.bootstrap()),
            ("kafka.prefix", &self.prefix),
            ("kafka.partitions", "3"),
            ("kafka.replication", "1"),
            ("kafka.min_insync", "1"),
        ];
        let flags = flags.map(|(name, value)| (name, value.to_owned())).into();
        Config::resolve(Sources {
            flags,
            ..Sources::default()
        })
        .unwrap()
    }

    fn differences(&self) -> Vec<Difference> {
        let config = self.config();
        admin::check(&Connection::of(&config).unwrap(), &Plan::of(&config)).unwrap()
    }

    /// What differs once the brokers know of what was changed.
    fn differences_after(&self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let found = self.differences();
            if found.len() == count || Instant::now() > deadline {
                let told = |one: Difference| {
                    format!("{} {} {} {}", one.topic, one.setting, one.found, one.wanted)
                };
                return found.into_iter().map(told).collect();
            }
        }
    }

    fn client(&self) -> AdminClient<DefaultClientContext> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.broker.bootstrap());
        config.create().unwrap()
    }

    async fn make(&self, name: &str, partitions: i32) {
        let name = self.topic(name);
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let made = self.client().create_topics([&topic], &options()).await;
        assert!(made.unwrap().iter().all(Result::is_ok));
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(WITHIN))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The status, what was printed, and what was told beside it.
fn told(output: &Output) -> (Option<i32>, &str, &str) {
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn what_was_created_is_as_planned() {
    let place = Place::new();
    let missing = place.command("check", &[]);
    let (status, out, err) = told(&missing);
    assert_eq!(status, Some(1), "{out}{err}");
    for name in ["events", "cells", "dead-letter"] {
        let topic = place.topic(name);
        let line = out.lines().find(|line| line.contains(&topic));
        assert!(line.is_some_and(|line| line.contains("none")), "{out}");
    }
    let created = place.command("create", &[]);
    let expected = ["events", "cells", "dead-letter"]
        .map(|name| {
            format!(
                "created {} with 3 partitions of 1 replicas\n",
                place.topic(name)
            )
        })
        .concat();
    let expected = expected + "the topics are as planned\n";
    assert_eq!(told(&created), (Some(0), expected.as_str(), ""));
    let checked = place.command("check", &[]);
    assert_eq!(told(&checked), (Some(0), "the topics are as planned\n", ""));
    let config = place.config();
    admin::require(&Connection::of(&config).unwrap(), &Plan::of(&config)).unwrap();
}

#[test]
fn a_second_create_makes_nothing() {
    let place = Place::new();
    assert_eq!(place.command("create", &[]).status.code(), Some(0));
    let again = place.command("create", &[]);
    assert_eq!(told(&again), (Some(0), "the topics are as planned\n", ""));
}

#[test]
fn two_that_create_at_the_same_time_make_each_topic_once() {
    let place = Place::new();
    let begin = Barrier::new(2);
    let create = || {
        let config = place.config();
        let admin = Admin::of(&Connection::of(&config).unwrap()).unwrap();
        let mut made = Vec::new();
        begin.wait();
        let created = admin.create(&Plan::of(&config), &mut |topic| {
            made.push(topic.name.clone());
        });
        created.unwrap();
        made
    };
    let mut made = thread::scope(|scope| {
        let other = scope.spawn(create);
        let mut made = create();
        made.extend(other.join().unwrap());
        made
    });
    made.sort();
    let expected = ["cells", "dead-letter", "events"].map(|name| place.topic(name));
    assert_eq!(made, expected);
    assert_eq!(place.differences(), []);
}

#[tokio::test]
async fn a_setting_that_was_altered_is_named_and_left_alone() {
    let place = Place::new();
    assert_eq!(place.command("create", &[]).status.code(), Some(0));
    let events = place.topic("events");
    // Altering sets all others to their defaults.
    let config = place.config();
    let plan = Plan::of(&config);
    let mut settings: BTreeMap<&str, String> = plan.topics[0]
        .settings
        .iter()
        .map(|(name, required)| (*name, required.value()))
        .collect();
    settings.insert("retention.ms", "604800000".into());
    let altered = AlterConfig::new(ResourceSpecifier::Topic(&events));
    let altered = settings
        .iter()
        .fold(altered, |all, (name, value)| all.set(name, value));
    let results = place.client().alter_configs([&altered], &options()).await;
    assert!(results.unwrap().iter().all(Result::is_ok));
    let expected = format!("{events} retention.ms 604800000 at least 94780800000");
    assert_eq!(place.differences_after(1), [expected]);
    for what in ["check", "create"] {
        let output = place.command(what, &["--format", "json"]);
        let (status, out, err) = told(&output);
        assert_eq!(
            (status, out.lines().count()),
            (Some(1), 1),
            "{what}: {out}{err}"
        );
        let told: serde_json::Value = serde_json::from_str(out).unwrap();
        assert_eq!(told["setting"], "retention.ms");
        assert_eq!(told["found"], "604800000");
    }
    let refused = admin::require(&Connection::of(&config).unwrap(), &plan).unwrap_err();
    assert!(refused.to_string().contains("retention.ms"), "{refused}");
}

#[tokio::test]
async fn partitions_that_were_added_are_refused() {
    let place = Place::new();
    assert_eq!(place.command("create", &[]).status.code(), Some(0));
    let events = place.topic("events");
    let more = NewPartitions::new(&events, 5);
    let results = place.client().create_partitions([&more], &options()).await;
    assert!(results.unwrap().iter().all(Result::is_ok));
    let cells = place.topic("cells");
    let expected = [
        format!("{events} partitions 5 3"),
        format!("{cells} partitions 3 5, as {events} has"),
    ];
    assert_eq!(place.differences_after(2), expected);
    let checked = place.command("check", &[]);
    let (status, _, err) = told(&checked);
    assert_eq!(status, Some(1));
    assert!(err.contains("facilities have moved"), "{err}");
    // As is the wish for more.
    let wished = place.command("check", &["--kafka-partitions", "6"]);
    let (status, _, err) = told(&wished);
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("Adding partitions is refused"), "{err}");
}

#[tokio::test]
async fn events_and_cells_of_different_numbers_are_refused_and_nothing_is_made() {
    let place = Place::new();
    place.make("events", 3).await;
    place.make("cells", 4).await;
    let created = place.command("create", &[]);
    let (status, out, err) = told(&created);
    assert_eq!(status, Some(1), "{out}{err}");
    assert!(!out.contains("created"), "{out}");
    assert!(
        out.contains(&format!("as {} has", place.topic("events"))),
        "{out}"
    );
    let dead = place.topic("dead-letter");
    let missing = |one: &Difference| one.topic == dead && one.setting == "topic";
    assert!(place.differences().iter().any(missing));
}

#[test]
fn more_replicas_than_there_are_brokers_are_refused_by_the_broker() {
    let place = Place::new();
    let output = place.command("create", &["--kafka-replication", "7"]);
    let (status, out, err) = told(&output);
    assert_eq!((status, out), (Some(1), ""), "{err}");
    let events = place.topic("events");
    let expected = format!("create topic {events} with 3 partitions of 7 replicas");
    assert!(err.contains(&expected), "{err}");
    assert!(err.contains("replication factor"), "{err}");
}
