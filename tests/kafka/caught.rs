//! An instance that is caught in the middle of a transaction.

use crate::instances::{DEADLINE, World};
use crate::place::get;
use crate::producer::looks_at;
use crate::service::Service;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::time::{interval, timeout};

/// Within this time an instance is stopped, after another moment was none of a
/// transaction: about as long as from one commit to the next.
const STRIKES_WITHIN: Duration = Duration::from_millis(150);

/// For so long a transaction stays as it is whose owner is stopped: whatever he has sent
/// before, the broker has heard by then.
const LOOKED_EVERY: Duration = Duration::from_millis(10);
const LOOKS: u32 = 5;

/// What an instance tells of its counting.
#[derive(Clone, Debug)]
pub struct Counting {
    /// The partitions that it counts.
    pub partitions: BTreeSet<u32>,
    /// How often it has committed since it was started.
    pub commits: u64,
}

impl Counting {
    pub fn of(instance: &Service) -> Self {
        let (_, page) = get(&instance.http, "/metrics");
        let partition = |line: &str| {
            let labels = line.strip_prefix("quaymeter_lag_events{partition=\"")?;
            labels.split_once('"')?.0.parse().ok()
        };
        // What never happened has no line yet.
        let number = |name: &str| {
            let mut lines = page.lines();
            let found = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            found.unwrap_or_default()
        };
        Self {
            partitions: page.lines().filter_map(partition).collect(),
            commits: number("quaymeter_commit_seconds_count "),
        }
    }
}

/// Waits until what an instance tells of its counting is so.
pub async fn until(what: &str, instance: &Service, mut holds: impl FnMut(&Counting) -> bool) {
    let (started, mut beat) = (Instant::now(), interval(Duration::from_millis(20)));
    loop {
        let told = Counting::of(instance);
        if holds(&told) {
            return;
        }
        assert!(started.elapsed() < DEADLINE, "{what}: {told:?}");
        beat.tick().await;
    }
}

/// Waits until an instance owns partitions, and has committed what it counted of them.
async fn until_it_commits(instance: &Service) {
    let mut first: Option<Counting> = None;
    until("it should commit", instance, |now| {
        let since = first.take();
        let same = since.filter(|since| since.partitions == now.partitions);
        let since = same.unwrap_or_else(|| now.clone());
        let commits = !now.partitions.is_empty() && now.commits > since.commits;
        first = Some(since);
        commits
    })
    .await;
}

/// Partitions in which a transaction is open, and where it begins.
pub type Open = BTreeSet<(u32, i64)>;

/// The changelogs, as the broker knows them.
pub struct Changelogs {
    all: BaseConsumer,
    committed: BaseConsumer,
    topic: String,
}

impl Changelogs {
    pub fn of(world: &World) -> Self {
        let [committed, all] = looks_at(&world.broker);
        Self {
            all,
            committed,
            topic: world.topic("cells"),
        }
    }

    fn open(&self, partitions: &BTreeSet<u32>) -> Open {
        let end = |of: &BaseConsumer, partition| {
            let ends = of.fetch_watermarks(&self.topic, partition, DEADLINE);
            ends.unwrap().1
        };
        let open = |&partition: &u32| {
            // Of what is committed, the end is where the first open transaction begins.
            let begins = end(&self.committed, partition as i32);
            (begins < end(&self.all, partition as i32)).then_some((partition, begins))
        };
        partitions.iter().filter_map(open).collect()
    }

    /// Whether one of these is open still.
    pub fn are_open(&self, transactions: &Open) -> bool {
        let partitions = transactions.iter().map(|&(of, _)| of).collect();
        !self.open(&partitions).is_disjoint(transactions)
    }

    /// Which transactions in these partitions nobody goes on with.
    pub async fn left_open(&self, partitions: &BTreeSet<u32>) -> Open {
        let mut left = self.open(partitions);
        let mut beat = interval(LOOKED_EVERY);
        for _ in 0..LOOKS {
            if !left.is_empty() {
                beat.tick().await;
                left = &left & &self.open(partitions);
            }
        }
        left
    }

    /// Stops an instance that counts at a random moment at which a transaction of its own
    /// is open; which. It has committed before, and hears and says nothing more.
    pub async fn catch(&self, instance: &Service, dice: &mut ChaCha8Rng) -> Open {
        until_it_commits(instance).await;
        let started = Instant::now();
        loop {
            moment(dice).await;
            // The group may have given it others since.
            let partitions = Counting::of(instance).partitions;
            instance.signal("STOP");
            let left = self.left_open(&partitions).await;
            if !left.is_empty() {
                return left;
            }
            instance.signal("CONT");
            assert!(started.elapsed() < DEADLINE, "it has no transaction");
        }
    }
}

/// Lets a random time pass, up to which nothing is waited for.
async fn moment(dice: &mut ChaCha8Rng) {
    let moment = STRIKES_WITHIN.mul_f64(dice.random());
    let passed = timeout(moment, std::future::pending::<()>()).await;
    assert!(passed.is_err());
}
