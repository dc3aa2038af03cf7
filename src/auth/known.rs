//! Who calls: looked up in the set of now, which follows its files.

mod bearer;
mod follow;
mod source;

pub use source::{Error, key_file};

use super::caller::Caller;
use super::cause::Cause;
use super::peer::PeerCertificate;
use super::rule::Rule;
use super::set::Set;
use crate::metrics::Metrics;
use crate::trail::Trail;
use bearer::Bearer;
use http::request::Parts;
use jiff::Timestamp;
use parking_lot::RwLock;
use source::Source;
use std::sync::Arc;

/// Who may call, as the files say now.
pub struct Known {
    /// None where no callers are configured.
    source: Option<Source>,
    set: RwLock<Arc<Set>>,
    metrics: Arc<Metrics>,
    trail: Trail,
}

/// Why a request is not let in.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It is not known who calls.
    Unknown(Cause),
    /// He is known, and lacks this right.
    Lacks(&'static str, Caller),
}

impl Known {
    /// Who calls a request, by its bearer token, or else by the certificate of its
    /// connection. Anyone where no callers are configured; but nobody over a connection
    /// whose certificate no authority vouches for any more.
    ///
    /// # Errors
    /// Why it is not known: for the operator, not for who called.
    pub fn who(&self, parts: &Parts) -> Result<Caller, Cause> {
        let Some(shown) = PeerCertificate::of(&parts.extensions) else {
            return self.named(parts, None);
        };
        // Whatever else he shows: with it he could not connect now.
        if !shown.is_trusted() {
            return Err(Cause::CertificateUntrusted);
        }
        let caller = self.named(parts, Some(shown))?;
        Ok(caller.showing(shown.clone()))
    }

    fn named(&self, parts: &Parts, shown: Option<&PeerCertificate>) -> Result<Caller, Cause> {
        if self.source.is_none() {
            return Ok(Caller::anyone());
        }
        let now = Timestamp::now();
        match (Bearer::of(&parts.headers)?, shown) {
            (Some(Bearer::Key(key)), _) => self.set().of_key(&key, now),
            (Some(Bearer::Token(token)), _) => self.set().of_token(token, now),
            (None, Some(shown)) => self.set().of_certificate(shown.der(), now),
            (None, None) => Err(Cause::Missing),
        }
    }

    /// Whose a request of a method is, if he may call it at all.
    ///
    /// # Errors
    /// Why he may not, which is counted.
    pub fn admit(&self, parts: &Parts) -> Result<Caller, Refusal> {
        self.admit_by(Rule::of(parts.uri.path()), parts)
    }

    /// Whose a request is, if he may do what a rule asks for.
    ///
    /// # Errors
    /// Why he may not, which is counted.
    pub fn admit_by(&self, rule: Rule, parts: &Parts) -> Result<Caller, Refusal> {
        if rule == Rule::Anyone && self.asks() {
            return Ok(Caller::nobody());
        }
        let caller = self.who(parts).map_err(|cause| {
            tracing::debug!(cause = cause.name(), "a caller is not known");
            let counter = self.metrics.unauthenticated.with([cause.name()]);
            counter.increment(1);
            Refusal::Unknown(cause)
        })?;
        match rule.lacks(caller.rights()) {
            None => Ok(caller),
            Some(right) => {
                self.metrics.not_allowed.with([right]).increment(1);
                Err(Refusal::Lacks(right, caller))
            }
        }
    }

    /// Whether callers are configured: else whoever reaches the port may do everything.
    pub fn asks(&self) -> bool {
        self.source.is_some()
    }

    fn set(&self) -> Arc<Set> {
        Arc::clone(&self.set.read())
    }
}
