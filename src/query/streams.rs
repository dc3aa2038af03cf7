//! The two streaming answers. Each is pulled: nothing is evaluated before the
//! transport has room for the next message.

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
    metadata: &MetadataMap,
    request: pb::WatchThroughputRequest,
) -> Result<Streamed<pb::WatchThroughputResponse>, Status> {
    let query = request.query.unwrap_or_default();
    if !query.page_token.is_empty() {
        return Err(status::invalid(
            "query.page_token",
            query.page_token,
            "none: a watch has no pages",
        ));
    }
    let question = Arc::new(throughput::Question::parse(&query, &service.0.reporting)?);
    let fingerprint = throughput::fingerprint("WatchThroughput", &query);
    let resumed = watch::Token::decode(&request.resume_token, fingerprint)?;
    let interval = watch::interval(request.interval)?;
    let place = place(&service.0.watches, "watches", RETRY_AFTER)?;
    wait::until_reached(&service.0.view, &query.at_least, wait::deadline(metadata)).await?;
    let counted = service.0.counted.as_ref();
    let open = counted.map(|counted| Open::new(&counted.metrics.watches));
    let watching = Watching {
        question,
        fingerprint,
        resumed,
        interval,
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
    question: Arc<throughput::Question>,
    fingerprint: Fingerprint,
    /// From where the first step may lead.
    resumed: Option<watch::Token>,
    interval: Duration,
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
        let (question, fingerprint) = (self.question.clone(), self.fingerprint);
        let resumed = self.resumed.take();
        let ask = move |question: &throughput::Question, state: &State, ahead: &Ahead| {
            let rows = watch::rows(question, &state.cells, ahead)?;
            let known = resumed.and_then(|token| token.since(question, state, &rows));
            let token = watch::Token::after(fingerprint, state).encode();
            Ok((rows, known, token))
        };
        let evaluated = self.service.evaluate_ahead(question, None, ask).await?;
        let ((rows, known, after), freshness) = evaluated;
        let first = self.evaluated.is_none();
        self.evaluated = Some(Instant::now());
        let snapshot = first && known.is_none();
        let before = std::mem::replace(&mut self.token, after.clone());
        let before = resumed.map_or(before, |token| token.encode());
        let diff = known.unwrap_or_else(|| watch::diff(&self.rows, &rows));
        self.held = Some(self.hold(&rows)?);
        self.rows = rows;
        let always = first || self.told.elapsed() >= self.service.0.settings.token_every;
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

    async fn wait_for_change(&mut self) -> Result<(), Status> {
        let Some(evaluated) = self.evaluated else {
            return Ok(());
        };
        let change = async {
            tokio::time::sleep_until(evaluated + self.interval).await;
            // We hold the view, so its sender lives.
            let _ = self.versions.changed().await;
        };
        tokio::select! {
            () = change => Ok(()),
            status = stopping(&mut self.stop) => Err(status),
        }
    }
}

async fn stopping(stop: &mut signal::Receiver<bool>) -> Status {
    // An error means that who could stop us is gone, which is the same.
    let _ = stop.wait_for(|&stop| stop).await;
    status::unavailable("the service is stopping", RESUME_AFTER)
}

pub(super) async fn dump(
    service: Service,
    metadata: &MetadataMap,
    request: pb::DumpCellsRequest,
) -> Result<Streamed<pb::DumpCellsResponse>, Status> {
    let dump = dump::Dump::parse(&request)?;
    let place = place(&service.0.dumps, "dumps", RETRY_AFTER)?;
    wait::until_reached(&service.0.view, &request.at_least, wait::deadline(metadata)).await?;
    let begin = Some((dump, service, None, place));
    Ok(Box::pin(stream::unfold(begin, |dumping| async {
        // What was held for the part before: it has been taken.
        let (dump, service, before, place) = dumping?;
        let first = before.is_none();
        drop(before);
        match part(dump, &service).await {
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
) -> Result<(dump::Dump, pb::DumpCellsResponse, Held), Status> {
    if *service.0.stop.borrow() {
        return Err(status::unavailable("the service is stopping", RESUME_AFTER));
    }
    let next = move |state: &State, _| {
        let part = dump.part(&state.cells)?;
        Ok((dump, part))
    };
    let ((dump, rows), freshness) = service.evaluate(next).await?;
    let cell = |(key, figures)| throughput::message(key, Some(&figures));
    let cells = rows.into_iter().map(cell).collect();
    let message = pb::DumpCellsResponse {
        cells,
        freshness: Some(freshness),
    };
    let held = service.hold(&message)?;
    Ok((dump, message, held))
}
