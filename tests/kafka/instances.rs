//! Instances of the real binary on topics of a test's own.

use crate::broker::{self, Broker};
use crate::same::assert_same;
use crate::service::{Service, quaymeter};
use jiff::{Timestamp, tz::TimeZone};
use quaymeter::answers::{self, Client, Question};
use quaymeter::pb;
use quaymeter::simulate::{Options, Simulation};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PARTITIONS: u32 = 4;
const DAY_MS: i64 = 86_400_000;

/// Far more than anything here takes: reached only when something hangs.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Topics, and the directories of the instances that count them.
pub struct World {
    pub broker: Arc<Broker>,
    pub prefix: String,
    dir: TempDir,
}

impl World {
    /// With topics of its own, on the broker that all tests share.
    pub fn new() -> Self {
        Self::on(broker::shared())
    }

    pub fn on(broker: Arc<Broker>) -> Self {
        let world = Self {
            broker,
            prefix: format!("w{:016x}", rand::random::<u64>()),
            dir: tempfile::tempdir().unwrap(),
        };
        let mut create = quaymeter();
        create.args(["topics", "create"]).args(world.settings());
        let created = create.output().unwrap();
        assert!(created.status.success(), "{created:?}");
        world
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn settings(&self) -> Vec<String> {
        let partitions = PARTITIONS.to_string();
        let pairs = [
            ("--log", "kafka"),
            ("--brokers", self.broker.bootstrap()),
            ("--kafka-prefix", &self.prefix),
            ("--kafka-partitions", &partitions),
            ("--kafka-replication", "1"),
            ("--kafka-min-insync", "1"),
        ];
        let words = pairs.into_iter().flat_map(|(flag, value)| [flag, value]);
        words.map(str::to_owned).collect()
    }

    /// The data directory of an instance.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts an instance, or starts it again.
    pub fn start(&self, name: &str) -> Service {
        let mut settings = self.settings();
        // All have the key of the first: what one makes of a plate, all do.
        let key = self.dir.path().join("pseudonyms.key");
        settings.extend(["--pseudonym-key".into(), key.to_str().unwrap().to_owned()]);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        Service::start(&self.data(name), &settings)
    }
}

/// A day that ends now: the service judges by its clock.
pub fn a_day(seed: u64, events: u32) -> Simulation {
    let now = Timestamp::now().as_millisecond();
    Simulation::new(&Options::new(seed, now).with_events(events))
}

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

/// Whether an instance answers what was meant, once it has what was acknowledged.
pub async fn assert_meant(instance: &Service, day: &Simulation, positions: &[String]) {
    let mut client = Client::connect(instance.grpc.clone()).await.unwrap();
    for position in positions {
        reached(&mut client, position).await;
    }
    let now = Timestamp::now().as_millisecond();
    let question = Question {
        from_ms: now - 3 * DAY_MS,
        to_ms: now + 10 * DAY_MS,
        at_least: String::new(),
    };
    let zone = shanghai();
    let answered = answers::everything(&mut client, &zone, &question);
    let answered = answered.await.unwrap();
    let truth = day.truth(&zone).unwrap();
    assert_same(&truth, &answered);
}

/// Waits until an instance has a position: each question waits 10 s for it, and an
/// owner that died is missed for as long as his session lasts.
async fn reached(client: &mut Client, position: &str) {
    let started = Instant::now();
    loop {
        let request = pb::GetStatusRequest {
            at_least: position.to_owned(),
        };
        match client.get_status(request).await {
            Ok(_) => return,
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{status}");
                assert!(started.elapsed() < DEADLINE, "{status}");
            }
        }
    }
}
