//! What a connection and its calls know of each other: since when its client has
//! let an answer wait, and which answers lie sent but unwritten. A client that
//! does not take its answers loses the connection: a single stream that waits
//! for its client cannot be ended from here.

use crate::budget::Held;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One connection.
#[derive(Clone, Default)]
pub struct Line(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    /// Since when messages wait to be taken, the longest first.
    waiting: BTreeMap<u64, Instant>,
    /// Bytes of answers given to the connection, and how many of these are
    /// written: all that is written counts, so this runs ahead a little.
    given: u64,
    written: u64,
    /// What is held for an answer since when, until so many bytes are written.
    owed: VecDeque<(u64, Instant, Held)>,
}

/// A message that waits for its client, until this is dropped.
pub struct Waiting {
    line: Line,
    ticket: u64,
}

impl Line {
    /// A message waits for its client from now on.
    pub fn wait(&self) -> Waiting {
        let mut state = self.0.lock();
        state.next += 1;
        let ticket = state.next;
        state.waiting.insert(ticket, Instant::now());
        Waiting {
            line: self.clone(),
            ticket,
        }
    }

    /// Bytes were given to the connection.
    pub fn gave(&self, bytes: usize) {
        self.0.lock().given += bytes as u64;
    }

    /// Keeps this until all that was given so far is written.
    pub fn keep(&self, held: Held) {
        let mut state = self.0.lock();
        if held.bytes() > 0 && state.written < state.given {
            let until = state.given;
            state.owed.push_back((until, Instant::now(), held));
        }
    }

    /// Bytes were written to the socket, or never will be.
    pub fn wrote(&self, bytes: usize) {
        let mut state = self.0.lock();
        state.written = state.given.min(state.written + bytes as u64);
        let written = state.written;
        while state
            .owed
            .front()
            .is_some_and(|(until, ..)| *until <= written)
        {
            state.owed.pop_front();
        }
    }

    /// Keeps nothing any more that it has kept for so long: what was given for it
    /// is gone with a stream that its client reset. A connection on which nothing
    /// can be written does not live for so long.
    pub fn settle(&self, longest: Duration) {
        let mut state = self.0.lock();
        let old = |(_, since, _): &(u64, Instant, Held)| since.elapsed() >= longest;
        while state.owed.front().is_some_and(old) {
            state.owed.pop_front();
        }
    }

    /// How long a message has waited for its client, the longest; none if none
    /// waits.
    pub fn waited(&self) -> Option<Duration> {
        let state = self.0.lock();
        let (_, since) = state.waiting.first_key_value()?;
        Some(since.elapsed())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.0.lock().waiting.remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    #[test]
    fn a_line_has_waited_as_long_as_its_longest_waiting_message() {
        let line = Line::default();
        assert_eq!(line.waited(), None);
        let first = line.wait();
        let between = Instant::now();
        while between.elapsed().is_zero() {}
        let second = line.wait();
        assert!(line.waited().unwrap() > between.elapsed());
        drop(first);
        assert!(line.waited().unwrap() <= between.elapsed());
        drop(second);
        assert_eq!(line.waited(), None);
    }

    #[test]
    fn an_answer_is_held_until_its_bytes_are_written() {
        let (line, budget) = (Line::default(), Budget::new(1000));
        line.keep(budget.hold(10).unwrap());
        assert_eq!(budget.held(), 0, "nothing of it waits");
        line.gave(100);
        line.keep(budget.hold(10).unwrap());
        line.gave(50);
        line.keep(budget.hold(5).unwrap());
        line.wrote(99);
        assert_eq!(budget.held(), 15);
        line.wrote(1);
        assert_eq!(budget.held(), 5);
        line.wrote(1000);
        assert_eq!(budget.held(), 0);
        // What was written beside answers pays for none to come.
        line.gave(10);
        line.keep(budget.hold(7).unwrap());
        line.settle(Duration::from_secs(60));
        assert_eq!(budget.held(), 7);
        line.settle(Duration::ZERO);
        assert_eq!(budget.held(), 0);
        line.keep(budget.hold(7).unwrap());
        drop(line);
        assert_eq!(budget.held(), 0);
    }
}
