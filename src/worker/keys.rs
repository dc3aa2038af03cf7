//! The keys of stored cells: their bytes are ordered as the cells are asked for,
//! an owner's by day and facility, slots by the UTC day on which they start, then by owner.

use crate::event::{Classifier, Millis, Role};
use crate::meter::cell::{DAY_MS, Day, Owner, SlotKey};
use crate::meter::names::NameId;

const OWNER: usize = 6;

const DAY: usize = 4;

/// An owner's key, and the beginning of all keys of its cells.
pub fn owner(owner: Owner) -> [u8; OWNER] {
    let [a, b, c, d] = owner.enterprise.to_be_bytes();
    let (role, classifier) = (i32::from(owner.role), i32::from(owner.classifier));
    [a, b, c, d, role as u8, classifier as u8]
}

/// The key of an owner's total of a day, and the beginning of those of its
/// records.
pub fn total(of: Owner, on: Day) -> [u8; OWNER + DAY] {
    let mut key = [0; OWNER + DAY];
    key[..OWNER].copy_from_slice(&owner(of));
    key[OWNER..].copy_from_slice(&day(on));
    key
}

/// The key of a record.
pub fn record(of: Owner, day: Day, facility: NameId) -> [u8; OWNER + 8] {
    let mut key = [0; OWNER + 8];
    key[..OWNER + 4].copy_from_slice(&total(of, day));
    key[OWNER + 4..].copy_from_slice(&facility.to_be_bytes());
    key
}

/// The key of a slot.
pub fn slot(of: &SlotKey) -> [u8; DAY + OWNER + 16] {
    let mut key = [0; DAY + OWNER + 16];
    let (begun, rest) = key.split_at_mut(DAY + OWNER);
    begun.copy_from_slice(&slots_of(of.owner, of.day()));
    rest[..4].copy_from_slice(&(of.start.rem_euclid(DAY_MS) as u32).to_be_bytes());
    rest[4..12].copy_from_slice(&(of.end as u64 ^ 1 << 63).to_be_bytes());
    rest[12..].copy_from_slice(&of.facility.to_be_bytes());
    key
}

/// The beginning of the keys of all slots that start on a UTC day, in the order of days.
pub fn day(on: Day) -> [u8; DAY] {
    (on as u32 ^ 1 << 31).to_be_bytes()
}

/// The beginning of the keys of an owner's slots that start on a UTC day.
pub fn slots_of(whose: Owner, on: Day) -> [u8; DAY + OWNER] {
    let mut key = [0; DAY + OWNER];
    key[..DAY].copy_from_slice(&day(on));
    key[DAY..].copy_from_slice(&owner(whose));
    key
}

/// What no key of theirs reaches: a start within its day is less.
pub fn after_slots_of(whose: Owner, on: Day) -> [u8; DAY + OWNER + 4] {
    let mut key = [0xff; DAY + OWNER + 4];
    key[..DAY + OWNER].copy_from_slice(&slots_of(whose, on));
    key
}

/// Reads a key of [`owner`].
pub fn owner_in(key: &[u8]) -> Option<Owner> {
    let (enterprise, codes) = key.split_first_chunk()?;
    let &[role, classifier] = codes else {
        return None;
    };
    Some(Owner {
        enterprise: NameId::from_be_bytes(*enterprise),
        role: Role::try_from(i32::from(role)).ok()?,
        classifier: Classifier::try_from(i32::from(classifier)).ok()?,
    })
}

/// Reads a key of [`total`].
pub fn total_in(key: &[u8]) -> Option<(Owner, Day)> {
    let (owner, day) = key.split_last_chunk()?;
    Some((owner_in(owner)?, day_in(*day)))
}

/// Reads a key of [`day`].
fn day_in(key: [u8; DAY]) -> Day {
    (u32::from_be_bytes(key) ^ 1 << 31) as Day
}

/// Reads a key of [`record`].
pub fn record_in(key: &[u8]) -> Option<(Owner, Day, NameId)> {
    let (total, facility) = key.split_last_chunk()?;
    let (owner, day) = total_in(total)?;
    Some((owner, day, NameId::from_be_bytes(*facility)))
}

/// Reads a key of [`slot`].
pub fn slot_in(key: &[u8]) -> Option<SlotKey> {
    let (day, rest) = key.split_first_chunk()?;
    let (owner, rest) = rest.split_first_chunk::<OWNER>()?;
    let (start, rest) = rest.split_first_chunk()?;
    let (end, facility) = rest.split_first_chunk()?;
    let start = Millis::from(u32::from_be_bytes(*start));
    (start < DAY_MS).then_some(SlotKey {
        owner: owner_in(owner)?,
        start: Millis::from(day_in(*day)) * DAY_MS + start,
        end: (u64::from_be_bytes(*end) ^ 1 << 63) as Millis,
        facility: NameId::from_be_bytes(facility.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_owner(enterprise: NameId) -> Owner {
        Owner {
            enterprise,
            role: Role::Fleet,
            classifier: Classifier::Planned,
        }
    }

    #[test]
    fn keys_are_ordered_as_what_they_stand_for() {
        let mut records = Vec::new();
        for enterprise in [0, 1, 255, 256, NameId::MAX] {
            for day in [Day::MIN, -1, 0, 1, 20_000, Day::MAX] {
                for facility in [0, 1, 256, NameId::MAX] {
                    records.push((some_owner(enterprise), day, facility));
                }
            }
        }
        let key = |&(owner, day, facility): &(Owner, Day, NameId)| record(owner, day, facility);
        assert!(records.is_sorted_by_key(key));
        assert!(records.iter().all(|of| record_in(&key(of)) == Some(*of)));
    }

    #[test]
    fn slots_are_ordered_by_day_and_an_owners_are_together() {
        let mut slots = Vec::new();
        for day in [-1, 0, 20_000] {
            for enterprise in [0, 9, NameId::MAX] {
                for within in [0, 1, DAY_MS - 1] {
                    let start = day * DAY_MS + within;
                    let ends = [Millis::MIN, start - 1, start, start + 1, Millis::MAX].into_iter();
                    slots.extend(ends.map(|end| SlotKey {
                        owner: some_owner(enterprise),
                        start,
                        end,
                        facility: 7,
                    }));
                }
            }
        }
        assert!(slots.is_sorted_by_key(slot));
        assert!(slots.is_sorted_by_key(|of| (of.day(), *of)));
        for of in &slots {
            let key = slot(of);
            assert_eq!(slot_in(&key), Some(*of));
            assert!(key.starts_with(&day(of.day())));
            let (from, to) = (
                slots_of(of.owner, of.day()),
                after_slots_of(of.owner, of.day()),
            );
            let within = |other: &&SlotKey| {
                let key = slot(other);
                from[..] <= key[..] && key[..] < to[..]
            };
            let same = |other: &&SlotKey| (other.owner, other.day()) == (of.owner, of.day());
            let theirs = slots.iter().filter(within);
            assert!(theirs.eq(slots.iter().filter(same)));
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        let key = record(some_owner(1), 2, 3);
        for length in 0..key.len() {
            assert_eq!(record_in(&key[..length]), None);
        }
        assert_eq!(owner_in(&[0, 0, 0, 1, 200, 1]), None);
        assert!(slot_in(&[0; 26]).is_some());
        assert_eq!(slot_in(&[0; 25]), None);
        assert_eq!(slot_in(&[0; 27]), None);
        let mut beyond_its_day = [0; 26];
        beyond_its_day[10] = 0xff;
        assert_eq!(slot_in(&beyond_its_day), None);
    }
}
