//! What strangers do to the topics: records that are no events, offsets that are gone.

use crate::instances::{
    DEADLINE, PARTITIONS, World, a_day, assert_audited, assert_meant, deliver_meant,
};
use crate::producer::client_of;
use quaymeter::log::kafka::dead_letter;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Writes a record that is none of ours to each partition.
pub fn poison(world: &World) {
    poison_in(world, PARTITIONS);
}

/// The same where there are so many partitions.
pub fn poison_in(world: &World, partitions: u32) {
    let producer: BaseProducer = client_of(&world.broker).create().unwrap();
    let topic = world.topic("events");
    for partition in 0..partitions as i32 {
        let record = BaseRecord::to(&topic).partition(partition);
        let record = record.key("CNNBO/NONE").payload("not an event");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// The dead letters: from which partition each came, and why.
fn dead_letters(world: &World, wanted: usize) -> BTreeSet<(String, String)> {
    let mut client = client_of(&world.broker);
    client
        .set("group.id", format!("{}-reads", world.prefix))
        .set("auto.offset.reset", "earliest");
    client.set("isolation.level", "read_committed");
    let consumer: BaseConsumer = client.create().unwrap();
    consumer.subscribe(&[&world.topic("dead-letter")]).unwrap();
    let (started, mut letters) = (Instant::now(), BTreeSet::new());
    while letters.len() < wanted {
        assert!(started.elapsed() < DEADLINE, "{letters:?}");
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        assert_eq!(message.payload(), Some(&b"not an event"[..]));
        let headers = message.headers().unwrap();
        let header = |name| {
            let found = headers.iter().filter(|header| header.key == name);
            let value = found.last().and_then(|header| header.value).unwrap();
            String::from_utf8(value.to_vec()).unwrap()
        };
        assert_eq!(header(dead_letter::TOPIC), world.topic("events"));
        letters.insert((header(dead_letter::PARTITION), header(dead_letter::REASON)));
    }
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_none_of_ours_stop_nothing_and_are_put_away() {
    let world = World::new();
    let instance = world.start("first");
    let day = a_day(61, 3_000);
    poison(&world);
    let positions = deliver_meant(&instance, &day).await;
    poison(&world);
    let letters = dead_letters(&world, PARTITIONS as usize);
    let reasons: BTreeSet<&str> = letters.iter().map(|(_, reason)| &**reason).collect();
    assert_eq!(reasons, BTreeSet::from(["BAD_HEADER"]));
    assert_meant(&instance, &day, &positions).await;
    assert_audited(&world, &instance);
    instance.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_offsets_are_gone_goes_on_where_it_was() {
    let world = World::new();
    let instance = world.start("first");
    let day = a_day(71, 3_000);
    deliver_meant(&instance, &day).await;
    instance.stop();
    forget(&world).await;
    let instance = world.start("first");
    // The same once more: all of it is known.
    deliver_meant(&instance, &day).await;
    assert_audited(&world, &instance);
    instance.stop();
}

/// Removes the group with its offsets, once its last member's session is over.
async fn forget(world: &World) {
    let admin: AdminClient<DefaultClientContext> = client_of(&world.broker).create().unwrap();
    let (started, options) = (Instant::now(), AdminOptions::new());
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    loop {
        let removed = admin
            .delete_groups(&[&world.prefix], &options)
            .await
            .unwrap();
        if removed.iter().all(Result::is_ok) {
            return;
        }
        assert!(started.elapsed() < DEADLINE, "{removed:?}");
        beat.tick().await;
    }
}
