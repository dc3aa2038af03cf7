//! Ends what is being answered when its caller's credentials end: after the message
//! that is on its way, with a status that says so.
//!
//! An event stream ends by itself, because what was taken is acknowledged first.

use crate::auth::caller::{Caller, Ended};
use crate::status;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// What acknowledges before it ends.
const ENDS_ITSELF: &str = "/quaymeter.v1.IngestService/StreamEvents";

/// Wraps the server's services.
#[derive(Clone, Copy)]
pub struct Layer;

impl<S> tower::Layer<S> for Layer {
    type Service = Ending<S>;

    fn layer(&self, inner: S) -> Ending<S> {
        Ending(inner)
    }
}

/// A service whose answers end with their callers' credentials.
#[derive(Clone)]
pub struct Ending<S>(S);

type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Ending<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let caller = Caller::of(request.extensions());
        let ends = caller.may_end() && request.uri().path() != ENDS_ITSELF;
        let response = self.0.call(request);
        Box::pin(async move {
            let response = response.await?;
            match ends {
                true => Ok(response.map(|body| Body::new(Until::new(body, caller)))),
                false => Ok(response),
            }
        })
    }
}

/// A body that lasts until its caller's credentials end.
struct Until {
    body: Body,
    /// None once it has ended.
    ended: Option<Pin<Box<dyn Future<Output = Ended> + Send>>>,
}

impl Until {
    fn new(body: Body, caller: Caller) -> Self {
        Self {
            body,
            ended: Some(Box::pin(async move { caller.ended().await })),
        }
    }
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(ended) = &mut self.ended else {
            return Poll::Ready(None);
        };
        // Whole messages come from below, so none is cut.
        if ended.as_mut().poll(cx).is_ready() {
            self.ended = None;
            // What answers stops when its body goes.
            self.body = Body::empty();
            let mut trailers = HeaderMap::new();
            // A status of ours can stand in a header.
            let _ = status::credentials_ended().add_header(&mut trailers);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
