//! The bearer token of a request, and what it is by its shape.

use crate::auth::cause::Cause;
use crate::auth::key::{self, Key, Malformed};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Bytes of the header: a JWT with many groups has a few thousand.
const HEADER_BYTES_MAX: usize = 8 << 10;

const SCHEME: &str = "bearer ";

/// A bearer token.
#[derive(Debug)]
pub enum Bearer<'a> {
    /// An API key.
    Key(Key),
    /// A JWT, by its three parts.
    Token(&'a str),
}

impl<'a> Bearer<'a> {
    /// That of a request; none if it has no `authorization`.
    ///
    /// # Errors
    /// There are several, or it is something else.
    pub fn of(headers: &'a HeaderMap) -> Result<Option<Self>, Cause> {
        let mut found = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(Cause::Several);
        }
        if value.len() > HEADER_BYTES_MAX {
            return Err(Cause::TooLong);
        }
        let text = value.to_str().map_err(|_| Cause::Malformed)?;
        let (scheme, token) = text
            .split_at_checked(SCHEME.len())
            .ok_or(Cause::Malformed)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(Cause::Malformed);
        }
        if token.starts_with(key::PREFIX) {
            return match Key::parse(token) {
                Ok(key) => Ok(Some(Self::Key(key))),
                Err(Malformed::Check) => Err(Cause::KeyMistyped),
                Err(Malformed::Form) => Err(Cause::Malformed),
            };
        }
        match token.split('.').count() {
            3 => Ok(Some(Self::Token(token))),
            _ => Err(Cause::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    fn cause(values: &[&str]) -> Cause {
        Bearer::of(&headers(values)).unwrap_err()
    }

    #[test]
    fn a_key_and_a_token_are_told_by_their_shape() {
        let key = Key::draw().unwrap();
        let shown = headers(&[&format!("Bearer {}", key.text())]);
        let Ok(Some(Bearer::Key(found))) = Bearer::of(&shown) else {
            panic!("no key")
        };
        assert_eq!(found.id(), key.id());
        let shown = headers(&["bEARER a.b.c"]);
        assert!(matches!(
            Bearer::of(&shown),
            Ok(Some(Bearer::Token("a.b.c")))
        ));
        assert!(Bearer::of(&headers(&[])).unwrap().is_none());
    }

    #[test]
    fn what_is_neither_is_refused() {
        let text = Key::draw().unwrap().text();
        assert_eq!(
            cause(&[&format!("Bearer {text}"), "Bearer a.b.c"]),
            Cause::Several
        );
        assert_eq!(
            cause(&[&format!("Bearer {}", "a".repeat(9000))]),
            Cause::TooLong
        );
        let (kept, last) = text.split_at(text.len() - 1);
        let other = if last == "A" { "B" } else { "A" };
        assert_eq!(
            cause(&[&format!("Bearer {kept}{other}")]),
            Cause::KeyMistyped
        );
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Basic a.b.c",
            "Bearer a.b",
            &text,
            "Bearer qm_a.b.c",
        ] {
            assert_eq!(cause(&[bad]), Cause::Malformed, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(bytes in prop::collection::vec(0u8..=255, 0..100)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                headers.append(AUTHORIZATION, value);
                prop_assert!(Bearer::of(&headers).is_err() || bytes.len() > 7);
            }
        }
    }
}
