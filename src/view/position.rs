//! Positions of the log as callers carry them.

use super::token::{Kind, Tokens};
use std::fmt;

/// Positions are everybody's: what one caller sent, another one waits for.
const PURPOSE: &[u8] = b"";

/// Partitions of which a message tells.
const TOLD_MAX: usize = 3;

/// How far into each partition something reaches. Partitions that are not named
/// do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(Vec<(u32, u64)>);

impl Position {
    /// Before all records.
    pub const START: Self = Self(Vec::new());

    /// The position after the record before `offset` of the embedded log, which
    /// is one partition, 0.
    pub fn embedded(offset: u64) -> Self {
        Self(vec![(0, offset)])
    }

    /// The position after the records before these offsets, by partition; of two of
    /// one partition, the further one.
    pub fn of(offsets: impl IntoIterator<Item = (u32, u64)>) -> Self {
        let mut offsets: Vec<_> = offsets.into_iter().collect();
        offsets.sort_unstable();
        offsets.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        Self(offsets)
    }

    /// The offset in the embedded log; none if another partition is named.
    pub fn offset(&self) -> Option<u64> {
        match self.0[..] {
            [] => Some(0),
            [(0, offset)] => Some(offset),
            _ => None,
        }
    }

    /// How far it reaches into a partition.
    pub fn in_partition(&self, partition: u32) -> u64 {
        let found = self.0.binary_search_by_key(&partition, |&(of, _)| of);
        found.map_or(0, |at| self.0[at].1)
    }

    /// The partitions that it names, and how far it reaches into each.
    pub fn partitions(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Records of all its partitions together; the most there can be, if there were more.
    pub fn sum(&self) -> u64 {
        let offsets = self.0.iter().map(|&(_, offset)| offset);
        offsets.fold(0, u64::saturating_add)
    }

    /// Whether whatever reaches here reaches there too.
    pub fn includes(&self, other: &Self) -> bool {
        let mut others = other.0.iter();
        others.all(|&(partition, offset)| self.in_partition(partition) >= offset)
    }

    /// Reaches as far as either of both.
    pub fn include(&mut self, other: &Self) {
        for &(partition, offset) in &other.0 {
            match self.0.binary_search_by_key(&partition, |&(of, _)| of) {
                Ok(at) => self.0[at].1 = self.0[at].1.max(offset),
                Err(at) => self.0.insert(at, (partition, offset)),
            }
        }
    }

    /// Reaches in the other one's partitions as far as that, also if it is less.
    pub fn become_in(&mut self, other: &Self) {
        for &(partition, offset) in &other.0 {
            match self.0.binary_search_by_key(&partition, |&(of, _)| of) {
                Ok(at) => self.0[at].1 = offset,
                Err(at) => self.0.insert(at, (partition, offset)),
            }
        }
    }

    /// Whether it names no partition but those that another one names.
    pub fn is_within(&self, other: &Self) -> bool {
        let named = |of| other.0.iter().any(|&(partition, _)| partition == of);
        self.0.iter().all(|&(partition, _)| named(partition))
    }

    /// What of it is not included in another one, for a message.
    pub fn beyond(&self, other: &Self) -> Self {
        let all = self.0.iter().copied();
        Self(
            all.filter(|&(partition, offset)| other.in_partition(partition) < offset)
                .collect(),
        )
    }

    /// How far another one reaches into its partitions.
    pub fn shared_with(&self, other: &Self) -> Self {
        let partitions = self.0.iter().map(|&(partition, _)| partition);
        Self(partitions.map(|of| (of, other.in_partition(of))).collect())
    }

    /// As an opaque token. Its length tells how many partitions are named, and no
    /// more: every number takes the same room.
    pub fn encode(&self, tokens: &Tokens) -> String {
        let wide = |&(partition, offset): &(u32, u64)| {
            (u32::to_le_bytes(partition), u64::to_le_bytes(offset))
        };
        let wide: Vec<_> = self.0.iter().map(wide).collect();
        tokens.seal(Kind::Position, PURPOSE, &wide)
    }

    /// From a token; none if it is not one that [`Position::encode`] gave.
    pub fn decode(token: &str, tokens: &Tokens) -> Option<Self> {
        let wide: Vec<([u8; 4], [u8; 8])> = tokens.open(Kind::Position, PURPOSE, token)?;
        let narrow =
            |(partition, offset)| (u32::from_le_bytes(partition), u64::from_le_bytes(offset));
        let offsets: Vec<_> = wide.into_iter().map(narrow).collect();
        let ascending = offsets.is_sorted_by(|a, b| a.0 < b.0);
        ascending.then_some(Self(offsets))
    }
}

/// An offset of the embedded log, or offsets by partition.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset() {
            return write!(f, "{offset}");
        }
        for (n, (partition, offset)) in self.0.iter().take(TOLD_MAX).enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{offset} of partition {partition}")?;
        }
        let more = self.0.len().saturating_sub(TOLD_MAX);
        if more == 0 {
            return Ok(());
        }
        write!(f, " and {more} more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_compared_partition_by_partition() {
        let of = |offsets: &[(u32, u64)]| Position::of(offsets.iter().copied());
        let both = of(&[(7, 3), (2, 9), (7, 5)]);
        assert_eq!(both, of(&[(2, 9), (7, 5)]));
        assert!(both.includes(&of(&[(7, 5)])) && both.includes(&of(&[])));
        assert!(!both.includes(&of(&[(7, 6)])) && !both.includes(&of(&[(1, 1)])));
        let mut more = both.clone();
        more.include(&of(&[(7, 6), (2, 1), (0, 4)]));
        assert_eq!(more, of(&[(0, 4), (2, 9), (7, 6)]));
        let mut less = more.clone();
        less.become_in(&of(&[(2, 3), (5, 0)]));
        assert_eq!(less, of(&[(0, 4), (2, 3), (5, 0), (7, 6)]));
        assert_eq!(more.beyond(&both), of(&[(0, 4), (7, 6)]));
        assert_eq!(more.beyond(&both).shared_with(&both), of(&[(0, 0), (7, 5)]));
        assert_eq!(both.to_string(), "9 of partition 2, 5 of partition 7");
        let many = Position::of((1..6).map(|partition| (partition, 1)));
        assert!(
            many.to_string().ends_with("partition 3 and 2 more"),
            "{many}"
        );
        assert_eq!(Position::embedded(4).to_string(), "4");
    }

    fn tokens() -> Tokens {
        Tokens::new(&[7; 32])
    }

    #[test]
    fn a_position_survives_its_token() {
        for offset in [0, 1, 127, 128, u64::MAX] {
            let position = Position::embedded(offset);
            let token = position.encode(&tokens());
            assert_eq!(Position::decode(&token, &tokens()), Some(position.clone()));
            assert_eq!(position.offset(), Some(offset));
        }
        let many = Position::of((0..64).map(|partition| (partition, u64::MAX)));
        let token = many.encode(&tokens());
        assert_eq!(Position::decode(&token, &tokens()), Some(many));
    }

    #[test]
    fn the_length_of_a_token_does_not_tell_how_far_it_reaches() {
        let length = |offset| {
            Position::of([(0, offset), (300, 7)])
                .encode(&tokens())
                .len()
        };
        assert_eq!([0, 127, 1 << 40, u64::MAX].map(length), [length(1); 4]);
    }

    #[test]
    fn anything_but_a_position_is_refused() {
        let good = Position::embedded(1_000_000).encode(&tokens());
        let flip = |at: usize| {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        };
        let decode = |token: &str| Position::decode(token, &tokens());
        for at in 0..good.len() {
            assert_eq!(decode(&flip(at)), None, "character {at} changed");
        }
        let pairs = vec![([0u8; 4], [1u8; 8]), ([0; 4], [2; 8])];
        let page = tokens().seal(Kind::Page, PURPOSE, &vec![pairs[0]]);
        let twice = tokens().seal(Kind::Position, PURPOSE, &pairs);
        let other = Position::embedded(1).encode(&Tokens::new(&[8; 32]));
        for bad in ["", "A", "hello world", &good[1..], &page, &twice, &other] {
            assert_eq!(decode(bad), None, "{bad:.20}");
        }
    }
}
