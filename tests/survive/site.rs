//! Where services come and go: a data directory and an address that nobody else
//! takes meanwhile.

use crate::place::{Place, reached};
use crate::service::Service;
use quaymeter::log::disk::RealDisk;
use quaymeter::log::embedded::{self, Log};
use quaymeter::log::{Error, Record};
use quaymeter::truth::{Grain, Truth};
use quaymeter::wire;
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};

pub use crate::place::{DEADLINE, until};

/// The smallest segments and frequent checkpoints, so that all that happens now
/// and then happens often.
pub const BUSY: [&str; 4] = [
    "--log-segment-bytes",
    "65536",
    "--checkpoint-interval-ms",
    "20",
];

pub struct Site {
    pub place: Place,
    pub address: String,
}

impl Site {
    /// A site of its own loopback address, `127.0.x.y`.
    pub fn new(ip: &str) -> Self {
        let free = std::net::TcpListener::bind((ip, 0)).unwrap();
        Self {
            place: Place::new(),
            address: free.local_addr().unwrap().to_string(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn serve(&self, settings: &[&str]) -> Service {
        self.place.serve_at(&self.address, settings)
    }

    /// What starts a service here.
    pub fn command(&self, settings: &[&str]) -> Command {
        self.place.command(&self.address, settings)
    }

    /// Starts a service that is expected to refuse; what it says, unless it
    /// serves.
    pub fn refusal(&self, mut command: Command) -> Option<(ExitStatus, String)> {
        let (stdout, stderr) = (Stdio::piped(), self.place.path("refusal.txt"));
        command.stdout(stdout);
        command.stderr(std::fs::File::create(&stderr).unwrap());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| tell.send(line))
        });
        let serves = match told.recv_timeout(DEADLINE) {
            Ok(_) => true,
            Err(mpsc::RecvTimeoutError::Disconnected) => false,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("neither serves nor refuses"),
        };
        if serves {
            child.kill().unwrap();
        }
        let ended = child.wait().unwrap();
        (!serves).then(|| (ended, std::fs::read_to_string(stderr).unwrap()))
    }

    /// Everything of these days, once it includes these positions.
    pub async fn everything(&self, positions: &[String]) -> Truth {
        for position in positions {
            reached(&self.url(), position).await;
        }
        crate::place::everything(&self.url()).await
    }

    /// The log's files, in order.
    pub fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.place.data().join("log")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The log of a stopped service, read from its start to its end, of which
    /// only the last segment is verified when it is opened.
    pub fn records(&self) -> Vec<Result<Record, Error>> {
        let (options, dir) = (embedded::Options::default(), self.place.data().join("log"));
        let last = self.segments().pop().unwrap();
        let last = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let log = Log::open(Arc::new(RealDisk), &dir, options, last)
            .unwrap()
            .log;
        log.read_from(log.start()).unwrap().collect()
    }

    /// What the log of a stopped service holds: how many events, and of how many
    /// identities.
    pub fn recorded(&self) -> (i64, i64) {
        let (mut events, mut identities) = (0, HashSet::new());
        for record in self.records() {
            let record = record.unwrap();
            for bytes in &record.events {
                let event = wire::decode(bytes).unwrap();
                events += 1;
                identities.insert((record.source.clone(), event.facility, event.event_id));
            }
        }
        (events, identities.len() as i64)
    }
}

/// Fails with the first differences, over the union of both.
#[track_caller]
pub fn assert_same(truth: &Truth, answered: &Truth) {
    crate::place::assert_same(truth, answered);
    let compared = answered.count(Grain::Quarter);
    assert!(compared > 300, "only {compared} cells were compared");
}
