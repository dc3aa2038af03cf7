//! An issuer whose tokens are believed, and whose they are.

use super::grant::Grant;
use crate::auth::callers::{self, Issuer};
use crate::auth::cause::Cause;
use crate::auth::jwks::held::Held;
use crate::auth::token::Token;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A trusted issuer.
pub struct Trusted {
    /// As he is configured.
    pub issuer: Issuer,
    /// His keys.
    pub held: Arc<Held>,
    by_subject: HashMap<String, Vec<Matching>>,
    by_claims: Vec<Matching>,
}

/// Whose a token is that claims this.
struct Matching {
    claims: BTreeMap<String, String>,
    grant: Arc<Grant>,
}

impl Matching {
    fn fits(&self, token: &Token<'_>) -> bool {
        let mut claims = self.claims.iter();
        claims.all(|(name, value)| token.claims(name, value))
    }
}

impl Trusted {
    /// Whose tokens are nobody's yet.
    pub fn new(issuer: Issuer, held: Arc<Held>) -> Self {
        Self {
            issuer,
            held,
            by_subject: HashMap::new(),
            by_claims: Vec::new(),
        }
    }

    /// Gives tokens to somebody.
    pub fn add(&mut self, token: &callers::Token, grant: Arc<Grant>) {
        let claims = token.claims.clone();
        let matching = Matching { claims, grant };
        match &token.subject {
            Some(subject) => {
                let those = self.by_subject.entry(subject.clone());
                those.or_default().push(matching);
            }
            None => self.by_claims.push(matching),
        }
    }

    /// Whose a token of this issuer is.
    ///
    /// # Errors
    /// It is not to be believed, or nobody's, or that of two.
    pub fn who(&self, token: &Token<'_>, now: Timestamp) -> Result<&Grant, Cause> {
        let keys = self.held.now();
        let verified = token.verify(&self.issuer, &keys, now);
        if verified == Err(Cause::TokenKeyUnknown) {
            self.held.want(&keys);
        }
        verified?;
        let of_subject = token
            .subject()
            .and_then(|subject| self.by_subject.get(subject));
        let those = of_subject.into_iter().flatten().chain(&self.by_claims);
        let mut those = those.filter(|matching| matching.fits(token));
        let found = &those.next().ok_or(Cause::TokenUnassigned)?.grant;
        // Of one caller there may be more than one.
        match those.all(|other| other.grant.name() == found.name()) {
            true => Ok(found),
            false => Err(Cause::TokenAmbiguous),
        }
    }
}
