//! Lets a call in: who calls, and whether he may call this at all, before anything of
//! it is read or held. Every request that goes on has its [`Caller`].
//!
//! A refused one is answered with no more than that it is; why stands in the extensions
//! of the answer ([`Cause`](crate::auth::cause::Cause), [`Caller`]), for who keeps account.
//!
//! Whoever goes on with calls that are refused hears of it later, or loses the connection:
//! what refuses at once keeps processors busy that others wait for.

use super::admission::Peer;
use super::guests::Guest;
use super::late::Late;
use crate::auth::known::{Known, Refusal};
use crate::metrics::Metrics;
use crate::status;
use crate::turns::Shares;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// The calls on a connection that are refused at once: whoever has the wrong key by mistake
/// hears of it soon.
const AT_ONCE_MAX: u32 = 16;

/// Later ones hear of it so much later …
const REFUSED_AFTER: Duration = Duration::from_millis(100);

/// … and as many wait for it, of all strangers and of all who are known, who share them:
/// none takes the room in which another waits. With more, who calls again loses the
/// connection.
const WAITING_MAX: usize = 256;

/// Wraps the server's services.
#[derive(Clone)]
pub struct Layer {
    known: Arc<Known>,
    waits: Waits,
}

impl Layer {
    /// Lets in whom these know.
    pub fn new(known: Arc<Known>, metrics: Arc<Metrics>) -> Self {
        Self {
            known,
            waits: Waits::new(metrics),
        }
    }

    /// Answers a call that is not let in.
    fn refuse(&self, path: &str, refusal: Refusal, guest: Option<Guest>) -> Response<Body> {
        let name = match &refusal {
            Refusal::Lacks(_, caller) => caller.name().cloned(),
            Refusal::Unknown(_) => guest.as_ref().and_then(Guest::name),
        };
        let mut refused = refused(path, refusal);
        if let Some(late) = guest.and_then(|guest| self.waits.refuse(&guest, name)) {
            refused.extensions_mut().insert(late);
        }
        refused
    }
}

/// Those who wait to hear that they are refused.
#[derive(Clone)]
struct Waits {
    strangers: Arc<Semaphore>,
    callers: Arc<Shares>,
    metrics: Arc<Metrics>,
}

impl Waits {
    fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            strangers: Arc::new(Semaphore::new(WAITING_MAX)),
            callers: Arc::new(Shares::new(WAITING_MAX as u64)),
            metrics,
        }
    }

    /// How late one hears of it whose call is refused, if he is known by his name; none if at
    /// once, or if the connection ends for it.
    fn refuse(&self, guest: &Guest, name: Option<Arc<str>>) -> Option<Late> {
        if guest.refused() < AT_ONCE_MAX {
            return None;
        }
        let late = Late::by(REFUSED_AFTER);
        let (late, limit) = match name {
            None => {
                let waits = Arc::clone(&self.strangers).try_acquire_owned().ok();
                (waits.map(|waits| late.with(waits)), "refusals of strangers")
            }
            Some(name) => {
                let waits = self.callers.take(&name, 1);
                (waits.map(|waits| late.with(waits)), "refusals of callers")
            }
        };
        if late.is_none() {
            self.metrics.limit(limit).increment(1);
            guest.dismiss();
        }
        late
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service whose callers are known.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    layer: Layer,
}

type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S, B> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: http_body::Body<Data = Bytes, Error = Status> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>();
        let guest = peer.map(|peer| peer.guest.clone());
        if let Some(shown) = peer.and_then(|peer| peer.certificate.clone()) {
            parts.extensions.insert(shown);
        }
        let caller = match self.layer.known.admit(&parts) {
            Ok(caller) => caller,
            Err(refusal) => {
                let refused = self.layer.refuse(parts.uri.path(), refusal, guest);
                return Box::pin(async move { Ok(refused) });
            }
        };
        if let Some(guest) = guest.filter(|_| caller.name().is_some()) {
            guest.is_known_as(&caller);
        }
        // What nobody needs any more, nobody can show.
        parts.headers.remove(AUTHORIZATION);
        parts.extensions.insert(caller.clone());
        let response = self.inner.call(Request::from_parts(parts, body));
        Box::pin(async move {
            let mut response = response.await?.map(Body::new);
            response.extensions_mut().insert(caller);
            Ok(response)
        })
    }
}

fn refused(path: &str, refusal: Refusal) -> Response<Body> {
    match refusal {
        Refusal::Unknown(cause) => {
            let mut refused = status::unauthenticated().into_http();
            refused.extensions_mut().insert(cause);
            refused
        }
        Refusal::Lacks(right, caller) => {
            let method = path.rsplit('/').next().unwrap_or_default();
            let mut refused = status::lacks(method, right).into_http();
            refused.extensions_mut().insert(caller);
            refused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};
    use crate::server::guests::{Guests, Place};
    use std::task::Waker;

    fn waits() -> Waits {
        let config = Config::resolve(Sources::default()).unwrap();
        Waits::new(Arc::new(Metrics::new(&config.metrics).unwrap()))
    }

    fn refuse(waits: &Waits, place: &Place, name: &str) -> Option<Late> {
        waits.refuse(place.guest(), Some(name.into()))
    }

    /// A connection whose next refusal is not heard of at once.
    fn refused(guests: &Arc<Guests>, waits: &Waits, name: &str) -> Place {
        let (place, _) = guests.admit().unwrap();
        for _ in 0..AT_ONCE_MAX {
            assert!(refuse(waits, &place, name).is_none());
        }
        place
    }

    fn is_to_go(place: &mut Place) -> bool {
        place.is_to_go(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_calls_on_what_he_may_not_loses_no_connection_but_his_own() {
        let (guests, waits) = (Guests::new(8), waits());
        let [mut floods, mut other] =
            ["floods", "other"].map(|name| refused(&guests, &waits, name));
        let flood = std::iter::from_fn(|| refuse(&waits, &floods, "floods"));
        let flood: Vec<Late> = flood.take(WAITING_MAX).collect();
        assert_eq!(flood.len(), WAITING_MAX * 3 / 4);
        assert!(is_to_go(&mut floods));
        assert!(refuse(&waits, &other, "other").is_some());
        assert!(!is_to_go(&mut other));
        // Who holds one still would be refused.
        drop(flood);
        assert!(waits.callers.take("floods", WAITING_MAX).is_some());
    }
}
