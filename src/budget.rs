//! Bytes that the whole process may hold at once for one purpose, whoever makes
//! it hold them. Nobody waits for room: who finds none is refused, so that what
//! arrives is always read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who holds at most this much may use all of a budget, who holds more only three
/// quarters: however many large ones there are, small ones go on.
pub const SMALL_BYTES: u64 = 256 << 10;

/// A number of bytes, and how many of them are held.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    held: AtomicU64,
}

/// There is no room in a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room in memory")]
pub struct Full;

/// A part of a budget that is held until it is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    bytes: u64,
}

/// A part that a response carries along among its extensions: whoever sends the
/// response takes it out, and drops it when the response has been taken.
#[derive(Clone, Debug)]
pub struct Carried(Arc<Held>);

impl Budget {
    /// A budget of so many bytes, none of them held.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit as u64,
            held: AtomicU64::new(0),
        })
    }

    /// How many bytes may be held.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// How many bytes are held now.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// A part of no bytes yet.
    pub fn part(self: &Arc<Self>) -> Held {
        Held {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }

    /// A part of so many bytes.
    ///
    /// # Errors
    /// There is no room.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Result<Held, Full> {
        let mut part = self.part();
        part.resize(bytes as u64, bytes as u64)?;
        Ok(part)
    }
}

impl Held {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it as large as this, on the way to `in_all` bytes, by which it is
    /// judged whether it is small. It always shrinks, and grows if there is room.
    ///
    /// # Errors
    /// There is no room; it is as large as before.
    pub fn resize(&mut self, bytes: u64, in_all: u64) -> Result<(), Full> {
        let held = &self.budget.held;
        if let Some(less) = self.bytes.checked_sub(bytes) {
            held.fetch_sub(less, Ordering::Relaxed);
        } else {
            let more = bytes - self.bytes;
            let limit = match in_all {
                ..=SMALL_BYTES => self.budget.limit,
                _ => self.budget.limit / 4 * 3,
            };
            let grown = |held: u64| held.checked_add(more).filter(|held| *held <= limit);
            held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
                .map_err(|_| Full)?;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub fn shrink(&mut self, bytes: u64) {
        if bytes < self.bytes {
            self.budget
                .held
                .fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }

    /// Takes over what another part of the same budget holds.
    pub fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// For the extensions of a response.
    pub fn carried(self) -> Carried {
        Carried(Arc::new(self))
    }
}

impl Carried {
    /// The part, if nobody else carries it.
    pub fn take(self) -> Option<Held> {
        Arc::into_inner(self.0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn large_ones_leave_a_quarter_to_small_ones() {
        let budget = Budget::new(8 * MIB);
        let large = budget.hold(6 * MIB).unwrap();
        assert!(budget.hold(MIB).is_err());
        let small: Vec<_> = (0..8).map(|_| budget.hold(MIB / 4).unwrap()).collect();
        assert_eq!(budget.held(), 8 * MIB as u64);
        assert!(budget.hold(1).is_err());
        drop((large, small));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_part_grows_while_there_is_room_and_shrinks_always() {
        let budget = Budget::new(4 * MIB);
        let mut part = budget.part();
        part.resize(100, 100).unwrap();
        // On the way to more than what is left to large ones.
        let in_all = 4 * MIB as u64;
        part.resize(3 * MIB as u64, in_all).unwrap();
        assert_eq!(part.resize(3 * MIB as u64 + 1, in_all), Err(Full));
        assert_eq!(
            (part.bytes(), budget.held()),
            (3 * MIB as u64, part.bytes())
        );
        part.absorb(budget.hold(100).unwrap());
        assert_eq!(part.bytes(), budget.held());
        part.resize(7, 7).unwrap();
        part.shrink(9);
        assert_eq!((part.bytes(), budget.held()), (7, 7));
        let carried = part.carried();
        let other = carried.clone();
        drop(other);
        assert!(carried.take().is_some());
        assert_eq!(budget.held(), 0);
    }
}
