//! What every room needs: a place for a service, its clients, some events.

use crate::service::{Service, quaymeter};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use quaymeter::answers::{self, Client, Question, instant};
use quaymeter::pb::event::Detail;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::pb::{self, Event};
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::truth::{Truth, diff};
use quaymeter::view::token::Tokens;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tonic::transport::Channel;

/// Far more than anything here takes: reached only when something hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub const DAY_MS: i64 = 86_400_000;
pub const QUARTER_MS: i64 = 900_000;

/// A data directory, and a file of what the services on it log.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    /// A path beside the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// What seals the tokens of the service that runs there, or ran.
    pub fn tokens(&self) -> Tokens {
        let keys = self.data().join("pseudonyms.key");
        let pseudonyms = Pseudonyms::load_or_create(&keys).unwrap();
        Tokens::new(&pseudonyms.derive("tokens"))
    }

    /// All that was logged so far.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.path("log.txt")).unwrap()
    }

    /// Starts a service on any ports.
    pub fn serve(&self, settings: &[&str]) -> Service {
        self.serve_at("127.0.0.1:0", settings)
    }

    /// Starts a service whose gRPC port is this one.
    pub fn serve_at(&self, address: &str, settings: &[&str]) -> Service {
        self.started(self.command(address, settings))
    }

    /// Starts what serves here, and keeps what it logs.
    pub fn started(&self, mut command: Command) -> Service {
        let mut log = File::options();
        let log = log.append(true).create(true).open(self.path("log.txt"));
        command.stderr(log.unwrap());
        Service::of(command)
    }

    /// What starts a service here.
    pub fn command(&self, address: &str, settings: &[&str]) -> Command {
        let mut command = quaymeter();
        command.args(["serve", "--listen", address]);
        command.args(["--http-listen", "127.0.0.1:0"]);
        command.args(["--health-listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(self.data()).args(settings);
        command
    }
}

/// The `host:port` of a service's gRPC port, to start the next one on it.
pub fn address(service: &Service) -> String {
    service.grpc.strip_prefix("http://").unwrap().to_owned()
}

/// What a command printed on its standard output and error.
pub fn text(output: &Output) -> (String, String) {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (utf8(&output.stdout), utf8(&output.stderr))
}

/// The status and body of a page of the side port.
pub fn get(http: &str, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(http).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

/// The value of a metric; the name with its labels, and a blank after them.
pub fn metric(service: &Service, name: &str) -> f64 {
    let (_, page) = get(&service.http, "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("no {name} in {page}"));
    value.trim().parse().unwrap()
}

/// Asks until it is so.
pub async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_every(Duration::from_millis(5), what, holds).await;
}

/// The same for what is dear to be asked, or cannot change so soon.
pub async fn until_every(period: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut beat = tokio::time::interval(period);
        while !holds().await {
            beat.tick().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

/// The start of a quarter-hour some hours ago.
pub fn recently() -> i64 {
    let now = Timestamp::now().as_millisecond();
    now - now.rem_euclid(QUARTER_MS) - 3 * 3_600_000
}

pub fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

/// An event at Beilun of the fleet `ygt:F1`.
pub fn event(id: &str, at: i64, detail: Detail) -> Event {
    Event {
        event_id: id.into(),
        occurred_at: Some(instant(at)),
        facility: "CNNBO/BLCT2".into(),
        parties: vec![pb::Party {
            role: pb::Role::Fleet.into(),
            enterprise: "ygt:F1".into(),
        }],
        detail: Some(detail),
        ..Event::default()
    }
}

/// A truck without a container passes a gate.
pub fn passage(id: &str, at: i64, direction: pb::GateDirection, plate: &str) -> Event {
    let gate = pb::GateMove {
        direction: direction.into(),
        tractor_plate: plate.into(),
        ..pb::GateMove::default()
    };
    event(id, at, Detail::GateMove(gate))
}

/// Distinct trucks that come in.
pub fn arrivals(numbers: std::ops::Range<u32>) -> Vec<Event> {
    let at = recently();
    let one = |n: u32| {
        let plate = format!("浙B{n:05}");
        passage(&format!("in-{n}"), at, pb::GateDirection::In, &plate)
    };
    numbers.map(one).collect()
}

/// A retraction of an event at Beilun.
pub fn retraction(id: &str, revision: i64) -> Event {
    Event {
        event_id: id.into(),
        revision,
        retracted: true,
        facility: "CNNBO/BLCT2".into(),
        ..Event::default()
    }
}

/// A connection to a service.
pub async fn channel(url: &str) -> Channel {
    let endpoint = Channel::from_shared(url.to_owned()).unwrap();
    endpoint.connect().await.unwrap()
}

pub async fn ingest(url: &str) -> IngestServiceClient<Channel> {
    IngestServiceClient::new(channel(url).await)
}

pub async fn queries(url: &str) -> Client {
    Client::new(channel(url).await)
}

/// Publishes one batch, all of which must be accepted; its position.
pub async fn acknowledged(url: &str, events: Vec<Event>) -> String {
    let count = events.len() as u32;
    let request = pb::PublishEventsRequest {
        source: "tos".into(),
        events,
        ..Default::default()
    };
    let answer = ingest(url).await.publish_events(request).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.accepted, count, "{:?}", answer.results);
    answer.position
}

/// Publishes one batch and waits until answers include it.
pub async fn published(url: &str, events: Vec<Event>) {
    let position = acknowledged(url, events).await;
    reached(url, &position).await;
}

/// Waits until answers include a position.
pub async fn reached(url: &str, position: &str) -> pb::GetStatusResponse {
    let request = pb::GetStatusRequest {
        at_least: position.into(),
    };
    let answer = queries(url).await.get_status(request).await;
    answer.unwrap().into_inner()
}

/// Waits until answers include all that was acknowledged: a retraction of what
/// never was changes no figure, and comes last.
pub async fn caught_up(url: &str) {
    published(url, vec![retraction("never", 0)]).await;
}

/// Waits until answers include so many records, duplicates included.
pub async fn counted(url: &str, events: usize) {
    let told = format!("{events} events are counted");
    until(&told, async || status(url).await.events >= events as i64).await;
    assert_eq!(status(url).await.events, events as i64);
}

/// What the service counted of events.
pub async fn status(url: &str) -> pb::GetStatusResponse {
    reached(url, "").await
}

/// All that is answered about these days.
pub async fn everything(url: &str) -> Truth {
    let now = Timestamp::now().as_millisecond();
    let question = Question {
        from_ms: now - 3 * DAY_MS,
        to_ms: now + 10 * DAY_MS,
        at_least: String::new(),
    };
    let mut client = queries(url).await;
    let answer = answers::everything(&mut client, &shanghai(), &question).await;
    answer.unwrap()
}

/// The events of one enterprise's trucks that came in.
pub async fn trucks_in(url: &str) -> i64 {
    let (from, to) = (recently() - DAY_MS, recently() + DAY_MS);
    let request = pb::GetThroughputRequest {
        from: Some(instant(from)),
        to: Some(instant(to)),
        grain: pb::Grain::Total.into(),
        ..Default::default()
    };
    let answer = queries(url).await.get_throughput(request).await.unwrap();
    let figures = answer.into_inner().rows.into_iter().map(|row| row.figures);
    figures.flatten().map(|figures| figures.trucks_in).sum()
}

/// Fails with the first differences, over the union of both.
#[track_caller]
pub fn assert_same(truth: &Truth, answered: &Truth) {
    let differences = diff(truth, answered);
    let first: Vec<_> = differences
        .iter()
        .take(10)
        .map(ToString::to_string)
        .collect();
    assert!(differences.is_empty(), "{}: {first:#?}", differences.len());
}

/// A file of the tests' data.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}
