//! Who issues JWTs that are believed: his name, whom they must be meant for, with which
//! algorithms he signs, and where his keys are.

use super::fields::{self, Faults, Fields};
use std::path::PathBuf;
use std::time::Duration;
use toml::Value;

/// An issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer {
    /// His name, as in the claim `iss`.
    pub name: String,
    /// Whom a token must be meant for: one of these.
    pub audiences: Vec<String>,
    /// With which algorithms he signs.
    pub algorithms: Vec<Algorithm>,
    /// Where his keys are.
    pub source: Source,
    /// How far his clock may be from ours.
    pub skew: Duration,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// In a file, read again when it changes.
    File(PathBuf),
    /// At a URL, fetched now and then.
    Url {
        /// It: `https`, or `http` on this machine.
        url: String,
        /// How often.
        every: Duration,
    },
}

/// The algorithms that may be pinned: each with a public key, so that who verifies
/// cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say it all")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Its name in a token's header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

const SKEW_S: i64 = 60;
const REFRESH_MINUTES: i64 = 60;

/// Reads one.
pub(super) fn read(mut fields: Fields, faults: &mut Faults) -> Option<Issuer> {
    let name = fields.text("issuer", "the issuer's name, as in the claim iss", faults);
    let audiences = audiences(&mut fields, faults);
    let algorithms = algorithms(&mut fields, faults);
    let skew = fields.number("clock_skew_s", 0..=600, faults);
    let source = source(&mut fields, faults);
    fields.end(faults);
    Some(Issuer {
        name: name?,
        audiences,
        algorithms,
        source: source?,
        skew: Duration::from_secs(skew.unwrap_or(SKEW_S).unsigned_abs()),
    })
}

/// One text, or a list of some.
fn audiences(fields: &mut Fields, faults: &mut Faults) -> Vec<String> {
    let path = fields.path("audience");
    let expected = "whom tokens are meant for, as in the claim aud";
    let texts = match fields.take("audience") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![(path.clone(), text)],
        Some(value) => fields::texts(&path, value, expected, faults),
    };
    if texts.is_empty() {
        faults.add(&path, "nothing", expected);
    }
    for (path, text) in &texts {
        if text.is_empty() {
            faults.add(path, "\"\"", expected);
        }
    }
    texts.into_iter().map(|(_, text)| text).collect()
}

fn algorithms(fields: &mut Fields, faults: &mut Faults) -> Vec<Algorithm> {
    let names: Vec<_> = Algorithm::ALL.map(Algorithm::name).into();
    let expected = format!("one of {}", names.join(", "));
    let path = fields.path("algorithms");
    let texts = fields.texts("algorithms", &expected, faults);
    if texts.is_empty() {
        faults.add(&path, "nothing", format!("a list of {expected}"));
    }
    let mut found = Vec::new();
    for (path, text) in texts {
        match Algorithm::of(&text) {
            Some(algorithm) => found.push(algorithm),
            None => faults.add(&path, format!("{text:?}"), expected.clone()),
        }
    }
    found
}

fn source(fields: &mut Fields, faults: &mut Faults) -> Option<Source> {
    let (at_file, at_url) = (fields.path("jwks_file"), fields.path("jwks_url"));
    let file = fields.take("jwks_file");
    let url = fields.take("jwks_url");
    let every = fields.number("refresh_minutes", 1..=1440, faults);
    match (file, url) {
        (Some(file), None) => {
            let file = fields::text(&at_file, file, "a path", faults)?;
            Some(Source::File(file.into()))
        }
        (None, Some(url)) => {
            let expected = "an https:// URL, or an http:// one on this machine";
            let url = fields::text(&at_url, url, expected, faults)?;
            if !is_safe(&url) {
                faults.add(&at_url, format!("{url:?}"), expected);
                return None;
            }
            let minutes = every.unwrap_or(REFRESH_MINUTES).unsigned_abs();
            let every = Duration::from_secs(60 * minutes);
            Some(Source::Url { url, every })
        }
        (file, _) => {
            let found = if file.is_some() { "both" } else { "neither" };
            faults.add(&at_url, found, "jwks_url or jwks_file");
            None
        }
    }
}

/// Whoever can change what a URL answers can call as anybody: it must be encrypted, or
/// stay on this machine.
fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    let no_user = uri
        .authority()
        .is_some_and(|name| !name.as_str().contains('@'));
    match uri.scheme_str() {
        Some("https") => !host.is_empty() && no_user,
        Some("http") => loopback && no_user,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_encrypted_or_from_this_machine() {
        for good in [
            "https://login.example/keys",
            "http://127.0.0.1:80/keys",
            "http://[::1]:8080/",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://login.example/keys",
            "http://localhost/keys",
            "http://127.0.0.1.example/keys",
            "https://user@login.example/keys",
            "file:///etc/keys",
            "login.example",
            "",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }

    #[test]
    fn no_algorithm_signs_with_what_verifies() {
        for never in ["none", "None", "HS256", "HS384", "HS512", "rs256", ""] {
            assert_eq!(Algorithm::of(never), None);
        }
    }
}
