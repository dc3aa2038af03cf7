//! The `ThroughputService`: questions about committed cells.
//!
//! A question is checked, waits for the position that it asks for, then is
//! evaluated under one read lock of the view, so that an answer is of one state,
//! on a thread of its own, so that a long one holds up no other call. How many
//! run at once, wait, watch and dump is bounded.

pub mod ahead;
pub mod ask;
pub mod asker;
pub mod calls;
pub mod dump;
pub mod enterprises;
pub mod explain;
pub mod grain;
pub mod no_shows;
pub mod page;
pub mod plan;
pub mod selection;
pub mod sight;
pub mod throughput;
pub mod top;
pub mod wait;
pub mod watch;

mod counted;
mod streams;
#[cfg(test)]
mod unseen;

use crate::auth::caller::Caller;
use crate::budget::{Budget, Held};
use crate::event::Millis;
use crate::meter::cell::{Ahead, Cells, Owner};
use crate::metrics::Metrics;
use crate::pb::{self, throughput_service_server::ThroughputService};
use crate::status;
use crate::trail::note::Asked;
use crate::view::token::Tokens;
use crate::view::{State, View};
use asker::Asker;
use counted::Counted;
use enterprises::Directory;
use jiff::tz::TimeZone;
use prost::Message;
use serde::Serialize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch as signal};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// When to come back after a limit was reached.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Limits, and what answers say of the service.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The correction horizon in days.
    pub horizon_days: u32,
    /// The most calls in progress, those that wait for a position included.
    pub calls_max: usize,
    /// The most questions that are evaluated at once.
    pub running_max: usize,
    /// The most watches. Each holds up to 10,000 rows.
    pub watches_max: usize,
    /// The most dumps.
    pub dumps_max: usize,
    /// How long a watch tells nothing, at most, while others' rows change: else
    /// its token would grow too old to be honoured.
    pub token_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let running_max = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            horizon_days: 35,
            calls_max: 1024,
            running_max,
            watches_max: 64,
            dumps_max: 4,
            token_every: Duration::from_secs(60),
        }
    }
}

/// The service, and the log that it explains events from. Clones share their
/// limits.
#[derive(Clone)]
pub struct Service(Arc<Shared>, Option<Arc<explain::Past>>);

#[derive(Clone)]
struct Shared {
    view: Arc<View>,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Fn() -> Millis + Send + Sync>,
    stop: signal::Receiver<bool>,
    settings: Settings,
    reporting: TimeZone,
    calls: Arc<Semaphore>,
    running: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    dumps: Arc<Semaphore>,
    answers: Arc<Budget>,
    tokens: Tokens,
    counted: Option<Counted>,
}

/// How much larger an answer is in memory than once it is encoded: a row's
/// figures are mostly zeros, which take room here and none there.
const IN_MEMORY: usize = 6;

impl Service {
    /// Answers from `view`, names enterprises by `directory` (`()` for none) and
    /// tells "now" by `clock`. Watches and dumps end when `stop` becomes true or
    /// its sender is gone. What waits for a client to take it is held of `answers`.
    /// `tokens` seals positions, pages and watches.
    pub fn new(
        view: Arc<View>,
        directory: Arc<dyn Directory>,
        clock: Arc<dyn Fn() -> Millis + Send + Sync>,
        stop: signal::Receiver<bool>,
        settings: Settings,
        answers: Arc<Budget>,
        tokens: Tokens,
    ) -> Self {
        let reporting = view.read(|state| state.cells.keeping().zone.clone());
        let limit = |most| Arc::new(Semaphore::new(most));
        let shared = Shared {
            view,
            directory,
            clock,
            stop,
            settings,
            reporting,
            calls: limit(settings.calls_max),
            running: limit(settings.running_max),
            watches: limit(settings.watches_max),
            dumps: limit(settings.dumps_max),
            answers,
            tokens,
            counted: None,
        };
        Self(Arc::new(shared), None)
    }

    /// Explains events from this log; without one, it cannot.
    #[must_use]
    pub fn explaining(self, past: explain::Past) -> Self {
        Self(self.0, Some(Arc::new(past)))
    }

    /// The same service, which also tells what these metrics count, from now on,
    /// and counts its own work in them.
    #[must_use]
    pub fn counting(self, metrics: Arc<Metrics>) -> Self {
        let since = (self.0.clock)();
        let counted = Some(Counted { metrics, since });
        let shared = Shared::clone(&self.0);
        Self(Arc::new(Shared { counted, ..shared }), self.1)
    }

    /// Who asks, and what, which stands in the audit trail.
    fn asker(&self, extensions: &http::Extensions, question: &impl Serialize) -> Asker {
        Asked::put(extensions, question);
        Asker::new(&Caller::of(extensions), &self.0.tokens, (self.0.clock)())
    }

    /// Answers one question, of no owners' cells but these: takes a place, waits for the
    /// position, evaluates.
    async fn answer<T: Send + 'static>(
        &self,
        (asker, metadata): (Asker, &tonic::metadata::MetadataMap),
        at_least: &str,
        owners: impl Fn(&Cells) -> Option<Vec<Owner>> + Send + 'static,
        ask: impl FnOnce(&State, Millis) -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, pb::Freshness), Status> {
        let _place = self.arrive((&asker, metadata), at_least).await?;
        self.evaluate_of(asker, owners, ask).await
    }

    /// A place among the calls in progress, once the position is reached.
    async fn arrive(
        &self,
        (asker, metadata): (&Asker, &tonic::metadata::MetadataMap),
        at_least: &str,
    ) -> Result<OwnedSemaphorePermit, Status> {
        let place = place(&self.0.calls, "calls in progress", RETRY_AFTER)?;
        let deadline = wait::deadline(metadata);
        wait::until_reached(&self.0.view, asker, at_least, deadline).await?;
        Ok(place)
    }

    /// An answer that holds its part of memory until it is taken.
    fn respond<T: Message>(&self, answer: T) -> Result<Response<T>, Status> {
        let held = self.hold(&answer)?;
        let mut response = Response::new(answer);
        response.extensions_mut().insert(held.carried());
        Ok(response)
    }

    /// What an answer, or a message of one, holds.
    fn hold(&self, answer: &impl Message) -> Result<Held, Status> {
        let held = self.0.answers.hold(answer.encoded_len() * IN_MEMORY);
        held.map_err(|_| full())
    }

    /// Evaluates a question; `ask` gets the state and now.
    async fn evaluate<T: Send + 'static>(
        &self,
        asker: Asker,
        ask: impl FnOnce(&State, Millis) -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, pb::Freshness), Status> {
        self.evaluate_of(asker, |_: &Cells| None, ask).await
    }

    /// The same of no owners' cells but these: see [`View::read_of`].
    async fn evaluate_of<T: Send + 'static>(
        &self,
        asker: Asker,
        owners: impl Fn(&Cells) -> Option<Vec<Owner>> + Send + 'static,
        ask: impl FnOnce(&State, Millis) -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, pb::Freshness), Status> {
        let told = move |view: &View, now| {
            view.read_of(owners, |state| {
                Ok((ask(state, now)?, asker.freshness(state, now)))
            })
        };
        self.run(told).await
    }

    /// Evaluates a question once what it needs of the shelf was read, for the rows after
    /// a key.
    async fn evaluate_ahead<T: Send + 'static>(
        &self,
        asker: Asker,
        question: Arc<throughput::Question>,
        after: Option<throughput::Key>,
        ask: impl Fn(&throughput::Question, &State, &Ahead) -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, pb::Freshness), Status> {
        let told = move |view: &View, now| {
            ahead::evaluate(view, &question, after.as_ref(), |state, ahead| {
                Ok((ask(&question, state, ahead)?, asker.freshness(state, now)))
            })
        };
        self.run(told).await
    }

    /// Runs on a thread for blocking work, as one of few; `work` gets the view and
    /// now.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&View, Millis) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let shared = self.0.clone();
        // We never close the semaphore, so this only fails if that changes.
        let running = shared.running.clone().acquire_owned().await;
        let running = running.map_err(|_| status::internal("the limit of questions is gone"))?;
        let task = tokio::task::spawn_blocking(move || {
            // The place is kept until the end even if the caller is gone.
            let _running = running;
            let (now, started) = ((shared.clock)(), Instant::now());
            let answer = work(&shared.view, now);
            if let Some(Counted { metrics, .. }) = &shared.counted {
                let seconds = started.elapsed().as_secs_f64();
                metrics.query_seconds.record(seconds);
            }
            answer
        });
        task.await
            .unwrap_or_else(|_| Err(status::internal("the question could not be evaluated")))
    }
}

/// What has no owner is posted at once: vessel calls and all but the cells.
fn of_nobody(_: &Cells) -> Option<Vec<Owner>> {
    Some(Vec::new())
}

fn place(
    limit: &Arc<Semaphore>,
    what: &str,
    retry_after: Duration,
) -> Result<OwnedSemaphorePermit, Status> {
    limit
        .clone()
        .try_acquire_owned()
        .map_err(|_| status::overloaded(what, retry_after))
}

/// Answers wait for their clients, and there is no room for one more.
fn full() -> Status {
    status::overloaded("bytes of answers", RETRY_AFTER)
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ThroughputService for Service {
    async fn get_throughput(
        &self,
        request: Request<pb::GetThroughputRequest>,
    ) -> Result<Response<pb::GetThroughputResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let (reporting, sight) = (&self.0.reporting, asker.sight());
        let question = Arc::new(throughput::Question::parse(&request, reporting, sight)?);
        let fingerprint = throughput::fingerprint(&asker, "GetThroughput", &request);
        let after: Option<throughput::Key> = fingerprint.after(&request.page_token)?;
        let bytes = throughput::MESSAGE_BYTES_MAX;
        let limit = throughput::Limit {
            rows: ask::page_size(request.page_size)?,
            bytes,
        };
        let begun = after.clone();
        let ask = move |question: &throughput::Question, state: &State, ahead: &Ahead| {
            question.rows(&state.cells, ahead, begun.as_ref(), limit)
        };
        let arrived = self.arrive((&asker, &metadata), &request.at_least);
        let _place = arrived.await?;
        let evaluated = self.evaluate_ahead(asker, question, after, ask);
        let ((rows, more), freshness) = evaluated.await?;
        let next_page_token = match rows.last() {
            Some((last, _)) if more => fingerprint.token(last),
            _ => String::new(),
        };
        let row = |(key, figures)| throughput::message(key, Some(&figures));
        let rows = rows.into_iter().map(row).collect();
        let freshness = Some(freshness);
        self.respond(pb::GetThroughputResponse {
            rows,
            next_page_token,
            freshness,
        })
    }

    async fn list_top_enterprises(
        &self,
        request: Request<pb::ListTopEnterprisesRequest>,
    ) -> Result<Response<pb::ListTopEnterprisesResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let sight = asker.sight().clone();
        let question = top::Question::parse(&request, &self.0.reporting, &sight)?;
        let question = Arc::new(question);
        let named = Arc::clone(&question);
        let owners = move |cells: &Cells| named.owners(cells);
        let ask = move |state: &State, _| question.leaders(&state.cells);
        let answered = self.answer((asker, &metadata), &request.at_least, owners, ask);
        let (leaders, freshness) = answered.await?;
        let ranked = |(rank, (id, value)): (u32, (compact_str::CompactString, i64))| {
            let enterprise = Some(enterprises::named(&*self.0.directory, &sight, &id));
            pb::RankedEnterprise {
                rank,
                enterprise,
                value,
            }
        };
        self.respond(pb::ListTopEnterprisesResponse {
            enterprises: (1..).zip(leaders).map(ranked).collect(),
            freshness: Some(freshness),
        })
    }

    async fn list_enterprises(
        &self,
        request: Request<pb::ListEnterprisesRequest>,
    ) -> Result<Response<pb::ListEnterprisesResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let question = Arc::new(enterprises::Question::parse(&request, &asker)?);
        let (named, directory) = (Arc::clone(&question), self.0.directory.clone());
        let owners = move |cells: &Cells| named.owners(cells);
        let ask = move |state: &State, _| Ok(question.page(&state.cells, &*directory));
        let answered = self.answer((asker, &metadata), &request.at_least, owners, ask);
        let (page, freshness) = answered.await?;
        let ((enterprises, next_page_token), freshness) = (page, Some(freshness));
        self.respond(pb::ListEnterprisesResponse {
            enterprises,
            next_page_token,
            freshness,
        })
    }

    async fn list_vessel_calls(
        &self,
        request: Request<pb::ListVesselCallsRequest>,
    ) -> Result<Response<pb::ListVesselCallsResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let question = calls::Question::parse(&request, &self.0.reporting, &asker)?;
        let ask = move |state: &State, _| question.page(&state.cells);
        let answered = self.answer((asker, &metadata), &request.at_least, of_nobody, ask);
        let (page, freshness) = answered.await?;
        let ((calls, next_page_token), freshness) = (page, Some(freshness));
        self.respond(pb::ListVesselCallsResponse {
            calls,
            next_page_token,
            freshness,
        })
    }

    async fn list_no_shows(
        &self,
        request: Request<pb::ListNoShowsRequest>,
    ) -> Result<Response<pb::ListNoShowsResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let question = Arc::new(no_shows::Question::parse(&request, &asker)?);
        let named = Arc::clone(&question);
        let owners = move |cells: &Cells| Some(named.owners(cells));
        let ask = move |state: &State, now| question.page(&state.cells, now);
        let answered = self.answer((asker, &metadata), &request.at_least, owners, ask);
        let (page, freshness) = answered.await?;
        let ((rows, next_page_token), freshness) = (page, Some(freshness));
        self.respond(pb::ListNoShowsResponse {
            rows,
            next_page_token,
            freshness,
        })
    }

    type WatchThroughputStream = Streamed<pb::WatchThroughputResponse>;

    async fn watch_throughput(
        &self,
        request: Request<pb::WatchThroughputRequest>,
    ) -> Result<Response<Self::WatchThroughputStream>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let answer = streams::watch(self.clone(), (asker, &metadata), request).await?;
        Ok(Response::new(answer))
    }

    type DumpCellsStream = Streamed<pb::DumpCellsResponse>;

    async fn dump_cells(
        &self,
        request: Request<pb::DumpCellsRequest>,
    ) -> Result<Response<Self::DumpCellsStream>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let answer = streams::dump(self.clone(), (asker, &metadata), request).await?;
        Ok(Response::new(answer))
    }

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let (operates, readable) = (asker.operates(), asker.sight().message());
        let ask = move |state: &State, now| {
            // What is counted of all events is for those who run the service.
            let counted = operates.then(|| counted::of_state(state));
            Ok((counted.unwrap_or_default(), state.position, now))
        };
        let owners = move |_: &Cells| (!operates).then(Vec::new);
        let answered = self.answer((asker, &metadata), &request.at_least, owners, ask);
        let ((mut answer, position, now), freshness) = answered.await?;
        answer.freshness = Some(freshness);
        answer.now = Some(ask::message(now));
        answer.version = env!("CARGO_PKG_VERSION").into();
        answer.reporting_zone = self.0.reporting.iana_name().unwrap_or("UTC").into();
        answer.horizon_days = self.0.settings.horizon_days;
        answer.readable = readable;
        if operates {
            answer.resident_bytes = counted::resident_bytes();
            if let Some(counted) = &self.0.counted {
                counted.tell(&mut answer, position);
            }
        }
        Ok(Response::new(answer))
    }

    async fn lookup_event(
        &self,
        request: Request<pb::LookupEventRequest>,
    ) -> Result<Response<pb::LookupEventResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let answer = explain::lookup(self, (asker, &metadata), &request).await?;
        Ok(Response::new(answer))
    }

    type ListCellEventsStream = Streamed<pb::ListCellEventsResponse>;

    async fn list_cell_events(
        &self,
        request: Request<pb::ListCellEventsRequest>,
    ) -> Result<Response<Self::ListCellEventsStream>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asker = self.asker(&extensions, &request);
        let answer = explain::list(self, (asker, &metadata), &request).await?;
        Ok(Response::new(answer))
    }
}
