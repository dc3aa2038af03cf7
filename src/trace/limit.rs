//! So many times a second, and no more.

use parking_lot::Mutex;
use std::time::Instant;

/// Allows something so often: what is not used within a second is lost.
pub(super) struct Limit {
    per_second: f64,
    /// How often it may be now, and as of when.
    left: Mutex<(f64, Instant)>,
}

impl Limit {
    pub(super) fn new(per_second: u64) -> Self {
        let per_second = per_second as f64;
        Self {
            per_second,
            left: Mutex::new((per_second, Instant::now())),
        }
    }

    /// Whether once more is allowed now, which then was this once.
    pub(super) fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    fn allows_at(&self, now: Instant) -> bool {
        let mut left = self.left.lock();
        let more = now.saturating_duration_since(left.1).as_secs_f64() * self.per_second;
        let count = (left.0 + more).min(self.per_second);
        let allowed = count >= 1.0;
        *left = (if allowed { count - 1.0 } else { count }, now.max(left.1));
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_more_than_so_many_are_allowed_in_a_second_however_many_ask() {
        let (limit, start) = (Limit::new(10), Instant::now());
        let allowed = |from: u64, to: u64| {
            let times = (from..to).map(|ms| start + Duration::from_millis(ms));
            times.filter(|at| limit.allows_at(*at)).count()
        };
        // What was there from the beginning, and what came in the first second.
        let first = allowed(0, 1_000);
        assert!((19..=20).contains(&first), "{first}");
        let second = allowed(1_000, 2_000);
        assert!((9..=11).contains(&second), "{second}");
        // However long nobody asked, it is a second's.
        let later = allowed(60_000, 60_001) + allowed(60_001, 60_100);
        assert!((10..=11).contains(&later), "{later}");
    }
}
