//! Publishes events over `StreamEvents`: within the granted credit, again from
//! what was not acknowledged after a lost connection, and never taking for
//! acknowledged what was not.

mod codec;
mod link;
pub mod reach;
mod trust;
pub mod watch;
mod window;

use crate::pb;
use crate::pb::stream_events_response::Message as Hear;
use link::{Break, Link};
use reach::{Credentials, Reach};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use window::Window;

/// The most events that a batch may hold.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// How to publish.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service's URL, `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// By what it is trusted, and trusts us.
    pub credentials: Credentials,
    /// Who reports; a part of each event's identity.
    pub source: String,
    /// The client's id: a new stream of the same source and client id ends the
    /// one before it.
    pub client_id: String,
    /// Whether events older than the correction horizon are meant.
    pub backfill: bool,
    /// Whether what would be a warning is refused.
    pub strict: bool,
    /// Events in a batch, 1 to [`BATCH_EVENTS_MAX`]; fewer where the service takes
    /// no more.
    pub batch_events: usize,
    /// Batches that are kept at most until they are acknowledged. It bounds
    /// memory whatever credit the service grants.
    pub batches_in_flight: usize,
    /// The first pause before connecting again; it doubles with each.
    pub pause_min: Duration,
    /// The longest pause, unless the service asks for a longer one.
    pub pause_max: Duration,
    /// How long to go on without any progress, pauses included.
    pub give_up_after: Duration,
}

impl Options {
    /// The usual ones.
    pub fn new(endpoint: &str, source: &str, client_id: &str) -> Self {
        Self {
            endpoint: endpoint.into(),
            credentials: Credentials::default(),
            source: source.into(),
            client_id: client_id.into(),
            backfill: false,
            strict: false,
            batch_events: 500,
            batches_in_flight: 64,
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
            give_up_after: Duration::from_secs(60),
        }
    }
}

/// What became of all events so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Events sent, each counted once.
    pub sent: u64,
    /// Events that were sent again after a lost connection.
    pub sent_again: u64,
    /// Events acknowledged as accepted.
    pub accepted: u64,
    /// Events acknowledged as refused.
    pub refused: u64,
    /// Accepted events that were warned about.
    pub warned: u64,
    /// How often a stream was opened after the first.
    pub resumed: u64,
    /// The position of the last acknowledgement; empty before the first.
    pub position: String,
}

/// What became of a caller's batch, or of a part of it: a large one is told in
/// parts, in order. Each event is told once.
#[derive(Debug)]
pub struct Settled<'a, T> {
    /// The caller's tag of the batch.
    pub tag: &'a T,
    /// The index of the part's first event in the caller's batch.
    pub first: u32,
    /// How many events of the part were accepted.
    pub accepted: u32,
    /// How many were refused.
    pub refused: u32,
    /// Each refused event and each one with warnings; the index is that in the
    /// caller's batch.
    pub results: Vec<pb::EventResult>,
    /// The position that covers them.
    pub position: &'a str,
}

/// Watches a publisher at work.
pub trait Observer<T> {
    /// A batch, or a part of it, is durable.
    fn settled(&mut self, settled: Settled<'_, T>);

    /// So many events were sent, for the first time or again.
    fn sent(&mut self, events: u32) {
        let _ = events;
    }

    /// The connection was lost, or the service asks to wait.
    fn interrupted(&mut self, why: &str, pause: Duration) {
        let _ = (why, pause);
    }
}

impl<T> Observer<T> for () {
    fn settled(&mut self, _: Settled<'_, T>) {}
}

/// Not everything could be published.
#[derive(Debug, thiserror::Error)]
#[error(
    "publish events to {endpoint}: {} events are acknowledged, {unacknowledged} sent or waiting are not",
    report.accepted + report.refused
)]
pub struct Error {
    /// Where to.
    pub endpoint: String,
    /// What was acknowledged.
    pub report: Box<Report>,
    /// Events taken from the input and not acknowledged.
    pub unacknowledged: u64,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Why publishing ended.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// No such endpoint.
    #[error("use {url:?} as an endpoint: {why}")]
    Endpoint {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no connection to it, for now.
    #[error("connect to {url}: {why}")]
    Unreachable {
        /// The URL.
        url: String,
        /// What is in the way.
        why: String,
    },
    /// One end does not trust the other.
    #[error("{0}")]
    Trust(String),
    /// The service refused, for good.
    #[error("the service refused: {:?}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    /// Nothing went on for too long.
    #[error("no progress for {after:?}, last: {why}")]
    GaveUp {
        /// For how long.
        after: Duration,
        /// What went wrong last.
        why: String,
    },
    /// The service contradicts the protocol.
    #[error("the service contradicts the protocol: {0}")]
    Protocol(String),
    /// Another publisher uses the same source and client id.
    #[error("another publisher with the same source and client id took over")]
    Superseded,
}

/// Publishes events.
pub struct Publisher {
    options: Options,
    reach: Reach,
}

impl Publisher {
    /// A publisher; it connects when there is something to send.
    ///
    /// # Errors
    /// An endpoint that is no URL of a service, and credentials that cannot be used.
    pub fn new(mut options: Options) -> Result<Self, Cause> {
        let reach = Reach::new(&options.endpoint, options.credentials.clone())?;
        options.batch_events = options.batch_events.clamp(1, BATCH_EVENTS_MAX);
        options.batches_in_flight = options.batches_in_flight.max(1);
        Ok(Self { options, reach })
    }

    /// Publishes the batches of `input` in order until it ends and all is
    /// acknowledged. The tag of a batch is the caller's, for example the number
    /// of its first event.
    ///
    /// # Errors
    /// What could not be published and why; it says what was acknowledged.
    pub async fn run<T: Clone, O: Observer<T>>(
        self,
        input: mpsc::Receiver<(T, Vec<pb::Event>)>,
        observer: &mut O,
    ) -> Result<Report, Error> {
        let endpoint = self.options.endpoint.clone();
        let mut run = Run {
            input: Some(input),
            window: Window::new(self.options.batch_events as u32),
            report: Report::default(),
            streams: 0,
            progress_at: Instant::now(),
            failures: 0,
            publisher: self,
            observer,
        };
        match run.run().await {
            Ok(()) => Ok(run.report),
            Err(cause) => Err(Error {
                endpoint,
                unacknowledged: run.window.events(),
                report: Box::new(run.report),
                cause,
            }),
        }
    }
}

/// One run.
struct Run<'a, T, O> {
    publisher: Publisher,
    /// None once it has ended.
    input: Option<mpsc::Receiver<(T, Vec<pb::Event>)>>,
    window: Window<T>,
    report: Report,
    /// How many streams were opened.
    streams: u64,
    /// Since when nothing was acknowledged, or there was nothing to send.
    progress_at: Instant,
    /// Streams lost since.
    failures: u32,
    observer: &'a mut O,
}

impl<T: Clone, O: Observer<T>> Run<'_, T, O> {
    async fn run(&mut self) -> Result<(), Cause> {
        // An idle stream may end: the next one is opened when there is need.
        while self.wait_for_input().await {
            match self.stream().await {
                Ok(()) => {}
                Err(Break::Fatal(cause)) => return Err(cause),
                Err(Break::Lost { .. }) if self.window.is_empty() => {}
                Err(Break::Lost { why, after }) => self.pause(why, after).await?,
            }
        }
        Ok(())
    }

    /// Waits until there is something to send; false if there never will be.
    async fn wait_for_input(&mut self) -> bool {
        while self.window.is_empty() {
            let Some(input) = &mut self.input else {
                return false;
            };
            let batch = input.recv().await;
            self.take(batch);
        }
        true
    }

    fn take(&mut self, batch: Option<(T, Vec<pb::Event>)>) {
        let Some((tag, events)) = batch else {
            self.input = None;
            return;
        };
        if self.window.is_empty() {
            self.progress();
        }
        self.window.push(&tag, events);
    }

    fn progress(&mut self) {
        self.progress_at = Instant::now();
        self.failures = 0;
    }

    /// How long it may go on without progress.
    fn left(&self) -> Duration {
        let give_up_after = self.publisher.options.give_up_after;
        give_up_after.saturating_sub(self.progress_at.elapsed())
    }

    /// Waits before the next attempt, if there is to be one.
    async fn pause(&mut self, why: String, after: Duration) -> Result<(), Cause> {
        let options = &self.publisher.options;
        let left = options
            .give_up_after
            .saturating_sub(self.progress_at.elapsed());
        if left.is_zero() {
            return Err(Cause::GaveUp {
                after: options.give_up_after,
                why,
            });
        }
        let doubled = options.pause_min.saturating_mul(1 << self.failures.min(16));
        let pause = jittered(doubled.min(options.pause_max))
            .max(after)
            .min(left);
        self.failures += 1;
        self.observer.interrupted(&why, pause);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Publishes over one stream until it breaks or all is acknowledged.
    async fn stream(&mut self) -> Result<(), Break> {
        let Publisher { reach, options } = &self.publisher;
        let mut link = Link::open(reach, options, self.left()).await?;
        self.report.resumed = self.streams;
        self.streams += 1;
        let restarted = self.window.restart(&link.opened);
        restarted.map_err(|why| Break::Fatal(Cause::Protocol(why)))?;
        loop {
            if self.input.is_none() && self.window.is_empty() {
                link.close().await;
                return Ok(());
            }
            self.step(&mut link).await?;
        }
    }

    /// Sends, hears or takes one thing, whichever can be done first.
    async fn step(&mut self, link: &mut Link) -> Result<(), Break> {
        let options = &self.publisher.options;
        let deadline = self.progress_at + options.give_up_after;
        let has_room = self.window.len() < options.batches_in_flight;
        let can_send = self.window.can_send() && !link.requests.is_closed();
        tokio::select! {
            answer = link.answers.message() => self.heard(link::hear(answer)?),
            permit = link.requests.reserve(), if can_send => {
                // A closed queue means a broken stream, and `answers` says why. Then
                // nothing is sent, so that nothing may be taken for sent.
                if let Ok(permit) = permit && let Some(sending) = self.window.next() {
                    let sent = if sending.again {
                        &mut self.report.sent_again
                    } else {
                        &mut self.report.sent
                    };
                    *sent += u64::from(sending.events);
                    permit.send(sending.encoded);
                    self.observer.sent(sending.events);
                }
                Ok(())
            }
            batch = next(&mut self.input), if has_room && self.input.is_some() => {
                self.take(batch);
                Ok(())
            }
            () = tokio::time::sleep_until(deadline), if !self.window.is_empty() => {
                let why = "no acknowledgement came".into();
                Err(Break::Fatal(Cause::GaveUp { after: options.give_up_after, why }))
            }
        }
    }

    fn heard(&mut self, answer: Hear) -> Result<(), Break> {
        match answer {
            Hear::Ack(ack) => self.acknowledged(ack),
            Hear::ResumeElsewhere(resume) => Err(link::resumed(&resume)),
            Hear::Opened(_) => Err(Break::Fatal(Cause::Protocol("it opened twice".into()))),
        }
    }

    fn acknowledged(&mut self, mut ack: pb::StreamAck) -> Result<(), Break> {
        let position = std::mem::take(&mut ack.position);
        let done = self.window.acknowledge(ack);
        let done = done.map_err(|why| Break::Fatal(Cause::Protocol(why)))?;
        if !done.is_empty() {
            self.progress();
            self.report.position = position;
        }
        for part in done {
            self.report.accepted += u64::from(part.accepted);
            self.report.refused += u64::from(part.refused);
            let warned = part
                .results
                .iter()
                .filter(|r| r.outcome() == pb::Outcome::Accepted);
            self.report.warned += warned.count() as u64;
            self.observer.settled(Settled {
                tag: &part.tag,
                first: part.first,
                accepted: part.accepted,
                refused: part.refused,
                results: part.results,
                position: &self.report.position,
            });
        }
        Ok(())
    }
}

/// The next batch of an input that has not ended.
async fn next<B>(input: &mut Option<mpsc::Receiver<B>>) -> Option<B> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

/// Between half of a pause and all of it, so that many clients do not come back
/// at once.
fn jittered(pause: Duration) -> Duration {
    // Without randomness the whole pause is as good.
    let part = getrandom::u32().map_or(1.0, |n| f64::from(n) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + part / 2.0)
}
