//! The thread that takes the brokers' reports. It owns the client, because
//! dropping it blocks.

use super::Options;
use super::context::Context;
use crate::log::{Error, Kind};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer as _};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// How long one round of taking reports lasts. They are taken as they come; only
/// an end and a fatal error are noticed after it.
const ROUND: Duration = Duration::from_millis(50);

/// One round while the end is near.
const LAST_ROUND: Duration = Duration::from_millis(2);

/// How the producer is.
#[derive(Clone)]
pub enum State {
    /// It appends.
    Running,
    /// It was closed, or nobody is left.
    Closed,
    /// It must not be trusted any more.
    Failed(Arc<Error>),
}

/// What the library calls fatal, for example that we may not produce at all.
#[derive(Debug, thiserror::Error)]
#[error("{reason} ({code})")]
struct Fatal {
    code: RDKafkaErrorCode,
    reason: String,
}

/// The thread, with what it takes.
pub struct Poll {
    client: Arc<BaseProducer<Context>>,
    topic: Arc<str>,
    room: Arc<Semaphore>,
    /// How long what is under way may take when nobody is left.
    delivery: Duration,
}

/// The running thread: how it is, how to end it within a time, and itself.
pub type Running = (watch::Receiver<State>, Sender<Duration>, JoinHandle<()>);

impl Poll {
    /// Of this client.
    pub fn new(
        client: Arc<BaseProducer<Context>>,
        topic: Arc<str>,
        room: Arc<Semaphore>,
        options: Options,
    ) -> Self {
        Self {
            client,
            topic,
            room,
            delivery: options.delivery,
        }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn start(self) -> Result<Running, Error> {
        let (tell, state) = watch::channel(State::Running);
        let (closing, close) = mpsc::channel();
        let topic = Arc::clone(&self.topic);
        let thread = thread::Builder::new()
            .name("producer".to_owned())
            .spawn(move || self.run(&close, &tell));
        let thread = thread.map_err(|source| Error::Thread {
            purpose: "reports of events appended to",
            subject: topic,
            source: Arc::new(source),
        })?;
        Ok((state, closing, thread))
    }

    fn run(self, close: &Receiver<Duration>, tell: &watch::Sender<State>) {
        let end = self.serve(close).and_then(|within| self.drain(within));
        let end = match end {
            Ok(()) => State::Closed,
            Err(cause) => State::Failed(Arc::new(cause)),
        };
        // Before anybody is answered or refused, so that all are told why.
        if matches!(end, State::Failed(_)) {
            tell.send_replace(end.clone());
        }
        self.room.close();
        // Whoever still waits is answered here.
        drop(self);
        tell.send_replace(end);
    }

    /// Takes reports until it shall end, and says within which time.
    fn serve(&self, close: &Receiver<Duration>) -> Result<Duration, Error> {
        loop {
            self.round(ROUND)?;
            match close.try_recv() {
                Ok(within) => return Ok(within),
                Err(TryRecvError::Disconnected) => return Ok(self.delivery),
                Err(TryRecvError::Empty) => {}
            }
        }
    }

    /// Not the library's `flush`, which goes in steps of 100 ms.
    fn drain(&self, within: Duration) -> Result<(), Error> {
        let began = Instant::now();
        while self.client.in_flight_count() > 0 && began.elapsed() < within {
            self.round(LAST_ROUND)?;
        }
        Ok(())
    }

    fn round(&self, lasting: Duration) -> Result<(), Error> {
        self.client.poll(lasting);
        let Some((code, reason)) = self.client.client().fatal_error() else {
            return Ok(());
        };
        let source = Fatal { code, reason };
        tracing::error!(cause = %source, "append to {}: the producer has failed", self.topic);
        Err(Error::Broker {
            operation: "append to",
            subject: Arc::clone(&self.topic),
            kind: Kind::Fatal,
            source: Arc::new(source),
        })
    }
}
