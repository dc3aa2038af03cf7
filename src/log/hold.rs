//! Who reads what retention would remove: it waits for them, but not for ever.

use super::Offset;
use super::embedded::Log;
use parking_lot::Mutex;
use std::time::Instant;

/// Keeps the log from an offset on until it is dropped, or its time is over.
pub struct Hold {
    log: Log,
    number: u64,
}

impl Hold {
    pub(super) fn new(log: Log, number: u64) -> Self {
        Self { log, number }
    }

    /// Gives up what ends at or before an offset.
    pub fn release(&self, before: Offset) {
        self.log.holds().raise(self.number, before);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.log.holds().end(self.number);
    }
}

/// All holds of a log.
#[derive(Default)]
pub(super) struct Holds(Mutex<Held>);

#[derive(Default)]
struct Held {
    given: u64,
    holds: Vec<One>,
}

struct One {
    number: u64,
    from: Offset,
    until: Instant,
}

impl Holds {
    /// A new hold; its number.
    pub fn add(&self, from: Offset, until: Instant) -> u64 {
        let mut held = self.0.lock();
        held.given += 1;
        let number = held.given;
        held.holds.push(One {
            number,
            from,
            until,
        });
        number
    }

    /// The lowest offset that is held now; the highest one if none is.
    pub fn lowest(&self, now: Instant) -> Offset {
        let held = self.0.lock();
        let holds = held.holds.iter().filter(|one| now < one.until);
        holds.map(|one| one.from).min().unwrap_or(Offset::MAX)
    }

    fn raise(&self, number: u64, from: Offset) {
        let mut held = self.0.lock();
        let found = held.holds.iter_mut().find(|one| one.number == number);
        if let Some(one) = found {
            one.from = one.from.max(from);
        }
    }

    fn end(&self, number: u64) {
        self.0.lock().holds.retain(|one| one.number != number);
    }
}
