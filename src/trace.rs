//! Traces of batches: from ingest, through the headers of what is in the log, to where
//! their events are counted. The only place that names OpenTelemetry. Off unless a
//! collector is configured; then spans are made at a few hand-offs of a batch that is
//! traced, and nothing for an event.

mod export;
mod limit;
mod parent;

pub use parent::Mark;

use crate::config;
use export::Export;
use http::HeaderMap;
use limit::Limit;
use metrics::Counter;
use opentelemetry::trace::{SamplingDecision, SpanContext, SpanId, SpanKind, Status, TraceFlags};
use opentelemetry::trace::{TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, Sampler, ShouldSample as _};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use parent::Parent;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client of the collector takes something in the settings or in the
    /// environment for wrong.
    #[error("make a client for the collector {collector}")]
    Client {
        /// Where it is.
        collector: String,
        /// What is wrong.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The system gives no thread.
    #[error("start a thread for traces")]
    Thread(#[from] std::io::Error),
}

/// What became of what was traced.
#[derive(Clone)]
pub struct Counts {
    /// Spans that the collector has taken.
    pub exported: Counter,
    /// Spans that it has not.
    pub failed: Counter,
    /// Spans for which there was no room.
    pub dropped: Counter,
    /// Batches that were not traced, because so many others were.
    pub limited: Counter,
}

/// Makes spans, or none if nothing is traced. Clones are the same one.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Shared>>);

struct Shared {
    ids: RandomIdGenerator,
    sampler: Sampler,
    /// Of batches that come in.
    begun: Limit,
    /// Of those that are found in the log, in which strangers may write.
    found: Limit,
    limited: Counter,
    scope: InstrumentationScope,
    export: Export,
}

/// What a caller says of the trace that its batches are part of.
#[derive(Clone, Debug, Default)]
pub struct Caller(Option<Parent>);

impl Tracer {
    /// Traces as configured.
    ///
    /// # Errors
    /// See [`Error`]; a collector that is away is none.
    pub fn start(settings: &config::Traces, counts: Counts) -> Result<Self, Error> {
        let Some(collector) = &settings.otlp_endpoint else {
            return Ok(Self::default());
        };
        let limited = counts.limited.clone();
        Ok(Self(Some(Arc::new(Shared {
            ids: RandomIdGenerator::default(),
            sampler: Sampler::TraceIdRatioBased(settings.sample.get()),
            begun: Limit::new(settings.batches_per_second),
            found: Limit::new(settings.batches_per_second),
            limited,
            scope: InstrumentationScope::builder(env!("CARGO_PKG_NAME")).build(),
            export: Export::start(collector.as_str(), counts)?,
        }))))
    }

    /// Whether anything is traced.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What the headers of a call say.
    pub fn caller(&self, headers: &HeaderMap) -> Caller {
        Caller(self.0.as_ref().and_then(|_| Parent::of_call(headers)))
    }

    /// The first span of a batch that came in, if it is to be traced: its caller decides,
    /// and for one who says nothing chance does.
    pub fn ingest(&self, caller: &Caller, method: &'static str, source: &str) -> Option<Span> {
        let shared = self.0.as_ref()?;
        let parent = match &caller.0 {
            Some(parent) => parent.sampled()?,
            None => shared.drawn()?,
        };
        if !shared.begun.allows() {
            shared.limited.increment(1);
            return None;
        }
        let mut span = Span::new(shared, &parent, "ingest", SpanKind::Server);
        span.set(KeyValue::new("rpc.method", method));
        span.set(KeyValue::new("quaymeter.source", source.to_owned()));
        Some(span)
    }

    /// A span of a batch that is in the log, since some time ago. Anybody may have written
    /// it: whoever reads a log that others write asks [`Tracer::allows`] first.
    pub fn follow(&self, mark: Mark, name: &'static str, since: SystemTime) -> Option<Span> {
        let parent = mark.context();
        let mut span = Span::new(self.0.as_ref()?, &parent, name, SpanKind::Consumer);
        if let Some(data) = &mut span.data {
            data.start_time = since;
        }
        Some(span)
    }

    /// Whether one more batch that was found in the log may be traced now.
    pub fn allows(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| {
            let allowed = shared.found.allows();
            if !allowed {
                shared.limited.increment(1);
            }
            allowed
        })
    }

    /// Gives what there is to the collector, and no more after it; waits at most this long.
    pub async fn stop(&self, within: Duration) {
        if let Some(shared) = &self.0 {
            shared.export.stop(within).await;
        }
    }
}

impl Shared {
    /// The beginning of a trace of our own, if chance has it.
    fn drawn(&self) -> Option<SpanContext> {
        let trace = self.ids.new_trace_id();
        let kind = SpanKind::Server;
        let judged = self.sampler.should_sample(None, trace, "", &kind, &[], &[]);
        let sampled = judged.decision == SamplingDecision::RecordAndSample;
        sampled.then(|| sampled_context(trace, SpanId::INVALID, TraceState::NONE))
    }
}

fn sampled_context(trace: TraceId, span: SpanId, state: TraceState) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state)
}

/// A span that began and ends when it is dropped.
pub struct Span {
    shared: Arc<Shared>,
    /// None once it has ended.
    data: Option<Box<SpanData>>,
}

impl Span {
    fn new(
        shared: &Arc<Shared>,
        parent: &SpanContext,
        name: &'static str,
        span_kind: SpanKind,
    ) -> Self {
        let (id, state) = (shared.ids.new_span_id(), parent.trace_state().clone());
        let now = SystemTime::now();
        let data = SpanData {
            span_context: sampled_context(parent.trace_id(), id, state),
            parent_span_id: parent.span_id(),
            parent_span_is_remote: parent.is_remote() && parent.span_id() != SpanId::INVALID,
            span_kind,
            name: name.into(),
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: shared.scope.clone(),
        };
        Self {
            shared: Arc::clone(shared),
            data: Some(Box::new(data)),
        }
    }

    /// A part of it, which begins now.
    pub fn part(&self, name: &'static str) -> Option<Self> {
        let of = &self.data.as_ref()?.span_context;
        let (trace, span, state) = (of.trace_id(), of.span_id(), of.trace_state().clone());
        let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, state);
        Some(Self::new(&self.shared, &parent, name, SpanKind::Internal))
    }

    /// What what comes of it goes by.
    pub fn mark(&self) -> Option<Mark> {
        let of = &self.data.as_ref()?.span_context;
        Some(Mark::new(of.trace_id(), of.span_id()))
    }

    /// Notes a number.
    pub fn note(&mut self, name: &'static str, number: u64) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.set(KeyValue::new(name, number));
    }

    /// It failed. `why` is told to whoever reads traces, so it holds nothing of events.
    pub fn fail(&mut self, why: impl Into<String>) {
        if let Some(data) = &mut self.data {
            data.status = Status::error(why.into());
        }
    }

    fn set(&mut self, attribute: KeyValue) {
        if let Some(data) = &mut self.data {
            data.attributes.push(attribute);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut data) = self.data.take() {
            data.end_time = SystemTime::now();
            self.shared.export.take(*data);
        }
    }
}
