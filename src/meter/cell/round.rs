//! Rounds of changes, which are published as a whole, and what of them counts for
//! whom: prepared before anybody waits for it.

use super::days::Days;
use super::{Change, Day, Owner, Posting, Quarter, quarter_of};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use std::sync::Arc;

/// Shares of a part of a merge, but for an owner who has more: it bounds how long
/// posting them keeps queries waiting.
const PART: usize = 256;

/// A posting for one of its parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The owner: enterprise, role and classifier.
    owner: u64,
    /// Facility and quarter-hour.
    place: u64,
    day: Day,
    /// Which change of its round.
    change: u32,
    /// Which round of its merge.
    round: u32,
}

/// Changes that are made at once.
#[derive(Debug)]
pub struct Round {
    /// Before all else, the log clock reaches this UTC day.
    pub(super) clock: Option<Day>,
    pub(super) changes: Vec<Change>,
    /// By owner, facility and quarter-hour.
    shares: Vec<Share>,
}

/// A round, and its number among all.
pub(super) type Numbered = (u64, Arc<Round>);

/// What some rounds post, brought together.
pub struct Merge {
    rounds: Vec<Numbered>,
    /// By owner, facility, quarter-hour and round.
    shares: Vec<Share>,
}

impl Share {
    pub(super) fn owner(&self) -> Option<Owner> {
        Owner::numbered(self.owner)
    }

    pub(super) fn facility(&self) -> NameId {
        (self.place >> 32) as NameId
    }

    pub(super) fn quarter(&self) -> Quarter {
        self.place as u32 as Quarter
    }

    pub(super) fn day(&self) -> Day {
        self.day
    }

    pub(super) fn is_of_quarter(&self, other: &Self) -> bool {
        self.place == other.place
    }

    pub(super) fn is_of_day(&self, other: &Self) -> bool {
        self.facility() == other.facility() && self.day == other.day
    }

    pub(super) fn is_of_owner(&self, other: &Self) -> bool {
        self.owner == other.owner
    }
}

impl Round {
    /// Cuts changes into rounds, because the clock goes on only before one.
    pub fn cut(mut changes: Vec<Change>, days: &mut Days) -> Vec<Self> {
        let all = changes.iter().enumerate().skip(1);
        let clocks = all.filter(|(_, change)| matches!(change, Change::Clock(_)));
        let starts: Vec<usize> = clocks.map(|(at, _)| at).collect();
        let mut rounds = Vec::with_capacity(starts.len() + 1);
        for at in starts.into_iter().rev() {
            rounds.push(Self::new(changes.split_off(at), days));
        }
        rounds.push(Self::new(changes, days));
        rounds.reverse();
        rounds
    }

    /// The clock may go on only with the first change.
    fn new(changes: Vec<Change>, days: &mut Days) -> Self {
        let clock = changes.first().and_then(|first| match first {
            Change::Clock(day) => Some(*day),
            _ => None,
        });
        let mut shares = Vec::new();
        for (number, change) in (0..).zip(&changes) {
            let Change::Posting(posting) = change else {
                continue;
            };
            let quarter = quarter_of(posting.at);
            let place = u64::from(posting.facility) << 32 | u64::from(quarter as u32);
            let day = days.day_of(quarter);
            shares.extend(posting.owners().map(|owner| Share {
                owner: owner.number(),
                place,
                day,
                change: number,
                round: 0,
            }));
        }
        shares.sort_unstable_by_key(|share| (share.owner, share.place));
        Self {
            clock,
            changes,
            shares,
        }
    }

    /// The changes, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The changes, whose list may be used again.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// Whether the clock goes on before it.
    pub fn moves_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Whether it posts anything to owners' cells.
    pub(super) fn posts(&self) -> bool {
        !self.shares.is_empty()
    }

    pub(super) fn postings(&self) -> impl Iterator<Item = &Posting> {
        self.changes.iter().filter_map(posting)
    }

    /// Each owner, and what of it counts for him.
    pub(super) fn owners(&self) -> impl Iterator<Item = (Owner, &[Share])> {
        let owners = self.shares.chunk_by(Share::is_of_owner);
        owners.filter_map(|shares| Some((shares.first()?.owner()?, shares)))
    }

    /// Adds up some of its shares.
    pub(super) fn add_to(&self, figures: &mut Figures, shares: &[Share]) {
        let changes = shares
            .iter()
            .map(|share| &self.changes[share.change as usize]);
        for posting in changes.filter_map(posting) {
            posting.add_to(figures, posting.sign);
        }
    }

    /// What of it counts for an owner.
    pub(super) fn of_owner(&self, owner: Owner) -> &[Share] {
        within(&self.shares, (owner.number(), owner.number()))
    }

    /// Those of some owners for whom anything of it counts, each with that. They are
    /// sought one by one, those of an enterprise that stand together within what is its.
    pub(super) fn of_owners<'a>(
        &'a self,
        owners: &'a [Owner],
    ) -> impl Iterator<Item = (Owner, &'a [Share])> {
        let enterprises = owners.chunk_by(|a, b| a.enterprise == b.enterprise);
        let found = enterprises.filter_map(|owners| {
            let numbers = Owner::numbers_of(owners.first()?.enterprise);
            let shares = within(&self.shares, numbers);
            (!shares.is_empty()).then_some((owners, shares))
        });
        found.flat_map(|(owners, shares)| {
            let of =
                move |owner: &Owner| (*owner, within(shares, (owner.number(), owner.number())));
            owners
                .iter()
                .map(of)
                .filter(|(_, shares)| !shares.is_empty())
        })
    }
}

impl Merge {
    /// All that these rounds post.
    pub(super) fn of(rounds: Vec<Numbered>) -> Self {
        let shares = gathered(&rounds, |round| round.shares.iter());
        Self { rounds, shares }
    }

    /// What they post for some owners.
    pub(super) fn of_owners(rounds: Vec<Numbered>, owners: &[Owner]) -> Self {
        let shares = gathered(&rounds, |round| {
            round.of_owners(owners).flat_map(|(_, shares)| shares)
        });
        Self { rounds, shares }
    }

    /// The number of the last round; none if there is none.
    pub fn last(&self) -> Option<u64> {
        self.rounds.last().map(|(number, _)| *number)
    }

    /// All shares, some owners at a time.
    pub fn parts(&self) -> impl Iterator<Item = &[Share]> {
        let mut rest = &self.shares[..];
        std::iter::from_fn(move || {
            let mut end = PART.min(rest.len());
            while let Some(next) = rest.get(end)
                && next.is_of_owner(&rest[end - 1])
            {
                end += 1;
            }
            let (part, left) = rest.split_at(end);
            rest = left;
            (!part.is_empty()).then_some(part)
        })
    }

    /// The number of a share's round.
    pub(super) fn number(&self, share: &Share) -> u64 {
        self.rounds[share.round as usize].0
    }

    pub(super) fn posting(&self, share: &Share) -> Option<&Posting> {
        let (_, round) = &self.rounds[share.round as usize];
        posting(&round.changes[share.change as usize])
    }
}

/// Shares of some rounds, sorted: that keeps the order of what is equal, and is quick
/// because what comes from a round is.
fn gathered<'a, I: Iterator<Item = &'a Share>>(
    rounds: &'a [Numbered],
    of: impl Fn(&'a Round) -> I,
) -> Vec<Share> {
    let mut shares = Vec::new();
    for (number, (_, round)) in (0..).zip(rounds) {
        shares.extend(of(round).map(|share| Share {
            round: number,
            ..*share
        }));
    }
    shares.sort_by_key(|share| (share.owner, share.place));
    shares
}

/// Those of some shares, which are in order, whose owners have numbers from one to another.
fn within(shares: &[Share], (first, last): (u64, u64)) -> &[Share] {
    let from = &shares[shares.partition_point(|share| share.owner < first)..];
    &from[..from.partition_point(|share| share.owner <= last)]
}

fn posting(change: &Change) -> Option<&Posting> {
    match change {
        Change::Posting(posting) => Some(posting),
        Change::Name(_) | Change::Clock(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Classifier, Role};
    use crate::meter::cell::QUARTER_MS;
    use crate::meter::figure::{Figure, Meaning};
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn days() -> Days {
        Days::of(TimeZone::UTC)
    }

    fn passage(enterprise: NameId, facility: NameId, quarter: i64) -> Change {
        let fleet = (Role::Fleet, enterprise);
        Change::Posting(Posting {
            sign: 1,
            facility,
            classifier: Classifier::Actual,
            at: quarter * QUARTER_MS,
            slot_end: None,
            call: None,
            parties: [fleet, (Role::Yard, 1)].into_iter().collect(),
            figures: [(Figure::of(Meaning::TrucksIn), 1)].into_iter().collect(),
        })
    }

    #[test]
    fn an_owner_is_what_its_number_says() {
        for role in (0..).map_while(|number| Role::try_from(number).ok()) {
            for classifier in (0..).map_while(|number| Classifier::try_from(number).ok()) {
                for enterprise in [0, 1, NameId::MAX] {
                    let owner = Owner {
                        enterprise,
                        role,
                        classifier,
                    };
                    assert_eq!(Owner::numbered(owner.number()), Some(owner));
                }
            }
        }
        assert_eq!(Owner::numbered(0xffff << 16), None);
    }

    #[test]
    fn the_clock_goes_on_only_before_a_round() {
        let one = || passage(7, 1, 1);
        let cut = |changes| {
            let rounds = Round::cut(changes, &mut days());
            let told = rounds.iter().map(|of| (of.clock, of.postings().count()));
            told.collect::<Vec<_>>()
        };
        assert_eq!(cut(vec![one(), one()]), [(None, 2)]);
        let clock = Change::Clock;
        assert_eq!(cut(vec![clock(5), one()]), [(Some(5), 1)]);
        let changes = vec![one(), clock(5), one(), one(), clock(6), clock(7), one()];
        let rounds = [(None, 1), (Some(5), 2), (Some(6), 0), (Some(7), 1)];
        assert_eq!(cut(changes), rounds);
    }

    proptest! {
        #[test]
        fn a_merge_has_all_shares_in_order_and_no_part_has_half_an_owner(
            rounds in prop::collection::vec(
                prop::collection::vec((0..9u32, 0..3u32, 0..5i64), 0..200), 0..6,
            ),
        ) {
            let (mut numbered, mut owners) = (Vec::new(), Vec::new());
            for (number, passages) in (10..).zip(&rounds) {
                let changes = passages.iter();
                let changes = changes.map(|&(whose, place, at)| passage(whose, place, at));
                let cut = Round::cut(changes.collect(), &mut days());
                numbered.extend(cut.into_iter().map(|round| (number, Arc::new(round))));
                owners.extend(passages.iter().map(|(whose, ..)| *whose));
            }
            let all = Merge::of(numbered.clone());
            let shares: Vec<Share> = all.parts().flatten().copied().collect();
            prop_assert_eq!(shares.len(), 2 * owners.len());
            prop_assert!(shares.is_sorted_by_key(|share| (share.owner, share.place, share.round)));
            let ends = all.parts().map(|part| (part[0].owner, part[part.len() - 1].owner));
            let ends: Vec<_> = ends.collect();
            prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0));
            let owner = |enterprise, role| Owner {
                enterprise,
                role,
                classifier: Classifier::Actual,
            };
            // The first is a fleet too, of which nobody asks.
            let (yard, fleet) = (owner(1, Role::Yard), owner(3, Role::Fleet));
            let named = [yard, owner(3, Role::Yard), fleet, owner(NameId::MAX, Role::Fleet)];
            for (_, round) in &numbered {
                let sought: Vec<_> = round.of_owners(&named).collect();
                let all = round.owners().filter(|(owner, _)| named.contains(owner));
                prop_assert_eq!(sought, all.collect::<Vec<_>>());
            }
            let some = Merge::of_owners(numbered, &named);
            let found: usize = some.parts().map(<[Share]>::len).sum();
            let of_fleet = owners.iter().filter(|&&whose| whose == 3).count();
            prop_assert_eq!(found, owners.len() + of_fleet);
        }
    }
}
