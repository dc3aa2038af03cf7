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

    /// Puts another in its place. What was asked for before may be in it; if not, it is
    /// asked for again.
    pub fn put(&self, jwks: Jwks) {
        let mut now = self.now.write();
        *now = Arc::new(jwks);
        let wanted = self.wanted.notified();
        tokio::pin!(wanted);
        wanted.enable();
    }

    /// Says that a key was asked for that is not in these. Waits for nothing.
    pub fn want(&self, these: &Arc<Jwks>) {
        let now = self.now.read();
        if Arc::ptr_eq(&now, these) {
            self.wanted.notify_one();
        }
    }

    /// Waits until that was said, since this was waited for last.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn what_was_wanted_of_other_keys_is_wanted_no_more() {
        let held = Held::default();
        let before = held.now();
        held.want(&before);
        assert!(held.wanted().now_or_never().is_some());
        held.want(&before);
        held.put(Jwks::default());
        held.want(&before);
        assert!(held.wanted().now_or_never().is_none());
        held.want(&held.now());
        assert!(held.wanted().now_or_never().is_some());
    }
}
