//! The places of calls: how many there are at once, of all callers and of each.

use super::Kind;
use crate::auth::caller::Caller;
use crate::auth::quota::{self, Over, Quotas, Taken};
use crate::config::Limits;
use crate::status;
use crate::turns::{Share, Shares};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// When to come back after too many calls.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Who was told to wait and does not hears so no sooner: refusals that are answered at
/// once keep processors busy that others wait for.
const REFUSED_AFTER: Duration = Duration::from_millis(100);

/// Calls of health and reflection at once, for which nobody needs to be known: a watch
/// of the health lasts as long as its client likes, and must not take the place of
/// others. So for probes.
const ASIDE_MAX: usize = 256;

/// What there is of places.
pub struct Room {
    quotas: Quotas,
    calls: Arc<Semaphore>,
    probes: Arc<Semaphore>,
    aside: Arc<Semaphore>,
    /// Of these, who is known has a share.
    streams: Shares,
    watches: Shares,
    questions: Shares,
    publishing: Shares,
}

/// A call's places, until it has ended.
#[derive(Default)]
pub struct Places {
    _of_all: Option<OwnedSemaphorePermit>,
    _share: Option<Share>,
    _own: Option<quota::Place>,
}

/// No place, and how long to say nothing of it.
pub struct Refused {
    pub status: Status,
    pub after: Duration,
}

impl Room {
    /// Within these limits.
    pub fn new(limits: &Limits, quotas: Quotas) -> Self {
        Self {
            quotas,
            calls: Arc::new(Semaphore::new(limits.calls)),
            probes: Arc::new(Semaphore::new(ASIDE_MAX)),
            aside: Arc::new(Semaphore::new(ASIDE_MAX)),
            streams: Shares::new(limits.streams as u64),
            watches: Shares::new(limits.watches as u64),
            // As many as there are at once, or are evaluated and wait.
            questions: Shares::new(limits.calls.min(limits.concurrent_queries) as u64),
            publishing: Shares::new(limits.calls as u64),
        }
    }

    /// Places for a call, and what its caller takes of his own limits.
    ///
    /// # Errors
    /// There are none, or its caller may have no more.
    pub fn enter(&self, kind: Kind, caller: &Caller) -> Result<(Places, Option<Taken>), Refused> {
        let taken = match kind {
            Kind::Probe | Kind::Aside => None,
            _ => self.quotas.of(caller)?,
        };
        let own = taken.as_ref().map(|taken| own(kind, taken)).transpose()?;
        let places = Places {
            _own: own.flatten(),
            _share: self.share(kind, caller)?,
            _of_all: self.of_all(kind)?,
        };
        Ok((places, taken))
    }

    fn share(&self, kind: Kind, caller: &Caller) -> Result<Option<Share>, Status> {
        let (shares, what) = match kind {
            Kind::Stream => (&self.streams, "streams of one caller"),
            Kind::Watch => (&self.watches, "watches of one caller"),
            Kind::Question => (&self.questions, "questions of one caller"),
            Kind::Publish => (&self.publishing, "calls of one caller"),
            Kind::Probe | Kind::Aside => return Ok(None),
        };
        // Who is not known cannot be told from others.
        let Some(name) = caller.name() else {
            return Ok(None);
        };
        let share = shares.take(name, 1);
        let share = share.ok_or_else(|| status::overloaded(what, RETRY_AFTER))?;
        Ok(Some(share))
    }

    fn of_all(&self, kind: Kind) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let (places, what) = match kind {
            Kind::Stream => return Ok(None),
            Kind::Publish | Kind::Watch | Kind::Question => (&self.calls, "calls"),
            Kind::Probe => (&self.probes, "calls of health and reflection"),
            Kind::Aside => (&self.aside, "calls of health and reflection"),
        };
        let place = Arc::clone(places).try_acquire_owned();
        let place = place.map_err(|_| status::overloaded(what, RETRY_AFTER))?;
        Ok(Some(place))
    }
}

/// Of a caller's own limits. What he sends is judged before anything is read: what was
/// too much must not be again.
fn own(kind: Kind, taken: &Taken) -> Result<Option<quota::Place>, Refused> {
    match kind {
        Kind::Stream => taken.may_open()?,
        Kind::Publish => taken.may_call()?,
        Kind::Watch | Kind::Question => return Ok(Some(taken.query()?)),
        Kind::Probe | Kind::Aside => {}
    }
    Ok(None)
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let after = Duration::ZERO;
        Self { status, after }
    }
}

impl From<Over> for Refused {
    fn from(over: Over) -> Self {
        let after = over.wait().min(REFUSED_AFTER);
        let status = over.into();
        Self { status, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::rights::Rights;
    use crate::config::{Config, Sources};
    use tokio::sync::watch;

    fn room() -> Room {
        let config = Config::resolve(Sources::default()).unwrap();
        let limits = Limits {
            streams: 8,
            watches: 8,
            calls: 80,
            concurrent_queries: 8,
            ..config.limits
        };
        Room::new(&limits, Quotas::default())
    }

    fn known(name: &str) -> Caller {
        Caller::known(name.into(), Arc::new(Rights::all()), watch::channel(None).1)
    }

    /// Takes what a caller can get; what, and which limit ended it.
    fn all_of(room: &Room, kind: Kind, caller: &Caller) -> (Vec<Places>, String) {
        let mut places = Vec::new();
        while places.len() < 100 {
            match room.enter(kind, caller) {
                Ok((place, _)) => places.push(place),
                Err(refused) => return (places, status::limit_of(&refused.status).unwrap()),
            }
        }
        (places, "none".into())
    }

    #[test]
    fn one_caller_leaves_places_to_others_whatever_he_calls() {
        for (kind, most, limit) in [
            (Kind::Stream, 6, "streams of one caller"),
            (Kind::Watch, 6, "watches of one caller"),
            (Kind::Publish, 60, "calls of one caller"),
            (Kind::Question, 6, "questions of one caller"),
        ] {
            let room = room();
            let (first, ended) = all_of(&room, kind, &known("first"));
            assert_eq!((first.len(), ended.as_str()), (most, limit));
            assert!(room.enter(kind, &known("second")).is_ok());
            drop(first);
            let (second, _) = all_of(&room, kind, &known("second"));
            assert_eq!(second.len(), most);
        }
    }

    #[test]
    fn who_is_not_known_has_what_there_is() {
        let room = room();
        let (places, ended) = all_of(&room, Kind::Publish, &Caller::anyone());
        assert_eq!((places.len(), ended.as_str()), (80, "calls"));
    }

    #[test]
    fn probes_and_what_is_aside_take_no_place_of_calls() {
        let room = room();
        for kind in [Kind::Probe, Kind::Aside] {
            let aside: Vec<_> = (0..ASIDE_MAX)
                .map_while(|_| room.enter(kind, &Caller::nobody()).ok())
                .collect();
            assert_eq!(aside.len(), ASIDE_MAX);
            assert!(room.enter(kind, &Caller::nobody()).is_err());
            assert!(room.enter(Kind::Publish, &known("first")).is_ok());
        }
    }
}
