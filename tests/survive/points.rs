//! It dies at each hand-off, with work in flight, and nothing is lost or counted
//! twice.

use crate::clock::Clocked;
use crate::load::{Load, a_day};
use crate::place::DAY_MS;
use crate::place::status;
use crate::service::Service;
use crate::site::{BUSY, Site, assert_same, until};
use jiff::Timestamp;
use quaymeter::failpoint::PLACES;
use quaymeter::simulate::{Options, Simulation};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

const SIGABRT: i32 = 6;

/// Events of a day, enough for several segments of the log.
const EVENTS: u32 = 3_000;

/// Events of a day that outlasts three checkpoints: a quiet machine delivers
/// [`EVENTS`] in 70 ms, before the third is written.
const EVENTS_OF_CHECKPOINTS: u32 = 20_000;

/// A horizon that holds a simulated day, and a log that is kept for a week.
const SHORT: [&str; 6] = [
    "--horizon-days",
    "3",
    "--quarter-days",
    "5",
    "--day-days",
    "6",
];

/// How often each place is passed before it kills: late enough for work to be in
/// flight, early enough for a day to get there.
fn passes(place: &str) -> u32 {
    match place {
        // The first segment is made at the start.
        "log.roll.written" => 2,
        "retention.before" | "retention.after" | "log.roll.before" | "log.roll.after" => 1,
        "checkpoint.before" | "checkpoint.after" => 2,
        _ => 6,
    }
}

fn events(place: &str) -> u32 {
    if place.starts_with("checkpoint") {
        EVENTS_OF_CHECKPOINTS
    } else {
        EVENTS
    }
}

/// Dies at a place, is started again, and is exact.
async fn dies_at(place: &str, ip: &str) {
    let here = Site::new(ip);
    let settings: Vec<&str> = BUSY.into_iter().chain(SHORT).collect();
    if place.starts_with("retention") {
        age(&here.place.data()).await;
    }
    let mut command = here.command(&settings);
    let points = format!("{place}={}*off->return", passes(place));
    command.env("FAILPOINTS", points);
    let mut service = Service::of(command);
    let load = Load::start(&here.url(), a_day(17, events(place)));
    let ended = service.ended();
    assert_eq!(ended.signal(), Some(SIGABRT), "{place}: {ended}");
    until("unacknowledged work is lost", async || {
        load.progress.lost() > 0
    })
    .await;
    let service = here.serve(&settings);
    let truth = load.truth();
    let (_, positions) = load.finish().await;
    assert_same(&truth, &here.everything(&positions).await);
    let before = status(&here.url()).await;
    service.stop();
    let (events, _) = here.recorded();
    if !place.starts_with("retention") {
        assert_eq!(before.events, events, "{place}");
    }
    let service = here.serve(&settings);
    assert_same(&truth, &here.everything(&positions).await);
    service.stop();
}

/// A log of ten days ago, in several segments.
async fn age(data: &Path) {
    let then = Timestamp::now().as_millisecond() - 10 * DAY_MS;
    let settings = [
        ("log_segment_bytes", "65536"),
        ("horizon_days", "3"),
        ("quarter_days", "5"),
        ("day_days", "6"),
    ];
    let service = Clocked::start(data, then, &settings).await;
    let old = Simulation::new(&Options::new(18, then).with_events(EVENTS));
    Load::start(&service.url, old).finish().await;
    service.stop().await;
}

/// A test for each place, and the list of them.
macro_rules! places {
    ($($test:ident: $place:literal, $ip:literal;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                dies_at($place, $ip).await;
            }
        )*

        #[test]
        fn every_place_has_its_test() {
            assert_eq!(PLACES, [$($place),*]);
        }
    };
}

places! {
    dies_before_a_roll: "log.roll.before", "127.0.71.1";
    dies_with_a_segment_written_and_not_synced: "log.roll.written", "127.0.71.2";
    dies_after_a_roll: "log.roll.after", "127.0.71.3";
    dies_before_an_append: "log.append.before", "127.0.71.4";
    dies_after_an_append: "log.append.after", "127.0.71.5";
    dies_before_a_sync: "log.sync.before", "127.0.71.6";
    dies_after_a_sync: "log.sync.after", "127.0.71.7";
    dies_before_an_acknowledgement: "acknowledge.before", "127.0.71.8";
    dies_after_an_acknowledgement: "acknowledge.after", "127.0.71.9";
    dies_before_it_applies: "apply.before", "127.0.71.10";
    dies_after_it_applied: "apply.after", "127.0.71.11";
    dies_before_it_publishes: "publish.before", "127.0.71.12";
    dies_after_it_published: "publish.after", "127.0.71.13";
    dies_before_a_checkpoint: "checkpoint.before", "127.0.71.14";
    dies_after_a_checkpoint: "checkpoint.after", "127.0.71.15";
    dies_before_it_removes_old_log: "retention.before", "127.0.71.16";
    dies_after_it_removed_old_log: "retention.after", "127.0.71.17";
}
