//! A JWT (RFC 7519): read without trust, then verified against its issuer's keys with
//! the algorithms that are pinned for him, as RFC 8725 advises. Time is an argument.

use super::callers::{Algorithm, Issuer};
use super::cause::Cause;
use super::jwks::Jwks;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A token that was read. Nothing of it is to be believed before [`Token::verify`].
pub struct Token<'a> {
    signed: &'a str,
    signature: &'a str,
    header: Header,
    claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood; we understand none of it.
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &'a str) -> Result<Self, Cause> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Cause::TokenMalformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Cause::TokenMalformed)?;
        Ok(Self {
            signed,
            signature,
            header: part(header)?,
            claims: part(claims)?,
        })
    }

    /// Who says that he issued it.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// Finds that its issuer signed it, for us, and that it is good now.
    ///
    /// # Errors
    /// Why it is not to be believed.
    pub fn verify(&self, issuer: &Issuer, jwks: &Jwks, now: Timestamp) -> Result<(), Cause> {
        if self.header.crit.is_some() {
            return Err(Cause::TokenMalformed);
        }
        let pinned = Algorithm::of(&self.header.alg);
        let pinned = pinned.filter(|algorithm| issuer.algorithms.contains(algorithm));
        let algorithm = pinned.ok_or(Cause::TokenAlgorithm)?;
        let key = jwks.find(self.header.kid.as_deref(), algorithm)?;
        let (signature, signed) = (self.signature, self.signed.as_bytes());
        let verified = jsonwebtoken::crypto::verify(signature, signed, key, theirs(algorithm));
        if !verified.unwrap_or(false) {
            return Err(Cause::TokenSignature);
        }
        if self.issuer() != Some(&*issuer.name) {
            return Err(Cause::TokenIssuer);
        }
        self.judge_time(issuer, now)?;
        let meant = issuer
            .audiences
            .iter()
            .any(|audience| self.claims("aud", audience));
        meant.then_some(()).ok_or(Cause::TokenAudience)
    }

    fn judge_time(&self, issuer: &Issuer, now: Timestamp) -> Result<(), Cause> {
        let ends = self.ends(issuer).ok_or(Cause::TokenExpired)?;
        if ends <= now {
            return Err(Cause::TokenExpired);
        }
        let Some(begins) = self.claims.get("nbf") else {
            return Ok(());
        };
        let begins = instant(begins, -skew_ms(issuer)).ok_or(Cause::TokenMalformed)?;
        match begins <= now {
            true => Ok(()),
            false => Err(Cause::TokenEarly),
        }
    }

    /// When it is good no more, by a clock that may be late. A token has an end.
    pub fn ends(&self, issuer: &Issuer) -> Option<Timestamp> {
        instant(self.claims.get("exp")?, skew_ms(issuer))
    }

    /// Whom it is about.
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub")?.as_str()
    }

    /// Whether it claims this: as a text, or as one of a list of texts.
    pub fn claims(&self, name: &str, wanted: &str) -> bool {
        match self.claims.get(name) {
            Some(Value::String(text)) => text == wanted,
            Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(wanted)),
            _ => false,
        }
    }
}

fn skew_ms(issuer: &Issuer) -> i64 {
    i64::try_from(issuer.skew.as_millis()).unwrap_or(i64::MAX)
}

/// Seconds since 1970, whole or not, and some milliseconds.
fn instant(value: &Value, and_ms: i64) -> Option<Timestamp> {
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite())?;
    let ms = ((seconds * 1000.0) as i64).saturating_add(and_ms);
    // Beyond the calendar is as good as its end.
    let within = |end: Timestamp| end.as_second() * 1000;
    let ms = ms.clamp(within(Timestamp::MIN), within(Timestamp::MAX));
    Timestamp::from_millisecond(ms).ok()
}

fn part<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, Cause> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.ok_or(Cause::TokenMalformed)
}

const fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests;
