//! A scripted `IngestService` behind a proxy that can cut connections. It
//! records what it got, and every breach of the protocol by the client.

use quaymeter::pb;
use quaymeter::pb::ingest_service_server::{IngestService, IngestServiceServer};
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// How a stream goes.
#[derive(Clone)]
pub struct Plan {
    /// Refuses the stream.
    pub refuse: Option<Status>,
    /// Events granted at first, and beyond those acknowledged later.
    pub credit: u64,
    pub batch_events_max: u32,
    /// Batches that one acknowledgement waits for.
    pub ack_batches: usize,
    /// Whether it ends the stream when nothing comes and all is acknowledged.
    pub ends_idle: bool,
    /// What happens once this many events came, before they are acknowledged.
    pub fault: Option<(u64, Fault)>,
}

#[derive(Clone)]
pub enum Fault {
    /// The connection breaks.
    Cut,
    Resume(pb::ResumeReason),
    Status(Status),
    /// Nothing is ever acknowledged.
    Mute,
    /// More is acknowledged than came.
    Lie,
    /// An acknowledgement counts one refused event too many.
    Miscount,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            refuse: None,
            credit: 10_000,
            batch_events_max: 10_000,
            ack_batches: 1,
            ends_idle: false,
            fault: None,
        }
    }
}

#[derive(Default)]
pub struct Seen {
    /// The opening message of each stream.
    pub opens: Vec<pb::StreamOpen>,
    /// The event ids of each stream, in order.
    pub ids: Vec<Vec<String>>,
    /// How many events the batches of each stream had.
    pub batches: Vec<Vec<usize>>,
    /// How many streams ended because nothing came.
    pub idle: usize,
    /// How the client broke the protocol.
    pub breaches: Vec<String>,
}

type Script = dyn Fn(usize) -> Plan + Send + Sync;

#[derive(Clone)]
struct Scripted {
    script: Arc<Script>,
    seen: Arc<Mutex<Seen>>,
    cut: watch::Sender<u64>,
}

/// A running service.
pub struct Service {
    pub url: String,
    pub seen: Arc<Mutex<Seen>>,
}

impl Service {
    /// Starts one whose n-th stream (from 0) goes by `script(n)`.
    pub async fn start(script: impl Fn(usize) -> Plan + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (cut, _) = watch::channel(0);
        let scripted = Scripted {
            script: Arc::new(script),
            seen: seen.clone(),
            cut: cut.clone(),
        };
        let inner = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let outer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", outer.local_addr().expect("an address"));
        let behind = inner.local_addr().expect("an address").to_string();
        let server = tonic::transport::Server::builder()
            .add_service(IngestServiceServer::new(scripted))
            .serve_with_incoming(TcpListenerStream::new(inner));
        tokio::spawn(server);
        tokio::spawn(async move {
            while let Ok((near, _)) = outer.accept().await {
                tokio::spawn(relay(near, behind.clone(), cut.subscribe()));
            }
        });
        Self { url, seen }
    }
}

/// Carries bytes until the connections are to be cut.
async fn relay(mut near: TcpStream, to: String, mut cut: watch::Receiver<u64>) {
    let Ok(mut far) = TcpStream::connect(to).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = cut.changed() => {}
    }
}

#[tonic::async_trait]
impl IngestService for Scripted {
    type StreamEventsStream = ReceiverStream<Result<pb::StreamEventsResponse, Status>>;

    async fn publish_events(
        &self,
        _: Request<pb::PublishEventsRequest>,
    ) -> Result<Response<pb::PublishEventsResponse>, Status> {
        Err(Status::unimplemented("not a part of the test"))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<pb::StreamEventsRequest>>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let number = {
            let mut seen = self.seen.lock().expect("no panic");
            seen.ids.push(Vec::new());
            seen.batches.push(Vec::new());
            seen.ids.len() - 1
        };
        let plan = (self.script)(number);
        if let Some(status) = plan.refuse {
            return Err(status);
        }
        let (answers, queued) = mpsc::channel(64);
        let session = Session {
            service: self.clone(),
            number,
            granted: plan.credit,
            plan,
            answers,
            came: 0,
            settled: 0,
            last: 0,
            waiting: Vec::new(),
        };
        tokio::spawn(session.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(queued)))
    }
}

struct Session {
    service: Scripted,
    number: usize,
    plan: Plan,
    answers: mpsc::Sender<Result<pb::StreamEventsResponse, Status>>,
    granted: u64,
    came: u64,
    settled: u64,
    last: u64,
    waiting: Vec<pb::StreamBatch>,
}

impl Session {
    fn breach(&self, what: String) {
        self.service
            .seen
            .lock()
            .expect("no panic")
            .breaches
            .push(what);
    }

    async fn say(&self, message: Hear) {
        let answer = pb::StreamEventsResponse {
            message: Some(message),
        };
        let _ = self.answers.send(Ok(answer)).await;
    }

    async fn resume_elsewhere(&self, reason: pb::ResumeReason) {
        let retry_after = Some(pbjson_types::Duration {
            seconds: 0,
            nanos: 1_000_000,
        });
        let reason = reason.into();
        let resume = pb::ResumeElsewhere {
            reason,
            acknowledged_sequence: 0,
            retry_after,
        };
        self.say(Hear::ResumeElsewhere(resume)).await;
    }

    async fn run(mut self, mut requests: Streaming<pb::StreamEventsRequest>) {
        match requests.message().await {
            Ok(Some(pb::StreamEventsRequest {
                message: Some(Say::Open(open)),
            })) => {
                self.service.seen.lock().expect("no panic").opens.push(open);
            }
            other => return self.breach(format!("opened with {other:?}")),
        }
        let opened = pb::StreamOpened {
            granted_events: self.granted,
            batch_events_max: self.plan.batch_events_max,
        };
        self.say(Hear::Opened(opened)).await;
        loop {
            // Like any service, it waits a little for more before it syncs.
            let idle = Duration::from_millis(20);
            match tokio::time::timeout(idle, requests.message()).await {
                Err(_) if self.plan.ends_idle && self.settled == self.came && self.came > 0 => {
                    self.resume_elsewhere(pb::ResumeReason::Idle).await;
                    self.service.seen.lock().expect("no panic").idle += 1;
                    return;
                }
                Err(_) => self.acknowledge().await,
                Ok(Ok(Some(pb::StreamEventsRequest {
                    message: Some(Say::Batch(batch)),
                }))) => {
                    self.take(batch);
                    if self.fails().await {
                        return;
                    }
                    if self.waiting.len() >= self.plan.ack_batches || self.came == self.granted {
                        self.acknowledge().await;
                    }
                }
                Ok(Ok(Some(other))) => return self.breach(format!("said {other:?}")),
                Ok(_) => return,
            }
        }
    }

    fn take(&mut self, batch: pb::StreamBatch) {
        self.came += batch.events.len() as u64;
        if self.came > self.granted {
            self.breach(format!(
                "sent {} events of {} granted",
                self.came, self.granted
            ));
        }
        if batch.sequence <= self.last || batch.events.is_empty() {
            self.breach(format!("batch {} after {}", batch.sequence, self.last));
        }
        if batch.events.len() > self.plan.batch_events_max as usize {
            self.breach(format!("a batch of {} events", batch.events.len()));
        }
        self.last = batch.sequence;
        let ids = batch.events.iter().map(|event| event.event_id.clone());
        let mut seen = self.service.seen.lock().expect("no panic");
        seen.batches[self.number].push(batch.events.len());
        seen.ids[self.number].extend(ids);
        drop(seen);
        self.waiting.push(batch);
    }

    /// Does what the plan says to do by now; true if the stream is over.
    async fn fails(&mut self) -> bool {
        let Some((after, fault)) = self.plan.fault.clone() else {
            return false;
        };
        if self.came < after {
            return false;
        }
        match fault {
            Fault::Cut => {
                self.service.cut.send_modify(|n| *n += 1);
                std::future::pending::<()>().await;
            }
            Fault::Mute => std::future::pending().await,
            Fault::Status(status) => {
                let _ = self.answers.send(Err(status)).await;
            }
            Fault::Resume(reason) => self.resume_elsewhere(reason).await,
            Fault::Lie => {
                let sequence = self.last + 1000;
                self.say(Hear::Ack(pb::StreamAck {
                    sequence,
                    ..Default::default()
                }))
                .await;
            }
            Fault::Miscount => {
                let sequence = self.last;
                let accepted = self.came as u32 - 1;
                let ack = pb::StreamAck {
                    sequence,
                    accepted,
                    refused: 1,
                    ..Default::default()
                };
                self.say(Hear::Ack(ack)).await;
            }
        }
        true
    }

    /// Acknowledges what waits. Ids that end in `bad` are refused, in `odd`
    /// warned about.
    async fn acknowledge(&mut self) {
        let Some(sequence) = self.waiting.last().map(|batch| batch.sequence) else {
            return;
        };
        let (mut accepted, mut refused, mut results) = (0, 0, Vec::new());
        for batch in self.waiting.drain(..) {
            let told: Vec<_> = batch.events.iter().enumerate().filter_map(judge).collect();
            let bad = told
                .iter()
                .filter(|r| r.outcome() == pb::Outcome::Refused)
                .count() as u32;
            refused += bad;
            accepted += batch.events.len() as u32 - bad;
            if !told.is_empty() {
                results.push(pb::BatchResult {
                    sequence: batch.sequence,
                    results: told,
                });
            }
        }
        self.settled += u64::from(accepted + refused);
        self.granted = self.settled + self.plan.credit;
        let position = format!("{}:{}", self.number, sequence);
        let granted_events = self.granted;
        let ack = pb::StreamAck {
            sequence,
            position,
            granted_events,
            accepted,
            refused,
            results,
        };
        self.say(Hear::Ack(ack)).await;
    }
}

fn judge((index, event): (usize, &pb::Event)) -> Option<pb::EventResult> {
    let fault = pb::Fault {
        reason: pb::Reason::Malformed.into(),
        field: "event_id".into(),
        found: event.event_id.clone(),
        expected: "another".into(),
    };
    let mut result = pb::EventResult {
        index: index as u32,
        ..Default::default()
    };
    if event.event_id.ends_with("bad") {
        result.set_outcome(pb::Outcome::Refused);
        result.refusal = Some(fault);
    } else if event.event_id.ends_with("odd") {
        result.set_outcome(pb::Outcome::Accepted);
        result.warnings = vec![fault];
    } else {
        return None;
    }
    Some(result)
}
