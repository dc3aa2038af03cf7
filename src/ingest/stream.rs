//! One bidirectional stream: batches in, cumulative acknowledgements out.
//!
//! The handler always reads, whatever its client does with the answers: small
//! frames that nobody reads kill an HTTP/2 connection. What bounds it is credit:
//! a client that sends more than it was granted is ended, and credit is granted
//! only by acknowledgements that the client has taken.

use super::batch::{Appended, Batch, Waits};
use super::reader::Reader;
use super::seats::Seat;
use super::sender::Sender;
use super::{Shared, check, draining};
use crate::auth::caller::Caller;
use crate::auth::quota::Taken;
use crate::budget::Held;
use crate::pb::stream_events_request::Message as Asked;
use crate::pb::stream_events_response::Message as Told;
use crate::pb::{
    BatchResult, ResumeElsewhere, ResumeReason, StreamAck, StreamBatch, StreamEventsRequest,
    StreamEventsResponse, StreamOpen, StreamOpened,
};
use crate::status;
use crate::trace;
use crate::view::position::Position;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use std::collections::VecDeque;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Code, Status};

/// Answers on their way to the client; more wait merged into one.
const ANSWERS_MAX: usize = 4;

/// Results that one acknowledgement carries; more begin another.
const ACK_RESULTS_MAX: usize = 2000;

/// Limits that whoever meets them need not have used up himself.
const OF_ALL: [&str; 3] = [
    "bytes of requests",
    "bytes of answers",
    "bytes waiting to be durable",
];

/// How long a stream may take to say who it is.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// How long a client may take to hear its last answers.
const FINISH_WITHIN: Duration = Duration::from_secs(30);

type Answer = Result<StreamEventsResponse, Status>;
/// An answer, and what it holds of the answers' budget until it is taken. Boxed,
/// because a queue has room for dozens from the beginning.
type Weighed = Box<(Answer, Option<Held>)>;
type Durable = Result<Done, Status>;

/// A batch that is durable.
struct Done {
    sequence: u64,
    events: u64,
    appended: Appended,
}

/// Whose stream it is.
pub struct Origin {
    /// Who calls.
    pub caller: Caller,
    /// Of whose trace the batches are part.
    pub traced_by: trace::Caller,
}

struct Connection {
    shared: Arc<Shared>,
    open: StreamOpen,
    sender: Sender,
    traced_by: trace::Caller,
    answers: mpsc::Sender<Weighed>,
    appending: FuturesOrdered<BoxFuture<'static, Durable>>,
    /// Each with the position that it will tell, which is sealed when it goes.
    waiting: VecDeque<(StreamAck, Position, Held)>,
    received_events: u64,
    received_bytes: u64,
    /// Events that may be unacknowledged.
    credit_events: u64,
    granted_events: u64,
    acknowledged_events: u64,
    last_sequence: u64,
    acknowledged_sequence: u64,
    /// When the last batch came.
    heard: Instant,
    /// Includes all that is acknowledged.
    position: Position,
}

enum End {
    /// The client has closed its side: what is pending is acknowledged first.
    Closed,
    /// In good order, with a reason to resume.
    Resume(ResumeReason),
    /// The caller's credentials have ended: what was taken is acknowledged first.
    Credentials,
    /// The client broke the protocol, or an append failed.
    Failed(Status),
    /// The client is gone.
    Gone,
}

/// Serves a stream in a task of its own, until its client leaves, breaks the
/// protocol or is told to resume elsewhere.
pub fn serve(
    shared: &Arc<Shared>,
    incoming: Reader,
    origin: Origin,
) -> Result<impl Stream<Item = Answer> + use<>, Status> {
    let own = shared.quotas.of(&origin.caller)?;
    let place = own.as_ref().map(Taken::stream).transpose()?;
    let seat = shared.seats.enter()?;
    let shared = Arc::clone(shared);
    let (answers, stream) = mpsc::channel(ANSWERS_MAX);
    tokio::spawn(async move {
        let _place = place;
        let from = (incoming, origin, own);
        if let Err(status) = run(shared, seat, from, answers.clone()).await {
            // The client may be gone; then nobody wants to know.
            let _ = answers.send(Box::new((Err(status), None))).await;
        }
    });
    Ok(taken(stream))
}

/// The answers, each held until the next one is asked for: then it was taken.
fn taken(answers: mpsc::Receiver<Weighed>) -> impl Stream<Item = Answer> {
    futures_util::stream::unfold((answers, None), |(mut answers, before)| async move {
        drop(before);
        let (answer, held) = *answers.recv().await?;
        Some((answer, (answers, held)))
    })
}

async fn run(
    shared: Arc<Shared>,
    mut seat: Seat,
    (mut incoming, origin, taken): (Reader, Origin, Option<Taken>),
    answers: mpsc::Sender<Weighed>,
) -> Result<(), Status> {
    let opened = opening(&mut incoming).await;
    let mut open = opened.inspect_err(|refused| waste(taken.as_ref(), refused))?;
    let source = std::mem::take(&mut open.source);
    let sender = Sender::of(origin.caller, taken.clone(), source);
    let sender = sender.and_then(|sender| {
        check::named("client_id", &open.client_id)?;
        Ok(sender)
    });
    let sender = sender.inspect_err(|_| taken.iter().for_each(Taken::waste))?;
    // Of this source: it is the caller's, so nobody ends another's stream.
    let superseded = seat.claim((sender.source().to_owned(), open.client_id.clone()));
    let mut connection = Connection::new(shared, (open, sender, origin.traced_by), answers);
    connection.say(Told::Opened(StreamOpened {
        granted_events: connection.granted_events,
        batch_events_max: connection.batch_events_max() as u32,
    }));
    let end = connection.exchange(&mut incoming, superseded).await;
    if let End::Failed(refused) = &end {
        waste(connection.sender.taken(), refused);
    }
    // From here on nothing is read any more, so it must not last.
    drop(incoming);
    let finished = tokio::time::timeout(FINISH_WITHIN, connection.finish(end)).await;
    finished.unwrap_or(Ok(()))
}

/// The first message.
async fn opening(incoming: &mut Reader) -> Result<StreamOpen, Status> {
    let first = tokio::time::timeout(OPEN_WITHIN, incoming.message()).await;
    let first = first.map_err(|_| status::invalid("open", "nothing", "`open` within 10 s"))??;
    let Some(StreamEventsRequest {
        message: Some(Asked::Open(open)),
    }) = first
    else {
        return Err(status::invalid(
            "message",
            "no `open`",
            "`open` as the first message",
        ));
    };
    Ok(open)
}

/// What ends a stream by its client's fault was read in vain; not what a connection tells
/// that was lost, or the service of its own room.
fn waste(taken: Option<&Taken>, refused: &Status) {
    let refuses = matches!(
        refused.code(),
        Code::Internal | Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted
    );
    let limit = status::limit_of(refused);
    let of_all = limit.is_some_and(|limit| OF_ALL.contains(&limit.as_str()));
    if refuses && !of_all && refused.source().is_none() {
        taken.into_iter().for_each(Taken::waste);
    }
}

impl Connection {
    fn new(
        shared: Arc<Shared>,
        (open, sender, traced_by): (StreamOpen, Sender, trace::Caller),
        answers: mpsc::Sender<Weighed>,
    ) -> Self {
        let credit_events = sender.credit_events(shared.limits.credit_events);
        Self {
            shared,
            open,
            sender,
            traced_by,
            answers,
            appending: FuturesOrdered::new(),
            waiting: VecDeque::new(),
            received_events: 0,
            received_bytes: 0,
            credit_events,
            granted_events: credit_events,
            acknowledged_events: 0,
            last_sequence: 0,
            acknowledged_sequence: 0,
            heard: Instant::now(),
            position: Position::default(),
        }
    }

    /// Reads, appends and acknowledges until something ends it.
    async fn exchange(
        &mut self,
        incoming: &mut Reader,
        mut superseded: oneshot::Receiver<()>,
    ) -> End {
        let draining = draining(self.shared.draining.clone());
        tokio::pin!(draining);
        let idle = self.shared.limits.idle;
        let silence = tokio::time::sleep(idle);
        tokio::pin!(silence);
        let (answers, sender) = (self.answers.clone(), self.sender.clone());
        let ended = sender.caller().ended();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                biased;
                () = &mut draining => return End::Resume(ResumeReason::Shutdown),
                _ = &mut ended => return End::Credentials,
                Ok(()) = &mut superseded => return End::Resume(ResumeReason::Superseded),
                Some(durable) = self.appending.next(), if !self.appending.is_empty() => {
                    if let Err(end) = self.durable(durable) {
                        return end;
                    }
                }
                room = answers.reserve(), if !self.waiting.is_empty() => match room {
                    Ok(room) => self.acknowledge(room),
                    Err(_) => return End::Gone,
                },
                message = incoming.message() => match message {
                    Ok(Some(message)) => if let Err(status) = self.take(message, incoming.received()) {
                        return End::Failed(status);
                    },
                    Ok(None) => return End::Closed,
                    // If the client is gone, nobody hears it.
                    Err(status) => return End::Failed(status),
                },
                // Not set anew for every batch, which has its price.
                () = &mut silence, if !idle.is_zero() => match self.silent_at() {
                    Some(later) => silence.as_mut().reset(later),
                    None => return End::Resume(ResumeReason::Idle),
                },
            }
        }
    }

    /// When it will have been silent for too long; none if it has.
    fn silent_at(&self) -> Option<tokio::time::Instant> {
        let since = match self.appending.is_empty() {
            true => self.heard.into(),
            false => tokio::time::Instant::now(),
        };
        let at = since + self.shared.limits.idle;
        (at > tokio::time::Instant::now()).then_some(at)
    }

    fn batch_events_max(&self) -> usize {
        let most = self.shared.limits.batch_events;
        self.sender.batch_events_max(most)
    }

    /// Whether the client may send a batch of so many events now.
    fn judge(&self, sequence: u64, events: u64) -> Result<(), Status> {
        if sequence <= self.last_sequence {
            let expected = format!("more than {}", self.last_sequence);
            return Err(status::invalid("batch.sequence", sequence, expected));
        }
        let most = self.shared.limits.batch_events;
        self.sender.judge_batch(events as usize, most)?;
        if self.received_events + events > self.granted_events {
            self.shared.metrics.credit_violations.increment(1);
            return Err(status::overloaded("credit", Duration::from_millis(100)));
        }
        Ok(())
    }

    /// Takes a batch and starts to append it; so many bytes came in all.
    fn take(
        &mut self,
        message: StreamEventsRequest,
        (received, compressed): (u64, bool),
    ) -> Result<(), Status> {
        let came = received - self.received_bytes;
        self.received_bytes = received;
        let bytes = super::quota_bytes(self.sender.taken(), (came, compressed), &message);
        let Some(Asked::Batch(StreamBatch { sequence, events })) = message.message else {
            return Err(status::invalid(
                "message",
                "no `batch`",
                "`batch` after `open`",
            ));
        };
        let count = events.len() as u64;
        self.judge(sequence, count)?;
        self.last_sequence = sequence;
        self.received_events += count;
        if self.received_events == self.granted_events {
            self.shared.metrics.credit_stalls.increment(1);
        }
        self.heard = Instant::now();
        self.shared.reasons.stream.increment(1);
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        let batch = Batch {
            waits: Waits::of(&shared, &sender, &events, bytes)?,
            traced: (shared.tracer).ingest(&self.traced_by, "StreamEvents", sender.source()),
            shared,
            sender,
            events,
            backfill: self.open.backfill,
            strict: self.open.strict,
        };
        self.appending.push_back(Box::pin(async move {
            Ok(Done {
                sequence,
                events: count,
                appended: batch.append().await?,
            })
        }));
        Ok(())
    }

    /// Notes that a batch is durable: it joins the acknowledgement that waits.
    /// After one that is not, those behind it are given up: acknowledgements are
    /// cumulative, so none of them could leave it out.
    fn durable(&mut self, durable: Durable) -> Result<(), End> {
        let done = durable.map_err(|status| {
            self.appending.clear();
            End::Failed(status)
        })?;
        let appended = done.appended;
        // That of a batch without an accepted event may be behind.
        self.position.include(&appended.position);
        self.shared
            .metrics
            .ack_seconds
            .record(appended.started.elapsed().as_secs_f64());
        self.acknowledged_events += done.events;
        self.acknowledged_sequence = done.sequence;
        let told = |ack: &StreamAck| ack.results.iter().map(|batch| batch.results.len()).sum();
        let full = |(ack, ..): &(StreamAck, Position, Held)| {
            let told: usize = told(ack);
            told > 0 && told + appended.results.len() > ACK_RESULTS_MAX
        };
        if self.waiting.back().is_none_or(full) {
            let none = self.shared.budgets.answers.part();
            let ack = (StreamAck::default(), Position::START, none);
            self.waiting.push_back(ack);
        }
        if let Some((ack, position, held)) = self.waiting.back_mut() {
            held.absorb(appended.held);
            ack.sequence = done.sequence;
            position.include(&self.position);
            ack.accepted += appended.accepted;
            ack.refused += appended.refused;
            ack.granted_events = self.acknowledged_events + self.credit_events;
            if !appended.results.is_empty() {
                let (sequence, results) = (done.sequence, appended.results);
                ack.results.push(BatchResult { sequence, results });
            }
        }
        Ok(())
    }

    /// Hands the oldest acknowledgement that waits to the client. Only now is
    /// its credit granted.
    fn acknowledge(&mut self, room: mpsc::Permit<'_, Weighed>) {
        if let Some((mut ack, position, held)) = self.waiting.pop_front() {
            ack.position = position.encode(&self.shared.keys.tokens);
            self.granted_events = ack.granted_events;
            let message = Some(Told::Ack(ack));
            let answer = Ok(StreamEventsResponse { message });
            room.send(Box::new((answer, Some(held))));
        }
    }

    /// Only for the first answer, for which there is always room.
    fn say(&self, told: Told) {
        let message = Some(told);
        let opened = Ok(StreamEventsResponse { message });
        let _ = self.answers.try_send(Box::new((opened, None)));
    }

    /// Acknowledges what was taken before the end, then says why it ends. What was taken of
    /// one who is gone is appended too, and so counts for his limits.
    async fn finish(mut self, end: End) -> Result<(), Status> {
        while let Some(durable) = self.appending.next().await {
            if let Err(End::Failed(status)) = self.durable(durable) {
                self.flush().await;
                return Err(status);
            }
        }
        self.flush().await;
        match end {
            End::Failed(status) => Err(status),
            End::Credentials => Err(status::credentials_ended()),
            End::Resume(reason) => {
                let resume = ResumeElsewhere {
                    reason: reason.into(),
                    acknowledged_sequence: self.acknowledged_sequence,
                    retry_after: Some(Duration::from_millis(500).into()),
                };
                let message = Some(Told::ResumeElsewhere(resume));
                // The client may be gone; it resumes all the same.
                let last = Ok(StreamEventsResponse { message });
                let _ = self.answers.send(Box::new((last, None))).await;
                Ok(())
            }
            End::Closed | End::Gone => Ok(()),
        }
    }

    async fn flush(&mut self) {
        let answers = self.answers.clone();
        while !self.waiting.is_empty() {
            match answers.reserve().await {
                Ok(room) => self.acknowledge(room),
                Err(_) => return,
            }
        }
    }
}
