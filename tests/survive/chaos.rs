//! Killed at random moments, again and again, while one day is delivered.
//!
//! `CHAOS_SEED` repeats a run's dice, `CHAOS_KILLS` says how many kills;
//! `make chaos` takes some hundred.

use crate::load::{Load, Progress, a_day};
use crate::place::status;
use crate::service::Service;
use crate::site::{BUSY, Site, assert_same, until};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Kills in an ordinary run.
const KILLS: u64 = 20;

/// Distinct events for each kill.
const EVENTS_PER_KILL: u64 = 1_000;

/// After a kill is due, it comes within this time: no more than the publishers
/// need for a small part of what is left.
const STRIKES_WITHIN: Duration = Duration::from_millis(2);

/// Looks without news after which clients have heard all that they were told.
const QUIET_BEATS: u32 = 8;

/// A start that is to be killed lasts at most this long.
const STARTS_WITHIN: Duration = Duration::from_millis(100);

/// Every so many kills the next service is killed while it starts, too.
const EARLY_EVERY: u64 = 4;

/// What became of one kill.
struct Kill {
    settled: u64,
    in_flight: u64,
    lost: u64,
    starts: u64,
    restart: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_it_counts_every_event_once() {
    let seed = number("CHAOS_SEED").unwrap_or_else(|| getrandom::u64().unwrap() >> 32);
    let kills = number("CHAOS_KILLS").unwrap_or(KILLS);
    println!("CHAOS_SEED={seed} CHAOS_KILLS={kills}");
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let here = Site::new("127.0.72.1");
    let mut service = here.serve(&BUSY);
    let load = Load::start(&here.url(), a_day(seed, (kills * EVENTS_PER_KILL) as u32));
    let (truth, sent) = (load.truth(), load.day.counts().sent);
    let mut table = Vec::new();
    for kill in 0..kills {
        // Somewhere in its share of the day, and a moment later. Some of the day is
        // left after the last, so that there always is something in flight.
        let due = sent * (100 * kill + dice.random_range(5..95)) / (100 * (kills + 3));
        until("the next kill is due", async || {
            load.progress.settled() >= due
        })
        .await;
        moment(&mut dice, STRIKES_WITHIN).await;
        let row = strike(&here, service, &load.progress, &mut dice, kill).await;
        service = row.1;
        table.push(row.0);
    }
    let (accepted, positions) = load.finish().await;
    tell(&table);
    assert_same(&truth, &here.everything(&positions).await);
    let counted = status(&here.url()).await;
    service.stop();
    let (events, identities) = here.recorded();
    assert_eq!((counted.events, counted.identities), (events, identities));
    assert!(events >= accepted as i64, "{accepted} were acknowledged");
    let service = here.serve(&BUSY);
    assert_same(&truth, &here.everything(&positions).await);
    service.stop();
}

/// Kills a service with unacknowledged work in flight, and starts the next one.
async fn strike(
    here: &Site,
    service: Service,
    progress: &Progress,
    dice: &mut ChaCha8Rng,
    kill: u64,
) -> (Kill, Service) {
    let lost = progress.lost();
    hold(&service, progress).await;
    let (settled, in_flight) = (progress.settled(), progress.in_flight());
    service.kill();
    // What its clients had sent and never heard of.
    until("unacknowledged work is lost", async || {
        progress.lost() > lost
    })
    .await;
    let mut row = Kill {
        settled,
        in_flight,
        lost: progress.lost() - lost,
        starts: 1,
        restart: Duration::ZERO,
    };
    while kill.is_multiple_of(EARLY_EVERY) && row.starts < 3 {
        let mut early = here.command(&BUSY).stdout(Stdio::null()).spawn().unwrap();
        moment(dice, STARTS_WITHIN).await;
        end(&mut early);
        row.starts += 1;
    }
    let started = Instant::now();
    let service = here.serve(&BUSY);
    row.restart = started.elapsed();
    (row, service)
}

/// Stops a service in its tracks with unacknowledged work in flight. It
/// acknowledges nothing more: what it has told its clients they hear, and what
/// is in flight after that stays so until it dies.
async fn hold(service: &Service, progress: &Progress) {
    loop {
        until("a client sends", async || progress.in_flight() > 0).await;
        service.signal("STOP");
        let mut quiet = (progress.settled(), 0);
        until("all that was told is heard", async || {
            let settled = progress.settled();
            quiet = (settled, if settled == quiet.0 { quiet.1 + 1 } else { 0 });
            quiet.1 >= QUIET_BEATS
        })
        .await;
        if progress.in_flight() > 0 {
            return;
        }
        // Whose turn it is to send may have no connection yet.
        service.signal("CONT");
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Lets a random time pass, up to which nothing is waited for.
async fn moment(dice: &mut ChaCha8Rng, most: Duration) {
    let moment = most.mul_f64(dice.random());
    let passed = tokio::time::timeout(moment, std::future::pending::<()>()).await;
    assert!(passed.is_err());
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|error| panic!("{variable}={value}: {error}")),
    )
}

fn tell(table: &[Kill]) {
    println!("kill  settled  in flight     lost  starts  restart ms");
    for (number, kill) in table.iter().enumerate() {
        println!(
            "{number:4} {:8} {:10} {:8} {:7} {:11}",
            kill.settled,
            kill.in_flight,
            kill.lost,
            kill.starts,
            kill.restart.as_millis()
        );
    }
}
