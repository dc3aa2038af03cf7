//! An open loop: events are due at fixed instants, whatever the service does, and
//! what is late is counted from when it was due.

use crate::chunk::Chunk;
use crate::lane::{Lane, Opening, connect};
use crate::latency::p99_ms;
use quaymeter::simulate::SOURCES;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The load of the latency figures.
pub const EVENTS_PER_S: u32 = 50_000;

/// Events in a batch: one is due every two milliseconds.
pub const BATCH_EVENTS: u32 = 100;
const STREAMS_PER_SOURCE: usize = 2;
/// Batches that wait for one stream; if more do, the service is overloaded, and
/// what is due then is later still.
const WAITING_BATCHES: usize = 10_000;

type Due = (Chunk, Instant);

/// A load that is being sent.
pub struct Paced {
    senders: JoinSet<anyhow::Result<crate::lane::Heard>>,
    pacer: JoinHandle<Vec<Duration>>,
    done: Arc<AtomicBool>,
    /// When it began.
    pub started: Instant,
}

/// What was heard of it.
pub struct Heard {
    /// From when each batch was due to its acknowledgement.
    pub latencies: Vec<Duration>,
    pub positions: Vec<String>,
    /// How late the generator itself was.
    pub late_p99_ms: f64,
}

impl Paced {
    /// Begins to send these at a pace.
    pub async fn start(url: &str, chunks: Vec<Chunk>, events_per_s: u32) -> anyhow::Result<Self> {
        let mut senders = JoinSet::new();
        let mut queues = Vec::new();
        for number in 0..SOURCES.len() * STREAMS_PER_SOURCE {
            let opening = Opening {
                source: number % SOURCES.len(),
                number,
                window: 1 << 20,
                token: None,
            };
            let lane = Lane::open(connect(url).await?, &opening).await?;
            let (queue, due) = mpsc::channel(WAITING_BATCHES);
            senders.spawn(pump(lane, due));
            queues.push(queue);
        }
        let done = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&done);
        let started = Instant::now();
        let pacer = std::thread::spawn(move || {
            let late = pace(chunks, &queues, started, events_per_s);
            over.store(true, Ordering::Relaxed);
            late
        });
        Ok(Self {
            senders,
            pacer,
            done,
            started,
        })
    }

    /// True once all of it has become due.
    pub fn over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.done)
    }

    /// Whether all of it has become due.
    pub fn is_over(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until all of it is acknowledged.
    pub async fn finish(mut self) -> anyhow::Result<Heard> {
        let mut heard = Heard {
            latencies: Vec::new(),
            positions: Vec::new(),
            late_p99_ms: 0.0,
        };
        while let Some(ended) = self.senders.join_next().await {
            let lane = ended??;
            heard.latencies.extend(lane.latencies);
            heard.positions.push(lane.position);
        }
        let late = self.pacer.join();
        let late = late.map_err(|_| anyhow::anyhow!("the pacer died"))?;
        heard.late_p99_ms = p99_ms(late)?;
        Ok(heard)
    }
}

/// Hands batches over when they are due; how late each was. A thread of its own:
/// the runtime's timer knows whole milliseconds only.
fn pace(
    chunks: Vec<Chunk>,
    queues: &[mpsc::Sender<Due>],
    started: Instant,
    events_per_s: u32,
) -> Vec<Duration> {
    let (mut events, mut turn, mut late) = (0_u64, 0, Vec::new());
    for batch in chunks
        .into_iter()
        .flat_map(|chunk| chunk.pieces(BATCH_EVENTS))
    {
        let due = started + Duration::from_secs_f64(events as f64 / f64::from(events_per_s));
        events += u64::from(batch.events);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        late.push(due.elapsed());
        turn += 1;
        let queue = batch.source + turn % STREAMS_PER_SOURCE * SOURCES.len();
        // The stream has failed, and tells why itself.
        if queues[queue].blocking_send((batch, due)).is_err() {
            break;
        }
    }
    late
}

async fn pump(mut lane: Lane, mut due: mpsc::Receiver<Due>) -> anyhow::Result<crate::lane::Heard> {
    while let Some((chunk, at)) = due.recv().await {
        if !lane.send(chunk, Some(at)).await {
            break;
        }
    }
    lane.finish().await
}
