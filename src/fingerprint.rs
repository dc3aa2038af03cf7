//! Keyed fingerprints: what is remembered of an identity, of a content and of a
//! pairing list in place of the texts themselves.
//!
//! SipHash-1-3 under a key that is drawn when a data directory is made and never
//! leaves it: who sends events cannot aim for a collision. By chance, two of a
//! hundred million identities share 96 bits once in 10¹³ ports, and two contents
//! of one identity share 64 bits once in 10¹⁹ comparisons.

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128 as _, SipHasher13 as Sip128};
use std::hash::Hasher as _;

/// 96 bits of a keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "[u8; 12]", from = "[u8; 12]")]
pub struct Fingerprint(pub [u32; 3]);

impl Fingerprint {
    /// Bits that are as good as random, to place it in a table.
    pub fn hash(self) -> u64 {
        u64::from(self.0[1]) << 32 | u64::from(self.0[2])
    }
}

impl From<Fingerprint> for [u8; 12] {
    fn from(fingerprint: Fingerprint) -> Self {
        let mut bytes = [0; 12];
        for (part, word) in bytes.chunks_exact_mut(4).zip(fingerprint.0) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

impl From<[u8; 12]> for Fingerprint {
    fn from(bytes: [u8; 12]) -> Self {
        let word = |at: usize| {
            let [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            u32::from_le_bytes([a, b, c, d])
        };
        Self([word(0), word(4), word(8)])
    }
}

/// Takes fingerprints under one key.
#[derive(Clone, Copy)]
pub struct Fingerprints {
    keyed: Sip128,
}

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out of logs.
        f.write_str("Fingerprints")
    }
}

impl Fingerprints {
    /// Under this key.
    pub fn new(key: &[u8; 16]) -> Self {
        Self {
            keyed: Sip128::new_with_key(key),
        }
    }

    /// Of an event's identity.
    pub fn identity(&self, facility: &str, source: &str, event_id: &str) -> Fingerprint {
        // No name holds a zero byte, so no two triples give the same bytes.
        self.of(&[
            facility.as_bytes(),
            &[0],
            source.as_bytes(),
            &[0],
            event_id.as_bytes(),
        ])
    }

    /// Of a pairing list: a duration's number, the classifier's, the facility and
    /// the key.
    pub fn list(&self, kind: u8, classifier: u8, facility: &str, key: &str) -> Fingerprint {
        self.of(&[
            &[kind, classifier],
            facility.as_bytes(),
            &[0],
            key.as_bytes(),
        ])
    }

    /// Of canonical bytes.
    pub fn content(&self, canonical: &[u8]) -> u64 {
        let mut hasher = self.keyed;
        hasher.write(canonical);
        hasher.finish128().h1
    }

    fn of(&self, parts: &[&[u8]]) -> Fingerprint {
        // One write: the hasher keeps a tail between writes, which costs more
        // than the copy.
        let mut text = smallvec::SmallVec::<[u8; 256]>::new();
        for part in parts {
            text.extend_from_slice(part);
        }
        let mut hasher = self.keyed;
        hasher.write(&text);
        let hash = hasher.finish128();
        Fingerprint([(hash.h1 >> 32) as u32, hash.h1 as u32, hash.h2 as u32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_any_part_differs() {
        let of = Fingerprints::new(&[7; 16]);
        let all = [
            of.identity("CNNBO/A", "tos", "1"),
            of.identity("CNNBO/A", "tos", "2"),
            of.identity("CNNBO/A", "to", "s1"),
            of.identity("CNNBO/At", "os", "1"),
            of.list(1, 1, "CNNBO/A", "1"),
            of.list(1, 2, "CNNBO/A", "1"),
            of.list(2, 1, "CNNBO/A", "1"),
            Fingerprints::new(&[8; 16]).identity("CNNBO/A", "tos", "1"),
        ];
        let distinct: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(of.content(b"a") != of.content(b"b"));
    }

    #[test]
    fn a_fingerprint_survives_its_bytes() {
        let one = Fingerprints::new(&[7; 16]).identity("CNNBO/A", "tos", "1");
        assert_eq!(Fingerprint::from(<[u8; 12]>::from(one)), one);
    }
}
