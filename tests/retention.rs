//! Two months of a small port with a short horizon: once all that is kept for
//! some days has been kept for as many days, nothing grows any more, neither in
//! memory nor on the disk.

#[path = "survive/clock.rs"]
mod clock;

use clock::Clocked;
use quaymeter::pb::event::Detail;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{GetStatusRequest, GetStatusResponse, PublishEventsRequest};
use quaymeter::simulate::{Options, Rates, SOURCES, Sent, Simulation};
use quaymeter::store::{Options as StoreOptions, Store};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tonic::transport::Channel;

const DAY_MS: i64 = 86_400_000;

/// 2026-03-01T16:00:00Z, the first day's end.
const FIRST_MS: i64 = 1_772_380_800_000;

const DAYS: usize = 60;
const HALF: usize = DAYS / 2;

/// The store is compacted every few days, and grows between.
const SOME: usize = 6;

/// Distinct events a day.
const EVENTS: u32 = 1_500;

const BATCH_EVENTS: usize = 500;

/// So small that the store's buffers are full within days, as a large port's are
/// within minutes.
const BUFFER_BYTES: u64 = 128 << 10;

/// Far more than anything here takes: reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The store's journal is cut at 64 MiB, and the piece before it stays until what
/// is in it is written out.
const DISK_BYTES_MAX: f64 = 256.0 * 1_048_576.0;

/// Corrections for three days; the log for as long as that needs it.
const SETTINGS: [(&str, &str); 8] = [
    ("horizon_days", "3"),
    ("quarter_days", "5"),
    ("day_days", "10"),
    ("log_days", "4"),
    ("log_bytes_max", "1"),
    ("log_segment_bytes", "65536"),
    // The least, so that it is full within days.
    ("limits.store_cache_bytes", "1048576"),
    ("checkpoint.interval_ms", "20"),
];

#[tokio::test(flavor = "multi_thread")]
async fn two_months_with_a_short_horizon_take_no_more_than_one() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        buffer_bytes: BUFFER_BYTES,
        ..StoreOptions::default()
    };
    drop(Store::open_with(&dir.path().join("store"), options).unwrap());
    let service = Clocked::start(dir.path(), FIRST_MS, &SETTINGS).await;
    let channel = Channel::from_shared(service.url.clone()).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut days = Vec::new();
    for day in 0..DAYS {
        let now = FIRST_MS + day as i64 * DAY_MS;
        service.set(now);
        let status = a_day(&service, &channel, now, day).await;
        days.push(measured(&service, dir.path(), &status));
    }
    // What corrections need is kept, whatever the limit says, and no more.
    let page = metrics(&service);
    assert!(metric(&page, "quaymeter_log_start_offset") > 0.0);
    assert!(metric(&page, "quaymeter_log_beyond_limit_bytes") > 0.0);
    service.stop().await;
    audited(dir.path());
    tell(&days);
    let most = days.iter().map(|day| day["disk bytes"]).fold(0.0, f64::max);
    assert!(most < DISK_BYTES_MAX, "{most} bytes on the disk");
    let most = |what, days: &[Measures]| {
        let mean = |days: &[Measures]| days.iter().map(|day| day[what]).sum::<f64>();
        let means = days.chunks(SOME).map(|days| mean(days) / days.len() as f64);
        means.fold(0.0, f64::max)
    };
    let months = |what| (most(what, &days[..HALF]), most(what, &days[HALF..]));
    for (what, percent) in BOUNDS {
        let (first, second) = months(what);
        let limit = first * (1.0 + percent / 100.0);
        assert!(
            first > 0.0 && second <= limit,
            "{what}: {first} in the first month, {second} in the second"
        );
    }
}

/// What is left of the log still vouches for what it holds.
fn audited(data: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quaymeter"));
    let audited = command.arg("audit").arg("--data-dir").arg(data).output();
    let audited = audited.unwrap();
    let told = String::from_utf8(audited.stdout).unwrap();
    assert!(audited.status.success(), "{told}");
    assert!(told.contains("the log was cut: it vouches for"), "{told}");
    assert!(told.contains("no figure differs"), "{told}");
}

type Measures = BTreeMap<&'static str, f64>;

/// What is measured, and by how many percent the second month may be above the
/// first.
const BOUNDS: [(&str, f64); 10] = [
    ("identities", 2.0),
    ("pairing points", 2.0),
    ("names", 0.0),
    ("quarters", 2.0),
    ("days", 2.0),
    ("calls", 2.0),
    ("ledger chunks", 5.0),
    ("log bytes", 5.0),
    ("table bytes", 10.0),
    // The allocator alone makes 4 to 13 of it, by how threads happen to meet.
    ("resident bytes", 25.0),
];

/// Publishes a day that ends now, with a checkpoint after each batch, as if they
/// came over the day; what the service says once it has counted it.
async fn a_day(service: &Clocked, channel: &Channel, now: i64, day: usize) -> GetStatusResponse {
    let options = Options::new(5, now).with_events(EVENTS);
    let rates = Rates {
        invalid: 0.0,
        ..Rates::default()
    };
    let simulation = Simulation::new(&Options { rates, ..options });
    let mut position = String::new();
    for source in SOURCES {
        let sent = simulation.sent().filter(|sent| sent.source == source);
        let events: Vec<_> = sent.map(|sent| of_day(sent, day)).collect();
        for events in events.chunks(BATCH_EVENTS) {
            let request = PublishEventsRequest {
                source: source.into(),
                events: events.to_vec(),
                ..PublishEventsRequest::default()
            };
            let mut ingest = IngestServiceClient::new(channel.clone());
            let answer = ingest.publish_events(request).await.unwrap().into_inner();
            assert_eq!(
                answer.accepted as usize,
                events.len(),
                "{:?}",
                answer.results
            );
            position = answer.position;
            stored(service).await;
        }
    }
    let request = GetStatusRequest { at_least: position };
    let mut queries = ThroughputServiceClient::new(channel.clone());
    queries.get_status(request).await.unwrap().into_inner()
}

/// The same seed makes the same town; but each day has calls of its own.
fn of_day(sent: Sent, day: usize) -> quaymeter::pb::Event {
    let mut event = sent.event;
    let call = match &mut event.detail {
        Some(Detail::QuayMove(quay)) => Some(&mut quay.call_id),
        Some(Detail::VesselCall(call)) => Some(&mut call.call_id),
        Some(Detail::PortService(service)) => Some(&mut service.call_id),
        _ => None,
    };
    if let Some(call) = call.filter(|call| !call.is_empty()) {
        *call = format!("{call}-{day}");
    }
    event
}

/// Waits for a checkpoint of all that is in the log.
async fn stored(service: &Clocked) {
    let stored = async {
        let mut beat = tokio::time::interval(Duration::from_millis(5));
        loop {
            let page = metrics(service);
            let of = |name| metric(&page, name);
            if of("quaymeter_checkpoint_offset") >= of("quaymeter_log_end_offset") {
                return;
            }
            beat.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, stored).await.unwrap();
}

fn measured(service: &Clocked, dir: &Path, status: &GetStatusResponse) -> Measures {
    let page = metrics(service);
    let of = |name| metric(&page, name);
    let journal = bytes_of(&dir.join("store"), &|file| file.ends_with(".jnl"));
    BTreeMap::from([
        ("identities", status.identities as f64),
        ("pairing points", of("quaymeter_pairing_points")),
        ("names", of("quaymeter_names")),
        ("quarters", of("quaymeter_cells{grain=\"quarter\"}")),
        ("days", of("quaymeter_cells{grain=\"day\"}")),
        ("calls", of("quaymeter_cells{grain=\"call\"}")),
        ("ledger chunks", of("quaymeter_ledger_chunks")),
        ("log bytes", of("quaymeter_log_bytes")),
        ("table bytes", of("quaymeter_store_bytes") - journal as f64),
        ("disk bytes", bytes_of(dir, &|_| true) as f64),
        ("resident bytes", of("process_resident_memory_bytes")),
    ])
}

/// What these of a directory's files are long together.
fn bytes_of(dir: &Path, counts: &dyn Fn(&str) -> bool) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    // A file may go while we look.
    let sizes = entries.filter_map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => Some(bytes_of(&entry.path(), counts)),
        found if counts(entry.file_name().to_str()?) => Some(found.ok()?.len()),
        _ => None,
    });
    sizes.sum()
}

fn metrics(service: &Clocked) -> String {
    let mut socket = TcpStream::connect(service.http).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    page
}

#[track_caller]
fn metric(page: &str, name: &str) -> f64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

fn tell(days: &[Measures]) {
    let names: Vec<_> = days[0].keys().copied().collect();
    println!("day {}", names.join(", "));
    for (day, measures) in days.iter().enumerate() {
        let values: Vec<_> = measures
            .values()
            .map(|value| format!("{value:>10}"))
            .collect();
        println!("{day:>3} {}", values.join(" "));
    }
}
