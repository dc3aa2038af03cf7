//! Page tokens: the key of the last row that was given, and a fingerprint of
//! the request that it belongs to. The next page holds what comes after that
//! key in the state of its own time.

use crate::status;
use crate::view::token::{self, Kind};
use prost::Message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tonic::Status;

/// What a page token must not be used without: the method and all parameters of
/// the request but those that pages may differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Of a request whose page size, page token and position are cleared.
    pub fn of(method: &str, request: &impl Message) -> Self {
        let hash = Sha256::new()
            .chain_update(method)
            .chain_update(request.encode_to_vec());
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        Self(short)
    }

    /// The token of the page after `last`.
    pub fn token(&self, last: &impl Serialize) -> String {
        token::seal(Kind::Page, &(self, last))
    }

    /// The key after which the page starts; none for the first page.
    pub fn after<K: DeserializeOwned>(&self, token: &str) -> Result<Option<K>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        match token::open::<(Self, K)>(Kind::Page, token) {
            Some((request, key)) if request == *self => Ok(Some(key)),
            _ => {
                let expected = "the next_page_token of an answer to the same request";
                Err(status::invalid("page_token", token, expected))
            }
        }
    }
}
