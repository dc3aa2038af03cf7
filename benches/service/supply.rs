//! Hands the corpus out in order: a thread reads whole days ahead, and each
//! source's senders take from its tap.

use crate::chunk::Chunk;
use crate::corpus::Reader;
use quaymeter::simulate::SOURCES;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};

/// Chunks that wait at a tap. A source is never further ahead of another.
const WAITING_CHUNKS: usize = 16;

/// Which days are handed out.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// From the first of these to before the second.
    Days(usize, usize),
    /// From the first: whole days, as many as are begun in this time.
    Elapsed(Duration),
    /// The same, and all over again as often as it takes.
    Cycling(Duration),
}

/// One source's events.
struct Tap {
    chunks: mpsc::Receiver<Chunk>,
    rest: Option<Chunk>,
}

type Queues = Vec<mpsc::Sender<Chunk>>;

/// The events that are to be sent.
pub struct Supply {
    /// By source.
    taps: Vec<Mutex<Tap>>,
    days: AtomicUsize,
}

impl Supply {
    /// Begins to hand out.
    pub fn start(corpus: Reader, until: Until) -> Arc<Self> {
        let (supply, queues) = Self::new();
        let days = Arc::clone(&supply);
        std::thread::spawn(move || fill(&corpus, until, &queues, &days.days));
        supply
    }

    /// Hands just these out.
    pub fn of(chunks: Vec<Chunk>) -> Arc<Self> {
        let (supply, queues) = Self::new();
        std::thread::spawn(move || give(chunks, &queues));
        supply
    }

    fn new() -> (Arc<Self>, Queues) {
        let (queues, taps) = SOURCES
            .map(|_| mpsc::channel(WAITING_CHUNKS))
            .into_iter()
            .unzip();
        let taps: Vec<_> = taps;
        let taps = taps
            .into_iter()
            .map(|chunks| Mutex::new(Tap { chunks, rest: None }));
        let days = AtomicUsize::new(0);
        let taps = taps.collect();
        (Arc::new(Self { taps, days }), queues)
    }

    /// The next events of a source, at most this many; none at the end.
    pub async fn take(&self, source: usize, events: u32) -> Option<Chunk> {
        let mut tap = self.taps[source].lock().await;
        if tap.rest.as_ref().is_none_or(|rest| rest.events == 0) {
            tap.rest = tap.chunks.recv().await;
        }
        tap.rest.as_mut().map(|rest| rest.split(events))
    }

    /// Before which day it has ended.
    pub fn days(&self) -> usize {
        self.days.load(Ordering::Relaxed)
    }
}

fn fill(corpus: &Reader, until: Until, queues: &[mpsc::Sender<Chunk>], days: &AtomicUsize) {
    let (started, available) = (Instant::now(), corpus.days);
    let (from, to, time) = match until {
        Until::Days(from, to) => (from, to.min(available), Duration::MAX),
        Until::Elapsed(time) => (0, available, time),
        Until::Cycling(time) => (0, usize::MAX, time),
    };
    for day in from..to {
        if started.elapsed() >= time {
            return;
        }
        // A corpus that cannot be read is missed when totals are checked.
        let Ok(chunks) = corpus.read(day % available.max(1)) else {
            return;
        };
        days.store(day + 1, Ordering::Relaxed);
        if !give(chunks, queues) {
            return;
        }
    }
}

/// False if the senders have failed; they tell why themselves.
fn give(chunks: Vec<Chunk>, queues: &[mpsc::Sender<Chunk>]) -> bool {
    let mut chunks = chunks.into_iter();
    chunks.all(|chunk| queues[chunk.source].blocking_send(chunk).is_ok())
}
