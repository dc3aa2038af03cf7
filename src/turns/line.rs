//! Whose turn it is, decided purely: start-time fair queueing by bytes between sources,
//! and for each a share of the room that shrinks as room runs out.

use compact_str::CompactString;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// A source holds no more than so many times what is left: one alone leaves a quarter
/// of the room to whoever comes, two leave a seventh, and so on.
pub const SHARE: u64 = 3;

/// What a batch takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Of room ahead of what is durable.
    pub bytes: u64,
    /// Of room ahead of what is counted.
    pub events: u64,
}

/// How much room there is. The last batch that is let in may exceed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that are let in and not yet durable.
    pub ahead_bytes: u64,
    /// Events that are let in and not yet taken to be counted.
    pub uncounted_events: u64,
    /// Bytes that wait for their turn or to be durable; with more the wait for a turn
    /// is limited.
    pub waiting_bytes: u64,
}

/// The lines of all sources that hold or wait for something, or lately had more than
/// their turn.
pub(super) struct Lines<T> {
    limits: Limits,
    held: Size,
    waiting_bytes: u64,
    /// How far the turns are, in bytes: where the batch stood that was let in last.
    now: u64,
    sources: HashMap<CompactString, Line<T>>,
    /// Those in which somebody waits, by where their next batch stands.
    turns: BTreeSet<(u64, CompactString)>,
    /// Those that hold nothing, by where their next batch would stand.
    resting: BTreeSet<(u64, CompactString)>,
}

struct Line<T> {
    held: Size,
    /// Where its next batch stands: behind all bytes of those before it.
    next: u64,
    waiting: VecDeque<(Size, T)>,
}

impl<T> Lines<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            held: Size::default(),
            waiting_bytes: 0,
            now: 0,
            sources: HashMap::new(),
            turns: BTreeSet::new(),
            resting: BTreeSet::new(),
        }
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    pub(super) fn waiting_bytes_max(&self) -> u64 {
        self.limits.waiting_bytes
    }

    /// Whether more would wait than may without a limit of time.
    pub(super) fn is_full(&self, size: Size) -> bool {
        let waiting = self.waiting_bytes + self.held.bytes;
        waiting.saturating_add(size.bytes) > self.limits.waiting_bytes
    }

    /// Lets a batch in, if it is its turn and there is room for its source.
    pub(super) fn enter(&mut self, source: &str, size: Size) -> bool {
        let free = Free::of(self.limits, self.held);
        let (fits, stands) = match self.sources.get(source) {
            None => (free.is_any(), self.now),
            Some(line) => (
                line.waiting.is_empty() && free.is_for(line.held),
                line.next.max(self.now),
            ),
        };
        let first = self.turns.first().is_none_or(|(first, _)| stands <= *first);
        if fits && first {
            self.let_in(source, size, stands);
        }
        fits && first
    }

    /// Puts a batch at the end of its source's line.
    pub(super) fn wait(&mut self, source: &str, size: Size, who: T) {
        let now = self.now;
        let line = self.line(source);
        let begins = line.waiting.is_empty();
        if begins {
            line.next = line.next.max(now);
        }
        let next = line.next;
        line.waiting.push_back((size, who));
        if begins {
            self.turns.insert((next, source.into()));
        }
        self.waiting_bytes += size.bytes;
    }

    /// Takes back what a source has held.
    pub(super) fn give_back(&mut self, source: &str, size: Size) {
        self.held.less(size);
        if let Some(line) = self.sources.get_mut(source) {
            line.held.less(size);
        }
        self.settle(source);
    }

    /// Lets in whose turn it is, as long as there is room for him, and forgets those who
    /// are gone. Nobody is passed over because his share is full: it will be his turn
    /// as soon as something of it is given back, and it holds up those alone who wait
    /// behind themselves too.
    pub(super) fn admit(
        &mut self,
        gone: impl Fn(&T) -> bool,
        admitted: &mut Vec<(CompactString, Size, T)>,
    ) {
        while let Some((stands, source)) = self.turns.first().cloned() {
            let free = Free::of(self.limits, self.held);
            let Some(line) = self.sources.get_mut(&source) else {
                return;
            };
            while let Some((size, _)) = line.waiting.pop_front_if(|(_, who)| gone(who)) {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(size.bytes);
            }
            let own = line.held;
            let fits = |_: &mut (Size, T)| free.is_for(own);
            if let Some((size, who)) = line.waiting.pop_front_if(fits) {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(size.bytes);
                self.let_in(&source, size, stands);
                admitted.push((source.clone(), size, who));
            } else if !line.waiting.is_empty() {
                return;
            }
            self.turns.remove(&(stands, source.clone()));
            self.settle(&source);
        }
    }

    /// Lets a batch in that stands there.
    fn let_in(&mut self, source: &str, size: Size, stands: u64) {
        self.now = self.now.max(stands);
        self.held.add(size);
        let line = self.line(source);
        line.held.add(size);
        line.next = stands + size.bytes;
        while let Some((next, rested)) = self.resting.first().cloned()
            && next <= self.now
        {
            self.resting.remove(&(next, rested.clone()));
            self.sources.remove(&rested);
        }
    }

    /// A source's line, which rests no more.
    fn line(&mut self, source: &str) -> &mut Line<T> {
        let line = self.sources.entry(source.into()).or_insert_with(|| Line {
            held: Size::default(),
            next: 0,
            waiting: VecDeque::new(),
        });
        self.resting.remove(&(line.next, source.into()));
        line
    }

    /// Puts a source where it belongs now.
    fn settle(&mut self, source: &str) {
        let Some(line) = self.sources.get(source) else {
            return;
        };
        if !line.waiting.is_empty() {
            self.turns.insert((line.next, source.into()));
        } else if line.held == Size::default() {
            match line.next <= self.now {
                true => drop(self.sources.remove(source)),
                false => drop(self.resting.insert((line.next, source.into()))),
            }
        }
        if self.held == Size::default() && self.turns.is_empty() {
            // Nobody has had more than another who was there.
            self.sources.clear();
            self.resting.clear();
        }
    }
}

impl Size {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.events += other.events;
    }

    fn less(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.events = self.events.saturating_sub(other.events);
    }
}

/// The room that is left.
struct Free(Size);

impl Free {
    fn of(limits: Limits, held: Size) -> Self {
        Self(Size {
            bytes: limits.ahead_bytes.saturating_sub(held.bytes),
            events: limits.uncounted_events.saturating_sub(held.events),
        })
    }

    fn is_any(&self) -> bool {
        self.0.bytes > 0 && self.0.events > 0
    }

    /// Whether there is any for a source that holds so much.
    fn is_for(&self, held: Size) -> bool {
        let within = |held: u64, free: u64| held == 0 || held < free.saturating_mul(SHARE);
        self.is_any() && within(held.bytes, self.0.bytes) && within(held.events, self.0.events)
    }
}

#[cfg(test)]
mod tests;
