//! The keys of an issuer, as they are known now.

use super::Jwks;
use parking_lot::RwLock;
use std::sync::Arc;
use tokio::sync::Notify;

/// A key set that another may take the place of.
#[derive(Default)]
pub struct Held {
    now: RwLock<Arc<Jwks>>,
    wanted: Notify,
}

impl Held {
    /// This one.
    pub fn of(jwks: Jwks) -> Self {
        Self {
            now: RwLock::new(Arc::new(jwks)),
            wanted: Notify::new(),
        }
    }

    /// The one of now.
    pub fn now(&self) -> Arc<Jwks> {
        Arc::clone(&self.now.read())
    }

    /// Puts another in its place.
    pub fn put(&self, jwks: Jwks) {
        *self.now.write() = Arc::new(jwks);
    }

    /// Says that a key was asked for that is not in it. Waits for nothing.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until that was said, since this was waited for last.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
