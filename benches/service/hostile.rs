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
/// Events in a batch of its streams.
const BATCH_EVENTS: u32 = 500;
/// Of each that calls, in chunks of 500: as many as it may, and four times as many.
const CALL_CHUNKS: [usize; 3] = [2, 2, 8];

/// A flood, until it is stopped.
pub struct Hostile {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    started: Instant,
}

struct Shared {
    source: usize,
    token: AsciiMetadataValue,
    chunks: Vec<Chunk>,
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
        let most = CALL_CHUNKS.into_iter().max().unwrap_or_default();
        ensure!(chunks.len() > most, "too few events for a flood");
        let shared = Arc::new(Shared {
            source: chunks[0].source,
            token,
            chunks,
            over: AtomicBool::new(false),
            tried: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        for number in 0..STREAMS {
            tasks.spawn(Arc::clone(&shared).reset(connect(url).await?, number));
        }
        for at_once in CALL_CHUNKS {
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

impl Shared {
    fn goes_on(&self) -> bool {
        self.tried.fetch_add(1, Ordering::Relaxed);
        !self.over.load(Ordering::Relaxed)
    }

    async fn reset(self: Arc<Self>, channel: Channel, number: usize) {
        let mut chunks = self.chunks.iter().cycle().skip(number);
        while self.goes_on() {
            let opening = Opening {
                source: self.source,
                number: 1 + number,
                window: 1 << 20,
                token: Some(&self.token),
            };
            let Ok(mut lane) = Lane::open(channel.clone(), &opening).await else {
                continue;
            };
            self.taken.fetch_add(1, Ordering::Relaxed);
            let mut left = lane.window();
            while left >= u64::from(BATCH_EVENTS) {
                left -= u64::from(BATCH_EVENTS);
                let Some(mut chunk) = chunks.next().cloned() else {
                    return;
                };
                if !lane.send(chunk.split(BATCH_EVENTS), None).await {
                    break;
                }
            }
            lane.abandon();
        }
    }

    async fn call(self: Arc<Self>, channel: Channel, at_once: usize) {
        let mut grpc = Grpc::new(channel);
        let path = PathAndQuery::from_static("/quaymeter.v1.IngestService/PublishEvents");
        let parts = self.chunks.chunks(at_once).map(|chunks| {
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
