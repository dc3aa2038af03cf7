//! Nobody reaches the broker, or only some do, or late, or in one direction alone:
//! whatever is acknowledged, or sent again, is counted once.

use crate::broker::Broker;
use crate::instances::{
    DEADLINE, PARTITIONS, World, a_day, assert_audited, assert_meant, deliver_meant,
};
use crate::place::until;
use crate::producer::looks_at;
use crate::proxy::{self, At, Proxy, Request, Way};
use crate::service::Service;
use crate::underway::{RATE, Underway, day_of};
use quaymeter::log::kafka::transactions::TRANSACTION_TIMEOUT;
use quaymeter::simulate::Simulation;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::fs::{File, read_to_string};
use std::sync::Arc;
use std::time::{Duration, Instant};

const EVENTS: u32 = 6_000;

/// A part of a day, after which something happens; much is left then.
const SOME: u64 = EVENTS as u64 / 6;

/// Topics on a broker with a proxy before it, if tests may start one.
fn world() -> Option<(World, Proxy)> {
    let (broker, proxy) = proxy::with_broker()?;
    Some((World::on(Arc::new(broker)), proxy))
}

/// Starts an instance that reaches the broker by the proxy alone.
fn start_behind(proxy: &Proxy, world: &World, name: &str) -> Service {
    world.start_at(&proxy.bootstrap(), name, &[])
}

/// What the broker itself knows.
struct Inside {
    all: BaseConsumer,
    committed: BaseConsumer,
}

impl Inside {
    fn of(broker: &Broker) -> Self {
        let [committed, all] = looks_at(broker);
        Self { all, committed }
    }

    /// Whether a transaction of a changelog is open.
    fn is_open(&self, world: &World) -> bool {
        let topic = world.topic("cells");
        let end = |of: &BaseConsumer, partition| {
            let ends = of.fetch_watermarks(&topic, partition, DEADLINE);
            ends.unwrap().1
        };
        // Of what is committed, the end is where the first open transaction begins.
        (0..PARTITIONS as i32).any(|of| end(&self.committed, of) < end(&self.all, of))
    }

    /// How many members the group has.
    fn members(&self, world: &World) -> usize {
        let groups = self.all.fetch_group_list(Some(&world.prefix), DEADLINE);
        let groups = groups.unwrap();
        groups.groups().iter().map(|of| of.members().len()).sum()
    }

    /// Waits until the broker has given everybody up, and ended what they left open, or
    /// would have.
    async fn has_forgotten_all(&self, world: &World) {
        let started = Instant::now();
        let is_over = || started.elapsed() > TRANSACTION_TIMEOUT;
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        while self.members(world) > 0 || self.is_open(world) || !is_over() {
            assert!(started.elapsed() < DEADLINE);
            beat.tick().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_cut_off_within_a_commit_is_counted_for_and_counts_nothing_twice() {
    let Some((world, proxy)) = world() else {
        return;
    };
    let inside = Inside::of(&world.broker);
    let (near, far) = (world.start("near"), start_behind(&proxy, &world, "far"));
    let day = day_of(101, EVENTS);
    // The same day to both: what one cannot append, the other one does.
    let to_near = Underway::begin(&day, &near, Some(RATE));
    let to_far = Underway::begin(&day, &far, Some(RATE));
    to_far.reaches(SOME).await;
    proxy.cut_at(At::Request(Request::EndTransaction)).await;
    assert!(inside.is_open(&world), "nobody has ended it");
    // It is ended by the broker, and its partitions are counted by the other one.
    let positions = to_near.delivered().await;
    assert_meant(&near, &day, &positions).await;
    proxy.heal();
    let more = to_far.delivered().await;
    for instance in [&near, &far] {
        assert_meant(instance, &day, &[&positions[..], &more].concat()).await;
    }
    for instance in [near, far] {
        assert_audited(&world, &instance);
        instance.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_out_of_everybodys_reach_for_longer_than_a_transaction_lasts_is_waited_for() {
    let Some((world, proxy)) = world() else {
        return;
    };
    let inside = Inside::of(&world.broker);
    let instances = ["first", "second"].map(|name| start_behind(&proxy, &world, name));
    let day = day_of(111, EVENTS);
    let loads = instances
        .each_ref()
        .map(|to| Underway::begin(&day, to, Some(RATE)));
    loads[0].reaches(SOME).await;
    // The last commit is done, and nobody knows of it.
    proxy.cut_at(At::Answer(Request::EndTransaction)).await;
    inside.has_forgotten_all(&world).await;
    proxy.heal();
    assert_all_meant(&world, instances, &day, loads).await;
}

/// Far longer than between two machines of a port: a commit takes five round trips.
const LATE: Way = Way::Late(Duration::from_millis(50));

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_to_a_broker_far_away_that_is_cut_off_anywhere_counts_once() {
    use Request::{AddOffsetsToTransaction, CommitOffsetsOfTransaction, EndTransaction, Produce};
    let Some((world, proxy)) = world() else {
        return;
    };
    let instances = ["first", "second"].map(|name| start_behind(&proxy, &world, name));
    proxy.set(LATE, LATE);
    let day = day_of(121, EVENTS);
    let loads = instances
        .each_ref()
        .map(|to| Underway::begin(&day, to, Some(RATE)));
    // Some of it is done then, or all, but nobody hears of it.
    let cuts = [
        At::Answer(EndTransaction),
        At::Request(EndTransaction),
        At::Answer(CommitOffsetsOfTransaction),
        At::Request(CommitOffsetsOfTransaction),
        At::Answer(AddOffsetsToTransaction),
        At::Answer(Produce),
        At::Answer(EndTransaction),
    ];
    for at in cuts {
        proxy.cut_at(at).await;
        proxy.heal();
        proxy.set(LATE, LATE);
    }
    assert_all_meant(&world, instances, &day, loads).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_open_in_one_direction_alone_is_outlived() {
    let Some((world, proxy)) = world() else {
        return;
    };
    let inside = Inside::of(&world.broker);
    let instances = ["first", "second"].map(|name| start_behind(&proxy, &world, name));
    let day = day_of(131, 3 * EVENTS / 2);
    let loads = instances
        .each_ref()
        .map(|to| Underway::begin(&day, to, Some(RATE)));
    for (part, (requests, answers)) in [(Way::Open, Way::Shut), (Way::Shut, Way::Open)]
        .into_iter()
        .enumerate()
    {
        loads[0].reaches(SOME * (part as u64 + 1)).await;
        proxy.set(requests, answers);
        inside.has_forgotten_all(&world).await;
        // Also what was held arrives now, some of it from who has given it up.
        proxy.heal();
    }
    assert_all_meant(&world, instances, &day, loads).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_cut_off_while_it_loads_says_so_asks_anew_and_starts() {
    let Some((world, proxy)) = world() else {
        return;
    };
    let near = world.start("near");
    let day = a_day(141, EVENTS / 6);
    let positions = deliver_meant(&near, &day).await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut serve = world.serving_at(&proxy.bootstrap(), "far", &[]);
    serve.stderr(File::create(&log).unwrap());
    let starting = tokio::task::spawn_blocking(move || Service::of(serve));
    // Nobody else comes by the proxy, and nothing is fetched before the changelogs.
    proxy.cut_at(At::Request(Request::Fetch)).await;
    for line in ["have not ended yet", "nothing comes of changelogs"] {
        until(line, async || read_to_string(&log).unwrap().contains(line)).await;
    }
    proxy.heal();
    let far = starting.await.unwrap();
    assert_meant(&far, &day, &positions).await;
    for instance in [near, far] {
        assert_audited(&world, &instance);
        instance.stop();
    }
}

/// Waits for what is under way, and whether every instance answers what was meant.
async fn assert_all_meant<const N: usize>(
    world: &World,
    instances: [Service; N],
    day: &Simulation,
    loads: [Underway; N],
) {
    let mut positions = Vec::new();
    for load in loads {
        positions.extend(load.delivered().await);
    }
    for instance in &instances {
        assert_meant(instance, day, &positions).await;
    }
    for instance in instances {
        assert_audited(world, &instance);
        instance.stop();
    }
}
