//! Every driver of the port: many idle streams, then one event of each at once.

use crate::check;
use crate::chunk::Chunk;
use crate::corpus::{Corpus, Reader};
use crate::lane::{Lane, Opening, connect};
use crate::process::memory_mib;
use crate::send::{Manner, send};
use crate::server::Server;
use crate::stage::Stage;
use crate::supply::Supply;
use anyhow::{Context as _, ensure};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::metadata::AsciiMetadataValue;

/// What is measured here.
pub const KEYS: [&str; 2] = ["streams.idle_kib", "streams.round_s"];

const STREAMS: u64 = 32_000;
const STREAMS_PER_CONNECTION: usize = 100;
/// Connections that open their streams at the same time.
const OPENING: usize = 16;
/// Distinct events of the day for each stream: every one has its own.
const EVENTS_PER_STREAM: f64 = 1.1;
/// A bearer token as identity providers make them.
const TOKEN_BYTES: usize = 700;
/// Memory has settled once it changes by less than this in so long.
const SETTLED_MIB: f64 = 1.0;
const SETTLE: Duration = Duration::from_millis(500);

/// What came of one round.
pub struct Round {
    pub idle_kib: f64,
    pub seconds: f64,
    /// What is left of the day.
    pub rest: Vec<Chunk>,
}

/// How many streams there are to be.
pub fn count(stage: &Stage) -> usize {
    stage.options.scaled(STREAMS) as usize
}

/// A day with an event for each stream.
pub fn corpus(stage: &Stage) -> anyhow::Result<Corpus> {
    let events = count(stage) as f64 * EVENTS_PER_STREAM;
    let mut corpus = Corpus::new(&stage.dir.join("small"), events as u32)?;
    corpus.ensure(1)?;
    Ok(corpus)
}

/// Measures both, run by run.
pub async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    if !stage.options.wants(&KEYS) {
        return Ok(());
    }
    let (corpus, streams) = (corpus(stage)?, count(stage));
    for run in 0..stage.options.runs {
        eprintln!("{streams} streams: run {}", run + 1);
        let data = stage.fresh("streams")?;
        let server = Server::start(&data)?;
        let round = measure(&server, &corpus.reader(), streams).await?;
        stage.report.add(KEYS[0], round.idle_kib);
        stage.report.add(KEYS[1], round.seconds);
        // With the rest of the day it can be held against what was meant.
        let sent = send(&server.url, &Supply::of(round.rest), Manner::Batches).await?;
        let mut client = stage.client(&server).await?;
        check::visible(&mut client, &sent.positions).await?;
        check::totals(&mut client, &corpus, 1, 0).await?;
        server.kill()?;
    }
    Ok(())
}

/// Opens the streams, and lets each send one event.
pub async fn measure(server: &Server, corpus: &Reader, streams: usize) -> anyhow::Result<Round> {
    let mut day: VecDeque<Chunk> = corpus
        .read(0)?
        .into_iter()
        .flat_map(|chunk| chunk.pieces(1))
        .collect();
    ensure!(day.len() >= streams, "the day has too few events");
    let rest = day.split_off(streams);
    let before = memory_mib(server.pid(), "VmRSS")?;
    let lanes = open(&server.url, day).await?;
    let after = settled(server.pid()).await?;
    let seconds = round(lanes).await?;
    Ok(Round {
        idle_kib: (after - before) * 1024.0 / streams as f64,
        seconds,
        rest: rest.into(),
    })
}

/// Sends all events at once; seconds until the last acknowledgement.
async fn round(lanes: Vec<(Lane, Chunk)>) -> anyhow::Result<f64> {
    let (go, started) = watch::channel(false);
    let mut running = JoinSet::new();
    for (mut lane, event) in lanes {
        let mut started = started.clone();
        running.spawn(async move {
            started.wait_for(|&started| started).await?;
            let sent = lane.send(event, None).await && lane.acknowledged().await;
            // Kept open: what is timed is the round, not the end of streams.
            Ok::<_, anyhow::Error>((lane, sent))
        });
    }
    let started = Instant::now();
    go.send_replace(true);
    let ended = running.join_all().await;
    let seconds = started.elapsed().as_secs_f64();
    for lane in ended {
        let (lane, sent) = lane?;
        if !sent {
            lane.finish().await?;
        }
    }
    Ok(seconds)
}

/// Opens a stream for each event.
async fn open(url: &str, mut events: VecDeque<Chunk>) -> anyhow::Result<Vec<(Lane, Chunk)>> {
    let mut opening = JoinSet::new();
    let mut lanes = Vec::with_capacity(events.len());
    let mut number = 0;
    while !events.is_empty() || !opening.is_empty() {
        if !events.is_empty() && opening.len() < OPENING {
            let rest = events.split_off(STREAMS_PER_CONNECTION.min(events.len()));
            let own = std::mem::replace(&mut events, rest);
            let (url, first) = (url.to_owned(), number);
            number += own.len();
            opening.spawn(async move { connection(&url, first, own).await });
        } else if let Some(opened) = opening.join_next().await {
            lanes.extend(opened??);
        }
    }
    Ok(lanes)
}

async fn connection(
    url: &str,
    first: usize,
    events: VecDeque<Chunk>,
) -> anyhow::Result<Vec<(Lane, Chunk)>> {
    let channel = connect(url).await?;
    let mut lanes = Vec::with_capacity(events.len());
    for (number, event) in (first..).zip(events) {
        let token = token(number)?;
        let opening = Opening {
            source: event.source,
            number,
            window: 1,
            token: Some(&token),
        };
        lanes.push((Lane::open(channel.clone(), &opening).await?, event));
    }
    Ok(lanes)
}

/// Each driver has another, so that no compression of headers finds it again.
fn token(number: usize) -> anyhow::Result<AsciiMetadataValue> {
    let digits =
        (0..).map(|n: u64| (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ n << 7));
    let mut text: String = digits
        .take(TOKEN_BYTES / 16 + 1)
        .map(|d| format!("{d:016x}"))
        .collect();
    text.truncate(TOKEN_BYTES);
    format!("Bearer {text}").parse().context("a token")
}

/// A process's memory in MiB, once it has settled.
async fn settled(pid: u32) -> anyhow::Result<f64> {
    let mut last = memory_mib(pid, "VmRSS")?;
    loop {
        tokio::time::sleep(SETTLE).await;
        let now = memory_mib(pid, "VmRSS")?;
        if (now - last).abs() < SETTLED_MIB {
            return Ok(now);
        }
        last = now;
    }
}
