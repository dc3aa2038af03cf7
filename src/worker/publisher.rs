//! Publishes what the meter did, on a thread of its own: while one part is published,
//! the next one is metered. To the cells it is posted once there is more of it, or
//! after a while: until then, only for who asks.

use super::Error;
use super::shelf::OfStore;
use crate::event::Millis;
use crate::failpoint;
use crate::log::Offset;
use crate::meter::Counts;
use crate::meter::cell::{Change, Cooling, Days, Round, Unread, Wanted, Warm};
use crate::metrics::Metrics;
use crate::store::Store;
use crate::trace::Span;
use crate::view::{Published, SourceSeen, View};
use compact_str::CompactString;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel,
};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Parts that wait to be published: the meter is ahead of the view by no more.
const AHEAD: usize = 2;

/// Changes that are posted at once: the more, the more of them are for the same cells.
const POST: usize = 8_192;

/// After what time fewer are posted.
const POST_AFTER: Duration = Duration::from_millis(250);

/// Changes that wait to be posted, at most, but for one part.
const UNPOSTED_MAX: usize = 4 * POST;

/// Parts of what is left to the shelf after each time.
const COOLED: usize = 16;

/// How often, and after what pause, a store that is closed for want of room is
/// opened again when a cell is needed from it.
const OPENED_AGAIN_MAX: usize = 240;
const OPEN_AGAIN: Duration = Duration::from_millis(500);

/// What is published at once: see [`Published`].
pub(super) struct Part {
    pub(super) changes: Vec<Change>,
    pub(super) position: Offset,
    pub(super) appended_at: Millis,
    pub(super) counts: Counts,
    pub(super) sources: Vec<(CompactString, SourceSeen)>,
    /// Of batches that are published with it, and end then.
    pub(super) spans: Vec<Span>,
}

/// What is done in order.
enum Step {
    Publish(Part),
    /// Leaves cells to the shelf, bit by bit: while nothing is to be posted, because what
    /// that needs was brought to memory before.
    Cool(usize),
    /// Tells that all before it is done.
    Tell(SyncSender<()>),
}

/// The thread, from outside.
pub(super) struct Publisher {
    steps: Option<SyncSender<Step>>,
    spare: Receiver<Vec<Change>>,
    thread: Option<JoinHandle<Result<(), Unread>>>,
}

/// What the thread works on.
struct Desk {
    view: Arc<View>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    todo: Receiver<Step>,
    give_back: Sender<Vec<Change>>,
    days: Days,
    /// Since when something is to be posted.
    since: Option<Instant>,
    /// A step that came while that was done, and was no part.
    next: Option<Step>,
    /// What is still to be left to the shelf.
    cooling: VecDeque<Cooling>,
}

impl Publisher {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives none.
    pub(super) fn start(
        view: Arc<View>,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let (steps, todo) = sync_channel(AHEAD);
        let (give_back, spare) = channel();
        let zone = view.scan(|state| state.cells.keeping().zone.clone());
        let desk = Desk {
            view,
            store,
            metrics,
            todo,
            give_back,
            days: Days::of(zone),
            since: None,
            next: None,
            cooling: VecDeque::new(),
        };
        let named = Builder::new().name("publisher".into());
        let thread = named.spawn(move || desk.work())?;
        Ok(Self {
            steps: Some(steps),
            spare,
            thread: Some(thread),
        })
    }

    /// Publishes a part once those before it are; waits if too many are waiting.
    ///
    /// # Errors
    /// What ended the thread.
    pub(super) fn publish(&mut self, part: Part) -> Result<(), Error> {
        self.send(Step::Publish(part))
    }

    /// Leaves cells to the shelf until at most so many records and so many slots
    /// are in memory. No checkpoint may begin before this is done.
    ///
    /// # Errors
    /// What ended the thread.
    pub(super) fn cool(&mut self, most: usize) -> Result<(), Error> {
        self.send(Step::Cool(most))
    }

    /// Waits until all that was asked for is done.
    ///
    /// # Errors
    /// What ended the thread.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        let (tell, told) = sync_channel(1);
        self.send(Step::Tell(tell))?;
        told.recv().map_err(|_| self.ended())
    }

    /// An empty list, which may have been one before: its room is kept.
    pub(super) fn list(&self) -> Vec<Change> {
        self.spare.try_recv().unwrap_or_default()
    }

    fn send(&mut self, step: Step) -> Result<(), Error> {
        match &self.steps {
            Some(steps) if steps.send(step).is_ok() => Ok(()),
            _ => Err(self.ended()),
        }
    }

    fn ended(&mut self) -> Error {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(unread))) => Error::Unread(unread),
            _ => Error::Died("publish what was counted"),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        drop(self.steps.take());
        // How it ended was told to who gave it work.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Desk {
    fn work(mut self) -> Result<(), Unread> {
        while let Some(step) = self.next()? {
            match step {
                Step::Publish(part) => self.publish(part)?,
                Step::Cool(most) => {
                    self.view.cool_slots(most);
                    self.cooling = self.view.coolable(most).into();
                }
                Step::Tell(tell) => {
                    self.post()?;
                    while self.cool_part() {}
                    // Who asked may have given up meanwhile.
                    let _ = tell.send(());
                }
            }
        }
        Ok(())
    }

    /// What is to be done next; until it comes, what is due.
    fn next(&mut self) -> Result<Option<Step>, Unread> {
        loop {
            if self.is_due() {
                self.post()?;
            }
            let step = self.next.take().map_or_else(|| self.todo.try_recv(), Ok);
            match step {
                Ok(step) => return Ok(Some(step)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) if !self.cooling.is_empty() => self.post()?,
                Err(TryRecvError::Empty) => match self.wait() {
                    Ok(step) => return Ok(Some(step)),
                    Err(RecvTimeoutError::Disconnected) => return Ok(None),
                    Err(RecvTimeoutError::Timeout) => {}
                },
            }
        }
    }

    /// Waits for a step, until something is due.
    fn wait(&self) -> Result<Step, RecvTimeoutError> {
        match self.since {
            Some(since) => {
                let within = POST_AFTER.saturating_sub(since.elapsed());
                self.todo.recv_timeout(within)
            }
            None => self.todo.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Whether it is time to post.
    fn is_due(&self) -> bool {
        let since = self
            .since
            .is_some_and(|since| since.elapsed() >= POST_AFTER);
        since || self.view.unposted() >= POST
    }

    /// Posts what is published, and publishes what comes meanwhile; then leaves some
    /// cells to the shelf.
    fn post(&mut self) -> Result<(), Unread> {
        self.since = None;
        let view = Arc::clone(&self.view);
        for mut changes in view.post(|| self.publish_next())? {
            changes.clear();
            // Nobody needs it if there is no worker any more.
            let _ = self.give_back.send(changes);
        }
        for _ in 0..COOLED {
            if !self.cool_part() {
                break;
            }
        }
        Ok(())
    }

    /// Publishes a part that came, unless too much is to be posted, or nothing may be
    /// because cells are to be left to the shelf.
    fn publish_next(&mut self) -> Result<(), Unread> {
        let full = self.view.unposted() >= UNPOSTED_MAX;
        if full || self.next.is_some() || !self.cooling.is_empty() {
            return Ok(());
        }
        match self.todo.try_recv() {
            Ok(Step::Publish(part)) => self.publish(part),
            step => {
                self.next = step.ok();
                Ok(())
            }
        }
    }

    /// False if there is nothing to be left to the shelf.
    fn cool_part(&mut self) -> bool {
        let part = self.cooling.pop_front();
        part.map(|part| self.view.cool(&part)).is_some()
    }

    fn publish(&mut self, part: Part) -> Result<(), Unread> {
        let wanted = self.view.wanted(&part.changes);
        if !wanted.is_empty() {
            self.view.warm(self.read(&wanted)?);
        }
        let rounds = Round::cut(part.changes, &mut self.days);
        if rounds.iter().any(Round::moves_clock) {
            // It would be, at once, before the clock goes on.
            self.view.post(|| Ok::<(), Unread>(()))?;
        }
        failpoint::reached("publish.before");
        self.view.publish(Published {
            rounds,
            position: part.position,
            appended_at: part.appended_at,
            counts: part.counts,
            sources: &part.sources,
        });
        drop(part.spans);
        failpoint::reached("publish.after");
        self.since.get_or_insert_with(Instant::now);
        self.metrics.applied(part.position, part.counts);
        self.metrics.fresh(part.appended_at);
        Ok(())
    }

    /// Reads cells from the store. One that is closed for want of room is opened
    /// again; meanwhile nothing is published.
    fn read(&self, wanted: &Wanted) -> Result<Warm, Unread> {
        let shelf = OfStore(Arc::clone(&self.store));
        for _ in 0..OPENED_AGAIN_MAX {
            match wanted.read(&shelf) {
                Err(_) if !self.store.is_open() => {
                    std::thread::sleep(OPEN_AGAIN);
                    // Whether it worked shows when it is read again.
                    let _ = self.store.reopen();
                }
                read => return read,
            }
        }
        wanted.read(&shelf)
    }
}
