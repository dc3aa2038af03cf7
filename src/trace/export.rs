//! Gives spans to the collector, many at once, on a thread of its own: whoever makes them
//! never waits. What waits is bounded, and what the collector does not take is lost.

use super::{Counts, Error};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::thread::Builder;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

/// Spans that wait, at most; each less than 1 KiB, and more only by its `tracestate`.
const WAITING_MAX: usize = 8_192;

/// Spans that are given at once.
const TOGETHER: usize = 512;

/// How often what waits is given.
const EVERY: Duration = Duration::from_secs(1);

/// How long the collector may take.
const WITHIN: Duration = Duration::from_secs(5);

/// The time between two warnings that it takes nothing.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The thread, from outside. It ends once this is dropped.
pub(super) struct Export {
    spans: mpsc::Sender<SpanData>,
    /// By when it shall have ended.
    stop: watch::Sender<Option<Instant>>,
    /// Closed once it has.
    ended: watch::Receiver<()>,
    dropped: metrics::Counter,
}

struct Exporting {
    exporter: SpanExporter,
    waiting: mpsc::Receiver<SpanData>,
    stopping: watch::Receiver<Option<Instant>>,
    counts: Counts,
    /// Lost since the collector took some.
    lost: u64,
    warned: Option<Instant>,
}

impl Export {
    pub(super) fn start(collector: &str, counts: Counts) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let exporter = exporter(&runtime, collector)?;
        let (spans, waiting) = mpsc::channel(WAITING_MAX);
        let (stop, stopping) = watch::channel(None);
        let (end, ended) = watch::channel(());
        let dropped = counts.dropped.clone();
        let exporting = Exporting {
            exporter,
            waiting,
            stopping,
            counts,
            lost: 0,
            warned: None,
        };
        Builder::new().name("traces".into()).spawn(move || {
            let _end = end;
            runtime.block_on(exporting.run());
        })?;
        Ok(Self {
            spans,
            stop,
            ended,
            dropped,
        })
    }

    /// Takes a span, if there is room.
    pub(super) fn take(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.increment(1);
        }
    }

    pub(super) async fn stop(&self, within: Duration) {
        self.stop.send_replace(Some(Instant::now() + within));
        let mut ended = self.ended.clone();
        // Nothing is ever sent: either it ends, or it is not waited for any longer.
        let _ = timeout(within, ended.changed()).await;
    }
}

/// The client. What it is named, the headers it sends and how it compresses may be said by
/// the variables `OTEL_…` that every program with OpenTelemetry has.
fn exporter(runtime: &Runtime, collector: &str) -> Result<SpanExporter, Error> {
    let _in = runtime.enter();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(collector)
        .with_timeout(WITHIN)
        .build();
    let mut exporter = exporter.map_err(|source| Error::Client {
        collector: collector.to_owned(),
        source: source.into(),
    })?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource,
        None => resource.with_service_name(env!("CARGO_PKG_NAME")),
    };
    exporter.set_resource(&resource.build());
    Ok(exporter)
}

impl Exporting {
    async fn run(mut self) {
        let (mut beat, stopping) = (interval(EVERY), self.stopping.clone());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = std::pin::pin!(asked(stopping));
        loop {
            let stops = tokio::select! {
                _ = beat.tick() => false,
                _ = &mut stop => true,
            };
            self.give().await;
            if stops {
                return;
            }
        }
    }

    /// Gives what waits now; after a failure the rest may wait.
    async fn give(&mut self) {
        let mut left = self.waiting.len();
        while left > 0 {
            let mut spans = Vec::with_capacity(left.min(TOGETHER));
            while spans.len() < TOGETHER
                && let Ok(span) = self.waiting.try_recv()
            {
                spans.push(span);
            }
            let count = spans.len();
            left = left.saturating_sub(count.max(1));
            let given = self.give_these(spans).await;
            if !self.tell(given, count as u64) {
                return;
            }
        }
    }

    /// Until it is done, takes too long, or must have stopped.
    async fn give_these(&self, spans: Vec<SpanData>) -> Result<(), String> {
        let cut = async {
            let until = asked(self.stopping.clone()).await;
            sleep_until(until).await;
        };
        let given: OTelSdkResult = tokio::select! {
            given = self.exporter.export(spans) => given,
            () = sleep(WITHIN) => return Err(format!("no answer within {WITHIN:?}")),
            () = cut => return Err("no answer before the service stopped".into()),
        };
        given.map_err(|error| error.to_string())
    }

    /// Whether it went well.
    fn tell(&mut self, given: Result<(), String>, count: u64) -> bool {
        let Err(error) = given else {
            self.counts.exported.increment(count);
            if self.lost > 0 {
                tracing::info!(lost = self.lost, "the collector takes traces again");
            }
            (self.lost, self.warned) = (0, None);
            return true;
        };
        self.counts.failed.increment(count);
        self.lost += count;
        if self.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            tracing::warn!(
                error,
                lost = self.lost,
                "the collector does not take traces"
            );
        }
        false
    }
}

/// By when it shall have stopped, once it shall. At once if nobody is left to say so.
async fn asked(mut stopping: watch::Receiver<Option<Instant>>) -> Instant {
    let asked = stopping.wait_for(Option::is_some).await;
    asked
        .ok()
        .and_then(|until| *until)
        .unwrap_or_else(Instant::now)
}
