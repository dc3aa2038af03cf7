//! Whatever happens to instances and to the broker, each instance answers what was meant.

use crate::broker::Broker;
use crate::caught::{Changelogs, until};
use crate::chained::assert_chained;
use crate::instances::{PARTITIONS, World, a_day, assert_audited, assert_meant, deliver_meant};
use crate::place;
use crate::service::Service;
use crate::underway::{RATE, Underway, day_of};
use quaymeter::failpoint::GROUP_PLACE;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

const EVENTS: u32 = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_takes_every_instance_answers() {
    let world = World::new();
    let (first, second) = (world.start("first"), world.start("second"));
    let day = day_of(21, EVENTS);
    let positions = Underway::begin(&day, &second, None).delivered().await;
    for instance in [&first, &second] {
        assert_meant(instance, &day, &positions).await;
    }
    // One that comes later, and one that comes back with an empty disk.
    let third = world.start("third");
    assert_meant(&third, &day, &positions).await;
    first.stop();
    fs::remove_dir_all(world.data("first")).unwrap();
    let first = world.start("first");
    assert_meant(&first, &day, &positions).await;
    for instance in [first, second, third] {
        assert_audited(&world, &instance);
        instance.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_wakes_up_after_its_partitions_moved_commits_nothing() {
    let world = World::new();
    let awake = world.start("awake");
    let (asleep, told) = told_by(&world, "asleep");
    let (changelogs, mut dice) = (Changelogs::of(&world), ChaCha8Rng::seed_from_u64(31));
    until("it should have partitions", &asleep, |of| {
        !of.partitions.is_empty()
    })
    .await;
    let day = day_of(31, 3 * EVENTS / 2);
    let underway = Underway::begin(&day, &awake, Some(RATE));
    let open = changelogs.catch(&asleep, &mut dice).await;
    // Its partitions are counted by the other one, once its session is over and the broker
    // has ended what it left open.
    until("it should count all partitions", &awake, |of| {
        of.partitions.len() == PARTITIONS as usize
    })
    .await;
    assert!(!changelogs.are_open(&open));
    let before = beginnings(&told);
    // It goes on with its commit, and is fenced.
    asleep.signal("CONT");
    place::until("it begins again", async || beginnings(&told) > before).await;
    let positions = underway.delivered().await;
    for instance in [&asleep, &awake] {
        assert_meant(instance, &day, &positions).await;
    }
    for instance in [awake, asleep] {
        assert_audited(&world, &instance);
        instance.stop();
    }
    assert_chained(&world);
}

/// Starts an instance that says to a file what goes on.
fn told_by(world: &World, name: &str) -> (Service, PathBuf) {
    let told = world.data(&format!("{name}.log"));
    let mut command = world.serving_at(world.broker.bootstrap(), name, &[]);
    command.stderr(fs::File::create(&told).unwrap());
    (Service::of(command), told)
}

/// How often an instance has dropped what it had counted and could not commit.
fn beginnings(told: &Path) -> usize {
    let told = fs::read_to_string(told).unwrap();
    told.matches("counting begins again from what is committed")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_join_and_leave_again_and_again_count_each_event_once() {
    let world = World::new();
    let stays = world.start("stays");
    let day = day_of(41, EVENTS);
    let underway = Underway::begin(&day, &stays, Some(RATE));
    let (done, mut ended) = watch::channel(false);
    let mut comings = 0;
    let coming = async {
        while !*ended.borrow_and_update() {
            let comes = tokio::task::block_in_place(|| world.start("comes"));
            comes.stop();
            comings += 1;
            tokio::task::yield_now().await;
        }
    };
    let leaving = async {
        let positions = underway.delivered().await;
        done.send_replace(true);
        positions
    };
    let ((), positions) = tokio::join!(coming, leaving);
    assert!(comings > 1);
    assert_meant(&stays, &day, &positions).await;
    assert_audited(&world, &stays);
    stays.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_given_up_by_one_who_died_of_it_is_counted_by_somebody() {
    let world = World::new();
    let mut dying = world.serving_at(world.broker.bootstrap(), "first", &[]);
    dying.env("FAILPOINTS", format!("{GROUP_PLACE}=return"));
    let mut dying = Service::of(dying);
    let day = a_day(61, 1_000);
    deliver_meant(&dying, &day).await;
    // It has all partitions, and is to give up half of them.
    let second = world.start("second");
    assert!(!tokio::task::block_in_place(|| dying.ended()).success());
    let first = world.start("first");
    // The same once more: all of it is known, and has to be read.
    let positions = deliver_meant(&second, &day).await;
    assert_meant(&first, &day, &positions).await;
    for instance in [first, second] {
        assert_audited(&world, &instance);
        instance.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_comes_back_is_waited_for() {
    let Some(broker) = Broker::own(1) else { return };
    let world = World::on(Arc::new(broker));
    let (first, second) = (world.start("first"), world.start("second"));
    let day = day_of(51, EVENTS);
    let underway = Underway::begin(&day, &first, Some(2 * RATE));
    underway.reaches(u64::from(EVENTS) / 3).await;
    // One that starts meanwhile waits for it too.
    let third = tokio::task::block_in_place(|| {
        world.broker.kill(1);
        std::thread::scope(|scope| {
            let third = scope.spawn(|| world.start("third"));
            world.broker.start_node(1);
            third.join().unwrap()
        })
    });
    let positions = underway.delivered().await;
    for instance in [&first, &second, &third] {
        assert_meant(instance, &day, &positions).await;
    }
    for instance in [first, second, third] {
        assert_audited(&world, &instance);
        instance.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_which_one_node_after_the_other_dies_loses_nothing_and_counts_nothing_twice() {
    let Some(broker) = Broker::own(3) else { return };
    let world = World::replicated_on(Arc::new(broker));
    let (first, second) = (world.start("first"), world.start("second"));
    let day = day_of(81, 2 * EVENTS);
    let some = u64::from(RATE);
    let goes_on_without = async |node, underway: &Underway, from| {
        underway.reaches(from).await;
        world.broker.kill(node);
        // Two nodes are enough for it to go on.
        underway.reaches(from + some).await;
    };
    // So slowly that much is left when the first one has died.
    let underway = Underway::begin(&day, &first, Some(RATE / 2));
    goes_on_without(1, &underway, some).await;
    let known = underway.given_up();
    assert!(known + 2 * some < 2 * u64::from(EVENTS), "nothing is left");
    tokio::task::block_in_place(|| world.broker.start_node(1));
    // It has all that it missed, and is one of the two that are left.
    world.broker.is_replicated().await;
    let underway = Underway::begin(&day, &second, Some(4 * RATE));
    goes_on_without(2, &underway, known + some).await;
    let positions = underway.delivered().await;
    for instance in [&first, &second] {
        assert_meant(instance, &day, &positions).await;
    }
    for instance in [first, second] {
        assert_audited(&world, &instance);
        instance.stop();
    }
}
