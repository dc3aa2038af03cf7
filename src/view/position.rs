//! Positions of the log as callers carry them.

use super::token::{self, Kind};
use serde::{Deserialize, Serialize};

/// How far into each partition something reaches. Partitions that are not named
/// do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(Vec<(u32, u64)>);

impl Position {
    /// The position after the record before `offset` of the embedded log, which
    /// is one partition, 0.
    pub fn embedded(offset: u64) -> Self {
        Self(vec![(0, offset)])
    }

    /// The offset in the embedded log; none if another partition is named.
    pub fn offset(&self) -> Option<u64> {
        match self.0[..] {
            [] => Some(0),
            [(0, offset)] => Some(offset),
            _ => None,
        }
    }

    /// As an opaque token.
    pub fn encode(&self) -> String {
        token::seal(Kind::Position, self)
    }

    /// From a token; none if it is not one that [`Position::encode`] gave.
    pub fn decode(token: &str) -> Option<Self> {
        let position: Self = token::open(Kind::Position, token)?;
        position
            .0
            .is_sorted_by(|a, b| a.0 < b.0)
            .then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_token() {
        for offset in [0, 1, 127, 128, u64::MAX] {
            let position = Position::embedded(offset);
            assert_eq!(Position::decode(&position.encode()), Some(position.clone()));
            assert_eq!(position.offset(), Some(offset));
        }
    }

    #[test]
    fn anything_but_a_position_is_refused() {
        let good = Position::embedded(1_000_000).encode();
        let flip = |at: usize| {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        };
        for at in 0..good.len() {
            assert_eq!(Position::decode(&flip(at)), None, "character {at} changed");
        }
        let page = token::seal(Kind::Page, &Position::embedded(1));
        let twice = token::seal(Kind::Position, &vec![(0u32, 1u64), (0, 2)]);
        let long = "A".repeat(token::LENGTH_MAX + 1);
        for bad in ["", "A", "hello world", &good[1..], &page, &twice, &long] {
            assert_eq!(Position::decode(bad), None, "{bad:.20}");
        }
    }
}
