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

    /// Brings together what of them is for some owners.
    pub fn merge_of(self, owners: &[Owner]) -> Merge {
        Merge::of_owners(self.0, owners)
    }
}

/// Whose shares are asked for.
pub enum Whose<'a> {
    /// Those of these owners, who are sought: nobody else is looked at.
    Named(&'a [Owner]),
    /// Those of all of whom this holds.
    All(&'a dyn Fn(&Owner) -> bool),
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
        self.after(0).cloned().collect()
    }

    /// Those after a number.
    fn after(&self, number: u64) -> impl Iterator<Item = &Numbered> {
        let from = self.rounds.partition_point(|(of, _)| *of <= number);
        self.rounds.range(from..)
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
        self.post_of_after(owners, 0);
    }

    /// The same, if they have all of the rounds up to a number already.
    pub fn post_of_after(&mut self, owners: &[Owner], number: u64) {
        let mut named = owners.iter();
        debug_assert!(named.all(|&owner| self.is_posted_until(owner, number)));
        let rounds = self.unposted.after(number).cloned().collect();
        let merge = Merge::of_owners(rounds, owners);
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
        whose: &Whose<'_>,
        mut each: impl FnMut(Owner, Day, &Figures) -> Result<(), E>,
    ) -> Result<(), E> {
        let days = days.start.max(self.oldest_day())..days.end;
        let mut sum = Figures::default();
        for (number, round) in &self.unposted.rounds {
            let add = |(owner, shares): (Owner, &[Share])| {
                let due = self.posted_to(owner) < *number;
                let of_days = shares.chunk_by(Share::is_of_day).filter(|_| due);
                for shares in of_days {
                    let day = shares.first().map(Share::day);
                    let Some(day) = day.filter(|day| days.contains(day)) else {
                        continue;
                    };
                    sum.clear();
                    round.add_to(&mut sum, shares);
                    each(owner, day, &sum)?;
                }
                Ok(())
            };
            let looked = |_: &(Owner, &[Share])| self.looked.note();
            match whose {
                Whose::Named(owners) => round.of_owners(owners).inspect(looked).try_for_each(add),
                Whose::All(wanted) => {
                    let all = round.owners().inspect(looked);
                    all.filter(|(owner, _)| wanted(owner)).try_for_each(add)
                }
            }?;
        }
        Ok(())
    }

    /// The number of the last round that is posted to an owner's cells.
    fn posted_to(&self, owner: Owner) -> u64 {
        self.owners.get(&owner).map_or(0, |series| series.posted)
    }

    /// Whether all that counts for an owner is posted.
    pub(super) fn is_posted(&self, owner: Owner) -> bool {
        self.is_posted_until(owner, u64::MAX)
    }

    /// Whether what counts for an owner in the rounds up to a number is posted.
    fn is_posted_until(&self, owner: Owner, number: u64) -> bool {
        let mut rounds = self.unposted.after(self.posted_to(owner));
        rounds.all(|(of, round)| *of > number || round.of_owner(owner).is_empty())
    }
}
