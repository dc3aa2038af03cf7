//! Lets a call in: who calls, and whether he may call this at all, before anything of
//! it is read or held. Every request that goes on has its [`Caller`].
//!
//! A refused one is answered with no more than that it is; why stands in the extensions
//! of the answer ([`Cause`](crate::auth::cause::Cause), [`Caller`]), for who keeps account.

use super::admission::Peer;
use crate::auth::known::{Known, Refusal};
use crate::status;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// Wraps the server's services.
#[derive(Clone)]
pub struct Layer(Arc<Known>);

impl Layer {
    /// Lets in whom these know.
    pub fn new(known: Arc<Known>) -> Self {
        Self(known)
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            known: Arc::clone(&self.0),
        }
    }
}

/// A service whose callers are known.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    known: Arc<Known>,
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
        if let Some(shown) = peer.and_then(|peer| peer.certificate.clone()) {
            parts.extensions.insert(shown);
        }
        let caller = match self.known.admit(&parts) {
            Ok(caller) => caller,
            Err(refusal) => {
                let refused = refused(parts.uri.path(), refusal);
                return Box::pin(std::future::ready(Ok(refused)));
            }
        };
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
