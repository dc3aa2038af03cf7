//! Whether questions are asked: who takes the view to store it leaves it to them in
//! between.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// For so long after a question, more are expected.
const EXPECTED_MS: u64 = 1000;

/// When the last question came.
pub struct Asked {
    since: Instant,
    /// In ms after `since`, from 1 on; 0 before the first.
    at: AtomicU64,
}

impl Asked {
    /// No question yet.
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            at: AtomicU64::new(0),
        }
    }

    /// A question comes.
    pub fn note(&self) {
        self.note_at(self.now());
    }

    /// Whether more are to be expected.
    pub fn is_lately(&self) -> bool {
        self.is_lately_at(self.now())
    }

    /// Whether any ever came.
    #[cfg(test)]
    pub(super) fn is_any(&self) -> bool {
        self.at.load(Ordering::Relaxed) > 0
    }

    fn now(&self) -> u64 {
        self.since.elapsed().as_millis() as u64 + 1
    }

    fn note_at(&self, now: u64) {
        self.at.store(now, Ordering::Relaxed);
    }

    fn is_lately_at(&self, now: u64) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        // Another thread's question may be later than `now`.
        at > 0 && now.saturating_sub(at) < EXPECTED_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_expected_for_a_second_after_one() {
        let asked = Asked::new();
        let lately = |at: [u64; 4]| at.map(|now| asked.is_lately_at(now));
        assert_eq!(lately([1, 2, 999, 5000]), [false; 4]);
        asked.note_at(5000);
        assert_eq!(lately([4999, 5000, 5999, 6000]), [true, true, true, false]);
        asked.note_at(7000);
        assert_eq!(lately([6999, 7000, 7999, 8000]), [true, true, true, false]);
    }
}
