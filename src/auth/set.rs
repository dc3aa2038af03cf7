//! Who may call, as it is looked up: the callers' file, the key file and the issuers'
//! keys taken together. A set never changes; another one takes its place, and ends what
//! is no longer good.

mod grant;
mod trusted;

use super::caller::{Caller, Ended};
use super::callers::{self, Callers, Entry, Source};
use super::cause::Cause;
use super::certificate::Certificate;
use super::jwks::held::Held;
use super::key::Key;
use super::keys::Keys;
use super::pepper::Digest;
use super::rights::Rights;
use super::token::Token;
use grant::{Credential, Grant};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use trusted::Trusted;

/// All who may call.
#[derive(Default)]
pub struct Set {
    keys: Option<Keys>,
    by_key: HashMap<String, Assigned>,
    by_certificate: HashMap<String, Arc<Grant>>,
    by_issuer: HashMap<String, Trusted>,
    grants: HashMap<Credential, Arc<Grant>>,
}

/// What the files behind a set hold.
#[derive(Clone, Default)]
pub struct Parts {
    /// The callers' file.
    pub callers: Callers,
    /// The key file, if there is one.
    pub keys: Option<Keys>,
    /// Issuers' keys that are in files.
    pub jwks: HashMap<Source, Arc<Held>>,
}

/// What a key is good for.
enum Assigned {
    To(Arc<Grant>),
    Revoked,
    Nobody,
}

/// A set under way.
struct Making<'a> {
    set: Set,
    /// The one before it.
    before: &'a Set,
}

impl Set {
    /// What these files say. What was good `before` and is so still, by the same name and
    /// with the same rights, goes on; [`Set::end`] ends the rest.
    pub fn new(parts: Parts, before: &Self) -> Self {
        let mut making = Making {
            set: Self::default(),
            before,
        };
        let Parts {
            callers: Callers { callers, issuers },
            keys,
            mut jwks,
        } = parts;
        for issuer in issuers {
            // What was fetched is kept; a file was read anew. Issuers with one source have
            // the same keys, so that what is taken away is gone for all of them.
            let held = jwks.entry(issuer.source.clone());
            let held = held.or_insert_with_key(|source| before.held(source).unwrap_or_default());
            let held = Arc::clone(held);
            let trusted = Trusted::new(issuer, held);
            let by_issuer = &mut making.set.by_issuer;
            by_issuer.insert(trusted.issuer.name.clone(), trusted);
        }
        for entry in &callers {
            making.add(entry, keys.as_ref());
        }
        making.set.keys = keys;
        making.set
    }

    /// Ends what is good no more, now that another set takes this one's place, and names
    /// it.
    pub fn end(&self, after: &Self) -> Vec<String> {
        let ended: Vec<_> = self.missing_in(after).collect();
        ended
            .iter()
            .for_each(|(_, grant)| grant.end(Ended::Revoked));
        names(ended)
    }

    /// Names what is good since this set took another's place.
    pub fn begun(&self, before: &Self) -> Vec<String> {
        names(self.missing_in(before).collect())
    }

    fn missing_in<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a Credential, &'a Arc<Grant>)> {
        self.grants.iter().filter(|(credential, grant)| {
            let other = other.grants.get(credential);
            !other.is_some_and(|other| Arc::ptr_eq(other, grant))
        })
    }

    /// Where issuers' keys are, and those that are known now.
    pub fn sources(&self) -> Vec<(Source, Arc<Held>)> {
        let each = |trusted: &Trusted| (trusted.issuer.source.clone(), Arc::clone(&trusted.held));
        self.by_issuer.values().map(each).collect()
    }

    fn held(&self, source: &Source) -> Option<Arc<Held>> {
        let mut trusted = self.by_issuer.values();
        let found = trusted.find(|trusted| trusted.issuer.source == *source);
        found.map(|trusted| Arc::clone(&trusted.held))
    }

    /// Who shows a key.
    ///
    /// # Errors
    /// Why he is nobody.
    pub fn of_key(&self, key: &Key, now: Timestamp) -> Result<Caller, Cause> {
        let keys = self.keys.as_ref().ok_or(Cause::KeyUnknown)?;
        let entry = keys.get(key.id());
        // An unknown key takes as long as a wrong one.
        let expected = entry.map_or(Digest::NONE, |entry| entry.digest);
        let right = keys.digest(key) == expected;
        let entry = entry.ok_or(Cause::KeyUnknown)?;
        if !right {
            return Err(Cause::KeyWrong);
        }
        let left = left(entry.expires, now).ok_or(Cause::KeyExpired)?;
        match self.by_key.get(key.id()) {
            Some(Assigned::To(grant)) => Ok(grant.caller(left)),
            Some(Assigned::Revoked) => Err(Cause::KeyRevoked),
            Some(Assigned::Nobody) | None => Err(Cause::KeyUnassigned),
        }
    }

    /// Who has shown a certificate that one of our authorities has signed.
    ///
    /// # Errors
    /// Why he is nobody.
    pub fn of_certificate(&self, der: &[u8], now: Timestamp) -> Result<Caller, Cause> {
        let certificate = Certificate::read(der)?;
        if !certificate.is_good(now) {
            return Err(Cause::CertificateExpired);
        }
        let grant = self.by_certificate.get(&certificate.name);
        let grant = grant.ok_or(Cause::CertificateUnassigned)?;
        Ok(grant.caller(left(Some(certificate.ends), now).flatten()))
    }

    /// Who shows a JWT.
    ///
    /// # Errors
    /// Why he is nobody.
    pub fn of_token(&self, text: &str, now: Timestamp) -> Result<Caller, Cause> {
        let token = Token::read(text)?;
        let issuer = token.issuer().ok_or(Cause::TokenIssuer)?;
        let trusted = self.by_issuer.get(issuer).ok_or(Cause::TokenIssuer)?;
        let grant = trusted.who(&token, now)?;
        let ends = token.ends(&trusted.issuer);
        Ok(grant.caller(left(ends, now).flatten()))
    }
}

impl Making<'_> {
    fn add(&mut self, entry: &Entry, keys: Option<&Keys>) {
        let name: Arc<str> = entry.name.as_str().into();
        let rights = Arc::new(entry.rights.clone());
        for (id, key) in keys.into_iter().flat_map(Keys::iter) {
            if key.caller != entry.name {
                continue;
            }
            let assigned = match &entry.keys {
                ids if !ids.has(id) => Assigned::Nobody,
                _ if key.revoked.is_some() => Assigned::Revoked,
                _ => {
                    let credential = Credential::Key {
                        id: id.into(),
                        digest: key.digest,
                        expires: key.expires,
                    };
                    Assigned::To(self.grant(credential, &name, &rights))
                }
            };
            self.set.by_key.insert(id.into(), assigned);
        }
        for certificate in &entry.certificates {
            let credential = Credential::Certificate(certificate.clone());
            let grant = self.grant(credential, &name, &rights);
            self.set.by_certificate.insert(certificate.clone(), grant);
        }
        for token in &entry.tokens {
            self.add_token(token, &name, &rights);
        }
    }

    fn add_token(&mut self, token: &callers::Token, name: &Arc<str>, rights: &Arc<Rights>) {
        let Some(trusted) = self.set.by_issuer.get(&token.issuer) else {
            return;
        };
        let credential = Credential::Token {
            token: token.clone(),
            issuer: trusted.issuer.clone(),
        };
        let grant = self.grant(credential, name, rights);
        if let Some(trusted) = self.set.by_issuer.get_mut(&token.issuer) {
            trusted.add(token, grant);
        }
    }

    /// The one that was, if nothing of it has changed.
    fn grant(
        &mut self,
        credential: Credential,
        name: &Arc<str>,
        rights: &Arc<Rights>,
    ) -> Arc<Grant> {
        let kept = self.before.grants.get(&credential);
        let kept = kept.filter(|grant| grant.is(name, rights)).cloned();
        let grant = kept.unwrap_or_else(|| Grant::of(name, rights));
        self.set.grants.insert(credential, Arc::clone(&grant));
        grant
    }
}

/// By caller and credential, in order.
fn names(of: Vec<(&Credential, &Arc<Grant>)>) -> Vec<String> {
    let named = of.into_iter();
    let named = named.map(|(credential, grant)| format!("{}={credential}", grant.name()));
    let mut names: Vec<_> = named.collect();
    names.sort();
    names
}

/// How long it is until then; none within if there is no end, none at all if it is over.
fn left(end: Option<Timestamp>, now: Timestamp) -> Option<Option<Duration>> {
    let Some(end) = end else {
        return Some(None);
    };
    let left = Duration::try_from(end.duration_since(now)).ok()?;
    (!left.is_zero()).then_some(Some(left))
}

#[cfg(test)]
mod tests;
