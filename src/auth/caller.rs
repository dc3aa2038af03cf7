//! Who calls.

use super::rights::Rights;
use std::sync::Arc;
use tokio::sync::watch;

/// Who calls, for the length of a call. Cheap to clone; every request has one among
/// its extensions.
#[derive(Clone, Debug)]
pub struct Caller {
    /// His name, if callers are configured: the source of what he sends.
    name: Option<Arc<str>>,
    rights: Arc<Rights>,
    ended: Option<watch::Receiver<Option<Ended>>>,
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
        }
    }

    /// Nobody: may do nothing.
    pub fn nobody() -> Self {
        Self {
            name: None,
            rights: Arc::default(),
            ended: None,
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
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.unwrap_or(Ended::Revoked),
            // Whoever would tell is gone, so nobody vouches for him any more.
            Err(_) => Ended::Revoked,
        }
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

    #[test]
    fn a_request_that_nobody_looked_at_is_nobodys() {
        let caller = Caller::of(&http::Extensions::new());
        assert_eq!(*caller.rights(), Rights::default());
    }
}
