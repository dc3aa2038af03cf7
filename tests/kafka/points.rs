//! An instance dies at each hand-off of a commit, with work in flight, and nothing is lost
//! or counted twice.

use crate::caught::{Changelogs, Counting, until};
use crate::chained::assert_chained;
use crate::instances::{World, assert_audited, assert_meant};
use crate::service::Service;
use crate::underway::{RATE, Underway, day_of};
use quaymeter::failpoint::KAFKA_PLACES;
use std::os::unix::process::ExitStatusExt as _;

const SIGABRT: i32 = 6;

/// Far more than come until it dies.
const EVENTS: u32 = 3_000;

/// How often each place is passed before it kills: late enough for something to be
/// committed.
const PASSES: u32 = 8;

/// Whether who dies there leaves a transaction with all of its records.
fn leaves_it_open(place: &str) -> bool {
    ["kafka.offsets.before", "kafka.commit.before"].contains(&place)
}

/// Dies at a place, is started again, and is exact, and so is who has counted meanwhile.
async fn dies_at(place: &str) {
    let world = World::new();
    let mut dying = world.serving_at(world.broker.bootstrap(), "dying", &[]);
    dying.env("FAILPOINTS", format!("{place}={PASSES}*off->return"));
    let mut dying = Service::of(dying);
    let other = world.start("other");
    for instance in [&other, &dying] {
        let counts = "it should have partitions";
        until(counts, instance, |of| !of.partitions.is_empty()).await;
    }
    let its = Counting::of(&dying).partitions;
    let day = day_of(171, EVENTS);
    let underway = Underway::begin(&day, &other, Some(RATE));
    let ended = tokio::task::block_in_place(|| dying.ended());
    assert_eq!(ended.signal(), Some(SIGABRT), "{place}: {ended}");
    assert!(underway.acknowledged() < day.counts().sent, "{place}");
    if leaves_it_open(place) {
        let left = Changelogs::of(&world).left_open(&its).await;
        assert!(!left.is_empty(), "{place}");
    }
    let again = tokio::task::block_in_place(|| world.start("dying"));
    let positions = underway.delivered().await;
    for instance in [&again, &other] {
        assert_meant(instance, &day, &positions).await;
    }
    for instance in [again, other] {
        assert_audited(&world, &instance);
        instance.stop();
    }
    assert_chained(&world);
}

/// A test for each place, and the list of them.
macro_rules! places {
    ($($test:ident: $place:literal;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                dies_at($place).await;
            }
        )*

        #[test]
        fn every_place_has_its_test() {
            assert_eq!(KAFKA_PLACES, [$($place),*]);
        }
    };
}

places! {
    dies_with_cells_put_and_their_mark_not: "kafka.mark.before";
    dies_before_the_offsets_are_in_the_transaction: "kafka.offsets.before";
    dies_before_a_commit: "kafka.commit.before";
    dies_after_a_commit_of_which_it_knows_nothing: "kafka.commit.after";
    dies_knowing_of_a_commit: "kafka.known";
    dies_once_the_mirror_has_what_was_committed: "kafka.followed";
}
