//! Page tokens: the key of the last row that was given, sealed so that they are good
//! for the caller and the request only that they were given for. The next page holds
//! what comes after that key in the state of its own time.

use crate::status;
use crate::view::token::{Kind, Tokens};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tonic::Status;

/// What a token must not be used without: the caller, the method and all parameters
/// of the request but those that pages may differ in.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    tokens: Tokens,
    hash: [u8; 32],
}

impl Fingerprint {
    /// Of a caller's request to a method, whose page size, page token and position are
    /// cleared.
    pub fn of(
        tokens: &Tokens,
        (caller, method): (Option<&str>, &str),
        request: &impl Message,
    ) -> Self {
        // Names and methods have no zero in them, so each part ends where it seems to.
        let caller = caller.map_or_else(|| "\0".to_owned(), |name| format!("{name}\0"));
        let hash = Sha256::new()
            .chain_update(caller)
            .chain_update(method)
            .chain_update("\0")
            .chain_update(request.encode_to_vec());
        Self {
            tokens: tokens.clone(),
            hash: hash.finalize().into(),
        }
    }

    /// Whether another one is of the same caller and request.
    pub fn is_same(&self, other: &Self) -> bool {
        self.hash == other.hash
    }

    /// The token of the page after `last`.
    pub fn token(&self, last: &impl Serialize) -> String {
        self.seal(Kind::Page, last)
    }

    /// The key after which the page starts; none for the first page.
    ///
    /// # Errors
    /// Not the token of a page before it.
    pub fn after<K: DeserializeOwned>(&self, token: &str) -> Result<Option<K>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let key = self.open(Kind::Page, token);
        key.map(Some).ok_or_else(|| status::no_token("page_token"))
    }

    /// A token that is good for this caller and request only.
    pub fn seal(&self, kind: Kind, payload: &impl Serialize) -> String {
        self.tokens.seal(kind, &self.hash, payload)
    }

    /// What a token holds; none if it is not one of this caller and request.
    pub fn open<T: DeserializeOwned>(&self, kind: Kind, token: &str) -> Option<T> {
        self.tokens.open(kind, &self.hash, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;

    fn of(key: u8, caller: Option<&str>, method: &str, zone: &str) -> Fingerprint {
        let request = pb::GetThroughputRequest {
            zone: zone.into(),
            ..Default::default()
        };
        Fingerprint::of(&Tokens::new(&[key; 32]), (caller, method), &request)
    }

    #[test]
    fn a_page_token_is_of_its_caller_method_request_and_key_only() {
        let given = of(1, Some("a"), "GetThroughput", "UTC");
        let token = given.token(&("last", 7));
        let after = |of: &Fingerprint| of.after::<(String, i32)>(&token).ok().flatten();
        assert_eq!(after(&given), Some(("last".into(), 7)));
        for other in [
            of(1, Some("b"), "GetThroughput", "UTC"),
            of(1, None, "GetThroughput", "UTC"),
            of(1, Some("a"), "ListNoShows", "UTC"),
            of(1, Some("a"), "GetThroughput", ""),
            of(2, Some("a"), "GetThroughput", "UTC"),
        ] {
            assert_eq!(after(&other), None);
            assert!(!given.is_same(&other) || after(&other).is_none());
        }
    }

    #[test]
    fn whatever_is_wrong_with_a_token_the_answer_is_the_same() {
        let given = of(1, Some("a"), "GetThroughput", "UTC");
        let (token, other) = (given.token(&7), of(1, Some("b"), "GetThroughput", "UTC"));
        let refused = |of: &Fingerprint, token: &str| of.after::<i32>(token).unwrap_err();
        let one = refused(&other, &token);
        for wrong in ["x", &token[1..], &format!("{token}AAAA")] {
            let another = refused(&given, wrong);
            assert_eq!(one.message(), another.message());
            assert_eq!(one.details(), another.details());
        }
        assert!(!one.message().contains(&token[..8]), "{}", one.message());
    }
}
