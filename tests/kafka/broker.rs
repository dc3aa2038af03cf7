//! A real Apache Kafka cluster, which lives as long as somebody holds it.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::MetadataTopic;
use std::{
    env,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};
use tokio::time::interval;

/// Far more than anything here takes: reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(240);

/// Names a cluster that runs already, as `host:port` with commas. Then tests
/// start none.
const ELSEWHERE: &str = "QUAYMETER_TEST_BROKERS";

/// So many lines of a node's log are printed when a test fails.
const LINES_TOLD: usize = 100;

/// A cluster; dropping it stops every process of it and removes its data.
pub struct Broker {
    bootstrap: String,
    /// None if it is not ours.
    folder: Option<tempfile::TempDir>,
}

impl Broker {
    /// A new cluster of one node or three on free ports, when it is ready. It
    /// ends with this process at the latest, however that ends.
    pub fn start(nodes: usize) -> Self {
        Self::owned_by(std::process::id(), nodes)
    }

    /// A new cluster for a test that stops nodes, if tests may start one: whom it kills is
    /// missed soon, and whom a busy machine lets wait as long, too.
    pub fn own(nodes: usize) -> Option<Self> {
        let options = ["--nodes", &nodes.to_string(), "--missed-after", "4"];
        Self::may_start().then(|| Self::started(std::process::id(), &options).0)
    }

    /// Whether tests may start clusters; if not, says that one is passed over. A
    /// cluster that runs elsewhere is not there to be stopped.
    pub fn may_start() -> bool {
        let may = elsewhere().is_none();
        if !may {
            println!("SKIPPED: {ELSEWHERE} is set, and this test needs a cluster of its own");
        }
        may
    }

    /// A new cluster that ends with that process.
    pub fn owned_by(owner: u32, nodes: usize) -> Self {
        Self::started(owner, &["--nodes", &nodes.to_string()]).0
    }

    /// A new cluster of one node, and where a proxy reaches it that listens at this
    /// port: who comes that way is told to stay at the proxy.
    pub fn behind(proxy: u16) -> (Self, SocketAddr) {
        let options = ["--behind", &proxy.to_string()];
        let (broker, told) = Self::started(std::process::id(), &options);
        let behind = word(&told, "behind=").parse();
        (broker, behind.expect("an address"))
    }

    /// A new cluster of one node that asks who comes by another port who he is, by what
    /// is in a folder; and the address of that port.
    pub fn secured(by: &Path) -> (Self, String) {
        let by = by.to_str().expect("a path in UTF-8");
        let (broker, told) = Self::started(std::process::id(), &["--secured", by]);
        let secured = word(&told, "secured=").to_owned();
        (broker, secured)
    }

    /// A new cluster, and what the script told of it.
    fn started(owner: u32, options: &[&str]) -> (Self, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let owner = owner.to_string();
        let options = [&["--owner", &owner], options].concat();
        let told = script("start", folder.path(), &options).unwrap_or_else(|why| panic!("{why}"));
        let broker = Self {
            bootstrap: word(&told, "brokers=").into(),
            folder: Some(folder),
        };
        (broker, told)
    }

    /// The addresses to start from: `127.0.0.1:40123`, of each node, with commas.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Where its data, settings and logs are.
    pub fn folder(&self) -> &Path {
        let folder = self.folder.as_ref().expect("a cluster of our own");
        folder.path()
    }

    /// Kills a node (the first is 1) without a warning.
    pub fn kill(&self, node: usize) {
        self.tell("kill-node", node);
    }

    /// Starts a killed node again; returns when it is ready.
    pub fn start_node(&self, node: usize) {
        self.tell("start-node", node);
    }

    /// Lets a node hang: connections stay, nobody answers.
    pub fn pause(&self, node: usize) {
        self.tell("pause-node", node);
    }

    /// Lets a node that hangs go on.
    pub fn resume(&self, node: usize) {
        self.tell("resume-node", node);
    }

    /// Runs Apache Kafka's own command about permissions, with these words.
    pub fn acls(&self, words: &[String]) -> String {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = script("acls", self.folder(), &words);
        told.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Waits until each partition of each topic has all of its replicas.
    pub async fn is_replicated(&self) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.bootstrap());
        let client: BaseConsumer = client.create().expect("a client");
        let (started, mut beat) = (Instant::now(), interval(Duration::from_millis(100)));
        loop {
            beat.tick().await;
            let told = client.fetch_metadata(None, DEADLINE);
            let told = told.expect("what there is");
            let mut partitions = told.topics().iter().flat_map(MetadataTopic::partitions);
            if partitions.all(|of| of.isr().len() == of.replicas().len()) {
                return;
            }
            assert!(started.elapsed() < DEADLINE, "replicas are missing");
        }
    }

    fn tell(&self, what: &str, node: usize) {
        let done = script(what, self.folder(), &[&node.to_string()]);
        done.unwrap_or_else(|why| panic!("{why}"));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let Some(folder) = &self.folder else { return };
        if std::thread::panicking() {
            tell_of_transactions(folder.path());
        }
        // Nobody needs the data any more, so nothing is put in order for long.
        if let Err(why) = script("stop", folder.path(), &["--now"]) {
            assert!(std::thread::panicking(), "{why}");
        }
    }
}

/// A cluster of one node that tests share: it starts with the first of them
/// and ends when the last has let go of it.
pub struct Shared(Mutex<Weak<Broker>>);

impl Shared {
    pub const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    pub fn get(&self) -> Arc<Broker> {
        // Under the lock, so that those who come meanwhile wait for it. If it
        // does not start for one, it is not tried again for each.
        let mut slot = self.0.lock().expect("a cluster that starts");
        slot.upgrade().unwrap_or_else(|| {
            let theirs = elsewhere().map(|bootstrap| Broker {
                bootstrap,
                folder: None,
            });
            let broker = Arc::new(theirs.unwrap_or_else(|| Broker::start(1)));
            *slot = Arc::downgrade(&broker);
            broker
        })
    }
}

/// The cluster that the tests of this binary share. Whatever a test makes there,
/// topics, groups and transactional ids, has a name of its own.
pub fn shared() -> Arc<Broker> {
    static SHARED: Shared = Shared::new();
    SHARED.get()
}

/// Prints what the nodes' logs say last of transactions, and what went wrong: the logs go
/// with the cluster, and a test that waited in vain tells only that nothing came.
fn tell_of_transactions(folder: &Path) {
    for node in 1..=3 {
        let log = folder.join(format!("node-{node}/log"));
        let Ok(log) = std::fs::read_to_string(log) else {
            return;
        };
        let is_told = |line: &&str| {
            ["Transaction", "WARN", "ERROR"]
                .iter()
                .any(|of| line.contains(of))
        };
        let told: Vec<&str> = log.lines().filter(is_told).collect();
        println!("node {node}, the last of {} lines:", told.len());
        for line in &told[told.len().saturating_sub(LINES_TOLD)..] {
            println!("{line}");
        }
    }
}

/// The brokers of a cluster that runs already, if the tests are pointed at one.
fn elsewhere() -> Option<String> {
    env::var(ELSEWHERE)
        .ok()
        .filter(|bootstrap| !bootstrap.is_empty())
}

/// What follows a key in what the script printed.
fn word<'a>(told: &'a str, key: &str) -> &'a str {
    let found = told.lines().find_map(|line| line.strip_prefix(key));
    found.unwrap_or_else(|| panic!("no {key} in `{told}`"))
}

/// What the script prints, or why it failed.
fn script(what: &str, folder: &Path, rest: &[&str]) -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka/broker");
    let mut command = Command::new(script);
    command.arg(what).arg(folder).args(rest);
    let output = command.output().expect("the script runs");
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("`broker {what}` failed, {}:\n{why}", output.status))
}
