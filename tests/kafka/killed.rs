//! Whichever of two instances owns partitions is killed in the middle of a transaction,
//! again and again, while a day is on its way to one of them.
//!
//! `KAFKA_KILLS` says how many kills, `KAFKA_SEED` repeats a run's dice; `make chaos` takes
//! 60.

use crate::caught::{Changelogs, until};
use crate::chained::assert_chained;
use crate::fed::Fed;
use crate::instances::{PARTITIONS, World, assert_audited, assert_meant};
use crate::service::Service;
use crate::underway::day_of;
use quaymeter::simulate::Simulation;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime;

/// Kills in an ordinary run.
const KILLS: u32 = 30;

/// They are shared by so many pairs of instances, each on topics of its own: most of the
/// time between two is waited for a session to end.
const PAIRS: u32 = 4;

/// Events a second of each pair, enough for every commit to have some.
const RATE: u32 = 200;

/// Events for each kill: what comes in twice the time that one takes, because there must be
/// something under way at the last one. The rest is fed fast.
const EVENTS_PER_KILL: u32 = 3_000;

/// After every so many kills the other one is to take over all partitions, and an open
/// transaction that nobody but the broker ends, before the killed one is back.
const TAKEN_OVER_EVERY: u32 = 4;

/// Which of a pair is sent the day.
const FIRST: usize = 0;
const SECOND: usize = 1;

#[test]
fn a_killed_instance_loses_nothing_and_counts_nothing_twice() {
    let kills = number("KAFKA_KILLS").unwrap_or(u64::from(KILLS)) as u32;
    let seed = number("KAFKA_SEED").unwrap_or_else(rand::random);
    println!("KAFKA_SEED={seed} KAFKA_KILLS={kills}");
    let started = Instant::now();
    let one = |n: u32| {
        let share = kills / PAIRS + u32::from(n < kills % PAIRS);
        let its_seed = seed.wrapping_add(u64::from(n));
        let runtime = runtime::Builder::new_multi_thread().enable_all().build();
        let pair = Pair::new(&format!("127.0.77.{}", n + 1));
        let counts = runtime.unwrap().block_on(pair.run(its_seed, share));
        println!("pair {n}: {counts:?}");
        counts
    };
    let pairs: Vec<Counts> = std::thread::scope(|scope| {
        let pairs: Vec<_> = (0..PAIRS).map(|n| scope.spawn(move || one(n))).collect();
        pairs.into_iter().map(|pair| pair.join().unwrap()).collect()
    });
    let sum = |of: fn(&Counts) -> u64| pairs.iter().map(of).sum::<u64>();
    let (killed, events) = (sum(|of| of.kills), sum(|of| of.events));
    assert!(killed >= u64::from(kills), "{killed} kills");
    let (taken_over, seconds) = (sum(|of| of.taken_over), started.elapsed().as_secs());
    println!(
        "| {killed} of an owner in the middle of a transaction, SIGKILL; {taken_over} times the other \
         one took over | {seed} | {events} | {seconds} s | all cells as meant |"
    );
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    let parsed = value.parse();
    Some(parsed.unwrap_or_else(|error| panic!("{variable}={value}: {error}")))
}

/// What became of a pair.
#[derive(Debug, Default)]
struct Counts {
    /// Kills of one that owned partitions, had committed, and left a transaction open.
    kills: u64,
    /// After so many of them the other one took over.
    taken_over: u64,
    events: u64,
}

/// Two instances on topics of their own.
struct Pair {
    world: World,
    changelogs: Changelogs,
    /// Of each, its name and its address; the first keeps its own over its deaths.
    places: [(&'static str, String); 2],
    instances: Vec<Service>,
}

impl Pair {
    /// The first listens at a loopback address that nobody else takes meanwhile.
    fn new(ip: &str) -> Self {
        let free = TcpListener::bind((ip, 0)).unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let world = World::new();
        let mut pair = Self {
            changelogs: Changelogs::of(&world),
            world,
            places: [("first", address), ("second", "127.0.0.1:0".into())],
            instances: Vec::new(),
        };
        pair.instances = [FIRST, SECOND].map(|at| pair.start(at)).into();
        pair
    }

    fn start(&self, at: usize) -> Service {
        let (name, address) = &self.places[at];
        let mut command = self.world.commanded(&["serve", "--listen", address], &[]);
        for port in ["--http-listen", "--health-listen"] {
            command.args([port, "127.0.0.1:0"]);
        }
        command.arg("--data-dir").arg(self.world.data(name));
        command.arg("--pseudonym-key").arg(self.world.keys());
        Service::of(command)
    }

    /// Kills again and again while a day is fed, and holds what both answer against it.
    async fn run(mut self, seed: u64, wanted: u32) -> Counts {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let day = day_of(seed, wanted.max(1) * EVENTS_PER_KILL);
        let fed = Fed::begin(&day, &self.instances[FIRST].grpc, RATE);
        let mut counts = Counts {
            events: day.counts().sent,
            ..Counts::default()
        };
        while counts.kills < u64::from(wanted) {
            assert!(!fed.is_over(), "no load is left: {counts:?}");
            self.kill_one(&mut dice, &mut counts).await;
        }
        let positions = fed.delivered().await;
        self.assert_meant(&day, &positions).await;
        counts
    }

    async fn kill_one(&mut self, dice: &mut ChaCha8Rng, counts: &mut Counts) {
        let is_taken_over = (counts.kills + 1).is_multiple_of(u64::from(TAKEN_OVER_EVERY));
        // Without the first there would be no load meanwhile.
        let at = match is_taken_over {
            true => SECOND,
            false => dice.random_range(FIRST..=SECOND),
        };
        let caught = self.changelogs.catch(&self.instances[at], dice).await;
        self.instances.remove(at).kill();
        // What the broker had heard before may have ended it all the same.
        counts.kills += u64::from(self.changelogs.are_open(&caught));
        if is_taken_over {
            let all = |partitions| partitions == PARTITIONS as usize;
            let takes_over = "it should count all partitions";
            until(takes_over, &self.instances[FIRST], |of| {
                all(of.partitions.len())
            })
            .await;
            counts.taken_over += 1;
        }
        let again = self.start(at);
        self.instances.insert(at, again);
    }

    async fn assert_meant(mut self, day: &Arc<Simulation>, positions: &[String]) {
        for instance in &self.instances {
            assert_meant(instance, day, positions).await;
        }
        // Whatever the first had, the other one has it all now.
        self.instances.remove(FIRST).stop();
        let second = self.instances.remove(0);
        assert_meant(&second, day, positions).await;
        assert_audited(&self.world, &second);
        second.stop();
        assert_chained(&self.world);
    }
}
