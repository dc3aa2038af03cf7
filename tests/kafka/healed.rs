//! A changelog that somebody has spoilt: it is found, told, and counted anew from the log.

use crate::instances::{DEADLINE, PARTITIONS, World, a_day, assert_audited, assert_meant};
use crate::producer::client_of;
use crate::service::Service;
use quaymeter::cluster::mark::{KEY, Tally};
use quaymeter::deliver::{Delivery, deliver};
use quaymeter::simulate::Simulation;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Writes marks into the changelogs that follow from nothing: as if something before
/// them were gone.
fn spoil(world: &World) {
    let producer: BaseProducer = client_of(&world.broker).create().unwrap();
    let topic = world.topic("cells");
    for partition in 0..PARTITIONS {
        let mark = Tally::default().mark((partition, PARTITIONS), 1 << 40, 1 << 41);
        let mark = mark.encode().unwrap();
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

async fn delivered(day: &Simulation, to: &Service) -> Vec<String> {
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
    spoil(&world);
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
        tokio::task::block_in_place(|| assert_audited(&world, instance));
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
