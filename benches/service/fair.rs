//! One source sends a little, alone and beside another that sends as fast as it can or
//! may: how much later is it acknowledged?

use crate::callers::Callers;
use crate::check;
use crate::chunk::Chunk;
use crate::corpus::{DAYS_MAX, Reader};
use crate::hostile::Hostile;
use crate::lane::{Heard, Lane, Opening, connect};
use crate::latency::p99_ms;
use crate::send::{Manner, send};
use crate::server::Server;
use crate::stage::Stage;
use crate::supply::Supply;
use anyhow::ensure;
use quaymeter::answers::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tonic::metadata::AsciiMetadataValue;

/// What is measured here.
pub const KEYS: [&str; 7] = [
    ALONE_KEY,
    FLOOD_KEY,
    RATIO_KEY,
    QUOTA_KEY,
    QUOTA_RATIO_KEY,
    HOSTILE_KEY,
    HOSTILE_RATIO_KEY,
];

const ALONE_KEY: &str = "embedded.fair_p99_ms";
const FLOOD_KEY: &str = "embedded.fair_flood_p99_ms";
const RATIO_KEY: &str = "embedded.fair_ratio";
const QUOTA_KEY: &str = "embedded.fair_quota_p99_ms";
const QUOTA_RATIO_KEY: &str = "embedded.fair_quota_ratio";

const HOSTILE_KEY: &str = "embedded.fair_hostile_p99_ms";
const HOSTILE_RATIO_KEY: &str = "embedded.fair_hostile_ratio";

/// Each of the two loads lasts so long.
const SECONDS: u64 = 20;
/// Who sends a little, and who floods: indexes into `SOURCES`.
const LITTLE: usize = 0;
const FLOOD: usize = 1;
/// A batch of so many is due a hundred times a second.
const LITTLE_EVENTS: u32 = 10;
const LITTLE_EVERY: Duration = Duration::from_millis(10);
const FLOOD_STREAMS: usize = 6;
const FLOOD_EVENTS: u32 = 500;
/// As fast as a flood may be before anything is known of this machine.
const FLOOD_PER_S: f64 = 250_000.0;
const WAITING_CHUNKS: usize = 64;

/// Measures each flood, run by run.
pub async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    if !stage.options.wants(&KEYS) {
        return Ok(());
    }
    let seconds = stage.options.scaled(SECONDS).max(2);
    stage.corpus.ensure(1)?;
    // A third of each day is the flood's.
    let per_day = stage.corpus.days()[0].sent as f64 / 3.0;
    let days = FLOOD_PER_S.max(stage.fastest * 1.3) * seconds as f64 / per_day;
    stage
        .corpus
        .ensure((days.ceil() as usize + 2).min(DAYS_MAX))?;
    let time = Duration::from_secs(seconds);
    for run in 0..stage.options.runs {
        eprintln!("embedded.fair: run {}", run + 1);
        if stage.options.wants(&[ALONE_KEY, FLOOD_KEY, RATIO_KEY]) {
            measure(stage, time).await?;
        }
        if stage.options.wants(&[QUOTA_KEY, QUOTA_RATIO_KEY]) {
            measure_quota(stage, time).await?;
        }
        if stage.options.wants(&[HOSTILE_KEY, HOSTILE_RATIO_KEY]) {
            measure_hostile(stage, time).await?;
        }
    }
    Ok(())
}

async fn measure(stage: &mut Stage, time: Duration) -> anyhow::Result<()> {
    let data = stage.fresh("fair")?;
    let server = Server::start(&data)?;
    let seen = beside(stage, &server, time, [None, None]).await?;
    let report = &mut stage.report;
    report.add(ALONE_KEY, seen.alone_ms);
    report.add(FLOOD_KEY, seen.beside_ms);
    report.add(RATIO_KEY, seen.beside_ms / seen.alone_ms);
    report.note(FLOOD_KEY, "flood_events_per_s", seen.rate);
    check_all(stage, &server, seen).await?;
    server.kill()
}

/// The same where both are known, and so each has his quota.
async fn measure_quota(stage: &mut Stage, time: Duration) -> anyhow::Result<()> {
    let data = stage.fresh("fair-quota")?;
    let callers = Callers::known(&data)?;
    let server = Server::start_with(&data, &callers.settings)?;
    let tokens = [LITTLE, FLOOD].map(|source| Some(callers.tokens[source].clone()));
    let seen = beside(stage, &server, time, tokens).await?;
    let report = &mut stage.report;
    report.add(QUOTA_KEY, seen.beside_ms);
    report.add(QUOTA_RATIO_KEY, seen.beside_ms / seen.alone_ms);
    report.note(QUOTA_KEY, "alone", seen.alone_ms);
    report.note(QUOTA_KEY, "flood_events_per_s", seen.rate);
    // What is left of the days comes from whoever likes.
    server.stop()?;
    let server = Server::start(&data)?;
    check_all(stage, &server, seen).await?;
    server.kill()
}

/// The same where the flood heeds nothing.
async fn measure_hostile(stage: &mut Stage, time: Duration) -> anyhow::Result<()> {
    let data = stage.fresh("fair-hostile")?;
    let callers = Callers::known(&data)?;
    let server = Server::start_with(&data, &callers.settings)?;
    let [little_token, flood_token] = [LITTLE, FLOOD].map(|source| callers.tokens[source].clone());
    let mut day = Day::read(stage, time)?;
    let alone = paced(&server.url, day.next(), Some(little_token.clone())).await?;
    let of_flood = day.rest.iter().filter(|chunk| chunk.source == FLOOD);
    let flood = Hostile::start(&server.url, of_flood.cloned().collect(), flood_token).await?;
    let beside = paced(&server.url, day.next(), Some(little_token)).await?;
    let (tried, taken) = flood.stop().await;
    let (alone_ms, beside_ms) = (p99_ms(alone.latencies)?, p99_ms(beside.latencies)?);
    let report = &mut stage.report;
    report.add(HOSTILE_KEY, beside_ms);
    report.add(HOSTILE_RATIO_KEY, beside_ms / alone_ms);
    report.note(HOSTILE_KEY, "alone", alone_ms);
    report.note(HOSTILE_KEY, "tried_per_s", tried);
    report.note(HOSTILE_KEY, "taken_per_s", taken);
    server.stop()?;
    let server = Server::start(&data)?;
    let positions = vec![alone.position, beside.position];
    let mut client = send_all(stage, &server, (positions, 1, day.left())).await?;
    // How much of the flood was taken before is not known.
    check::figures(&mut client, &stage.corpus, 1, 0).await?;
    server.kill()
}

/// What was seen, and what has to be sent still so that it can be held against what was
/// meant.
struct Seen {
    alone_ms: f64,
    beside_ms: f64,
    /// Of the flood, events a second.
    rate: f64,
    positions: Vec<String>,
    /// Days that are begun, and what is left of the first.
    days: usize,
    rest: Vec<Chunk>,
}

/// A token for each of both, if they need one.
type Tokens = [Option<AsciiMetadataValue>; 2];

/// The first day, of which one source sends a little.
struct Day {
    /// Its own, batch by batch.
    little: Box<dyn Iterator<Item = Chunk> + Send>,
    /// Batches for one load.
    batches: usize,
    /// Of all others.
    rest: Vec<Chunk>,
}

impl Day {
    fn read(stage: &Stage, time: Duration) -> anyhow::Result<Self> {
        let chunks = stage.corpus.reader().read(0)?;
        let (little, rest): (Vec<_>, Vec<_>) =
            chunks.into_iter().partition(|chunk| chunk.source == LITTLE);
        let pieces = |chunk: Chunk| chunk.pieces(LITTLE_EVENTS);
        Ok(Self {
            little: Box::new(little.into_iter().flat_map(pieces)),
            batches: (time.as_millis() / LITTLE_EVERY.as_millis()) as usize,
            rest,
        })
    }

    fn next(&mut self) -> Vec<Chunk> {
        self.little.by_ref().take(self.batches).collect()
    }

    /// What is not sent yet.
    fn left(mut self) -> Vec<Chunk> {
        self.rest.extend(self.little);
        self.rest
    }
}

async fn beside(
    stage: &Stage,
    server: &Server,
    time: Duration,
    [little_token, flood_token]: Tokens,
) -> anyhow::Result<Seen> {
    let mut day = Day::read(stage, time)?;
    let alone = paced(&server.url, day.next(), little_token.clone()).await?;
    let flood = Flood::start(&server.url, stage.corpus.reader(), flood_token).await?;
    let beside = paced(&server.url, day.next(), little_token).await?;
    let (mut positions, days, rate) = flood.stop().await?;
    positions.extend([alone.position, beside.position]);
    Ok(Seen {
        alone_ms: p99_ms(alone.latencies)?,
        beside_ms: p99_ms(beside.latencies)?,
        rate,
        positions,
        days,
        rest: day.left(),
    })
}

/// Sends what is left of all days, and holds the totals against what was meant.
async fn check_all(stage: &Stage, server: &Server, seen: Seen) -> anyhow::Result<()> {
    let days = seen.days;
    let mut client = send_all(stage, server, (seen.positions, days, seen.rest)).await?;
    check::totals(&mut client, &stage.corpus, days, 0).await
}

/// Sends what is left of these days, `rest` of the first, so that all can be held against
/// what was meant.
async fn send_all(
    stage: &Stage,
    server: &Server,
    (mut positions, days, mut rest): (Vec<String>, usize, Vec<Chunk>),
) -> anyhow::Result<Client> {
    let corpus = stage.corpus.reader();
    for day in 0..days {
        let chunks = match day {
            0 => std::mem::take(&mut rest),
            _ => corpus
                .read(day)?
                .into_iter()
                .filter(|of| of.source != FLOOD)
                .collect(),
        };
        let sent = send(&server.url, &Supply::of(chunks), Manner::Batches).await?;
        positions.extend(sent.positions);
    }
    let mut client = stage.client(server).await?;
    check::visible(&mut client, &positions).await?;
    Ok(client)
}

/// Sends batches when they are due, in a thread of its own: what it has to wait for is
/// the service, not the flood's senders.
async fn paced(
    url: &str,
    batches: Vec<Chunk>,
    token: Option<AsciiMetadataValue>,
) -> anyhow::Result<Heard> {
    let (url, (tell, told)) = (url.to_owned(), tokio::sync::oneshot::channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let heard = match runtime {
            Ok(runtime) => runtime.block_on(send_paced(&url, batches, token.as_ref())),
            Err(error) => Err(error.into()),
        };
        // Nobody waits for it only if the whole run has failed.
        let _ = tell.send(heard);
    });
    told.await?
}

async fn send_paced(
    url: &str,
    batches: Vec<Chunk>,
    token: Option<&AsciiMetadataValue>,
) -> anyhow::Result<Heard> {
    let opening = Opening {
        source: LITTLE,
        number: LITTLE,
        window: 1 << 20,
        token,
    };
    let mut lane = Lane::open(connect(url).await?, &opening).await?;
    let mut due = Instant::now();
    for batch in batches {
        due += LITTLE_EVERY;
        tokio::time::sleep_until(due.into()).await;
        if !lane.send(batch, Some(due)).await {
            break;
        }
    }
    lane.finish().await
}

/// The flood of one source: whole days of it.
struct Flood {
    senders: JoinSet<anyhow::Result<Heard>>,
    over: Arc<AtomicBool>,
    days: Arc<AtomicUsize>,
    started: Instant,
}

impl Flood {
    async fn start(
        url: &str,
        corpus: Reader,
        token: Option<AsciiMetadataValue>,
    ) -> anyhow::Result<Self> {
        let (queue, chunks) = mpsc::channel(WAITING_CHUNKS);
        let (over, days) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stop, begun) = (Arc::clone(&over), Arc::clone(&days));
        std::thread::spawn(move || fill(&corpus, &queue, &stop, &begun));
        let chunks = Arc::new(Mutex::new(chunks));
        let mut senders = JoinSet::new();
        for number in 0..FLOOD_STREAMS {
            let opening = Opening {
                source: FLOOD,
                number: 1 + number,
                window: 1 << 20,
                token: token.as_ref(),
            };
            let lane = Lane::open(connect(url).await?, &opening).await?;
            senders.spawn(pump(lane, Arc::clone(&chunks)));
        }
        Ok(Self {
            senders,
            over,
            days,
            started: Instant::now(),
        })
    }

    /// Ends it with its present day: positions, days that it has begun, events a second.
    async fn stop(mut self) -> anyhow::Result<(Vec<String>, usize, f64)> {
        self.over.store(true, Ordering::Relaxed);
        let (mut positions, mut events) = (Vec::new(), 0);
        while let Some(ended) = self.senders.join_next().await {
            let heard = ended??;
            events += heard.accepted;
            positions.push(heard.position);
        }
        positions.retain(|position| !position.is_empty());
        let rate = events as f64 / self.started.elapsed().as_secs_f64();
        let days = self.days.load(Ordering::Relaxed);
        ensure!(days > 1, "there was no flood");
        Ok((positions, days, rate))
    }
}

/// Hands the flood's events out, day by day; the first is not its own.
fn fill(corpus: &Reader, queue: &mpsc::Sender<Chunk>, over: &AtomicBool, days: &AtomicUsize) {
    for day in 1..corpus.days {
        if over.load(Ordering::Relaxed) {
            return;
        }
        // A corpus that cannot be read is missed when totals are checked.
        let Ok(chunks) = corpus.read(day) else { return };
        days.store(day + 1, Ordering::Relaxed);
        for chunk in chunks.into_iter().filter(|chunk| chunk.source == FLOOD) {
            if queue.blocking_send(chunk).is_err() {
                return;
            }
        }
    }
    eprintln!("  THE FLOOD RAN OUT");
}

async fn pump(mut lane: Lane, chunks: Arc<Mutex<mpsc::Receiver<Chunk>>>) -> anyhow::Result<Heard> {
    let events = FLOOD_EVENTS.min(lane.batch_events_max());
    loop {
        let chunk = chunks.lock().await.recv().await;
        let Some(chunk) = chunk else { break };
        for piece in chunk.pieces(events) {
            if !lane.send(piece, None).await {
                return lane.finish().await;
            }
        }
    }
    lane.finish().await
}
