//! No plate and no driver is in any topic, nor in what an instance keeps, logs, tells or
//! exports, whichever way it came and whatever became of it.

use crate::authority::write_secret;
use crate::instances::{DEADLINE, PARTITIONS, World};
use crate::place::{counted, get, ingest, recently, until};
use crate::producer::client_of;
use crate::raw::{ACCEPTED, SECRETS, asked, personal, sent, told};
use crate::requeued::{misplaced, reasons};
use crate::search::Pile;
use crate::service::{Service, quaymeter};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use quaymeter::log::Record;
use quaymeter::pb;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::fs::{File, read_to_string};
use std::path::Path;
use std::time::Instant;

const TOPICS: [&str; 3] = ["events", "cells", "dead-letter"];

/// An instance that says everything, into a file.
fn started(world: &World, log: &Path) -> Service {
    let bootstrap = world.broker.bootstrap();
    let mut command = world.serving_at(bootstrap, "first", &["--log-level", "trace"]);
    let log = File::options().append(true).create(true).open(log);
    command.stderr(log.unwrap());
    Service::of(command)
}

/// Two keys, of which the second begins on the day of the events: so these have both.
fn keys(world: &World) {
    let day = Timestamp::from_millisecond(recently()).unwrap();
    let day = day.to_zoned(TimeZone::UTC).date();
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    write_secret(&world.keys(), &format!("1 = {one}\n2 from {day} = {two}\n"));
}

/// Draws another key, which the running instance takes in.
async fn rotated(world: &World, log: &Path) -> String {
    let begins = Timestamp::now().to_zoned(TimeZone::UTC).date() + 9.days();
    let mut rotate = quaymeter();
    rotate.args(["pseudonyms", "rotate", "--from", &begins.to_string()]);
    rotate.arg("--data-dir").arg(world.data("rotates"));
    let told = asked(rotate.arg("--pseudonym-key").arg(world.keys()));
    until("the instance has the key", async || {
        let said = read_to_string(log).unwrap();
        said.contains("the pseudonyms' keys were loaded")
    })
    .await;
    told
}

/// The same again, corrected, and then otherwise in the same revision.
async fn again(instance: &Service) -> String {
    let mut told = String::new();
    for (revision, later) in [(0, 0), (1, 0), (1, 7)] {
        let mut events = personal("unary");
        for event in &mut events {
            event.revision = revision;
            event.occurred_at.as_mut().unwrap().seconds += later;
        }
        let request = pb::PublishEventsRequest {
            source: "tos".into(),
            events,
            ..Default::default()
        };
        let answer = ingest(&instance.grpc).await.publish_events(request).await;
        told += &format!("{answer:?}");
    }
    told
}

/// All that is in the records of a topic, those of aborted transactions too.
fn records(world: &World, topic: &str) -> Vec<u8> {
    let mut client = client_of(&world.broker);
    client
        .set("group.id", "searches")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_uncommitted");
    let consumer: BaseConsumer = client.create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        let from = Offset::Beginning;
        all.add_partition_offset(topic, partition, from).unwrap();
    }
    consumer.assign(&all).unwrap();
    let (started, mut ended, mut found) = (Instant::now(), 0, Vec::new());
    while ended < PARTITIONS {
        assert!(started.elapsed() < DEADLINE);
        match consumer.poll(DEADLINE).unwrap() {
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            record => {
                let record = record.unwrap();
                for part in [record.key(), record.payload()] {
                    found.extend(part.unwrap_or_default());
                    found.push(b'\n');
                }
                for header in record.headers().iter().flat_map(|all| all.iter()) {
                    found.extend(header.key.as_bytes());
                    found.extend(header.value.unwrap_or_default());
                    found.push(b'\n');
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plate_and_no_driver_is_in_a_topic_or_gets_out_of_an_instance() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    keys(&world);
    let log = dir.path().join("log");
    let instance = started(&world, &log);
    let mut texts = sent(dir.path(), &instance).await;
    texts.push(("answers", again(&instance).await));
    // In strict mode the odd ones are refused too.
    let taken = 7 * ACCEPTED - 2;
    counted(&instance.grpc, taken).await;
    texts.push(("rotated", rotated(&world, &log).await));
    // What is ours, where it does not belong: put away, and put back.
    let ours: Vec<Record> = world.events().into_iter().flatten().collect();
    misplaced(&world, &ours);
    reasons(&world, ours.len()).await;
    for words in [["dead-letter", "list"], ["dead-letter", "requeue"]] {
        let all = ["--all", "--limit=1000"];
        let more = [all[usize::from(words[1] == "list")]];
        texts.push(("dead letters", asked(&mut world.commanded(&words, &more))));
    }
    counted(&instance.grpc, taken + ours.len()).await;
    texts.extend(told(&instance).await);
    let server = format!("--server={}", instance.grpc);
    let audited = asked(&mut world.commanded(&["audit", "--quiet"], &[&server]));
    assert!(audited.contains("no figure differs"), "{audited}");
    texts.push(("audit", audited));
    instance.kill();
    let instance = started(&world, &log);
    texts.push(("metrics", get(&instance.http, "/metrics").1));
    instance.stop();
    texts.push(("log", read_to_string(&log).unwrap()));
    let mut pile = Pile::of(&[&world.data("first")], texts);
    for name in TOPICS {
        pile = pile.and(
            &format!("topic {name}"),
            records(&world, &world.topic(name)),
        );
    }
    for secret in SECRETS {
        let found = pile.places_of(secret);
        assert!(found.is_empty(), "{secret} is in {found:#?}");
    }
    the_search_finds_what_is_there(&pile, &world.data("first"));
}

#[track_caller]
fn the_search_finds_what_is_there(pile: &Pile, data: &Path) {
    let store = data.join("store").display().to_string();
    for (known, wanted) in [
        ("order-file", "topic events"),
        ("p1:", "topic events"),
        ("p2:", "topic events"),
        ("ygt:F1", "topic cells"),
        ("order-stream", "topic dead-letter"),
        ("WRONG_KEY", "topic dead-letter"),
        ("ygt:F1", &store),
        ("ygt:F1", "metrics"),
        ("gate_move.tractor_plate", "answers"),
        ("p2:", "explain"),
        ("quaymeter", "log"),
    ] {
        let found = pile.places_of(known);
        let there = found.iter().any(|name| name.starts_with(wanted));
        assert!(there, "{known} is in {found:#?}, not in {wanted}");
    }
}
