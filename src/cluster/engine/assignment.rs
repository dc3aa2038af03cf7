//! Which partitions this instance is to count, as the group decides, and how far that is
//! done: decisions alone, which somebody else carries out.

use crate::log::Offset;
use std::collections::BTreeSet;

/// Partitions, and where each is read from.
pub type From = Vec<(u32, Offset)>;

/// What to do with partitions that are restored.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The client is to begin reading these; none, and no answer to the group, if this is
    /// none. Also what gives nothing is answered, or the group waits.
    pub begin: Option<From>,
    /// The client reads these already, and is to go back.
    pub again: From,
}

/// What is assigned.
#[derive(Debug, Default)]
pub struct Assignment {
    /// To be restored.
    given: BTreeSet<u32>,
    /// Whether the group waits for an answer to what it gave.
    owes: bool,
    /// Read by the client.
    reading: BTreeSet<u32>,
}

impl Assignment {
    /// The group gives partitions, or none.
    pub fn give(&mut self, partitions: &[u32]) {
        self.given.extend(partitions);
        self.owes = true;
    }

    /// The group takes partitions, whether they are restored or not.
    pub fn take(&mut self, partitions: &[u32]) {
        for partition in partitions {
            self.given.remove(partition);
            self.reading.remove(partition);
        }
    }

    /// What was counted of these is dropped: they are to be restored again.
    pub fn drop_state(&mut self, partitions: Vec<u32>) {
        self.given.extend(partitions);
    }

    /// The client is gone, and the group gives all anew.
    pub fn lose_all(&mut self) {
        *self = Self::default();
    }

    /// Whether something is to be restored, or to be answered.
    pub fn is_unsettled(&self) -> bool {
        self.owes || !self.given.is_empty()
    }

    /// Partitions to restore. All of them stay so until all are restored and read: after
    /// an error none is missed.
    pub fn to_restore(&self) -> Vec<u32> {
        self.given.iter().copied().collect()
    }

    /// What to do now that these are restored.
    pub fn steps(&self, restored: From) -> Steps {
        let is_read = |(partition, _): &(u32, Offset)| self.reading.contains(partition);
        let (again, begin): (From, From) = restored.into_iter().partition(is_read);
        let begin = (self.owes || !begin.is_empty()).then_some(begin);
        Steps { begin, again }
    }

    /// The client reads these now, and the group is answered.
    pub fn begun(&mut self, from: &From) {
        self.owes = false;
        self.reading
            .extend(from.iter().map(|(partition, _)| partition));
    }

    /// All that was given is restored and read.
    pub fn is_settled(&mut self) {
        self.given.clear();
    }

    /// The partitions that are read.
    pub fn reading(&self) -> &BTreeSet<u32> {
        &self.reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(assignment: &mut Assignment, position: Offset) -> Steps {
        let restored = assignment.to_restore().into_iter();
        let steps = assignment.steps(restored.map(|partition| (partition, position)).collect());
        if let Some(begin) = &steps.begin {
            assignment.begun(begin);
        }
        assignment.is_settled();
        steps
    }

    #[test]
    fn what_is_given_is_begun_once_and_what_gives_nothing_is_answered() {
        let mut assignment = Assignment::default();
        assert!(!assignment.is_unsettled());
        assignment.give(&[2, 5]);
        let steps = settle(&mut assignment, 7);
        assert_eq!(steps.begin, Some(vec![(2, 7), (5, 7)]));
        assert_eq!((steps.again, assignment.reading().len()), (vec![], 2));
        assert!(!assignment.is_unsettled());
        assignment.give(&[]);
        assert!(assignment.is_unsettled());
        assert_eq!(settle(&mut assignment, 0).begin, Some(vec![]));
    }

    #[test]
    fn what_was_dropped_is_read_again_from_where_it_is_restored() {
        let mut assignment = Assignment::default();
        assignment.give(&[1, 2]);
        settle(&mut assignment, 3);
        assignment.drop_state(vec![2]);
        let steps = settle(&mut assignment, 9);
        assert_eq!(
            steps,
            Steps {
                begin: None,
                again: vec![(2, 9)]
            }
        );
        // Given and dropped at once: each in its own way.
        assignment.drop_state(vec![1]);
        assignment.give(&[4]);
        let steps = settle(&mut assignment, 5);
        assert_eq!(
            (steps.begin, steps.again),
            (Some(vec![(4, 5)]), vec![(1, 5)])
        );
    }

    #[test]
    fn what_is_taken_is_nobodys_even_if_it_was_never_restored() {
        let mut assignment = Assignment::default();
        assignment.give(&[1, 2, 3]);
        assignment.take(&[2]);
        assert_eq!(assignment.to_restore(), [1, 3]);
        settle(&mut assignment, 0);
        assignment.drop_state(vec![1, 3]);
        assignment.take(&[3]);
        assert_eq!(settle(&mut assignment, 1).again, [(1, 1)]);
        assert_eq!(assignment.reading().len(), 1);
        // Given again after that, it is begun, not gone back in.
        assignment.give(&[3]);
        assert_eq!(settle(&mut assignment, 2).begin, Some(vec![(3, 2)]));
        assignment.lose_all();
        assert!(!assignment.is_unsettled() && assignment.reading().is_empty());
    }

    #[test]
    fn after_an_error_within_restoring_all_that_was_given_is_still_to_be_restored() {
        let mut assignment = Assignment::default();
        assignment.give(&[1, 2]);
        // Begun, and then the client failed to go on.
        assignment.begun(&vec![(1, 0), (2, 0)]);
        assert_eq!(assignment.to_restore(), [1, 2]);
        assert_eq!(settle(&mut assignment, 4).again, [(1, 4), (2, 4)]);
    }
}
