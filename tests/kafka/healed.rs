//! A changelog that somebody has spoilt: it is found, told, and counted anew from the log.

use crate::instances::{DEADLINE, PARTITIONS, World, a_day, assert_audited, assert_meant};
use crate::producer::client_of;
use crate::service::Service;
use quaymeter::cluster::mark::{KEY, Mark, Tally, VERSION};
use quaymeter::deliver::{Delivery, deliver};
use quaymeter::simulate::Simulation;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Writes marks of a version of the format into the changelogs that follow from nothing: as
/// if something before them were gone.
pub fn spoil(world: &World, version: u16) {
    let producer: BaseProducer = client_of(&world.broker).create().unwrap();
    let topic = world.topic("cells");
    for partition in 0..PARTITIONS {
        let mark = Tally::default().mark((partition, PARTITIONS), 1 << 40, 1 << 41);
        let mark = Mark { version, ..mark }.encode().unwrap();
        let record = BaseRecord::to(&topic).partition(partition as i32);
        let sent = producer.send(record.key(KEY).payload(&mark));
        sent.map_err(|(error, _)| error).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// A metric without labels.
fn metric(service: &Service, name: &str) -> u64 {
    let mut stream = TcpStream::connect(&service.http).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let mut lines = page.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {page}"))
}

pub async fn delivered(day: &Simulation, to: &Service) -> Vec<String> {
    let delivery = Delivery {
        endpoint: to.grpc.clone(),
        streams: 2,
        batch_events: 50,
        rate: None,
    };
    deliver(day, &delivery, Arc::default())
        .await
        .unwrap()
        .positions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chain_is_told_and_counted_anew_by_every_instance() {
    let world = World::new();
    let (first, second) = (world.start("first"), world.start("second"));
    let day = a_day(111, 3_000);
    let positions = delivered(&day, &first).await;
    for instance in [&first, &second] {
        assert_meant(instance, &day, &positions).await;
        assert_eq!(metric(instance, "quaymeter_changelog_breaks_total"), 0);
    }
    spoil(&world, VERSION);
    let (started, mut beat) = (
        Instant::now(),
        tokio::time::interval(Duration::from_millis(20)),
    );
    for instance in [&first, &second] {
        while metric(instance, "quaymeter_changelog_breaks_total") < u64::from(PARTITIONS) {
            assert!(started.elapsed() < DEADLINE);
            beat.tick().await;
        }
    }
    // All of it once more, which is known once it is counted again.
    let positions = delivered(&day, &second).await;
    for instance in [&first, &second] {
        assert_meant(instance, &day, &positions).await;
        assert_audited(&world, instance);
    }
    // One that reads all of it from the beginning, and then counts alone.
    let third = world.start("third");
    assert_meant(&third, &day, &positions).await;
    first.stop();
    second.stop();
    let positions = delivered(&day, &third).await;
    assert_meant(&third, &day, &positions).await;
    third.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_of_another_version_is_left_alone_by_who_runs_and_refused_by_who_starts() {
    let world = World::new();
    let mut first = world.start("first");
    let day = a_day(112, 500);
    let positions = delivered(&day, &first).await;
    assert_meant(&first, &day, &positions).await;
    spoil(&world, VERSION + 1);
    let ended = tokio::task::block_in_place(|| first.ended());
    assert_eq!(ended.code(), Some(1));
    let data = format!("--data-dir={}", world.data("second").display());
    let serve = [
        "serve",
        "--listen=127.0.0.1:0",
        "--http-listen=127.0.0.1:0",
        "--health-listen=127.0.0.1:0",
    ];
    let refused = world.command(&serve, &[&data]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    let expected = format!("format version {}", VERSION + 1);
    assert!(told.contains(&expected), "{told}");
    // The events are what they were, and are counted anew in other topics.
    let new = World::of(Arc::clone(&world.broker), PARTITIONS);
    let from = format!("--from-prefix={}", world.prefix);
    let moved = new.command(&["topics", "migrate"], &[&from]);
    assert!(moved.status.success(), "{moved:?}");
    let instance = new.start("first");
    assert_meant(&instance, &day, &[new.end()]).await;
    instance.stop();
}
