//! Figures in few bytes, for what is kept by the million and for the store.

use crate::meter::figure::{Figure, Figures};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use smallvec::SmallVec;
use std::fmt;

/// Most lists are shorter.
pub(super) type Room = SmallVec<[u8; 128]>;

/// Figures, packed: for each, ascending, its distance from the one before it and
/// its value, both of variable length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// Packs figures.
    pub fn of(figures: &Figures) -> Self {
        Self(pack(figures.iter())[..].into())
    }

    /// From bytes that [`Packed::bytes`] gave; none if they are no such bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        checked(bytes).map(|()| Self(bytes.into()))
    }

    /// As bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// From bytes that [`Packed::bytes`] gave.
    pub(super) fn copied(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The figures, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Figure, i64)> + '_ {
        figures(&self.0)
    }
}

/// None if these are no bytes that [`Packed::bytes`] gave.
fn checked(bytes: &[u8]) -> Option<()> {
    let mut rest = bytes;
    let mut last = 0u64;
    while !rest.is_empty() {
        last = last.checked_add(take(&mut rest)?)?;
        take(&mut rest)?;
    }
    (last <= u64::from(u16::MAX)).then_some(())
}

/// The figures in bytes that [`Packed::bytes`] gave, ascending.
pub(super) fn figures(bytes: &[u8]) -> impl Iterator<Item = (Figure, i64)> + '_ {
    let (mut rest, mut last) = (bytes, 0u16);
    std::iter::from_fn(move || {
        last = last.wrapping_add(take(&mut rest)? as u16);
        let value = take(&mut rest)?;
        let value = (value >> 1) as i64 ^ -((value & 1) as i64);
        Some((Figure::numbered(last), value))
    })
}

/// Bytes that are stored as such.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&pack(self.iter()))
    }
}

impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Unpack)
    }
}

struct Unpack;

impl Visitor<'_> for Unpack {
    type Value = Figures;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("packed figures")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Figures, E> {
        checked(bytes).ok_or_else(|| E::custom("not packed figures"))?;
        Ok(figures(bytes).collect())
    }
}

/// Packs figures, which ascend.
pub(super) fn pack(figures: impl Iterator<Item = (Figure, i64)>) -> Room {
    let (mut bytes, mut last) = (Room::new(), 0);
    for (figure, value) in figures {
        put(&mut bytes, u64::from(figure.number() - last));
        put(&mut bytes, (value << 1 ^ value >> 63) as u64);
        last = figure.number();
    }
    bytes
}

fn put(bytes: &mut Room, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn figures_come_back_and_bytes_are_told_from_others(
            all in prop::collection::btree_map(any::<u16>(), any::<i64>(), 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let each = all.iter();
            let figures: Figures = each.map(|(&n, &value)| (Figure::numbered(n), value)).collect();
            let packed = Packed::of(&figures);
            prop_assert!(packed.iter().eq(figures.iter()));
            prop_assert_eq!(Packed::parse(packed.bytes()), Some(packed.clone()));
            let stored = postcard::to_stdvec(&figures).unwrap();
            prop_assert_eq!(postcard::from_bytes(&stored), Ok(figures.clone()));
            prop_assert!(stored.len() <= packed.bytes().len() + 2);
            if let Some(last) = packed.bytes().len().checked_sub(1) {
                // What is cut off within a number is no packed list.
                let part = &packed.bytes()[..cut.index(last + 1)];
                if let Some(part) = Packed::parse(part) {
                    prop_assert!(figures.iter().take(part.iter().count()).eq(part.iter()));
                }
            }
        }
    }
}
