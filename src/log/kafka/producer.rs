//! Appends batches to the events' topic. A batch is acknowledged once the brokers
//! have acknowledged each of its events: an idempotent producer with `acks=all`,
//! whose reports are counted for the batch, without a future for each event.
//!
//! What waits is bounded by bytes, from before it is given to the library until
//! the last report of its batch. After a fatal error nothing is acknowledged.

mod context;
mod draft;
mod pending;
mod poll;
mod settings;

use super::connection::Connection;
use super::record;
use crate::log::gauge::Gauge;
use crate::log::{Batch, Error};
use context::Context;
use draft::Draft;
use parking_lot::Mutex;
use pending::{Answer, Pending};
use poll::{Poll, State};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

pub use draft::RECORD_BYTES_MAX;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most bytes that wait, with what the library keeps beside them. A
    /// larger batch is refused.
    pub queue_bytes: u32,
    /// How long the brokers may take to acknowledge an event.
    pub delivery: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_bytes: 128 << 20,
            delivery: Duration::from_secs(30),
        }
    }
}

/// The offset after a batch's last event in each partition that it reached, in
/// the partitions' order.
pub type Ends = Vec<(u32, u64)>;

/// Appends to the topic, from any task. Clones share the queue; when the last one
/// is dropped, the thread finishes what waits and ends.
#[derive(Clone)]
pub struct Producer(Arc<Shared>);

struct Shared {
    topic: Arc<str>,
    /// The thread owns it: to drop it takes a while.
    client: Weak<BaseProducer<Context>>,
    room: Arc<Semaphore>,
    room_bytes: u32,
    clock: Box<dyn Fn() -> i64 + Send + Sync>,
    latest: AtomicI64,
    state: watch::Receiver<State>,
    closing: mpsc::Sender<Duration>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Producer {
    /// Starts the thread that takes the brokers' reports. The connection says where
    /// they are and who we are; whatever acknowledging depends on is set here.
    /// The clock says the time in ms since 1970-01-01T00:00Z.
    ///
    /// It does not wait for a broker, nor for the topic.
    ///
    /// # Errors
    /// If the client's settings contradict each other, or there is no thread.
    pub fn start(
        connection: &Connection,
        topic: &str,
        options: Options,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let topic: Arc<str> = topic.into();
        let context = Context::new(Arc::clone(&topic), connection.context());
        let client = settings::complete(connection.client(), options);
        let client = connection.make(&client, context);
        let failed = |error| context::fault("make a producer for", &topic, error);
        let client: Arc<BaseProducer<Context>> = Arc::new(client.map_err(failed)?);
        let room = Arc::new(Semaphore::new(options.queue_bytes as usize));
        let weak = Arc::downgrade(&client);
        let poll = Poll::new(client, Arc::clone(&topic), Arc::clone(&room), options);
        let (state, closing, thread) = poll.start()?;
        Ok(Self(Arc::new(Shared {
            topic,
            client: weak,
            room,
            room_bytes: options.queue_bytes,
            clock: Box::new(clock),
            latest: AtomicI64::new(i64::MIN),
            state,
            closing,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Tells how much waits.
    pub fn gauge(&self) -> Gauge {
        Gauge::new(&self.0.room, self.0.room_bytes)
    }

    /// Appends a batch, each event under its facility; returns once the brokers
    /// have acknowledged all of it. It waits for room at most this long. If the
    /// caller stops waiting, the batch may be appended nevertheless.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if there was no room: then nothing was appended.
    /// After any other that may be tried again some of the events may be in the
    /// log, all or none: sent again, they count once.
    pub async fn append_within<K: AsRef<str> + Sync>(
        &self,
        wait: Duration,
        facilities: &[K],
        batch: Batch,
    ) -> Result<Ends, Error> {
        let draft = Draft::new(facilities, batch, self.0.room_bytes)?;
        let room = timeout(wait, self.room(draft.bytes())).await;
        let room = room.map_err(|_| Error::Overloaded { wait })??;
        let answered = self.send(&draft, room, wait)?;
        // The library has copies; while it waits, these would count twice.
        drop(draft);
        let answer = answered.await;
        match &*self.0.state.borrow() {
            State::Failed(cause) => Err(Error::Poisoned(Arc::clone(cause))),
            // Only a dying thread leaves anyone without an answer.
            State::Running | State::Closed => answer.unwrap_or(Err(Error::Died)),
        }
    }

    async fn room(&self, bytes: u32) -> Result<OwnedSemaphorePermit, Error> {
        let room = Arc::clone(&self.0.room).acquire_many_owned(bytes).await;
        // It is closed when the thread ends or shall end.
        room.map_err(|_| self.refusal())
    }

    /// Gives all events of a batch to the library, which copies them.
    fn send<K: AsRef<str>>(
        &self,
        draft: &Draft<'_, K>,
        room: OwnedSemaphorePermit,
        wait: Duration,
    ) -> Result<oneshot::Receiver<Answer>, Error> {
        let client = self.0.client.upgrade().ok_or_else(|| self.refusal())?;
        let appended_at = self.now();
        let headers = record::owned(&record::headers(draft.batch(), appended_at));
        let (pending, answered) = Pending::new(draft.events(), room);
        for (sent, (facility, event)) in draft.records().enumerate() {
            let record = BaseRecord::with_opaque_to(&self.0.topic, Arc::clone(&pending))
                .key(facility)
                .payload(&event[..])
                .timestamp(appended_at)
                .headers(headers.clone());
            if let Err((error, _)) = client.send(record) {
                // Those before it are under way, and are waited for.
                let unsent = draft.events() - sent;
                pending.failed(unsent, || self.unsent(error, wait));
                break;
            }
        }
        Ok(answered)
    }

    fn unsent(&self, error: KafkaError, wait: Duration) -> Error {
        match error.rdkafka_error_code() {
            // It has more room than ours, so only foreign settings lead here.
            Some(RDKafkaErrorCode::QueueFull) => Error::Overloaded { wait },
            _ => context::fault("append to", &self.0.topic, error),
        }
    }

    /// The append time: it never goes back.
    fn now(&self) -> i64 {
        let now = (self.0.clock)();
        self.0.latest.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Why it takes no more.
    fn refusal(&self) -> Error {
        match (&*self.0.state.borrow(), self.0.state.has_changed()) {
            (State::Failed(cause), _) => Error::Poisoned(Arc::clone(cause)),
            (State::Running, Err(_)) => Error::Died,
            (State::Running | State::Closed, _) => Error::Closed,
        }
    }

    /// Resolves when the producer has failed: time to stop, loudly. Never after
    /// an orderly close.
    pub async fn failed(&self) -> Error {
        match self.ended().await {
            Ok(()) => std::future::pending().await,
            Err(cause) => cause,
        }
    }

    /// Takes no more, waits at most this long for what is under way and ends the
    /// thread. Whoever then still waits gets an error.
    ///
    /// # Errors
    /// Why the producer had failed, or failed now.
    pub async fn close(&self, within: Duration) -> Result<(), Error> {
        self.0.room.close();
        // It fails if the thread has ended, which is what we want.
        let _ = self.0.closing.send(within);
        let ended = self.ended().await;
        let thread = self.0.thread.lock().take();
        // A thread that failed may still be dropping its client.
        let joined = tokio::task::spawn_blocking(|| thread.map(thread::JoinHandle::join)).await;
        match joined {
            Ok(Some(Err(_))) => Err(Error::Died),
            _ => ended,
        }
    }

    async fn ended(&self) -> Result<(), Error> {
        let mut state = self.0.state.clone();
        let ended = state.wait_for(|state| !matches!(state, State::Running));
        match ended.await.map(|state| state.clone()) {
            Ok(State::Failed(cause)) => Err((*cause).clone()),
            Ok(State::Running | State::Closed) => Ok(()),
            Err(_) => Err(Error::Died),
        }
    }
}

#[cfg(test)]
mod tests;
