//! For how long a load in which nothing comes is gone on with.

use std::time::{Duration, Instant};

/// After so long without anything it is asked anew. A transaction of another instance may
/// hold it up for 10 s, and until the broker sees that they are over.
const QUIET: Duration = Duration::from_secs(30);

/// How often it is asked anew before it is given up.
const ANEW_MAX: u32 = 2;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Nothing: something may come yet.
    GoOn,
    /// To ask anew.
    Anew,
    /// To ask no more.
    GiveUp,
}

/// Since when nothing has come.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// When something came last, or was asked anew.
    since: Instant,
    /// How often it was asked anew since something came.
    anew: u32,
}

impl Patience {
    /// It is asked for the first time.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            anew: 0,
        }
    }

    /// Something came.
    pub fn came(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// What is to be done now.
    pub fn course(&mut self, now: Instant) -> Course {
        if now.saturating_duration_since(self.since) < QUIET {
            return Course::GoOn;
        }
        if self.anew == ANEW_MAX {
            return Course::GiveUp;
        }
        (self.since, self.anew) = (now, self.anew + 1);
        Course::Anew
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The courses at these seconds, before some of which something comes.
    fn courses(seconds: &[(u64, bool)]) -> Vec<Course> {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        let course = |&(second, comes): &(u64, bool)| {
            let now = start + Duration::from_secs(second);
            if comes {
                patience.came(now);
            }
            patience.course(now)
        };
        seconds.iter().map(course).collect()
    }

    #[test]
    fn who_hears_nothing_asks_anew_twice_and_gives_up() {
        use Course::{Anew, GiveUp, GoOn};
        let quiet = [0, 29, 30, 59, 60, 89, 90, 91].map(|second| (second, false));
        let expected = [GoOn, GoOn, Anew, GoOn, Anew, GoOn, GiveUp, GiveUp];
        assert_eq!(courses(&quiet), expected);
    }

    #[test]
    fn whatever_comes_begins_it_again() {
        use Course::{Anew, GiveUp, GoOn};
        let always: Vec<_> = (1..10).map(|n| (n * 29, true)).collect();
        assert_eq!(courses(&always), [GoOn; 9]);
        let late = [
            (30, false),
            (60, false),
            (89, true),
            (119, false),
            (149, false),
            (179, false),
        ];
        assert_eq!(courses(&late), [Anew, Anew, GoOn, Anew, Anew, GiveUp]);
    }

    #[test]
    fn who_was_frozen_for_long_asks_anew_before_he_gives_up() {
        let frozen = [(1_000, false), (1_029, false)];
        assert_eq!(courses(&frozen), [Course::Anew, Course::GoOn]);
    }
}
