//! Who calls.

use super::rights::Rights;
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
        }
    }

    /// Nobody: may do nothing.
    pub fn nobody() -> Self {
        Self {
            name: None,
            rights: Arc::default(),
            ended: None,
            until: None,
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
        }
    }

    /// The same; his credentials expire after this time.
    pub fn within(self, left: Duration) -> Self {
        Self {
            until: Instant::now().checked_add(left),
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
        let Some(ended) = &self.ended else {
            return std::future::pending().await;
        };
        let mut ended = ended.clone();
        let expired = async {
            match self.until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            why = ended.wait_for(Option::is_some) => match why {
                Ok(why) => why.unwrap_or(Ended::Revoked),
                // Whoever would tell is gone, so nobody vouches for him any more.
                Err(_) => Ended::Revoked,
            },
            () = expired => Ended::Expired,
        }
    }

    /// Whether his credentials may end at all.
    pub fn may_end(&self) -> bool {
        self.ended.is_some()
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
