//! The keys of stored cells: their bytes are ordered as the cells are asked for,
//! an owner's by day and facility, slots by start.

use crate::event::{Classifier, Millis, Role};
use crate::meter::cell::{Day, Owner, SlotKey};
use crate::meter::names::NameId;

const OWNER: usize = 6;

/// An owner's key, and the beginning of all keys of its cells.
pub fn owner(owner: Owner) -> [u8; OWNER] {
    let [a, b, c, d] = owner.enterprise.to_be_bytes();
    let (role, classifier) = (i32::from(owner.role), i32::from(owner.classifier));
    [a, b, c, d, role as u8, classifier as u8]
}

/// The key of an owner's total of a day, and the beginning of those of its
/// records.
pub fn total(of: Owner, day: Day) -> [u8; OWNER + 4] {
    let mut key = [0; OWNER + 4];
    key[..OWNER].copy_from_slice(&owner(of));
    key[OWNER..].copy_from_slice(&(day as u32 ^ 1 << 31).to_be_bytes());
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
pub fn slot(of: &SlotKey) -> [u8; 20 + OWNER] {
    let mut key = [0; 20 + OWNER];
    key[..8].copy_from_slice(&instant(of.start));
    key[8..16].copy_from_slice(&instant(of.end));
    key[16..20].copy_from_slice(&of.facility.to_be_bytes());
    key[20..].copy_from_slice(&owner(of.owner));
    key
}

/// An instant, in the order of time.
pub fn instant(at: Millis) -> [u8; 8] {
    (at as u64 ^ 1 << 63).to_be_bytes()
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
    Some((
        owner_in(owner)?,
        (u32::from_be_bytes(*day) ^ 1 << 31) as Day,
    ))
}

/// Reads a key of [`record`].
pub fn record_in(key: &[u8]) -> Option<(Owner, Day, NameId)> {
    let (total, facility) = key.split_last_chunk()?;
    let (owner, day) = total_in(total)?;
    Some((owner, day, NameId::from_be_bytes(*facility)))
}

/// Reads a key of [`slot`].
pub fn slot_in(key: &[u8]) -> Option<SlotKey> {
    let (start, rest) = key.split_first_chunk()?;
    let (end, rest) = rest.split_first_chunk()?;
    let (facility, owner) = rest.split_first_chunk()?;
    let instant = |bytes: [u8; 8]| (u64::from_be_bytes(bytes) ^ 1 << 63) as Millis;
    Some(SlotKey {
        start: instant(*start),
        end: instant(*end),
        facility: NameId::from_be_bytes(*facility),
        owner: owner_in(owner)?,
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
        let starts = [Millis::MIN, -1, 0, 1, 1_793_491_200_000, Millis::MAX];
        let slots = starts.map(|start| SlotKey {
            start,
            end: start.saturating_add(1),
            facility: 7,
            owner: some_owner(9),
        });
        assert!(slots.is_sorted_by_key(slot));
        assert!(slots.iter().all(|of| slot_in(&slot(of)) == Some(*of)));
    }

    #[test]
    fn what_is_no_key_is_none() {
        let key = record(some_owner(1), 2, 3);
        for length in 0..key.len() {
            assert_eq!(record_in(&key[..length]), None);
        }
        assert_eq!(owner_in(&[0, 0, 0, 1, 200, 1]), None);
        assert_eq!(slot_in(&[0; 27]), None);
    }
}
