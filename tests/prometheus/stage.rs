//! A service whose ports stay while it comes and goes, so that Prometheus finds it again,
//! and those who send to it.

use crate::faults::Faults;
use crate::place::{arrivals, ingest};
use crate::service::{Service, quaymeter};
use quaymeter::pb::{Event, PublishEventsRequest};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A name for one enterprise of the simulator, so that there is one to join.
const REGISTRY: &str = "id,name_zh,name_en,roles\nsmdg:COS,中远海运,COSCO,CARRIER\n";

pub struct Stage {
    dir: tempfile::TempDir,
    pub faults: Faults,
    grpc: String,
    pub http: String,
}

impl Stage {
    /// A stage on a loopback address of its own, `127.0.x.y`, whose ports nobody else
    /// takes meanwhile.
    pub fn new(ip: &str) -> Self {
        let free = || TcpListener::bind((ip, 0)).unwrap();
        let (grpc, http) = (free(), free());
        let address = |of: &TcpListener| of.local_addr().unwrap().to_string();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("registry.csv"), REGISTRY).unwrap();
        Self {
            dir,
            faults: Faults::new(),
            grpc: address(&grpc),
            http: address(&http),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Starts a service, whose disk is as `faults` says.
    pub fn serve(&self, settings: &[&str]) -> Service {
        let data = self.path("data");
        let mut command = quaymeter();
        command.args(["serve", "--listen", &self.grpc, "--http-listen", &self.http]);
        command.args(["--health-listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(&data).args(settings);
        command.arg("--registry").arg(self.path("registry.csv"));
        command.stderr(std::fs::File::create(self.path("log.txt")).unwrap());
        self.faults.concern(&mut command, &data);
        Service::of(command)
    }

    /// A source that sends ten trucks five times a second until it is aborted, whatever
    /// it is answered. Without `facility` they are refused.
    pub fn sender(&self, source: &'static str, facility: bool) -> JoinHandle<()> {
        let url = self.url();
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(Duration::from_millis(200));
            for first in (0..).step_by(10) {
                beat.tick().await;
                let events = arrivals(first..first + 10).into_iter().map(|event| Event {
                    facility: if facility {
                        event.facility
                    } else {
                        String::new()
                    },
                    ..event
                });
                let request = PublishEventsRequest {
                    source: source.into(),
                    events: events.collect(),
                    ..Default::default()
                };
                let _ = ingest(&url).await.publish_events(request).await;
            }
        })
    }

    /// A simulated day, told at so many events a second. It ends soon, so that there is
    /// something of today also if midnight strikes meanwhile.
    pub fn simulate(&self, rate: u32) -> Simulator {
        let end = jiff::Timestamp::now() + Duration::from_secs(480);
        let mut command = quaymeter();
        command.args(["simulate", "--events", "30000", "--enterprises", "200"]);
        command.args(["--end", &end.to_string()]);
        command.args([
            "--rate",
            &rate.to_string(),
            "--invalid",
            "0.02",
            "--to",
            &self.url(),
        ]);
        Simulator::of(command)
    }
}

/// A simulator that is killed when it is dropped.
pub struct Simulator(Child);

impl Simulator {
    fn of(mut command: Command) -> Self {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().unwrap())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
