//! The floors: what the bare parts cost in the same run on the same machine: a
//! gRPC server that only decodes, a file that is only appended to, and one core
//! that only decodes and counts.

use crate::corpus::Reader;
use crate::latency::p99_ms;
use crate::paced::{self, EVENTS_PER_S, Paced};
use crate::probes;
use crate::rates;
use crate::send::{Manner, send};
use crate::server::Server;
use crate::stage::{Group, Stage};
use crate::streams;
use crate::supply::{Supply, Until};
use anyhow::Context as _;
use prost::Message as _;
use quaymeter::pb;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the rates of the bare server go.
fn key_of(manner: Manner) -> &'static str {
    match manner {
        Manner::Batches => "floor.events_per_s",
        Manner::Calls => "floor.unary_events_per_s",
        Manner::Singles => "floor.single_events_per_s",
    }
}

/// How long each takes: their spread is small.
const TIME: Duration = Duration::from_secs(5);
/// Days that are loaded for them.
const DAYS: usize = 4;
/// If the sustained load was not measured.
const GROUP: Group = Group {
    bytes: 500_000.0,
    events: 2_500.0,
};

/// Measures all floors of what is asked for.
pub async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    stage.corpus.ensure(DAYS)?;
    for run in 0..stage.options.runs {
        eprintln!("floors: run {}", run + 1);
        bare_rates(stage).await?;
        bare_latencies(stage).await?;
        bare_streams(stage).await?;
        parts(stage)?;
    }
    Ok(())
}

async fn bare_rates(stage: &mut Stage) -> anyhow::Result<()> {
    for (manner, key) in rates::KEYS {
        if !stage.options.wants(&[key, key_of(manner)]) {
            continue;
        }
        let server = Server::start_bare(&stage.dir.join("bare.log"))?;
        let started = Instant::now();
        let supply = Supply::start(stage.corpus.reader(), Until::Cycling(TIME));
        let sent = send(&server.url, &supply, manner).await?;
        let rate = sent.accepted as f64 / started.elapsed().as_secs_f64();
        stage.report.add(key_of(manner), rate);
        server.kill()?;
    }
    Ok(())
}

async fn bare_latencies(stage: &mut Stage) -> anyhow::Result<()> {
    const KEYS: [&str; 3] = [
        "floor.ack_p99_ms",
        "floor.call_p99_ms",
        "floor.fsync_p99_ms",
    ];
    if !stage.options.wants(&KEYS) && !stage.options.wants(&crate::month::KEYS) {
        return Ok(());
    }
    let server = Server::start_bare(&stage.dir.join("bare.log"))?;
    let day = stage.corpus.reader().read(0)?;
    let paced = Paced::start(&server.url, day, EVENTS_PER_S).await?;
    let calls = probes::bare_calls(&server.url, &paced).await?;
    let heard = paced.finish().await?;
    stage.report.add(KEYS[0], p99_ms(heard.latencies)?);
    stage.report.add(KEYS[1], p99_ms(calls)?);
    server.kill()?;
    let batch = f64::from(paced::BATCH_EVENTS) * stage.corpus.bytes_per_event();
    let times = append(&stage.dir.join("appended"), batch)?;
    stage.report.add(KEYS[2], p99_ms(times)?);
    Ok(())
}

async fn bare_streams(stage: &mut Stage) -> anyhow::Result<()> {
    const KEYS: [&str; 2] = ["floor.idle_kib", "floor.round_s"];
    if !stage.options.wants(&KEYS) && !stage.options.wants(&streams::KEYS) {
        return Ok(());
    }
    let server = Server::start_bare(&stage.dir.join("bare.log"))?;
    let corpus = streams::corpus(stage)?;
    let round = streams::measure(&server, &corpus.reader(), streams::count(stage)).await?;
    stage.report.add(KEYS[0], round.idle_kib);
    stage.report.add(KEYS[1], round.seconds);
    server.kill()
}

/// Without a server: appending, and counting on one core.
fn parts(stage: &mut Stage) -> anyhow::Result<()> {
    let keys = [
        "floor.append_events_per_s",
        "floor.count_events_per_s",
        "floor.bytes_per_event",
    ];
    let sustained = ["embedded.events_per_s"];
    if stage.options.wants(&keys) || stage.options.wants(&sustained) {
        let group = stage.group.unwrap_or(GROUP);
        let path = stage.dir.join("appended");
        let times = append(&path, group.bytes)?;
        let seconds: f64 = times.iter().map(Duration::as_secs_f64).sum();
        let rate = times.len() as f64 * group.events / seconds;
        stage.report.add(keys[0], rate);
        stage.report.add(keys[1], count(&stage.corpus.reader())?);
        let bytes = stage.corpus.bytes_per_event();
        stage.report.add(keys[2], bytes);
    }
    Ok(())
}

/// Appends so many bytes at a time to a file with an fsync after each; how long each took.
fn append(path: &Path, bytes: f64) -> anyhow::Result<Vec<Duration>> {
    let mut file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    // What compresses well is not written sooner: the disk does not look.
    let bytes = vec![0xa5; bytes as usize];
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < TIME {
        let begun = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(times)
}

/// Decodes events, knows each again by a hash of its id, and adds one for each of
/// its parties to what a hash of the cell finds: the least that counting can be,
/// on one core.
fn count(corpus: &Reader) -> anyhow::Result<f64> {
    let (mut known, mut sums) = (FxHashSet::default(), FxHashMap::<u64, i64>::default());
    let (mut events, mut seconds) = (0_u64, 0.0);
    for day in 0..corpus.days.min(DAYS) {
        let chunks = corpus.read(day)?;
        let started = Instant::now();
        for chunk in chunks {
            events += u64::from(chunk.events);
            // The events' field has the same number there.
            let batch = pb::PublishEventsRequest::decode(chunk.bytes)?;
            for event in batch.events {
                if !known.insert(FxBuildHasher.hash_one((&event.facility, &event.event_id))) {
                    continue;
                }
                let quarter = event.occurred_at.map_or(0, |at| at.seconds / 900);
                for party in &event.parties {
                    let cell = (&event.facility, &party.enterprise, party.role, quarter);
                    *sums.entry(FxBuildHasher.hash_one(cell)).or_default() += 1;
                }
            }
        }
        seconds += started.elapsed().as_secs_f64();
    }
    Ok(events as f64 / seconds)
}
