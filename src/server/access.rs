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

/// … and as many wait for it, of all strangers and of all who are known. With more, who
/// calls again loses the connection.
const WAITING_MAX: usize = 256;

/// As the limits are named.
const REFUSALS: [&str; 2] = ["refusals of strangers", "refusals of callers"];

/// Wraps the server's services.
#[derive(Clone)]
pub struct Layer {
    known: Arc<Known>,
    /// Strangers, and who are known.
    waiting: [Arc<Semaphore>; 2],
    metrics: Arc<Metrics>,
}

impl Layer {
    /// Lets in whom these know.
    pub fn new(known: Arc<Known>, metrics: Arc<Metrics>) -> Self {
        Self {
            known,
            waiting: [(); 2].map(|()| Arc::new(Semaphore::new(WAITING_MAX))),
            metrics,
        }
    }

    /// Answers a call that is not let in.
    fn refuse(&self, path: &str, refusal: Refusal, guest: Option<Guest>) -> Response<Body> {
        let mut refused = refused(path, refusal);
        let Some(guest) = guest else { return refused };
        if guest.refused() < AT_ONCE_MAX {
            return refused;
        }
        let whose = usize::from(guest.is_known());
        match Arc::clone(&self.waiting[whose]).try_acquire_owned() {
            Ok(waits) => {
                let late = Late::by(REFUSED_AFTER).with(waits);
                refused.extensions_mut().insert(late);
            }
            Err(_) => {
                self.metrics.limit(REFUSALS[whose]).increment(1);
                guest.dismiss();
            }
        }
        refused
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
