//! The two streaming answers. Each is pulled: nothing is evaluated before the
//! transport has room for the next message.

use super::asker::Asker;
use super::page::Fingerprint;
use super::{
    IN_MEMORY, RETRY_AFTER, Service, Streamed, dump, full, place, throughput, wait, watch,
};
use crate::budget::Held;
use crate::meter::cell::Ahead;
use crate::metrics::Gauge;
use crate::view::State;
use crate::{pb, status};
use futures_util::stream;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch as signal};
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// When to resume elsewhere, or here after a restart.
const RESUME_AFTER: Duration = Duration::from_secs(1);

pub(super) async fn watch(
    service: Service,
    (asker, metadata): (Asker, &MetadataMap),
    request: pb::WatchThroughputRequest,
) -> Result<Streamed<pb::WatchThroughputResponse>, Status> {
    let asker = asker.watching();
    let query = request.query.unwrap_or_default();
    if !query.page_token.is_empty() {
        return Err(status::invalid(
            "query.page_token",
            query.page_token,
            "none: a watch has no pages",
        ));
    }
    let reporting = &service.0.reporting;
    let question = throughput::Question::parse(&query, reporting, asker.sight())?;
    let question = Arc::new(question);
    let fingerprint = throughput::fingerprint(&asker, "WatchThroughput", &query);
    let resumed = watch::Token::decode(&request.resume_token, &fingerprint)?;
    let interval = watch::interval(request.interval)?;
    let place = place(&service.0.watches, "watches", RETRY_AFTER)?;
    let deadline = wait::deadline(metadata);
    wait::until_reached(&service.0.view, &asker, &query.at_least, deadline).await?;
    let counted = service.0.counted.as_ref();
    let open = counted.map(|counted| Open::new(&counted.metrics.watches));
    let watching = Watching {
        asker,
        question,
        fingerprint,
        resumed,
        interval,
        look_at: Instant::now(),
        versions: service.0.view.versions(),
        stop: service.0.stop.clone(),
        service,
        rows: watch::Rows::new(),
        token: String::new(),
        told: Instant::now(),
        held: None,
        evaluated: None,
        pending: VecDeque::new(),
        _place: place,
        _open: open,
    };
    Ok(Box::pin(stream::unfold(Some(watching), |watching| async {
        let mut watching = watching?;
        match watching.next().await {
            Ok(message) => Some((Ok(message), Some(watching))),
            Err(status) => Some((Err(status), None)),
        }
    })))
}

struct Watching {
    asker: Asker,
    question: Arc<throughput::Question>,
    fingerprint: Fingerprint,
    /// From where the first step may lead.
    resumed: Option<watch::Token>,
    interval: Duration,
    /// When whoever may not see all is looked at for the next time.
    look_at: Instant,
    versions: signal::Receiver<u64>,
    stop: signal::Receiver<bool>,
    service: Service,
    rows: watch::Rows,
    /// Of the rows; empty before the first step.
    token: String,
    /// When a token was sent.
    told: Instant,
    /// Of the answers' budget, for the rows and what is pending of them.
    held: Option<Held>,
    /// When the rows were evaluated; none before the first step.
    evaluated: Option<Instant>,
    pending: VecDeque<pb::WatchThroughputResponse>,
    _place: OwnedSemaphorePermit,
    _open: Option<Open>,
}

/// One that is open, as a gauge counts them.
struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Watching {
    async fn next(&mut self) -> Result<pb::WatchThroughputResponse, Status> {
        loop {
            if let Some(message) = self.pending.pop_front() {
                return Ok(message);
            }
            self.wait_for_change().await?;
            // Marked as seen before we look: what comes later wakes us again.
            self.versions.borrow_and_update();
            self.pending = watch::messages(self.step().await?);
            if !self.pending.is_empty() {
                self.told = Instant::now();
            }
        }
    }

    /// What leads from the rows that were told to those of now.
    async fn step(&mut self) -> Result<watch::Step, Status> {
        let (question, fingerprint) = (self.question.clone(), self.fingerprint.clone());
        let resumed = self.resumed.take();
        let ask = move |question: &throughput::Question, state: &State, ahead: &Ahead| {
            let rows = watch::rows(question, &state.cells, ahead)?;
            let known = resumed.and_then(|token| token.since(question, state, &rows));
            Ok((rows, known, watch::Token::after(state, question.sight())))
        };
        let asker = self.asker.clone();
        let evaluated = self.service.evaluate_ahead(asker, question, None, ask);
        let ((rows, known, after), freshness) = evaluated.await?;
        let after = after.encode(&fingerprint);
        let first = self.evaluated.is_none();
        self.evaluated = Some(Instant::now());
        let snapshot = first && known.is_none();
        let before = std::mem::replace(&mut self.token, after.clone());
        let before = resumed.map_or(before, |token| token.encode(&fingerprint));
        let diff = known.unwrap_or_else(|| watch::diff(&self.rows, &rows));
        self.held = Some(self.hold(&rows)?);
        self.rows = rows;
        let always = first || self.needs_token();
        Ok(watch::Step {
            diff,
            snapshot,
            always,
            freshness,
            before,
            after,
        })
    }

    /// Room for these rows, and once more as messages.
    fn hold(&mut self, rows: &watch::Rows) -> Result<Held, Status> {
        // What was held for those before is given back first.
        self.held = None;
        let held = self.service.0.answers.hold(watch::weight(rows) * IN_MEMORY);
        held.map_err(|_| full())
    }

    /// Whether a token is due though no row changed.
    fn needs_token(&self) -> bool {
        let every = self.service.0.settings.token_every;
        watch::is_token_due(self.question.sight(), self.told.elapsed(), every)
    }

    /// Waits until there may be something to tell. Who may see all is told as soon as
    /// anything changes, but for the interval. Where others' changes are not to be
    /// noticed, it is at times that do not depend on them.
    async fn wait_for_change(&mut self) -> Result<(), Status> {
        let Some(evaluated) = self.evaluated else {
            self.look_at = Instant::now() + self.interval;
            return Ok(());
        };
        let sees_all = self.question.sight().is_everything();
        let change = async {
            if sees_all {
                tokio::time::sleep_until(evaluated + self.interval).await;
                // We hold the view, so its sender lives.
                let _ = self.versions.changed().await;
                return;
            }
            loop {
                tokio::time::sleep_until(self.look_at).await;
                self.look_at = next_beat(self.look_at, self.interval, Instant::now());
                if self.versions.has_changed().unwrap_or(false) {
                    return;
                }
            }
        };
        tokio::select! {
            () = change => Ok(()),
            status = stopping(&mut self.stop) => Err(status),
        }
    }
}

/// The first beat after now of those that are an interval apart.
fn next_beat(last: Instant, interval: Duration, now: Instant) -> Instant {
    let missed = now.saturating_duration_since(last).as_nanos() / interval.as_nanos().max(1);
    let beats = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
    last + interval.saturating_mul(beats)
}

async fn stopping(stop: &mut signal::Receiver<bool>) -> Status {
    // An error means that who could stop us is gone, which is the same.
    let _ = stop.wait_for(|&stop| stop).await;
    status::unavailable("the service is stopping", RESUME_AFTER)
}

pub(super) async fn dump(
    service: Service,
    (asker, metadata): (Asker, &MetadataMap),
    request: pb::DumpCellsRequest,
) -> Result<Streamed<pb::DumpCellsResponse>, Status> {
    asker.must_operate("DumpCells")?;
    let dump = dump::Dump::parse(&request)?;
    let place = place(&service.0.dumps, "dumps", RETRY_AFTER)?;
    let deadline = wait::deadline(metadata);
    wait::until_reached(&service.0.view, &asker, &request.at_least, deadline).await?;
    let begin = Some((dump, (service, asker), None, place));
    Ok(Box::pin(stream::unfold(begin, |dumping| async {
        // What was held for the part before: it has been taken.
        let (dump, service, before, place) = dumping?;
        let first = before.is_none();
        drop(before);
        match part(dump, &service.0, &service.1).await {
            // An empty dump still tells of which state it is.
            Ok((_, message, _)) if message.cells.is_empty() && !first => None,
            Ok((dump, message, held)) => {
                Some((Ok(message), Some((dump, service, Some(held), place))))
            }
            Err(status) => Some((Err(status), None)),
        }
    })))
}

async fn part(
    mut dump: dump::Dump,
    service: &Service,
    asker: &Asker,
) -> Result<(dump::Dump, pb::DumpCellsResponse, Held), Status> {
    if *service.0.stop.borrow() {
        return Err(status::unavailable("the service is stopping", RESUME_AFTER));
    }
    let next = move |state: &State, _| {
        let part = dump.part(&state.cells)?;
        Ok((dump, part))
    };
    let ((dump, rows), freshness) = service.evaluate(asker.clone(), next).await?;
    let cell = |(key, figures)| throughput::message(key, Some(&figures));
    let cells = rows.into_iter().map(cell).collect();
    let message = pb::DumpCellsResponse {
        cells,
        freshness: Some(freshness),
    };
    let held = service.hold(&message)?;
    Ok((dump, message, held))
}
