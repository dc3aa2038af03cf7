//! Takes events in: judges each, appends what is accepted as one batch, and
//! answers when it is durable.

mod appends;
mod batch;
mod check;
mod reader;
mod seats;
mod sender;
mod stream;
mod weight;

use crate::auth::caller::Caller;
use crate::auth::quota::{Quotas, Taken};
use crate::budget::Budget;
use crate::config::Config;
use crate::event::Millis;
use crate::fingerprint::Fingerprints;
use crate::intake::Inflow;
use crate::log;
use crate::metrics::Metrics;
use crate::pb::ingest_service_server::IngestService;
use crate::pb::{
    PublishEventsRequest, PublishEventsResponse, StreamEventsRequest, StreamEventsResponse,
};
use crate::pseudonym;
use crate::status;
use crate::trace::{Span, Tracer};
use crate::trail::{self, Trail};
use crate::turns::Shares;
use crate::view::View;
use crate::view::position::Position;
use crate::view::token::Tokens;
pub use appends::Appends;
use check::{Checked, Manner};
use reader::Reader;
use seats::Seats;
use sender::Sender;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stream::Origin;
use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use weight::Weight;

/// A clock: milliseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// What is taken of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The correction horizon.
    pub horizon_ms: i64,
    /// How long day cells are kept.
    pub day_retention_ms: i64,
    /// Warnings are refusals for everybody.
    pub strict: bool,
    /// Events in a batch.
    pub batch_events: usize,
    /// Events a stream may have unacknowledged.
    pub credit_events: u64,
    /// Streams open at once.
    pub streams: usize,
    /// How long a stream may be silent; zero: for ever.
    pub idle: Duration,
    /// How long a batch may wait for room in memory.
    pub append_wait: Duration,
}

impl Limits {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        const DAY_MS: i64 = 86_400_000;
        Self {
            horizon_ms: i64::from(config.horizon_days) * DAY_MS,
            // A day less: west of Greenwich the oldest UTC day begins on a day
            // of the zone that is gone already.
            day_retention_ms: i64::from(config.day_days - 1) * DAY_MS,
            strict: config.strict,
            batch_events: config.limits.batch_events,
            credit_events: config.limits.stream_credit_events,
            streams: config.limits.streams,
            idle: Duration::from_secs(config.limits.stream_idle_s),
            append_wait: Duration::from_millis(config.limits.append_wait_ms),
        }
    }
}

/// The keys under which events are kept.
#[derive(Clone)]
pub struct Keys {
    /// Of plates and drivers.
    pub pseudonyms: pseudonym::Kept,
    /// Of identities and contents, as the worker takes them.
    pub fingerprints: Fingerprints,
    /// Of positions, as they are told.
    pub tokens: Tokens,
}

/// What may be held in memory.
#[derive(Clone)]
pub struct Budgets {
    /// For what was taken, until it is durable.
    pub requests: Arc<Budget>,
    /// For what is to be told of it, until the client has taken that.
    pub answers: Arc<Budget>,
}

/// The ingest service.
#[derive(Clone)]
pub struct Ingest(Arc<Shared>);

struct Shared {
    limits: Limits,
    log: Appends,
    view: Arc<View>,
    keys: Keys,
    budgets: Budgets,
    clock: Clock,
    metrics: Arc<Metrics>,
    reasons: check::Reasons,
    seats: Seats,
    shares: Shares,
    quotas: Quotas,
    tracer: Tracer,
    trail: Trail,
    draining: watch::Receiver<bool>,
}

impl Ingest {
    /// The service; once `draining` turns true it takes nothing more and ends
    /// its streams in good order.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own")]
    pub fn new(
        limits: Limits,
        log: Appends,
        view: Arc<View>,
        keys: Keys,
        budgets: Budgets,
        clock: Clock,
        metrics: Arc<Metrics>,
        quotas: Quotas,
        tracer: Tracer,
        trail: Trail,
        draining: watch::Receiver<bool>,
    ) -> Self {
        let shares = Shares::new(budgets.requests.limit());
        let seats = Seats::new(limits.streams, metrics.streams.clone());
        let reasons = check::Reasons::of(&metrics);
        let shared = Shared {
            limits,
            log,
            view,
            keys,
            budgets,
            clock,
            metrics,
            reasons,
            seats,
            shares,
            quotas,
            tracer,
            trail,
            draining,
        };
        Self(Arc::new(shared))
    }
}

impl Shared {
    /// Appends what a batch has accepted; the position that includes it. Either is noted
    /// in the audit trail.
    async fn append(
        &self,
        source: &str,
        checked: &mut Checked,
        traced: Option<&Span>,
    ) -> Result<Position, Status> {
        let reasons = checked.reasons().to_vec();
        let mut noted = Noted {
            trail: &self.trail,
            source,
            batch: trail::Batch {
                accepted: checked.accepted,
                refused: checked.refused,
                durable: false,
                reasons: &reasons,
            },
        };
        let appended = self.append_accepted(source, checked, traced).await;
        noted.batch.durable = appended.is_ok();
        appended
    }

    async fn append_accepted(
        &self,
        source: &str,
        checked: &mut Checked,
        traced: Option<&Span>,
    ) -> Result<Position, Status> {
        if checked.items.is_empty() {
            return Ok(self.view.reach());
        }
        let (wait, started) = (self.limits.append_wait, Instant::now());
        let mut traced = traced.and_then(|span| span.part("append"));
        let mark = traced.as_ref().and_then(Span::mark);
        let appended = self.log.within(wait, source, checked, mark).await;
        let position = appended.map_err(|error| {
            let refusal = refusal(&error);
            if let Some(span) = &mut traced {
                span.fail(refusal.message());
            }
            refusal
        })?;
        drop(traced);
        self.metrics.log_append_seconds.record(started.elapsed());
        self.metrics.source(source).acknowledged((self.clock)());
        Ok(position)
    }

    /// Holds what a judged batch weighs, and notes what became of its events.
    fn hold_traced(
        &self,
        source: &str,
        checked: &Checked,
        traced: Option<&mut Span>,
    ) -> Result<Weight, Status> {
        let weight = self.hold(source, checked);
        if let Some(span) = traced {
            span.note("quaymeter.events.accepted", checked.accepted.into());
            span.note("quaymeter.events.refused", checked.refused.into());
            if let Err(status) = &weight {
                span.fail(status.message());
            }
        }
        weight
    }

    fn manner(&self, backfill: bool, strict: bool) -> Manner {
        Manner {
            now: (self.clock)(),
            backfill,
            strict: strict || self.limits.strict,
        }
    }
}

/// An append that failed, as the caller is told. Whether the batch is in the log
/// after a fatal error is not known: sent again, it counts once.
fn refusal(error: &log::Error) -> Status {
    match error.kind() {
        log::Kind::Retry if matches!(error, log::Error::Overloaded { .. }) => {
            status::overloaded("bytes waiting to be durable", Duration::from_millis(500))
        }
        log::Kind::Retry => status::unavailable(&told(error), Duration::from_secs(1)),
        log::Kind::Abort => status::invalid("events", error, "a smaller batch"),
        log::Kind::Fatal => {
            tracing::error!(%error, "append");
            status::unavailable("the event log has failed", Duration::from_secs(5))
        }
    }
}

/// Nothing is taken any more.
fn stopping() -> Status {
    status::unavailable("the service is stopping", Duration::from_secs(1))
}

/// Resolves when the service begins to drain.
async fn draining(mut signal: watch::Receiver<bool>) {
    // An error means that the service itself is gone.
    let _ = signal.wait_for(|&draining| draining).await;
}

/// The bytes of a message that count for its caller's limit: as they came, or, if there
/// may be more in it, as it is encoded, whichever are more; none if he has no such limit.
fn quota_bytes(
    taken: Option<&Taken>,
    (received, compressed): (u64, bool),
    message: &impl prost::Message,
) -> usize {
    if !taken.is_some_and(Taken::counts_bytes) {
        return 0;
    }
    let decompressed = if compressed { message.encoded_len() } else { 0 };
    decompressed.max(received as usize)
}

/// A batch that is being appended, which is noted however that ends: whoever gives his
/// call up may have events in the log nevertheless.
struct Noted<'a> {
    trail: &'a Trail,
    source: &'a str,
    batch: trail::Batch<'a>,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.trail.sent(self.source, &self.batch);
    }
}

/// Why nothing was appended, without the names of files.
fn told(error: &log::Error) -> String {
    match error {
        log::Error::Refused { source, .. } => {
            format!("the event log cannot be written: {}", source.kind())
        }
        log::Error::Broker { .. } => "the event log cannot be reached, or refuses".into(),
        other => other.to_string(),
    }
}

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        let (shared, started) = (&self.0, Instant::now());
        if *shared.draining.borrow() {
            return Err(stopping());
        }
        let traced_by = shared.tracer.caller(request.metadata().as_ref());
        let caller = Caller::of(request.extensions());
        let inflow = request.extensions().get::<Inflow>();
        let received = inflow.map_or((0, true), Inflow::decoded);
        let taken = shared.quotas.of(&caller)?;
        let request = request.into_inner();
        let bytes = quota_bytes(taken.as_ref(), received, &request);
        let events = request.events.len();
        let sender = Sender::of(caller, taken.clone(), request.source);
        let sender = sender.and_then(|sender| {
            sender.judge_batch(events, shared.limits.batch_events)?;
            Ok(sender)
        });
        let sender = sender.inspect_err(|_| taken.iter().for_each(Taken::waste))?;
        // They may have ended while the events were on their way in.
        if sender.caller().has_ended() {
            return Err(status::credentials_ended());
        }
        if let Some(taken) = &taken {
            taken.call(events, bytes)?;
        }
        let manner = shared.manner(request.backfill, request.strict);
        shared.reasons.publish.increment(1);
        let mut traced = shared
            .tracer
            .ingest(&traced_by, "PublishEvents", sender.source());
        let mut checked = shared.check(&sender, request.events, manner);
        let weight = shared.hold_traced(sender.source(), &checked, traced.as_mut())?;
        let appended = shared.append(sender.source(), &mut checked, traced.as_ref());
        let position = appended.await?;
        shared
            .metrics
            .ack_seconds
            .record(started.elapsed().as_secs_f64());
        let Checked {
            accepted,
            refused,
            results,
            ..
        } = checked;
        let mut response = Response::new(PublishEventsResponse {
            accepted,
            refused,
            results,
            position: position.encode(&shared.keys.tokens),
        });
        let told = weight.told.carried();
        response.extensions_mut().insert(told);
        Ok(response)
    }

    type StreamEventsStream =
        Pin<Box<dyn Stream<Item = Result<StreamEventsResponse, Status>> + Send>>;

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let origin = Origin {
            caller: Caller::of(request.extensions()),
            traced_by: self.0.tracer.caller(request.metadata().as_ref()),
        };
        let reader = Reader::new(request);
        let answers = stream::serve(&self.0, reader, origin)?;
        Ok(Response::new(Box::pin(answers)))
    }
}
