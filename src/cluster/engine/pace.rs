//! When a transaction is due.

use std::time::{Duration, Instant};

/// How long is waited for a record at a time, while there is nothing to commit.
const POLLED: Duration = Duration::from_millis(100);

/// The same while a commit is due and waits for something: who is called so often looks.
const LOOKED: Duration = Duration::from_millis(2);

/// How much longer a transaction may be while there is always more to read: its cells are
/// fewer than those of several short ones.
const STRETCH: u32 = 20;

/// The rhythm of commits: one begins so long after the one before it began, once all that
/// was there is read.
pub struct Pace {
    interval: Duration,
    began: Instant,
}

impl Pace {
    /// With this time between two of them.
    pub fn new(interval: Duration, now: Instant) -> Self {
        let began = now;
        Self { interval, began }
    }

    /// How long to wait for a record when none is there; `open` says whether there is
    /// something to commit.
    pub fn wait(&self, open: bool, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.began);
        match open {
            true => self.interval.saturating_sub(since).max(LOOKED),
            false => POLLED,
        }
    }

    /// Whether what is open is to be committed; `drained` says whether nothing more was
    /// there to be read.
    pub fn is_due(&self, drained: bool, now: Instant) -> bool {
        let stretch = if drained { 1 } else { STRETCH };
        now.saturating_duration_since(self.began) >= self.interval * stretch
    }

    /// One begins.
    pub fn begins(&mut self, now: Instant) {
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_due_once_all_is_read_and_its_time_has_come() {
        let started = Instant::now();
        let ms = |ms| started + Duration::from_millis(ms);
        let mut pace = Pace::new(Duration::from_millis(100), started);
        assert!(!pace.is_due(true, ms(99)) && pace.is_due(true, ms(100)));
        assert_eq!(pace.wait(true, ms(30)), Duration::from_millis(70));
        assert_eq!(pace.wait(true, ms(130)), LOOKED);
        assert_eq!(pace.wait(false, ms(130)), POLLED);
        // What came after a pause does not wait.
        assert!(pace.is_due(true, ms(5_000)));
        pace.begins(ms(5_000));
        assert!(!pace.is_due(true, ms(5_099)) && pace.is_due(true, ms(5_100)));
    }

    #[test]
    fn it_is_stretched_while_there_is_more_and_not_for_ever() {
        let started = Instant::now();
        let ms = |ms| started + Duration::from_millis(ms);
        let pace = Pace::new(Duration::from_millis(100), started);
        assert!(!pace.is_due(false, ms(1_999)) && pace.is_due(false, ms(2_000)));
    }
}
