//! Opaque tokens: base64url of a kind and version, a postcard payload and a
//! checksum. They guard against mistakes, not against forgers: a token gives
//! nobody anything that he could not ask for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Serialize, de::DeserializeOwned};

/// The longest token that is read, in characters.
pub const LENGTH_MAX: usize = 16 * 1024;

const CHECKSUM: usize = 4;

/// What a token is for, with the version of its payload. Numbers are never
/// given to another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A position of the log.
    Position = 1,
    /// The place in a list where the next page starts.
    Page = 2,
    /// Up to where a watch has told.
    Watch = 3,
}

/// A token that holds `payload`.
pub fn seal(kind: Kind, payload: &impl Serialize) -> String {
    // Payloads are plain structs of numbers and strings; writing one into a
    // growing buffer has no way to fail.
    let mut bytes = postcard::to_extend(payload, vec![kind as u8]).unwrap_or_default();
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    BASE64.encode(bytes)
}

/// The payload of a token of this kind; none if it is anything else.
pub fn open<T: DeserializeOwned>(kind: Kind, token: &str) -> Option<T> {
    if token.len() > LENGTH_MAX {
        return None;
    }
    let bytes = BASE64.decode(token).ok()?;
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    if crc32c::crc32c(body).to_le_bytes() != checksum {
        return None;
    }
    let (&found, payload) = body.split_first()?;
    let (payload, rest) = postcard::take_from_bytes(payload).ok()?;
    (found == kind as u8 && rest.is_empty()).then_some(payload)
}
