//! Keyed pseudonyms of plates and drivers: none of them is kept as it was sent.
//! The keys are in a file of their own, so that the data alone tells nothing.
//!
//! A key is in force from a UTC day on. An event's key goes by the event's own
//! day, so what is sent again has the pseudonyms that it had.

mod kept;
pub mod key_file;

pub use kept::Kept;
pub use key_file::Error;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::{CompactString, format_compact};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;

/// The bytes of a key.
pub const KEY_BYTES: usize = 32;

/// 15 bytes are 20 characters without padding, so a pseudonym fits into a
/// [`CompactString`] without allocation; 120 bits tell all trucks apart.
const DIGEST_BYTES: usize = 15;
const DIGEST_CHARS: usize = 20;

/// A UTC day: days since 1970-01-01.
pub type Day = i32;

/// What a pseudonym stands for. Equal texts of different kinds get different
/// pseudonyms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tractor's or trailer's plate.
    Plate,
    /// A reporter's reference of a driver.
    Driver,
}

/// A key that makes pseudonyms.
#[derive(Clone)]
pub struct Key {
    id: u16,
    /// The first day on which it is in force; none: from the beginning.
    from: Option<Day>,
    prefix: CompactString,
    /// Keyed once; cloned for each pseudonym.
    mac: Hmac<Sha256>,
}

/// What is known of a key, whether or not it is there still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: u16,
    /// The first day on which it is in force; none: from the beginning, or it is
    /// erased.
    pub from: Option<Day>,
    /// What it makes of a fixed text: it tells the key from others, and tells
    /// nothing of it.
    pub check: CompactString,
    /// Whether it is erased.
    pub erased: bool,
}

/// The keys that make pseudonyms.
#[derive(Clone)]
pub struct Pseudonyms {
    /// In force on all days before the others.
    first: Key,
    /// The others that are in force on some day, in the order of their days.
    later: Vec<Key>,
    /// All that the file tells of, by id; never empty.
    known: Vec<Known>,
    /// Of the key with the lowest id.
    oldest: Hmac<Sha256>,
}

/// The keys for one event.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'a> {
    /// The one of its day.
    pub key: &'a Key,
    /// On a key's first day, the one before it: who came in through a gate on the
    /// day before has a pseudonym of that one.
    pub before: Option<&'a Key>,
}

impl Key {
    /// A key that is in force from a day on.
    pub fn new(id: u16, from: Option<Day>, key: &[u8; KEY_BYTES]) -> Self {
        // A key as long as HMAC's block is used as it is, so this cannot fail.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..KEY_BYTES].copy_from_slice(key);
        Self {
            id,
            from,
            prefix: format_compact!("p{id}:"),
            mac: Hmac::new(&block),
        }
    }

    /// The pseudonym: `p`, the key's id, `:`, and 120 bits of HMAC-SHA256 over
    /// kind, 0 and value in base64url. The value is not normalised here.
    pub fn pseudonym(&self, kind: Kind, value: &str) -> CompactString {
        let kind: &[u8] = match kind {
            Kind::Plate => b"plate\0",
            Kind::Driver => b"driver\0",
        };
        self.digest(kind, value)
    }

    fn known(&self) -> Known {
        Known {
            id: self.id,
            from: self.from,
            check: self.digest(b"check\0", ""),
            erased: false,
        }
    }

    fn digest(&self, kind: &[u8], value: &str) -> CompactString {
        let mut mac = self.mac.clone();
        mac.update(kind);
        mac.update(value.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut text = [0; DIGEST_CHARS];
        let mut pseudonym = self.prefix.clone();
        // 15 bytes fill 20 characters of base64 exactly, all of them ASCII.
        if URL_SAFE_NO_PAD
            .encode_slice(&digest[..DIGEST_BYTES], &mut text)
            .is_ok()
        {
            pseudonym.push_str(str::from_utf8(&text).unwrap_or_default());
        }
        pseudonym
    }
}

impl Pseudonyms {
    /// The pseudonyms of one key.
    pub fn with_key(id: u16, key: &[u8; KEY_BYTES]) -> Self {
        Self::of(Key::new(id, None, key), Vec::new())
    }

    /// The pseudonyms of several keys: one that is in force from the beginning, and
    /// others in the order of their days.
    pub fn of(first: Key, later: Vec<Key>) -> Self {
        let known = [&first].into_iter().chain(&later).map(Key::known);
        Self {
            known: known.collect(),
            oldest: first.mac.clone(),
            first,
            later,
        }
    }

    /// The keys for events of a day: their own, whatever the clock says.
    pub fn in_force(&self, day: Day) -> InForce<'_> {
        let begun = |key: &Key| key.from.is_some_and(|from| from <= day);
        let mut keys = self.later[..self.later.partition_point(begun)].iter().rev();
        let Some(key) = keys.next() else {
            let (key, before) = (&self.first, None);
            return InForce { key, before };
        };
        let first_day = key.from == Some(day);
        let before = first_day.then(|| keys.next().unwrap_or(&self.first));
        InForce { key, before }
    }

    /// A key for another purpose, which the label names. It comes from the oldest
    /// key, so it is the same on all instances and stays when a key is added; once
    /// the oldest is erased it is another.
    pub fn derive(&self, label: &str) -> [u8; KEY_BYTES] {
        let mut mac = self.oldest.clone();
        // No pseudonym is made of these bytes.
        mac.update(b"derive\0");
        mac.update(label.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// What the file tells of its keys, by id.
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// Tells these keys from those of another service: the check of the first key
    /// that there ever was, erased or not. It stays when keys are added or erased.
    pub fn check(&self) -> &str {
        self.known.first().map_or("", |known| &known.check)
    }

    /// The check of the newest key: who has it has what events so far were kept
    /// under.
    pub fn newest_check(&self) -> &str {
        self.known.last().map_or("", |known| &known.check)
    }

    /// Whether the file tells of the key of this check.
    pub fn knows(&self, check: &str) -> bool {
        self.known.iter().any(|known| known.check == check)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms")
            .field("id", &self.later.last().unwrap_or(&self.first).id)
            .finish_non_exhaustive()
    }
}

/// Whether the text has the form of a pseudonym, of whatever key.
pub fn is_pseudonym(text: &str) -> bool {
    key_of(text).is_some()
}

/// The id of the key of a pseudonym; none if the text has not the form of one.
pub fn key_of(text: &str) -> Option<u16> {
    let (id, digest) = text.strip_prefix('p')?.split_once(':')?;
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let formed = digest.len() == DIGEST_CHARS && digest.bytes().all(fine);
    formed.then(|| parse_id(id)).flatten()
}

/// 1 to 999, without leading zeros: one spelling for each key.
fn parse_id(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if !digits || text.len() > 3 {
        None
    } else {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Day = 20_000;

    fn three() -> Pseudonyms {
        let later = [(2, DAY), (3, DAY + 1)].map(|(id, from)| Key::new(id, Some(from), &[2; 32]));
        Pseudonyms::of(Key::new(1, None, &[1; 32]), later.into())
    }

    #[test]
    fn a_pseudonym_is_the_hmac_of_kind_and_value() {
        // python: hmac.digest(b"\x0b"*32, b"plate\0" + "浙B12345".encode(), "sha256")[:15]
        let key = Key::new(1, None, &[0x0b; 32]);
        let plate = key.pseudonym(Kind::Plate, "浙B12345");
        assert_eq!(plate, "p1:wVrRoQL0-2Z34ICKOwnq");
        let driver = key.pseudonym(Kind::Driver, "浙B12345");
        assert_eq!(driver, "p1:X1_df-3nqOWz5oUw7DYo");
    }

    #[test]
    fn a_pseudonym_has_its_form_and_a_plate_has_not() {
        let pseudonym = Key::new(999, None, &[7; 32]).pseudonym(Kind::Plate, "x");
        assert_eq!(key_of(&pseudonym), Some(999), "{pseudonym}");
        for bad in [
            "",
            "浙B12345",
            "p:",
            "p01:AAAAAAAAAAAAAAAAAAAA",
            "p1:AAAA",
            "p1:AAAAAAAAAAAAAAAAAAA+",
            "p1000:AAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(!is_pseudonym(bad), "{bad}");
        }
    }

    #[test]
    fn a_key_is_in_force_from_its_day_and_on_the_first_there_is_also_the_one_before() {
        let keys = three();
        let ids = |day| {
            let found = keys.in_force(day);
            (found.key.id, found.before.map(|key| key.id))
        };
        assert_eq!(ids(0), (1, None));
        assert_eq!(ids(DAY - 1), (1, None));
        assert_eq!(ids(DAY), (2, Some(1)));
        assert_eq!(ids(DAY + 1), (3, Some(2)));
        assert_eq!(ids(DAY + 2), (3, None));
    }

    #[test]
    fn the_check_of_the_first_key_stays_and_all_are_known() {
        let one = Pseudonyms::with_key(1, &[1; 32]);
        assert_eq!(three().check(), one.check());
        assert_ne!(three().newest_check(), one.check());
        assert!(three().knows(one.check()));
        assert!(!one.knows(three().newest_check()));
    }

    #[test]
    fn a_derived_key_goes_by_its_label_and_stays_when_a_key_is_added() {
        let one = Pseudonyms::with_key(1, &[1; 32]);
        assert_eq!(one.derive("tokens"), three().derive("tokens"));
        assert_ne!(one.derive("tokens"), one.derive("tokens2"));
        let later = Pseudonyms::with_key(2, &[2; 32]);
        assert_ne!(one.derive("tokens"), later.derive("tokens"));
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", Pseudonyms::with_key(3, &[0xab; 32]));
        assert_eq!(shown, "Pseudonyms { id: 3, .. }");
        let shown = format!("{:?}", Key::new(3, None, &[0xab; 32]));
        assert_eq!(shown, "Key { id: 3, .. }");
    }
}
