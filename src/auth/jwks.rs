//! The keys with which an issuer signs (RFC 7517): public ones only, each for the
//! algorithms that it is made for.

pub mod held;
pub mod remote;

use super::callers::Algorithm;
use super::cause::Cause;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;

/// Bytes of a key set, at most.
pub const BYTES_MAX: usize = 256 << 10;

/// Keys of a key set, at most.
const KEYS_MAX: usize = 100;

/// An issuer's keys.
#[derive(Clone, Default)]
pub struct Jwks(Vec<Verifying>);

#[derive(Clone)]
struct Verifying {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no key set.
    #[error("not a JSON key set: line {line}")]
    Json {
        /// Where it is not.
        line: usize,
    },
    /// It is too large.
    #[error("more than {BYTES_MAX} bytes, or than {KEYS_MAX} keys")]
    TooLarge,
    /// It has no key for any of our algorithms.
    #[error("there is no public key for any algorithm that may be pinned")]
    Empty,
}

#[derive(Deserialize)]
struct Form {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    /// The ids of those that have one.
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().filter_map(|key| key.id.as_deref()).collect()
    }

    /// Reads a key set; keys of other kinds are passed over.
    ///
    /// # Errors
    /// It is none, too large, or has no key that is of use.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let form: Form =
            serde_json::from_slice(bytes).map_err(|error| Error::Json { line: error.line() })?;
        if form.keys.len() > KEYS_MAX {
            return Err(Error::TooLarge);
        }
        let keys: Vec<_> = form.keys.into_iter().filter_map(verifying).collect();
        match keys.is_empty() {
            true => Err(Error::Empty),
            false => Ok(Self(keys)),
        }
    }

    /// The key of an id for an algorithm; without an id the only one for it.
    ///
    /// # Errors
    /// There is no such key, or it is for others.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&DecodingKey, Cause> {
        let named = |key: &&Verifying| id.is_none() || key.id.as_deref() == id;
        let mut named = self.0.iter().filter(named).peekable();
        if named.peek().is_none() {
            return Err(Cause::TokenKeyUnknown);
        }
        let mut fitting = named.filter(|key| key.algorithms.contains(&algorithm));
        let found = fitting.next().ok_or(Cause::TokenAlgorithm)?;
        match id.is_none() && fitting.next().is_some() {
            true => Err(Cause::TokenKeyUnknown),
            false => Ok(&found.key),
        }
    }
}

/// A key that verifies; none if it is for something else.
fn verifying(value: serde_json::Value) -> Option<Verifying> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let (common, kind) = (&jwk.common, &jwk.algorithm);
    let signs = common
        .public_key_use
        .as_ref()
        .is_none_or(|of| *of == PublicKeyUse::Signature);
    let verifies = common
        .key_operations
        .as_ref()
        .is_none_or(|of| of.contains(&KeyOperations::Verify));
    let mut algorithms = fitting(kind);
    if let Some(own) = &common.key_algorithm {
        let own = own.to_string();
        algorithms.retain(|algorithm| algorithm.name() == own);
    }
    if !signs || !verifies || algorithms.is_empty() {
        return None;
    }
    Some(Verifying {
        id: common.key_id.clone(),
        algorithms,
        key: DecodingKey::from_jwk(&jwk).ok()?,
    })
}

/// For which algorithms a key of a kind is made. A secret is for none: who verifies with
/// it could sign.
fn fitting(kind: &AlgorithmParameters) -> Vec<Algorithm> {
    use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    match kind {
        AlgorithmParameters::RSA(_) => vec![Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Es256],
            EllipticCurve::P384 => vec![Es384],
            EllipticCurve::P521 | EllipticCurve::Ed25519 => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(key) => match key.curve {
            EllipticCurve::Ed25519 => vec![EdDsa],
            EllipticCurve::P256 | EllipticCurve::P384 | EllipticCurve::P521 => Vec::new(),
        },
        AlgorithmParameters::OctetKey(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RSA: &str = r#""kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB""#;
    const ED: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    fn jwks(keys: &[String]) -> Result<Jwks, Error> {
        let keys: Vec<_> = keys.iter().map(|key| format!("{{{key}}}")).collect();
        Jwks::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
    }

    fn found(set: &Jwks, id: Option<&str>, algorithm: Algorithm) -> Option<Cause> {
        set.find(id, algorithm).err()
    }

    #[test]
    fn a_key_is_found_by_its_id_for_the_algorithms_of_its_kind() {
        let rsa = format!("{RSA},\"kid\":\"a\"");
        let narrow = format!("{RSA},\"kid\":\"b\",\"alg\":\"PS256\"");
        let ed = format!("{ED},\"kid\":\"c\",\"use\":\"sig\"");
        let set = jwks(&[rsa, narrow, ed]).unwrap();
        use Algorithm::{EdDsa, Es256, Ps256, Rs256};
        assert_eq!(found(&set, Some("a"), Rs256), None);
        assert_eq!(found(&set, Some("a"), EdDsa), Some(Cause::TokenAlgorithm));
        assert_eq!(found(&set, Some("b"), Rs256), Some(Cause::TokenAlgorithm));
        assert_eq!(found(&set, Some("b"), Ps256), None);
        assert_eq!(found(&set, Some("c"), EdDsa), None);
        assert_eq!(found(&set, Some("d"), Rs256), Some(Cause::TokenKeyUnknown));
        assert_eq!(found(&set, None, EdDsa), None, "the only one");
        assert_eq!(found(&set, None, Ps256), Some(Cause::TokenKeyUnknown));
        assert_eq!(found(&set, None, Es256), Some(Cause::TokenAlgorithm));
    }

    #[test]
    fn what_is_not_for_verifying_is_passed_over() {
        let secret = r#""kty":"oct","k":"AAAA","kid":"s","alg":"HS256""#.to_owned();
        let cipher = format!("{RSA},\"use\":\"enc\"");
        let signing = format!("{RSA},\"key_ops\":[\"sign\"]");
        let unknown = r#""kty":"new","x":1"#.to_owned();
        let useless = [secret, cipher, signing, unknown];
        assert!(matches!(jwks(&useless), Err(Error::Empty)));
        let mut with = useless.to_vec();
        with.push(ED.to_owned());
        assert_eq!(jwks(&with).unwrap().0.len(), 1);
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for bad in ["", "[]", "{}", "{\"keys\":1}", "{\"keys\":[]}"] {
            assert!(Jwks::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let large = vec![b' '; BYTES_MAX + 1];
        assert!(matches!(Jwks::parse(&large), Err(Error::TooLarge)));
        let many = vec![ED.to_owned(); KEYS_MAX + 1];
        assert!(matches!(jwks(&many), Err(Error::TooLarge)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(text in "(keys|kty|RSA|EC|OKP|crv|[\\[\\]{}:\",.0-9a-z]){0,80}") {
            let _ = Jwks::parse(text.as_bytes());
            let _ = jwks(&[text]);
        }
    }
}
