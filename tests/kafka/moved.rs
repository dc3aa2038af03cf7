//! An embedded log moves into Kafka, and topics into others: each event once, as it was
//! appended.

use crate::instances::{DEADLINE, World, a_day, assert_audited, assert_meant};
use crate::service::Service;
use quaymeter::deliver::{Delivered, Delivery, deliver};
use quaymeter::log::kafka::copy::Copy;
use quaymeter::log::scan::Scan;
use quaymeter::log::{Offset, Record};
use quaymeter::simulate::Simulation;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tempfile::tempdir;

const DAY_MS: i64 = 86_400_000;

async fn delivered(day: &Simulation, to: &Service) -> Delivered {
    let delivery = Delivery {
        endpoint: to.grpc.clone(),
        streams: 2,
        batch_events: 100,
        rate: None,
    };
    deliver(day, &delivery, Arc::default()).await.unwrap()
}

/// What a service on an embedded log takes, which then stops; the log's end.
async fn logged(day: &Simulation, dir: &Path) -> Offset {
    let service = Service::start(dir, &[]);
    delivered(day, &service).await;
    service.stop();
    let scan = Scan::open(&dir.join("log")).unwrap();
    let mut records = scan.records(scan.start());
    while records.next_before(Offset::MAX).unwrap().is_some() {}
    records.position()
}

fn import(world: &World, dir: &Path) -> Output {
    let dir = format!("--data-dir={}", dir.display());
    world.command(&["topics", "import"], &[&dir])
}

/// What a command said that must succeed.
#[track_caller]
fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// What a command said that must fail.
#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn count(world: &World) -> usize {
    world.events().iter().map(Vec::len).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_log_counts_the_same_in_kafka_and_is_copied_once() {
    let (world, dir) = (World::new(), tempdir().unwrap());
    let day = a_day(91, 4_000);
    let end = logged(&day, dir.path()).await;
    assert_eq!(
        said(&import(&world, dir.path())),
        format!("copied {end} events")
    );
    let again = said(&import(&world, dir.path()));
    let expected = format!("copied 0 events; of the log, {end} were copied before");
    assert_eq!(again, expected);
    assert_eq!(count(&world) as u64, end);
    let instance = world.start("first");
    assert_meant(&instance, &day, &[world.end()]).await;
    assert_audited(&world, &instance);
    instance.stop();
    // More of the same log, later.
    let further = logged(&a_day(92, 1_000), dir.path()).await;
    let more = said(&import(&world, dir.path()));
    let copied = further - end;
    let expected = format!("copied {copied} events; of the log, {end} were copied before");
    assert_eq!(more, expected);
    assert_eq!(count(&world) as u64, further);
    // Another log is not what went before.
    let other = tempdir().unwrap();
    logged(&a_day(93, 10), other.path()).await;
    let told = refused(&world.command(
        &["topics", "import"],
        &[
            &format!("--data-dir={}", other.path().display()),
            "--horizon-days=40",
        ],
    ));
    assert!(told.contains("other settings"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_where_it_ended() {
    let (world, dir) = (World::new(), tempdir().unwrap());
    let day = a_day(94, 30_000);
    let end = logged(&day, dir.path()).await;
    let data = format!("--data-dir={}", dir.path().display());
    let mut command = world.commanded(&["topics", "import", "-q"], &[&data]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while world.records() == 0 {
        assert!(started.elapsed() < DEADLINE);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let told = said(&import(&world, dir.path()));
    assert!(told.contains("were copied before"), "{told}");
    assert_eq!(count(&world) as u64, end);
    let instance = world.start("first");
    assert_meant(&instance, &day, &[world.end()]).await;
    assert_audited(&world, &instance);
    instance.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_moves_to_another_number_of_partitions_and_counts_the_same() {
    let old = World::new();
    let new = World::of(Arc::clone(&old.broker), 7);
    let first = old.start("first");
    let day = a_day(95, 4_000);
    let positions = delivered(&day, &first).await.positions;
    assert_meant(&first, &day, &positions).await;
    let migrate = |world: &World| {
        let from = format!("--from-prefix={}", old.prefix);
        world.command(&["topics", "migrate"], &[&from])
    };
    let total = count(&old);
    assert_eq!(said(&migrate(&new)), format!("copied {total} events"));
    // What came meanwhile: all of it was known.
    delivered(&day, &first).await;
    first.stop();
    let more = said(&migrate(&new));
    assert!(
        more.starts_with(&format!("copied {total} events; of the topic, ")),
        "{more}"
    );
    assert_eq!(count(&new), count(&old));
    let instance = new.start("second");
    assert_meant(&instance, &day, &[new.end()]).await;
    assert_audited(&new, &instance);
    instance.stop();
    // Not into topics that have records of their own.
    let told = refused(&migrate(&old));
    assert!(told.contains("copy into new topics"), "{told}");
    let third = World::of(Arc::clone(&old.broker), 3);
    let instance = third.start("third");
    delivered(&a_day(96, 10), &instance).await;
    instance.stop();
    let told = refused(&migrate(&third));
    assert!(told.contains("did not come from here"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_topic_has_its_days_in_their_order() {
    let seeds = World::new();
    let instance = seeds.start("first");
    delivered(&a_day(97, 300), &instance).await;
    instance.stop();
    let old = World::of(Arc::clone(&seeds.broker), 4);
    let days: Vec<Vec<Record>> = seeds.events();
    let events = old.topic("events");
    let mut copy = Copy::begin(&old.connection(), &old.prefix, &events, &events).unwrap();
    // Partition by partition, each over three days.
    for ago in (0..3).rev() {
        for record in days.iter().flatten() {
            let facility = quaymeter::wire::decode(&record.events[0]).unwrap().facility;
            let earlier = Record {
                appended_at: record.appended_at - ago * DAY_MS,
                ..record.clone()
            };
            copy.put(&facility, &earlier, &record.events[0]).unwrap();
        }
    }
    copy.commit(&[(0, 1)]).unwrap();
    let new = World::of(Arc::clone(&seeds.broker), 2);
    let from = format!("--from-prefix={}", old.prefix);
    said(&new.command(&["topics", "migrate"], &[&from]));
    let moved = new.events();
    assert_eq!(moved.iter().map(Vec::len).sum::<usize>(), count(&old));
    for records in moved {
        let days = records
            .iter()
            .map(|record| record.appended_at.div_euclid(DAY_MS));
        assert!(days.is_sorted());
    }
}
