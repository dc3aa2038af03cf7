//! Which cells the latest publications touched: a watch that lost its
//! connection is told what may have changed since, and nothing is kept of it.
//! Bounded by bytes and by the log's time; who comes later gets a snapshot.

use crate::event::Millis;
use crate::meter::cell::{Change, Owner, Quarter, quarter_of};
use crate::meter::names::NameId;
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of what was touched, at most.
    pub bytes: usize,
    /// How far back by append time, at most, in ms.
    pub age_ms: i64,
}

/// A port's usual day touches some 15 cells a second: a quarter-hour of that is
/// a quarter of a MiB. A bulk load fills this in seconds, and then a snapshot is
/// the better answer anyway.
const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    age_ms: 15 * 60_000,
};

/// A quarter-hour of one owner at one facility whose figures may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// When.
    pub quarter: Quarter,
    /// Where.
    pub facility: NameId,
    /// Whose.
    pub owner: Owner,
}

/// One publication.
struct Step {
    /// The position after it.
    to: u64,
    appended_at: Millis,
    touched: Box<[Touched]>,
}

impl Step {
    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.touched)
    }
}

/// What the latest publications touched.
pub struct History {
    id: u64,
    limits: Limits,
    /// From where on it knows all.
    from: u64,
    steps: VecDeque<Step>,
    bytes: usize,
}

impl History {
    /// A history that begins at this position.
    pub fn new(from: u64) -> Self {
        Self::limited(from, LIMITS)
    }

    /// One with other limits.
    pub fn limited(from: u64, limits: Limits) -> Self {
        Self {
            // Random, which is all that is wanted: a restart or another service
            // may reach the same positions by another way.
            id: RandomState::new().hash_one(from),
            limits,
            from,
            steps: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Tells it from every other history.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Notes a publication.
    pub fn note(&mut self, to: u64, appended_at: Millis, changes: &[Change]) {
        self.note_touched(to, appended_at, changes.iter().flat_map(touched).collect());
    }

    /// The same, of what is known to be touched.
    pub fn note_touched(&mut self, to: u64, appended_at: Millis, touched: Box<[Touched]>) {
        let step = Step {
            to,
            appended_at,
            touched,
        };
        self.bytes += step.bytes();
        self.steps.push_back(step);
        let oldest = appended_at.saturating_sub(self.limits.age_ms);
        while let Some(step) = self.steps.front()
            && (self.bytes > self.limits.bytes || step.appended_at < oldest)
        {
            self.bytes -= step.bytes();
            self.from = step.to;
            self.steps.pop_front();
        }
    }

    /// All that was touched after a position, some of it more than once; none if
    /// that is too long ago.
    pub fn since(&self, position: u64) -> Option<impl Iterator<Item = Touched>> {
        if position < self.from {
            return None;
        }
        let first = self.steps.partition_point(|step| step.to <= position);
        let later = self.steps.range(first..);
        Some(later.flat_map(|step| step.touched.iter().copied()))
    }
}

fn touched(change: &Change) -> impl Iterator<Item = Touched> {
    let posting = match change {
        Change::Posting(posting) => Some(posting),
        // What leaves the retention is beyond the reach of every question.
        Change::Name(_) | Change::Clock(_) => None,
    };
    posting.into_iter().flat_map(|posting| {
        posting.parties.iter().map(|&(role, enterprise)| Touched {
            quarter: quarter_of(posting.at),
            facility: posting.facility,
            owner: Owner {
                enterprise,
                role,
                classifier: posting.classifier,
            },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Classifier, Role};
    use crate::meter::cell::{Posting, QUARTER_MS};

    fn posting(quarter: i64) -> Change {
        Change::Posting(Posting {
            sign: 1,
            facility: 0,
            classifier: Classifier::Actual,
            at: quarter * QUARTER_MS,
            slot_end: None,
            call: None,
            parties: [(Role::Fleet, 1), (Role::Yard, 2)].into_iter().collect(),
            figures: Default::default(),
        })
    }

    fn quarters(history: &History, since: u64) -> Option<Vec<i32>> {
        let touched = history.since(since)?;
        Some(touched.map(|touched| touched.quarter).collect())
    }

    #[test]
    fn all_that_was_touched_after_a_position_is_told() {
        let mut history = History::new(10);
        history.note(12, 0, &[posting(1)]);
        history.note(15, 0, &[]);
        history.note(17, 0, &[posting(2), Change::Name("a".into())]);
        assert_eq!(quarters(&history, 9), None);
        assert_eq!(quarters(&history, 10), Some(vec![1, 1, 2, 2]));
        assert_eq!(quarters(&history, 12), Some(vec![2, 2]));
        assert_eq!(quarters(&history, 17), Some(vec![]));
    }

    #[test]
    fn it_is_bounded_by_bytes_and_by_the_logs_time() {
        let step = size_of::<Step>() + 2 * size_of::<Touched>();
        let limits = Limits {
            bytes: 3 * step,
            age_ms: 1000,
        };
        let mut history = History::limited(0, limits);
        for n in 1..=10 {
            history.note(n, 5000, &[posting(n as i64)]);
            assert!(history.bytes <= limits.bytes);
        }
        assert_eq!(quarters(&history, 6), None);
        assert_eq!(quarters(&history, 7), Some(vec![8, 8, 9, 9, 10, 10]));
        history.note(11, 6001, &[posting(11)]);
        assert_eq!(quarters(&history, 9), None);
        assert_eq!(quarters(&history, 10), Some(vec![11, 11]));
        // Larger than all of it.
        let large: Vec<_> = (0..9).map(posting).collect();
        history.note(12, 6001, &large);
        assert_eq!((history.bytes, quarters(&history, 11)), (0, None));
        assert_eq!(quarters(&history, 12), Some(vec![]));
    }

    #[test]
    fn no_two_histories_are_taken_for_each_other() {
        assert_ne!(History::new(0).id(), History::new(0).id());
    }
}
