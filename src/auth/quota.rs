//! What each caller takes of the service, held against his own limits. It outlives his
//! streams and connections; who has no limits costs nothing.

mod queue;
mod rate;

use super::caller::Caller;
use super::rights::Quota;
use crate::config::Limits;
use crate::status;
use parking_lot::Mutex;
use queue::Queue;
pub use queue::Queued;
use rate::{Denied, Rate};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tonic::Status;

/// Callers that are remembered; more only while they are all at work.
const CALLERS_MAX: usize = 10_000;

/// After this long what a caller has taken in a second matters no more.
const RESTED: Duration = Duration::from_secs(2);

/// When to come back after too many at once.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The names of the limits, as statuses tell them.
const EVENTS: &str = "events per second of this caller";
const BYTES: &str = "bytes per second of this caller";
const STREAMS: &str = "streams of this caller";
const QUERIES: &str = "queries of this caller";
const REFUSED: &str = "refused messages of this caller";

/// For each KiB of his requests a caller with a limit of events has one of bytes, unless
/// it is said otherwise: a usual event has a fifth.
const BYTES_PER_EVENT: u32 = 1 << 10;

/// What a message that can never be taken costs: as long its caller neither calls nor opens
/// a stream.
const REFUSED_COSTS: Duration = Duration::from_secs(1);

/// What all callers with limits take. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    /// Of a caller of whom nothing else is said.
    events_per_s: Option<u32>,
    /// Of a caller with a limit of events of whom nothing else is said.
    batch_events: Option<u32>,
    /// So many bytes whoever sends may send in a second.
    message_bytes: u32,
    known: Arc<Mutex<HashMap<Arc<str>, Arc<Own>>>>,
}

/// What one caller takes. Clones share it.
#[derive(Clone, Debug)]
pub struct Taken(Arc<Own>);

#[derive(Debug)]
struct Own {
    quota: Quota,
    rates: Mutex<Rates>,
    queue: Queue,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Rates {
    events: Option<Rate>,
    bytes: Option<Rate>,
    last: Instant,
    /// His last call that was too much: of which limit, and when he may call again.
    refused: Option<(&'static str, Instant)>,
    /// Until when he may neither call nor open a stream, for what was read in vain.
    wasted: Option<Instant>,
}

/// They stay when the limits change: what is open stays open.
#[derive(Debug, Default)]
struct Counts {
    streams: AtomicU32,
    queries: AtomicU32,
}

/// One of his streams or questions, until it is dropped.
#[derive(Debug)]
pub struct Place {
    counts: Arc<Counts>,
    of: fn(&Counts) -> &AtomicU32,
}

/// More than what he may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// After this long he may.
    Later {
        /// The limit's name.
        limit: &'static str,
        /// How long.
        wait: Duration,
    },
    /// It is more than what he ever may at once.
    Never {
        /// The limit's name.
        limit: &'static str,
        /// The most.
        most: u32,
    },
}

impl From<Over> for Status {
    fn from(over: Over) -> Self {
        match over {
            Over::Later { limit, wait } => status::overloaded(limit, wait),
            Over::Never { limit, most } => {
                status::too_large(limit, most as usize, "send smaller batches")
            }
        }
    }
}

impl Quotas {
    /// With so many events a second for each caller who has no number of his own, none
    /// for as many as he likes. A caller with such a limit has one of events in a batch,
    /// which is decoded, judged and written in one go while others wait; and one of bytes,
    /// but never less than what a message may have.
    pub fn new(events_per_s: Option<u32>, batch_events: u32, message_bytes: usize) -> Self {
        Self {
            events_per_s,
            batch_events: Some(batch_events),
            message_bytes: u32::try_from(message_bytes).unwrap_or(u32::MAX),
            ..Self::default()
        }
    }

    /// As it is configured.
    pub fn within(limits: &Limits) -> Self {
        let events_per_s = limits.caller_events_per_s;
        Self::new(
            (events_per_s > 0).then_some(events_per_s),
            limits.caller_batch_events,
            limits.message_bytes,
        )
    }

    /// What a caller takes; none if he has no limits.
    ///
    /// # Errors
    /// Too many callers with limits are at work.
    pub fn of(&self, caller: &Caller) -> Result<Option<Taken>, Status> {
        let quota = self.quota(caller);
        let Some(name) = caller.name().filter(|_| quota != Quota::default()) else {
            return Ok(None);
        };
        let mut known = self.known.lock();
        let own = known.get(name);
        if let Some(own) = own.filter(|own| own.quota == quota) {
            return Ok(Some(Taken(Arc::clone(own))));
        }
        let counts = own.map(|own| Arc::clone(&own.counts)).unwrap_or_default();
        if known.len() >= CALLERS_MAX {
            known.retain(|_, own| own.is_busy());
        }
        if known.len() >= CALLERS_MAX {
            return Err(status::overloaded("callers", RETRY_AFTER));
        }
        let own = Arc::new(Own::new(quota, counts));
        known.insert(Arc::clone(name), Arc::clone(&own));
        Ok(Some(Taken(own)))
    }

    /// His own limits, and what holds where he has none.
    fn quota(&self, caller: &Caller) -> Quota {
        let rights = caller.rights();
        let most = rights.publish.as_ref().and(self.events_per_s);
        let events_per_s = rights.quota.events_per_s.or(most);
        let batch_events = events_per_s.and(self.batch_events);
        let bytes = |events: u32| events.saturating_mul(BYTES_PER_EVENT);
        let bytes_per_s = events_per_s.map(|events| bytes(events).max(self.message_bytes));
        Quota {
            events_per_s,
            bytes_per_s: rights.quota.bytes_per_s.or(bytes_per_s),
            batch_events: rights.quota.batch_events.or(batch_events),
            ..rights.quota
        }
    }
}

impl Own {
    fn new(quota: Quota, counts: Arc<Counts>) -> Self {
        let rates = Rates {
            events: quota.events_per_s.map(Rate::new),
            bytes: quota.bytes_per_s.map(Rate::new),
            last: Instant::now(),
            refused: None,
            wasted: None,
        };
        Self {
            quota,
            rates: Mutex::new(rates),
            queue: Queue::default(),
            counts,
        }
    }

    /// Whether forgetting it would give him more than what he may.
    fn is_busy(self: &Arc<Self>) -> bool {
        let busy = |rates: &Rates| {
            let refused = rates.refused.map(|(_, until)| until);
            let told = refused.into_iter().chain(rates.wasted);
            rates.last.elapsed() < RESTED || told.max().is_some_and(|until| until > Instant::now())
        };
        Arc::strong_count(self) > 1
            || Arc::strong_count(&self.counts) > 1
            || busy(&self.rates.lock())
    }
}

impl Taken {
    /// Events that a batch of his may have, where the service takes so many. A batch
    /// that takes more than a second's could never be sent.
    pub fn batch_events_max(&self, most: usize) -> usize {
        let Quota {
            batch_events,
            events_per_s,
            ..
        } = self.0.quota;
        let own = batch_events.into_iter().chain(events_per_s).min();
        own.map_or(most, |own| most.min(own.max(1) as usize))
    }

    /// Events that a stream of his may have unacknowledged, where the service grants
    /// so many: a second's, or else what he sends on many streams waits for long.
    pub fn credit_events(&self, most: u64) -> u64 {
        let own = self.0.quota.events_per_s;
        own.map_or(most, |own| most.min(u64::from(own.max(1))))
    }

    /// Whether the bytes of his requests are limited, and so have to be counted.
    pub fn counts_bytes(&self) -> bool {
        self.0.quota.bytes_per_s.is_some()
    }

    /// Takes a batch of so many events and bytes.
    ///
    /// # Errors
    /// He has taken too much; then it takes nothing.
    pub fn batch(&self, events: usize, bytes: usize) -> Result<(), Over> {
        let mut rates = self.0.rates.lock();
        rates.last = Instant::now();
        let (before, bytes_before) = (kept(&rates.events), kept(&rates.bytes));
        let denied = [
            (EVENTS, take(&rates.events, events)),
            (BYTES, take(&rates.bytes, bytes)),
        ];
        let over = denied
            .into_iter()
            .filter_map(|(limit, taken)| Some(over(limit, taken.err()?)));
        let Some(over) = over.max_by_key(Over::wait) else {
            return Ok(());
        };
        restore(&rates.events, before);
        restore(&rates.bytes, bytes_before);
        Err(over)
    }

    /// The same for a call. After one that was too much he takes no other until then:
    /// [`Taken::may_call`] says so before anything of it is read. Of many at once each has
    /// its own time, for all were read.
    ///
    /// # Errors
    /// As of [`Taken::batch`].
    pub fn call(&self, events: usize, bytes: usize) -> Result<(), Over> {
        let taken = self.batch(events, bytes);
        let Err(Over::Later { limit, wait }) = taken else {
            return taken;
        };
        let own = self.takes(events as u64, bytes as u64).0;
        let now = Instant::now();
        let mut rates = self.0.rates.lock();
        let before = rates.refused.map_or(now, |(_, until)| until.max(now));
        let until = (before + own).max(now + wait);
        rates.refused = Some((limit, until));
        let wait = until - now;
        Err(Over::Later { limit, wait })
    }

    /// How long so much takes within his limits, and which of them is the reason.
    fn takes(&self, events: u64, bytes: u64) -> (Duration, &'static str) {
        let time = |count: u64, per_s: Option<u32>| {
            let time = |per_s: u32| count as f64 / f64::from(per_s.max(1));
            Duration::from_secs_f64(per_s.map_or(0.0, time))
        };
        let quota = &self.0.quota;
        let (events, bytes) = (
            time(events, quota.events_per_s),
            time(bytes, quota.bytes_per_s),
        );
        match events >= bytes {
            true => (events, EVENTS),
            false => (bytes, BYTES),
        }
    }

    /// A message of his was read in vain: it can never be taken. That costs its time too,
    /// or else he has as much read of what is refused as he likes.
    pub fn waste(&self) {
        let now = Instant::now();
        let mut rates = self.0.rates.lock();
        let before = rates.wasted.map_or(now, |until| until.max(now));
        rates.wasted = Some(before + REFUSED_COSTS);
    }

    /// Whether he may call: not while he was told to wait, or has to for what was
    /// read in vain.
    ///
    /// # Errors
    /// He has to wait still.
    pub fn may_call(&self) -> Result<(), Over> {
        let refused = self.0.rates.lock().refused;
        let refused = refused.map_or(Ok(()), |(limit, until)| not_before(limit, until));
        refused.and_then(|()| self.paid())
    }

    fn paid(&self) -> Result<(), Over> {
        let wasted = self.0.rates.lock().wasted;
        wasted.map_or(Ok(()), |until| not_before(REFUSED, until))
    }

    /// A place for a batch behind those of his that wait for their time.
    ///
    /// # Errors
    /// So many wait that it would take too long.
    pub fn queue(&self, events: usize, bytes: usize) -> Result<Queued, Over> {
        Queued::behind(self, events, bytes)
    }

    /// Whether he may open a stream: not while too much of what he sent on others waits,
    /// or he has to wait for what was read in vain.
    ///
    /// # Errors
    /// As of [`Taken::queue`].
    pub fn may_open(&self) -> Result<(), Over> {
        self.paid()?;
        self.queue(0, 0).map(drop)
    }

    /// One more stream of his.
    ///
    /// # Errors
    /// He has as many as he may.
    pub fn stream(&self) -> Result<Place, Status> {
        self.place(self.0.quota.streams, STREAMS, |counts| &counts.streams)
    }

    /// One more question of his.
    ///
    /// # Errors
    /// He asks as many as he may.
    pub fn query(&self) -> Result<Place, Status> {
        let most = self.0.quota.concurrent_queries;
        self.place(most, QUERIES, |counts| &counts.queries)
    }

    fn place(
        &self,
        most: Option<u32>,
        limit: &str,
        of: fn(&Counts) -> &AtomicU32,
    ) -> Result<Place, Status> {
        let counts = Arc::clone(&self.0.counts);
        let most = most.unwrap_or(u32::MAX);
        let more = |taken: u32| taken.checked_add(1).filter(|taken| *taken <= most);
        of(&counts)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| status::overloaded(limit, RETRY_AFTER))?;
        Ok(Place { counts, of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.of)(&self.counts).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Over {
    /// How long he has to wait.
    pub fn wait(&self) -> Duration {
        match self {
            Self::Later { wait, .. } => *wait,
            Self::Never { .. } => Duration::MAX,
        }
    }
}

fn not_before(limit: &'static str, until: Instant) -> Result<(), Over> {
    let wait = until.saturating_duration_since(Instant::now());
    match wait.is_zero() {
        true => Ok(()),
        false => Err(Over::Later { limit, wait }),
    }
}

fn over(limit: &'static str, denied: Denied) -> Over {
    match denied {
        Denied::For(wait) => Over::Later { limit, wait },
        Denied::Ever(most) => Over::Never { limit, most },
    }
}

fn take(rate: &Option<Rate>, count: usize) -> Result<(), Denied> {
    rate.as_ref().map_or(Ok(()), |rate| rate.take(count))
}

fn kept(rate: &Option<Rate>) -> rate::Kept {
    rate.as_ref().map_or_else(Default::default, Rate::kept)
}

fn restore(rate: &Option<Rate>, kept: rate::Kept) {
    if let Some(rate) = rate {
        rate.restore(kept);
    }
}

#[cfg(test)]
mod tests;
