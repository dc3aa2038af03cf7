//! Group commit: one thread owns the appender, takes all batches that wait,
//! writes them at once, syncs once, then first answers those who wait and then
//! hands the batches on, in order. It does nothing per event.
//!
//! What waits is bounded, by batches and by bytes, until it was handed on. After
//! a failed sync nothing is acknowledged any more, and nothing is tried again.

use super::appender::{Appender, Written};
use super::frame::{Draft, Frame};
use super::gauge::Gauge;
use super::{Appended, Batch, Closed, Durable, Error, Kind};
use crate::failpoint;
use compact_str::CompactString;
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

/// The limits, and who is told of each group.
pub struct Options {
    /// The most batches that wait, at least 1.
    pub queue_batches: usize,
    /// The most bytes that wait, encoded. A larger batch waits alone.
    pub queue_bytes: u32,
    /// A group that has as many bytes takes no more batches.
    pub group_bytes: u64,
    /// Is told of each group that was tried, on the committing thread: keep it
    /// short.
    pub observe: Box<dyn FnMut(Group) + Send>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_batches: 8192,
            queue_bytes: 128 << 20,
            group_bytes: 8 << 20,
            observe: Box::new(|_| {}),
        }
    }
}

/// A group of batches that was tried to be made durable together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its batches.
    pub batches: u64,
    /// Its events.
    pub events: u64,
    /// What was written, if it could be.
    pub written: Option<Written>,
}

/// Appends to the log, from any task. Clones share the queue; when the last one
/// is dropped, the thread finishes what waits and ends.
pub struct Handle<T>(Arc<Shared<T>>);

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<T> {
    queue: mpsc::Sender<Message<T>>,
    room: Arc<Semaphore>,
    room_bytes: u32,
    state: watch::Receiver<State>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

#[derive(Clone)]
enum State {
    Running,
    Closed,
    Failed(Arc<Error>),
}

enum Message<T> {
    Append(Frame, Waiting<T>),
    Close,
}

/// One who waits for a frame's group.
struct Waiting<T> {
    events: u64,
    bytes: u64,
    source: CompactString,
    payload: T,
    answer: oneshot::Sender<Result<Appended, Error>>,
    /// Given back when the batch has been handed on.
    room: OwnedSemaphorePermit,
}

impl<T> Handle<T> {
    /// Tells how much waits.
    pub fn gauge(&self) -> Gauge {
        Gauge::new(&self.0.room, self.0.room_bytes)
    }
}

impl<T: Send + 'static> Handle<T> {
    /// Appends a batch; returns when it is durable. It waits for room as long as
    /// it takes. The payload goes to the sink. If the caller stops waiting, the
    /// batch may be appended nevertheless.
    ///
    /// # Errors
    /// See [`Error::kind`]. After a fatal one the batch may be in the log or not.
    pub async fn append(&self, batch: Batch, payload: T) -> Result<Appended, Error> {
        self.append_within(Duration::MAX, batch, payload).await
    }

    /// The same, but waits for room at most this long.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if there was no room, and those of
    /// [`Handle::append`].
    pub async fn append_within(
        &self,
        wait: Duration,
        batch: Batch,
        payload: T,
    ) -> Result<Appended, Error> {
        let source = batch.source.clone();
        let events = batch.events.len() as u64;
        let draft = Draft::new(batch)?;
        let admitted = timeout(wait, self.admit(draft.bytes())).await;
        let (room, slot) = admitted.map_err(|_| Error::Overloaded { wait })??;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            events,
            bytes: draft.bytes() as u64,
            source,
            payload,
            answer,
            room,
        };
        slot.send(Message::Append(draft.encode(), waiting));
        match answered.await {
            Ok(answer) => answer,
            // Only a dying thread leaves anyone without an answer.
            Err(_) => Err(self.ended().await.err().unwrap_or(Error::Closed)),
        }
    }

    /// Room for so many bytes and a slot in the queue.
    async fn admit(
        &self,
        bytes: usize,
    ) -> Result<(OwnedSemaphorePermit, mpsc::Permit<'_, Message<T>>), Error> {
        let bytes = (bytes as u32).min(self.0.room_bytes);
        let room = self.0.room.clone().acquire_many_owned(bytes).await;
        // We never close the semaphore, so only the queue tells of an end.
        let room = room.map_err(|_| self.refusal())?;
        let slot = self.0.queue.reserve().await;
        Ok((room, slot.map_err(|_| self.refusal())?))
    }

    /// Why the queue takes no more.
    fn refusal(&self) -> Error {
        match (&*self.0.state.borrow(), self.0.state.has_changed()) {
            (State::Failed(cause), _) => Error::Poisoned(cause.clone()),
            (State::Running, Err(_)) => Error::Died,
            (State::Running | State::Closed, _) => Error::Closed,
        }
    }

    /// Resolves when the log has failed: time to stop, loudly. Never after an
    /// orderly close.
    pub async fn failed(&self) -> Error {
        match self.ended().await {
            Ok(()) => std::future::pending().await,
            Err(cause) => cause,
        }
    }

    /// Takes no more, finishes what waits and ends the thread.
    ///
    /// # Errors
    /// Why the log had failed, or failed now.
    pub async fn close(&self) -> Result<(), Error> {
        // It fails if the thread has ended, which is what we want.
        let _ = self.0.queue.send(Message::Close).await;
        let ended = self.ended().await;
        // At most it still refuses what waits, so this does not block for long.
        match self.0.thread.lock().take().map(thread::JoinHandle::join) {
            Some(Err(_)) => Err(Error::Died),
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

/// The committing thread.
pub struct Committer<T, C, S> {
    appender: Appender,
    queue: mpsc::Receiver<Message<T>>,
    clock: C,
    group_bytes: u64,
    observe: Box<dyn FnMut(Group) + Send>,
    sink: S,
    /// Whether the last group was refused.
    refuses: bool,
}

impl<T, C, S> Committer<T, C, S>
where
    T: Send + 'static,
    C: Fn() -> i64 + Send + 'static,
    S: FnMut(Vec<Durable<T>>) -> Result<(), Closed> + Send + 'static,
{
    /// Starts the thread. The clock says the time in ms since
    /// 1970-01-01T00:00Z. The sink takes durable batches in the log's order; it
    /// may block, which holds up all appends.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        appender: Appender,
        clock: C,
        options: Options,
        sink: S,
    ) -> Result<Handle<T>, Error> {
        let (sender, queue) = mpsc::channel(options.queue_batches.max(1));
        let (tell, state) = watch::channel(State::Running);
        let path = appender.path();
        let committer = Self {
            appender,
            queue,
            clock,
            group_bytes: options.group_bytes,
            observe: options.observe,
            sink,
            refuses: false,
        };
        let thread = thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || committer.run(&tell))
            .map_err(Error::disk("start a thread for", &path))?;
        let room_bytes = options.queue_bytes.max(1);
        Ok(Handle(Arc::new(Shared {
            queue: sender,
            room: Arc::new(Semaphore::new(room_bytes as usize)),
            room_bytes,
            state,
            thread: Mutex::new(Some(thread)),
        })))
    }

    fn run(mut self, tell: &watch::Sender<State>) {
        while let Some(first) = self.queue.blocking_recv() {
            let (mut frames, waiting) = self.gather(first);
            if frames.is_empty() {
                continue;
            }
            if let Err(error) = self.commit(&mut frames, waiting) {
                let cause = Arc::new(error);
                tell.send_replace(State::Failed(cause.clone()));
                return self.refuse_all(&cause);
            }
        }
        drop(self);
        tell.send_replace(State::Closed);
    }

    fn refuse_all(mut self, cause: &Arc<Error>) {
        self.queue.close();
        while let Some(message) = self.queue.blocking_recv() {
            if let Message::Append(_, who) = message {
                // Whoever stopped waiting needs no answer; the same below.
                let _ = who.answer.send(Err(Error::Poisoned(cause.clone())));
            }
        }
    }

    /// Whatever waits, up to a group's limit.
    fn gather(&mut self, first: Message<T>) -> (Vec<Frame>, Vec<Waiting<T>>) {
        let (mut frames, mut waiting, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Append(frame, who) => {
                    bytes += frame.bytes().len() as u64;
                    frames.push(frame);
                    waiting.push(who);
                }
                Message::Close => self.queue.close(),
            }
            next = match bytes < self.group_bytes {
                true => self.queue.try_recv().ok(),
                false => None,
            };
        }
        (frames, waiting)
    }

    /// Makes a group durable, answers, hands it on. Only what is fatal is an
    /// error here.
    fn commit(&mut self, frames: &mut [Frame], waiting: Vec<Waiting<T>>) -> Result<(), Error> {
        let written = self.appender.append(frames, (self.clock)());
        (self.observe)(Group {
            batches: waiting.len() as u64,
            events: waiting.iter().map(|who| who.events).sum(),
            written: written.as_ref().ok().copied(),
        });
        self.tell(written.as_ref().err());
        match written {
            Ok(written) => {
                // Their rooms are given back at the end of this block.
                failpoint::reached("acknowledge.before");
                let (durable, _rooms) = acknowledge(waiting, &written);
                failpoint::reached("acknowledge.after");
                (self.sink)(durable).map_err(|Closed| Error::WorkerGone)
            }
            Err(error) => {
                for who in waiting {
                    let _ = who.answer.send(Err(error.clone()));
                }
                match error.kind() {
                    Kind::Fatal => Err(error),
                    Kind::Retry | Kind::Abort => Ok(()),
                }
            }
        }
    }

    /// Says when it begins to refuse and when that is over, not each time.
    fn tell(&mut self, error: Option<&Error>) {
        let refused = error.is_some_and(|error| error.kind() != Kind::Fatal);
        match error {
            Some(error @ Error::Refused { source, .. }) if !self.refuses => {
                tracing::error!(cause = %source, "{error}: events are refused until it can be written");
            }
            None if self.refuses => tracing::info!("the log can be written again"),
            _ => {}
        }
        self.refuses = refused;
    }
}

/// Tells all who wait that their batches are durable.
fn acknowledge<T>(
    waiting: Vec<Waiting<T>>,
    written: &Written,
) -> (Vec<Durable<T>>, Vec<OwnedSemaphorePermit>) {
    let (mut first_offset, mut address) = (written.first_offset, written.address);
    let acknowledged = waiting.into_iter().map(|who| {
        let appended = Appended {
            first_offset,
            end_offset: first_offset + who.events,
            appended_at: written.appended_at,
        };
        first_offset = appended.end_offset;
        address += who.bytes;
        let _ = who.answer.send(Ok(appended));
        let durable = Durable {
            first_offset: appended.first_offset,
            end_offset: appended.end_offset,
            end_address: address,
            appended_at: appended.appended_at,
            source: who.source,
            payload: who.payload,
        };
        (durable, who.room)
    });
    acknowledged.unzip()
}
