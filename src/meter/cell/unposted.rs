//! Rounds that were taken in and are not in all owners' cells yet. Adding them up
//! over a while touches each cell once, and nobody sees that it waits: who asks for
//! an owner has his posted first.

use super::round::Numbered;
use super::{Cells, Change, Day, Merge, Owner, Round, Share};
use crate::meter::figure::Figures;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Those rounds, in order.
#[derive(Default)]
pub struct Unposted {
    rounds: VecDeque<Numbered>,
    /// The number of the last one ever.
    last: u64,
    changes: usize,
}

/// Rounds that are to be posted.
pub struct ToPost(Vec<Numbered>);

impl ToPost {
    /// Brings them together.
    pub fn merge(self) -> Merge {
        Merge::of(self.0)
    }
}

impl Unposted {
    /// Whether all is posted.
    pub fn is_empty(&self) -> bool {
        self.rounds.is_empty()
    }

    fn push(&mut self, round: Round) {
        self.last += 1;
        self.changes += round.changes.len();
        self.rounds.push_back((self.last, Arc::new(round)));
    }

    /// Takes away those up to a number.
    fn remove(&mut self, last: u64) -> Vec<Arc<Round>> {
        let rounds = &mut self.rounds;
        let removed = std::iter::from_fn(|| rounds.pop_front_if(|(number, _)| *number <= last));
        let removed: Vec<_> = removed.map(|(_, round)| round).collect();
        self.changes -= removed.iter().map(|of| of.changes.len()).sum::<usize>();
        removed
    }

    fn all(&self) -> Vec<Numbered> {
        self.rounds.iter().cloned().collect()
    }

    fn after(&self, number: u64) -> impl Iterator<Item = &Round> {
        let from = self.rounds.partition_point(|(of, _)| *of <= number);
        self.rounds.range(from..).map(|(_, round)| &**round)
    }
}

impl Cells {
    /// Makes the changes, in order. What they need is in memory.
    pub fn apply(&mut self, changes: &[Change]) {
        for round in Round::cut(changes.to_vec(), &mut self.days) {
            self.take(round);
        }
        self.post_all();
    }

    /// Takes a round in. Names, slots and vessel calls are as it makes them from now on;
    /// owners' cells are once it is posted for them. What it needs is in memory.
    pub fn take(&mut self, round: Round) {
        if let Some(day) = round.clock {
            self.post_all();
            self.advance(day);
        }
        for change in &round.changes {
            if let Change::Name(name) = change {
                self.names.intern(name);
            }
        }
        self.post_apart(&round);
        if round.posts() {
            self.unposted.push(round);
        }
    }

    /// Changes that are not posted for all owners yet.
    pub fn unposted(&self) -> usize {
        self.unposted.changes
    }

    /// All that is to be posted: to be merged without anybody waiting for it.
    pub fn to_post(&self) -> ToPost {
        ToPost(self.unposted.all())
    }

    /// Notes that all of a merge is posted; gives its rounds, unless that was noted.
    pub fn posted(&mut self, merge: &Merge) -> Vec<Arc<Round>> {
        merge
            .last()
            .map_or_else(Vec::new, |last| self.unposted.remove(last))
    }

    /// Posts what there is for some owners.
    pub fn post_of(&mut self, owners: &[Owner]) {
        let merge = Merge::of_owners(self.unposted.all(), owners);
        merge.parts().for_each(|part| self.post(&merge, part));
    }

    /// Posts all there is.
    pub fn post_all(&mut self) {
        if self.unposted.is_empty() {
            return;
        }
        let merge = Merge::of(self.unposted.all());
        merge.parts().for_each(|part| self.post(&merge, part));
        self.posted(&merge);
    }

    /// Visits what is to be posted to some owners' days, each maybe more than once: to be
    /// added to their totals.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn unposted_totals<E>(
        &self,
        days: Range<Day>,
        wanted: impl Fn(&Owner) -> bool,
        mut each: impl FnMut(Owner, Day, &Figures) -> Result<(), E>,
    ) -> Result<(), E> {
        let days = days.start.max(self.oldest_day())..days.end;
        let mut sum = Figures::default();
        for (number, round) in &self.unposted.rounds {
            let owners = round.owners().filter(|(owner, _)| wanted(owner));
            for (owner, shares) in owners.filter(|(owner, _)| self.posted_to(*owner) < *number) {
                for shares in shares.chunk_by(Share::is_of_day) {
                    let day = shares.first().map(Share::day);
                    let Some(day) = day.filter(|day| days.contains(day)) else {
                        continue;
                    };
                    sum.clear();
                    round.add_to(&mut sum, shares);
                    each(owner, day, &sum)?;
                }
            }
        }
        Ok(())
    }

    /// The number of the last round that is posted to an owner's cells.
    fn posted_to(&self, owner: Owner) -> u64 {
        self.owners.get(&owner).map_or(0, |series| series.posted)
    }

    /// Whether all that counts for an owner is posted.
    pub(super) fn is_posted(&self, owner: Owner) -> bool {
        let mut rounds = self.unposted.after(self.posted_to(owner));
        rounds.all(|round| round.of_owner(owner).is_empty())
    }
}
