//! The key under which API keys are hashed, and the hashes.

use super::key::Key;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::hash::{Hash, Hasher};
use subtle::ConstantTimeEq as _;

const BYTES: usize = 32;

/// A key of 256 bits; without it a hash tells nothing, not even of a guess.
#[derive(Clone)]
pub struct Pepper([u8; BYTES]);

/// What is kept of an API key. Compared in constant time, and never shown.
#[derive(Clone, Copy)]
pub struct Digest([u8; BYTES]);

impl Pepper {
    /// A random one.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From 64 hex digits.
    pub fn parse(hex: &str) -> Option<Self> {
        unhex(hex).map(Self)
    }

    /// As 64 hex digits, for its file and nothing else.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// HMAC-SHA-256 of a key's id and secret.
    pub fn digest(&self, key: &Key) -> Digest {
        // A key as long as HMAC's block is used as it is, so this cannot fail.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..BYTES].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block);
        mac.update(key.id().as_bytes());
        mac.update(b"\0");
        mac.update(key.secret());
        Digest(mac.finalize().into_bytes().into())
    }
}

impl Digest {
    /// What no key has but by chance: to be compared with where there is no key, so
    /// that it takes as long.
    pub const NONE: Self = Self([0; BYTES]);

    /// From 64 hex digits.
    pub fn parse(hex: &str) -> Option<Self> {
        unhex(hex).map(Self)
    }

    /// As 64 hex digits, for the key file and nothing else.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

fn unhex(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_hmac_of_id_and_secret() {
        // python: hmac.digest(b"\x0b"*32, b"0123456789ab\0" + bytes(range(32)), "sha256")
        let pepper = Pepper([0x0b; BYTES]);
        let secret: [u8; 32] = std::array::from_fn(|at| at as u8);
        let key = Key::of("0123456789ab", secret).unwrap();
        assert_eq!(
            pepper.digest(&key).hex(),
            "8735ed33e950d55f696db381e95b89af4f020143e9529134329da83535d09eb5"
        );
        assert!(pepper.digest(&key) != Digest::NONE);
        assert!(Digest::parse(&pepper.digest(&key).hex()).unwrap() == pepper.digest(&key));
    }

    #[test]
    fn neither_is_shown() {
        assert_eq!(format!("{:?}", Pepper([1; BYTES])), "Pepper(..)");
        assert_eq!(format!("{:?}", Digest([1; BYTES])), "Digest(..)");
    }

    #[test]
    fn sixty_four_hex_digits_are_asked_for() {
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert!(Pepper::parse(bad).is_none() && Digest::parse(bad).is_none());
        }
        let pepper = Pepper::draw().unwrap();
        assert_eq!(Pepper::parse(&pepper.hex()).unwrap().hex(), pepper.hex());
    }
}
