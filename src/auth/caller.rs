//! Who calls.

use super::peer::PeerCertificate;
use super::rights::Rights;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Who calls, for the length of a call. Cheap to clone; every request has one among
/// its extensions.
#[derive(Clone, Debug)]
pub struct Caller {
    /// His name, if callers are configured: the source of what he sends.
    name: Option<Arc<str>>,
    rights: Arc<Rights>,
    ended: Option<watch::Receiver<Option<Ended>>>,
    /// When his credentials expire.
    until: Option<Instant>,
    /// The certificate of his connection.
    shown: Option<PeerCertificate>,
}

/// Why a caller's credentials are good no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Their time is over.
    Expired,
    /// They were taken back, or what he may do was changed.
    Revoked,
}

impl Caller {
    /// Anyone, where no callers are configured: may do everything, and says himself
    /// which source he is.
    pub fn anyone() -> Self {
        Self {
            name: None,
            rights: Arc::new(Rights::all()),
            ended: None,
            until: None,
            shown: None,
        }
    }

    /// Nobody: may do nothing.
    pub fn nobody() -> Self {
        Self {
            name: None,
            rights: Arc::default(),
            ended: None,
            until: None,
            shown: None,
        }
    }

    /// A caller who is known, by the name that is his source; `ended` tells when his
    /// credentials are good no more.
    pub fn known(
        name: Arc<str>,
        rights: Arc<Rights>,
        ended: watch::Receiver<Option<Ended>>,
    ) -> Self {
        Self {
            name: Some(name),
            rights,
            ended: Some(ended),
            until: None,
            shown: None,
        }
    }

    /// The same; his credentials expire after this time.
    pub fn within(self, left: Duration) -> Self {
        Self {
            until: Instant::now().checked_add(left),
            ..self
        }
    }

    /// The same, on a connection with this certificate: without it he is nobody there,
    /// whatever else he shows.
    pub fn showing(self, certificate: PeerCertificate) -> Self {
        Self {
            shown: Some(certificate),
            ..self
        }
    }

    /// The caller of a request; nobody if it was not asked who calls.
    pub fn of(extensions: &http::Extensions) -> Self {
        extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(Self::nobody)
    }

    /// His name, if callers are configured.
    pub fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// What he may do.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Waits until his credentials are good no more; forever if they have no end.
    pub async fn ended(&self) -> Ended {
        tokio::select! {
            why = self.taken_back() => why,
            () = self.expired() => Ended::Expired,
            () = self.distrusted() => Ended::Revoked,
        }
    }

    /// Whether they hold longer than another's, if neither are taken back.
    pub fn outlasts(&self, other: &Self) -> bool {
        match (self.until, other.until) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(own), Some(others)) => own > others,
        }
    }

    /// Whether they are good no more.
    pub fn has_ended(&self) -> bool {
        // Without who would tell nobody vouches for him any more.
        let taken_back = |ended: &watch::Receiver<Option<Ended>>| {
            ended.borrow().is_some() || ended.has_changed().is_err()
        };
        self.ended.as_ref().is_some_and(taken_back)
            || self.until.is_some_and(|until| until <= Instant::now())
            || self.shown.as_ref().is_some_and(|of| !of.is_trusted())
    }

    async fn taken_back(&self) -> Ended {
        let Some(ended) = &self.ended else {
            return pending().await;
        };
        let mut ended = ended.clone();
        let why = ended.wait_for(Option::is_some).await;
        // Whoever would tell is gone, so nobody vouches for him any more.
        why.ok().and_then(|why| *why).unwrap_or(Ended::Revoked)
    }

    async fn expired(&self) {
        match self.until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => pending().await,
        }
    }

    async fn distrusted(&self) {
        match &self.shown {
            Some(shown) => shown.distrusted().await,
            None => pending().await,
        }
    }

    /// Whether his credentials may end at all.
    pub fn may_end(&self) -> bool {
        self.ended.is_some() || self.shown.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_ends_as_his_credentials_do() {
        let (end, ended) = watch::channel(None);
        let caller = Caller::known("truckers".into(), Arc::default(), ended);
        end.send_replace(Some(Ended::Expired));
        assert_eq!(caller.ended().await, Ended::Expired);
    }

    #[tokio::test]
    async fn a_caller_ends_when_his_credentials_expire() {
        let (_end, ended) = watch::channel(None);
        let caller = Caller::known("truckers".into(), Arc::default(), ended);
        let left = Duration::from_millis(20);
        let started = Instant::now();
        assert_eq!(caller.within(left).ended().await, Ended::Expired);
        assert!(started.elapsed() >= left);
    }

    #[test]
    fn a_request_that_nobody_looked_at_is_nobodys() {
        let caller = Caller::of(&http::Extensions::new());
        assert_eq!(*caller.rights(), Rights::default());
    }
}
