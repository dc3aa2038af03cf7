//! Opaque tokens: base64url of a nonce and of what AES-256-GCM-SIV makes of a
//! payload. Without the key nobody reads one, nobody makes one, and nobody tells
//! whether two of them say the same. Another key may take its place.

use aes_gcm_siv::aead::{AeadInPlace as _, KeyInit as _};
use aes_gcm_siv::{Aes256GcmSiv, Key, Nonce, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use parking_lot::RwLock;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::sync::Arc;

/// The longest token that is read, in characters: a position of 1,024 partitions
/// takes two thirds of it.
pub const LENGTH_MAX: usize = 24 * 1024;

/// Bytes of the key.
pub const KEY_BYTES: usize = 32;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// What a token is for, with the version of its payload. Numbers are never
/// given to another meaning: 1 to 3 were of tokens that were not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A position of the log.
    Position = 4,
    /// The place in a list where the next page starts.
    Page = 5,
    /// Up to where a watch has told.
    Watch = 6,
}

/// Seals tokens and opens them, under one key. Cheap to clone, and all clones have the
/// same key.
#[derive(Clone)]
pub struct Tokens(Arc<RwLock<Keyed>>);

/// What seals and opens.
struct Keyed {
    key: [u8; KEY_BYTES],
    now: Aes256GcmSiv,
    /// Under the key before this one, if there was one: tokens that are under way are
    /// opened still.
    before: Option<Aes256GcmSiv>,
}

impl Tokens {
    /// Under this key. Services that take each other's tokens have the same.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(Arc::new(RwLock::new(Keyed {
            key: *key,
            now: cipher(key),
            before: None,
        })))
    }

    /// Seals under this key from now on. What was sealed under the one before it is
    /// opened still; the same key changes nothing.
    pub fn renew(&self, key: &[u8; KEY_BYTES]) {
        let mut keyed = self.0.write();
        if keyed.key != *key {
            keyed.key = *key;
            keyed.before = Some(std::mem::replace(&mut keyed.now, cipher(key)));
        }
    }

    /// Under a key that nobody else has.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn drawn() -> Result<Self, getrandom::Error> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key)?;
        Ok(Self::new(&key))
    }

    /// A token that holds `payload`, good for this kind and purpose only. Its
    /// length tells that of the payload, so this must not depend on what the
    /// reader of the token may not know.
    pub fn seal(&self, kind: Kind, purpose: &[u8], payload: &impl Serialize) -> String {
        let mut nonce = [0; NONCE_BYTES];
        // Without randomness two tokens of the same would look the same, and
        // nothing worse: the cipher endures a nonce that comes again.
        let _ = getrandom::fill(&mut nonce);
        // With its first bit off, a token begins with a letter: one that began with `-`
        // would be taken for an option where it is the value of one.
        nonce[0] &= 0x7f;
        // Payloads are plain structs of numbers and strings; writing one into a
        // growing buffer has no way to fail.
        let mut bytes = postcard::to_extend(payload, nonce.to_vec()).unwrap_or_default();
        let sealed = bytes.get_mut(NONCE_BYTES..).map(|payload| {
            let nonce = Nonce::from_slice(&nonce);
            let bound = bound(kind, purpose);
            let keyed = self.0.read();
            keyed.now.encrypt_in_place_detached(nonce, &bound, payload)
        });
        // It fails for gigabytes only.
        let Some(Ok(tag)) = sealed else {
            return String::new();
        };
        bytes.extend_from_slice(&tag);
        BASE64.encode(bytes)
    }

    /// The payload of a token of this kind and purpose; none if it is anything
    /// else, whatever that is.
    pub fn open<T: DeserializeOwned>(&self, kind: Kind, purpose: &[u8], token: &str) -> Option<T> {
        if token.len() > LENGTH_MAX {
            return None;
        }
        let bytes = BASE64.decode(token).ok()?;
        let bound = bound(kind, purpose);
        let payload = {
            let keyed = self.0.read();
            let now = opened(&keyed.now, &bound, bytes.clone());
            now.or_else(|| opened(keyed.before.as_ref()?, &bound, bytes))?
        };
        let (payload, rest) = postcard::take_from_bytes(&payload).ok()?;
        rest.is_empty().then_some(payload)
    }
}

fn cipher(key: &[u8; KEY_BYTES]) -> Aes256GcmSiv {
    Aes256GcmSiv::new(Key::<Aes256GcmSiv>::from_slice(key))
}

/// What was sealed, if this is what sealed it.
fn opened(cipher: &Aes256GcmSiv, bound: &[u8], mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_BYTES)?;
    let (payload, tag) = sealed.split_at_mut_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
    let (nonce, tag) = (Nonce::from_slice(nonce), Tag::from_slice(tag));
    let opened = cipher.decrypt_in_place_detached(nonce, bound, payload, tag);
    opened.is_ok().then(|| payload.to_vec())
}

/// What a token is good for.
fn bound(kind: Kind, purpose: &[u8]) -> Vec<u8> {
    [&[kind as u8], purpose].concat()
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens() -> Tokens {
        Tokens::new(&[7; KEY_BYTES])
    }

    fn open(token: &str) -> Option<(u64, String)> {
        tokens().open(Kind::Page, b"a question", token)
    }

    fn sealed() -> (String, (u64, String)) {
        let payload = (300, "ygt:甬".to_owned());
        (tokens().seal(Kind::Page, b"a question", &payload), payload)
    }

    #[test]
    fn a_token_is_good_for_its_kind_purpose_and_key_only() {
        let (token, payload) = sealed();
        assert_eq!(open(&token), Some(payload));
        let as_if = |kind, purpose: &[u8]| tokens().open::<(u64, String)>(kind, purpose, &token);
        assert_eq!(as_if(Kind::Watch, b"a question"), None);
        assert_eq!(as_if(Kind::Position, b"a question"), None);
        assert_eq!(as_if(Kind::Page, b"a questio"), None);
        assert_eq!(as_if(Kind::Page, b""), None);
        let other = Tokens::new(&[8; KEY_BYTES]);
        let opened = other.open::<(u64, String)>(Kind::Page, b"a question", &token);
        assert_eq!(opened, None);
    }

    #[test]
    fn what_was_sealed_under_the_key_before_is_opened_still() {
        let [first, second, third] = [7, 8, 9].map(|byte| [byte; KEY_BYTES]);
        let (token, payload) = sealed();
        let renewed = tokens();
        let shared = renewed.clone();
        let opens = |token: &str| shared.open::<(u64, String)>(Kind::Page, b"a question", token);
        renewed.renew(&first);
        renewed.renew(&second);
        // As often as it is told, this is one change.
        renewed.renew(&second);
        assert_eq!(opens(&token), Some(payload.clone()));
        let later = shared.seal(Kind::Page, b"a question", &payload);
        let others = Tokens::new(&second);
        let opened = others.open::<(u64, String)>(Kind::Page, b"a question", &later);
        assert_eq!(opened, Some(payload.clone()));
        assert_eq!(open(&later), None);
        renewed.renew(&third);
        assert_eq!(opens(&token), None);
        assert_eq!(opens(&later), Some(payload));
    }

    #[test]
    fn two_tokens_of_the_same_look_different_and_are_of_the_same_length() {
        let ((one, _), (other, _)) = (sealed(), sealed());
        assert_ne!(one, other);
        assert_eq!(one.len(), other.len());
        assert!(!one.contains("eWd0"), "the payload can be read");
    }

    #[test]
    fn a_token_is_never_taken_for_an_option() {
        // Of as many with any nonce, sixteen would begin so.
        let letters = (0..1_000).all(|_| sealed().0.starts_with(char::is_alphabetic));
        assert!(letters);
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", tokens()), "Tokens { .. }");
    }

    #[test]
    fn each_flipped_bit_and_each_cut_is_seen() {
        let (token, _) = sealed();
        let bytes = BASE64.decode(&token).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(open(&BASE64.encode(flipped)), None, "bit {at}");
        }
        for end in 0..token.len() {
            assert_eq!(open(&token[..end]), None, "{end} characters");
            assert_eq!(open(&token[token.len() - end..]), None, "the last {end}");
        }
        assert_eq!(open(&format!("{token}A")), None);
        assert_eq!(open(&"A".repeat(LENGTH_MAX + 1)), None);
    }

    proptest! {
        #[test]
        fn nothing_but_a_token_opens(text in "\\PC{0,200}", bytes: Vec<u8>) {
            prop_assert_eq!(open(&text), None);
            prop_assert_eq!(open(&BASE64.encode(bytes)), None);
        }

        #[test]
        fn a_payload_comes_back(n: u64, text in ".{0,40}", purpose: Vec<u8>) {
            let token = tokens().seal(Kind::Watch, &purpose, &(n, text.clone()));
            let opened = tokens().open(Kind::Watch, &purpose, &token);
            prop_assert_eq!(opened, Some((n, text)));
        }
    }
}
