//! One event stream of the generator: it sends what its credit allows, and
//! notes how long each batch took to be acknowledged.

use crate::chunk::Chunk;
use crate::codec::{Encoded, Message};
use anyhow::{Context as _, bail};
use parking_lot::Mutex;
use quaymeter::pb::stream_events_response::Message as Told;
use quaymeter::pb::{StreamAck, StreamEventsResponse};
use quaymeter::simulate::SOURCES;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

/// As in the client: small stream windows and a large connection window.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Requests between a sender and its connection.
const QUEUED_REQUESTS: usize = 4;
/// Longer than any stream takes that is not stuck.
const OPEN_WITHIN: Duration = Duration::from_secs(60);
const FINISH_WITHIN: Duration = Duration::from_secs(300);

/// What is heard on a lane.
#[derive(Default)]
pub struct Heard {
    /// Events that were accepted.
    pub accepted: u64,
    /// A position that includes them.
    pub position: String,
    /// From each batch's due time to its acknowledgement.
    pub latencies: Vec<Duration>,
}

/// How a lane is opened.
pub struct Opening<'a> {
    pub source: usize,
    pub number: usize,
    /// Events that may be under way, at most; the server may grant fewer.
    pub window: u64,
    pub token: Option<&'a AsciiMetadataValue>,
}

type Due = Arc<Mutex<VecDeque<(u64, Instant)>>>;

/// An open stream.
pub struct Lane {
    requests: mpsc::Sender<Message>,
    credit: Arc<Semaphore>,
    /// Events that were granted first.
    window: u64,
    /// Events that a batch may have.
    batch_events_max: u32,
    due: Due,
    sequence: u64,
    heard: JoinHandle<anyhow::Result<Heard>>,
}

/// A connection of its own.
pub async fn connect(url: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())?
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    endpoint.connect().await.context("connect")
}

impl Lane {
    /// Opens a stream.
    pub async fn open(channel: Channel, opening: &Opening<'_>) -> anyhow::Result<Self> {
        let greeted = tokio::time::timeout(OPEN_WITHIN, Self::greet(channel, opening));
        greeted.await.context("open a stream: too late")?
    }

    async fn greet(channel: Channel, opening: &Opening<'_>) -> anyhow::Result<Self> {
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.context("open a stream")?;
        let (requests, queued) = mpsc::channel(QUEUED_REQUESTS);
        let source = SOURCES[opening.source];
        let client = format!("bench-client-{:08}", opening.number);
        requests.try_send(Message::open(source, client))?;
        let mut request = Request::new(ReceiverStream::new(queued));
        if let Some(token) = opening.token {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        let path = PathAndQuery::from_static("/quaymeter.v1.IngestService/StreamEvents");
        let codec = Encoded::<StreamEventsResponse>::default();
        let mut answers = grpc.streaming(request, path, codec).await?.into_inner();
        let first = answers.message().await?.and_then(|answer| answer.message);
        let Some(Told::Opened(opened)) = first else {
            bail!("the stream did not open: {first:?}");
        };
        let window = opened.granted_events.min(opening.window);
        let credit = Arc::new(Semaphore::new(window as usize));
        let due = Due::default();
        let heard = tokio::spawn(hear(answers, Arc::clone(&credit), Arc::clone(&due)));
        Ok(Self {
            requests,
            credit,
            window,
            batch_events_max: opened.batch_events_max,
            due,
            sequence: 0,
            heard,
        })
    }

    /// Events that a batch of its may have.
    pub fn batch_events_max(&self) -> u32 {
        self.batch_events_max
    }

    /// Sends some events once there is credit; `at` is when they were due.
    /// False if the stream has failed: [`Lane::finish`] tells why.
    pub async fn send(&mut self, chunk: Chunk, at: Option<Instant>) -> bool {
        let Ok(credit) = self.credit.acquire_many(chunk.events).await else {
            return false;
        };
        credit.forget();
        self.sequence += 1;
        let at = at.unwrap_or_else(Instant::now);
        self.due.lock().push_back((self.sequence, at));
        let message = Message::batch(self.sequence, chunk.bytes);
        self.requests.send(message).await.is_ok()
    }

    /// Waits until there is credit again: with a window of one event, until the
    /// last is acknowledged. False if the stream has failed.
    pub async fn acknowledged(&self) -> bool {
        self.credit.acquire().await.is_ok()
    }

    /// Events that it may have under way.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Resets the stream, whatever is under way.
    pub fn abandon(self) {
        self.heard.abort();
    }

    /// Waits until all that was sent is acknowledged, and ends the stream.
    pub async fn finish(self) -> anyhow::Result<Heard> {
        drop(self.requests);
        let heard = tokio::time::timeout(FINISH_WITHIN, self.heard).await;
        let heard = heard.context("acknowledgements did not come")???;
        if let Some((sequence, _)) = self.due.lock().front() {
            bail!("batch {sequence} was not acknowledged");
        }
        Ok(heard)
    }
}

async fn hear(
    mut answers: Streaming<StreamEventsResponse>,
    credit: Arc<Semaphore>,
    due: Due,
) -> anyhow::Result<Heard> {
    let mut heard = Heard::default();
    let ended = loop {
        match answers.message().await {
            Ok(Some(StreamEventsResponse {
                message: Some(Told::Ack(ack)),
            })) if ack.refused == 0 => heard.take(ack, &credit, &due),
            Ok(None) => break Ok(heard),
            Ok(Some(other)) => break Err(anyhow::anyhow!("the service said {other:?}")),
            Err(status) => break Err(status.into()),
        }
    };
    credit.close();
    ended
}

impl Heard {
    fn take(&mut self, ack: StreamAck, credit: &Semaphore, due: &Due) {
        let now = Instant::now();
        let mut due = due.lock();
        while let Some((_, at)) = due.pop_front_if(|(sequence, _)| *sequence <= ack.sequence) {
            self.latencies.push(now.saturating_duration_since(at));
        }
        drop(due);
        self.accepted += u64::from(ack.accepted);
        self.position = ack.position;
        credit.add_permits(ack.accepted as usize);
    }
}
