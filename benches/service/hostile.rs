//! A source that heeds nothing: it sends all that a stream may have unacknowledged,
//! resets the stream and opens the next, and calls again at once when it is told to wait,
//! with batches that are too large too.

use crate::chunk::Chunk;
use crate::codec::{Encoded, Message};
use crate::lane::{Lane, Opening, connect};
use anyhow::ensure;
use quaymeter::pb::PublishEventsResponse;
use quaymeter::simulate::SOURCES;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;

const STREAMS: usize = 3;
/// Of each that calls, in batches of what it may: one, and four times as many events.
const CALL_BATCHES: [usize; 3] = [1, 1, 4];

/// A flood, until it is stopped.
pub struct Hostile {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    started: Instant,
}

struct Shared {
    source: usize,
    token: AsciiMetadataValue,
    /// Each as large as it may be.
    batches: Vec<Chunk>,
    over: AtomicBool,
    tried: AtomicU64,
    taken: AtomicU64,
}

impl Hostile {
    /// Begins, with these events again and again.
    pub async fn start(
        url: &str,
        chunks: Vec<Chunk>,
        token: AsciiMetadataValue,
    ) -> anyhow::Result<Self> {
        let most = CALL_BATCHES.into_iter().max().unwrap_or_default();
        ensure!(chunks.len() > most, "too few events for a flood");
        let source = chunks[0].source;
        let opening = opening(source, 0, &token);
        let lane = Lane::open(connect(url).await?, &opening).await?;
        let most = lane.batch_events_max();
        lane.abandon();
        let batches = chunks.into_iter().flat_map(|chunk| chunk.pieces(most));
        let shared = Arc::new(Shared {
            source,
            batches: batches.collect(),
            token,
            over: AtomicBool::new(false),
            tried: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        for number in 0..STREAMS {
            tasks.spawn(Arc::clone(&shared).reset(connect(url).await?, number));
        }
        for at_once in CALL_BATCHES {
            tasks.spawn(Arc::clone(&shared).call(connect(url).await?, at_once));
        }
        let started = Instant::now();
        Ok(Self {
            shared,
            tasks,
            started,
        })
    }

    /// Ends it: streams and calls a second that it tried, and how many were not refused.
    pub async fn stop(mut self) -> (f64, f64) {
        let per_s = 1.0 / self.started.elapsed().as_secs_f64();
        self.shared.over.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 * per_s;
        (of(&self.shared.tried), of(&self.shared.taken))
    }
}

fn opening(source: usize, number: usize, token: &AsciiMetadataValue) -> Opening<'_> {
    Opening {
        source,
        number: 1 + number,
        window: 1 << 20,
        token: Some(token),
    }
}

impl Shared {
    fn goes_on(&self) -> bool {
        self.tried.fetch_add(1, Ordering::Relaxed);
        !self.over.load(Ordering::Relaxed)
    }

    async fn reset(self: Arc<Self>, channel: Channel, number: usize) {
        let mut batches = self.batches.iter().cycle().skip(number).peekable();
        while self.goes_on() {
            let opening = opening(self.source, number, &self.token);
            let Ok(mut lane) = Lane::open(channel.clone(), &opening).await else {
                continue;
            };
            self.taken.fetch_add(1, Ordering::Relaxed);
            let mut left = lane.window();
            while let Some(batch) = batches.next_if(|batch| u64::from(batch.events) <= left) {
                left -= u64::from(batch.events);
                if !lane.send(batch.clone(), None).await {
                    break;
                }
            }
            lane.abandon();
        }
    }

    async fn call(self: Arc<Self>, channel: Channel, at_once: usize) {
        let mut grpc = Grpc::new(channel);
        let path = PathAndQuery::from_static("/quaymeter.v1.IngestService/PublishEvents");
        let parts = self.batches.chunks(at_once).map(|chunks| {
            let bytes: Vec<u8> = chunks
                .iter()
                .flat_map(|chunk| chunk.bytes.clone())
                .collect();
            prost::bytes::Bytes::from(bytes)
        });
        let parts: Vec<_> = parts.collect();
        let mut parts = parts.iter().cycle();
        while self.goes_on() {
            let Some(events) = parts.next() else { return };
            let mut request = Request::new(Message::publish(SOURCES[self.source], events.clone()));
            let metadata = request.metadata_mut();
            metadata.insert("authorization", self.token.clone());
            let codec = Encoded::<PublishEventsResponse>::default();
            if grpc.ready().await.is_err() {
                return;
            }
            if grpc.unary(request, path.clone(), codec).await.is_ok() {
                self.taken.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
