//! What a credential is good for, and whether it is so still.

use crate::auth::caller::{Caller, Ended};
use crate::auth::callers::{Issuer, Token};
use crate::auth::pepper::Digest;
use crate::auth::rights::Rights;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What is shown to be known for somebody. Where any part of it changes, it is another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// An API key.
    Key {
        /// Its id.
        id: String,
        /// Its hash.
        digest: Digest,
        /// When it expires.
        expires: Option<Timestamp>,
    },
    /// A certificate, by its name.
    Certificate(String),
    /// Tokens that claim something.
    Token {
        /// What they claim.
        token: Token,
        /// How their issuer is trusted.
        issuer: Issuer,
    },
}

/// As the audit trail names it; not by its hash.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { id, .. } => write!(f, "key:{id}"),
            Self::Certificate(name) => write!(f, "certificate:{name}"),
            Self::Token { token, .. } => {
                write!(f, "token:{}", token.issuer)?;
                let subject = token.subject.iter().map(|subject| ("sub", subject));
                let claims = token.claims.iter();
                let claims = claims.map(|(name, value)| (name.as_str(), value));
                for (name, value) in subject.chain(claims) {
                    write!(f, ",{name}={value}")?;
                }
                Ok(())
            }
        }
    }
}

/// What somebody may do who shows a credential, and whether it is good still.
pub struct Grant {
    name: Arc<str>,
    rights: Arc<Rights>,
    end: watch::Sender<Option<Ended>>,
}

impl Grant {
    /// A new one.
    pub fn of(name: &Arc<str>, rights: &Arc<Rights>) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::clone(name),
            rights: Arc::clone(rights),
            end: watch::channel(None).0,
        })
    }

    /// Whose it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is just this.
    pub fn is(&self, name: &Arc<str>, rights: &Arc<Rights>) -> bool {
        self.name == *name && self.rights == *rights
    }

    /// Whoever shows it, for as long as is left of it.
    pub fn caller(&self, left: Option<Duration>) -> Caller {
        let caller = Caller::known(
            Arc::clone(&self.name),
            Arc::clone(&self.rights),
            self.end.subscribe(),
        );
        match left {
            Some(left) => caller.within(left),
            None => caller,
        }
    }

    /// It is good no more.
    pub fn end(&self, why: Ended) {
        self.end.send_replace(Some(why));
    }
}
