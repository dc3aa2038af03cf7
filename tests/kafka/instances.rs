//! Instances of the real binary on topics of a test's own.

use crate::broker::{self, Broker};
use crate::producer::connection_to;
use crate::same::assert_same;
use crate::service::{Service, quaymeter};
use jiff::{Timestamp, tz::TimeZone};
use quaymeter::answers::{self, Client, Question};
use quaymeter::deliver::{Delivery, deliver};
use quaymeter::log::Record;
use quaymeter::log::kafka::connection::Connection;
use quaymeter::log::kafka::polled::Read;
use quaymeter::log::kafka::sweep::Sweep;
use quaymeter::pb;
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::simulate::{Options, Simulation};
use quaymeter::view::position::Position;
use quaymeter::view::token::Tokens;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PARTITIONS: u32 = 4;
const DAY_MS: i64 = 86_400_000;

/// Far more than anything here takes: reached only when something hangs.
pub const DEADLINE: Duration = Duration::from_secs(240);

/// Topics, and the directories of the instances that count them.
pub struct World {
    pub broker: Arc<Broker>,
    pub prefix: String,
    partitions: u32,
    /// Of each partition, and how many of them have a record before it is acknowledged.
    replicas: (&'static str, &'static str),
    dir: TempDir,
}

impl World {
    /// With topics of its own, on the broker that all tests share.
    pub fn new() -> Self {
        Self::on(broker::shared())
    }

    pub fn on(broker: Arc<Broker>) -> Self {
        Self::of(broker, PARTITIONS)
    }

    /// With topics of so many partitions.
    pub fn of(broker: Arc<Broker>, partitions: u32) -> Self {
        Self::made(broker, partitions, ("1", "1"))
    }

    /// With topics that outlive any one of a cluster's three nodes.
    pub fn replicated_on(broker: Arc<Broker>) -> Self {
        Self::made(broker, PARTITIONS, ("3", "2"))
    }

    /// With a prefix that no topic has yet.
    pub fn bare(broker: Arc<Broker>, partitions: u32) -> Self {
        Self {
            broker,
            prefix: format!("w{:016x}", rand::random::<u64>()),
            partitions,
            replicas: ("1", "1"),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn made(broker: Arc<Broker>, partitions: u32, replicas: (&'static str, &'static str)) -> Self {
        let world = Self {
            replicas,
            ..Self::bare(broker, partitions)
        };
        let created = world.command(&["topics", "create"], &[]);
        assert!(created.status.success(), "{created:?}");
        world
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The settings of all that work on them, with the addresses of the brokers.
    fn settings_at(&self, brokers: &str) -> Vec<String> {
        let partitions = self.partitions.to_string();
        let pairs = [
            ("--log", "kafka"),
            ("--brokers", brokers),
            ("--kafka-prefix", &self.prefix),
            ("--kafka-partitions", &partitions),
            ("--kafka-replication", self.replicas.0),
            ("--kafka-min-insync", self.replicas.1),
        ];
        let words = pairs.into_iter().flat_map(|(flag, value)| [flag, value]);
        words.map(str::to_owned).collect()
    }

    /// How the library reaches them.
    pub fn connection(&self) -> Connection {
        connection_to(self.broker.bootstrap())
    }

    /// All events in the topic, partition by partition.
    pub fn events(&self) -> Vec<Vec<Record>> {
        let mut sweep = self.sweep();
        sweep.begin(&vec![0; self.partitions as usize]).unwrap();
        let mut events = vec![Vec::new(); self.partitions as usize];
        let record = |read: Read<'_>| (read.partition(), read.record(self.partitions).ok());
        while let Some((partition, record)) = sweep.next(record).unwrap() {
            events[partition as usize].extend(record);
        }
        events
    }

    /// The position behind the last event of each partition; behind it there may be
    /// ends of transactions.
    pub fn end(&self) -> String {
        let last = |records: &Vec<Record>| records.last().map_or(0, Record::end_offset);
        let ends = (0..).zip(self.events().iter().map(last).collect::<Vec<_>>());
        Position::of(ends).encode(&self.tokens())
    }

    /// Those of the instances: they come of the key that all have.
    fn tokens(&self) -> Tokens {
        let pseudonyms = Pseudonyms::load_or_create(&self.keys()).unwrap();
        Tokens::new(&pseudonyms.derive("tokens"))
    }

    /// The pseudonyms' keys.
    pub fn keys(&self) -> PathBuf {
        self.dir.path().join("pseudonyms.key")
    }

    /// Records in the topic, ends of transactions too.
    pub fn records(&self) -> u64 {
        self.sweep().bounds().iter().map(|(_, end)| end).sum()
    }

    fn sweep(&self) -> Sweep {
        Sweep::open(&self.connection(), &self.topic("events"), self.partitions).unwrap()
    }

    /// What a command says that works on these topics.
    pub fn command(&self, words: &[&str], more: &[&str]) -> Output {
        let ended = ended_within(DEADLINE, self.commanded(words, more));
        ended.unwrap_or_else(|said| panic!("{words:?} did not end: {said:?}"))
    }

    /// The same, not run yet.
    pub fn commanded(&self, words: &[&str], more: &[&str]) -> Command {
        self.commanded_at(self.broker.bootstrap(), words, more)
    }

    /// The same, with the addresses at which it finds the brokers.
    pub fn commanded_at(&self, brokers: &str, words: &[&str], more: &[&str]) -> Command {
        let mut command = quaymeter();
        command.args(words).args(self.settings_at(brokers));
        command.args(more);
        command
    }

    /// The data directory of an instance.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts an instance, or starts it again.
    pub fn start(&self, name: &str) -> Service {
        self.start_at(self.broker.bootstrap(), name, &[])
    }

    /// The same, with the addresses at which it finds the brokers and more settings.
    pub fn start_at(&self, brokers: &str, name: &str, more: &[&str]) -> Service {
        Service::of(self.serving_at(brokers, name, more))
    }

    /// What starts such an instance.
    pub fn serving_at(&self, brokers: &str, name: &str, more: &[&str]) -> Command {
        let mut command = self.commanded_at(brokers, &["serve"], &[]);
        for port in ["--listen", "--http-listen", "--health-listen"] {
            command.args([port, "127.0.0.1:0"]);
        }
        command.arg("--data-dir").arg(self.data(name));
        // All have the key of the first: what one makes of a plate, all do.
        command.arg("--pseudonym-key").arg(self.keys()).args(more);
        command
    }
}

/// What a command said that ended in time. Else it is killed, and what it had said is the
/// error.
pub fn ended_within(wait: Duration, mut command: Command) -> Result<Output, Output> {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let command = command.stdin(Stdio::null());
    let child = command.spawn().unwrap();
    let id = Pid::from_child(&child);
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    if let Ok(output) = ended.recv_timeout(wait) {
        return Ok(output.unwrap());
    }
    // It may have ended just now.
    let _ = kill_process(id, Signal::KILL);
    Err(ended.recv().unwrap().unwrap())
}

/// A day that ends now: the service judges by its clock.
pub fn a_day(seed: u64, events: u32) -> Simulation {
    let now = Timestamp::now().as_millisecond();
    Simulation::new(&Options::new(seed, now).with_events(events))
}

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

/// Sends a day to an instance, by one stream, and waits until it answers what was meant;
/// the positions that were acknowledged.
pub async fn deliver_meant(instance: &Service, day: &Simulation) -> Vec<String> {
    let delivery = Delivery {
        endpoint: instance.grpc.clone(),
        streams: 1,
        batch_events: 100,
        rate: None,
    };
    let delivered = deliver(day, &delivery, Arc::default()).await.unwrap();
    assert_meant(instance, day, &delivered.positions).await;
    delivered.positions
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

/// Whether the log, recounted by brute force, comes to what an instance answers.
#[track_caller]
pub fn assert_audited(world: &World, instance: &Service) {
    let server = format!("--server={}", instance.grpc);
    let audit = || world.command(&["audit", "--quiet"], &[&server]);
    let output = tokio::task::block_in_place(audit);
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    assert!(told.contains("no figure differs"), "{told}");
}
