//! So much in a second. What was taken can be given back, which two limits that are
//! to be kept together need.

use governor::clock::{Clock as _, DefaultClock};
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// So much in a second, all of it at once if nothing was taken for a second.
pub(super) struct Rate(RateLimiter<NotKeyed, Store, DefaultClock>, Store);

/// What was taken, at a time.
pub(super) type Kept = Option<Nanos>;

#[derive(Clone, Debug, Default)]
struct Store(Arc<Mutex<Kept>>);

/// It was not taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Denied {
    /// It can be after this long.
    For(Duration),
    /// It is more than this, which is a second's.
    Ever(u32),
}

impl StateStore for Store {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut kept = self.0.lock();
        let (outcome, next) = decide(*kept)?;
        *kept = Some(next);
        Ok(outcome)
    }
}

impl Rate {
    /// So much in a second, at least 1.
    pub(super) fn new(per_second: u32) -> Self {
        let quota = Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN));
        let store = Store::default();
        Self(
            RateLimiter::new(quota, store.clone(), DefaultClock::default()),
            store,
        )
    }

    /// Takes so much, or nothing.
    pub(super) fn take(&self, count: usize) -> Result<(), Denied> {
        let Some(count) = NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)) else {
            return Ok(());
        };
        match self.0.check_n(count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(Denied::For(until.wait_time_from(self.0.clock().now()))),
            Err(most) => Err(Denied::Ever(most.0)),
        }
    }

    /// What is taken now.
    pub(super) fn kept(&self) -> Kept {
        *self.1.0.lock()
    }

    /// Sets what is taken, as it was.
    pub(super) fn restore(&self, kept: Kept) {
        *self.1.0.lock() = kept;
    }
}

impl std::fmt::Debug for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rate({:?})", self.kept())
    }
}
