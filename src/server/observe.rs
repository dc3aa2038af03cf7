//! Counts every gRPC call when it ends: method, code, how long it took, and the
//! limit that it met. Statuses that are made below us are given what all of ours
//! have: a reason.

use crate::metrics::Metrics;
use crate::status;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tonic::{Code, Status};
use tower::Service;

/// Our methods. Whatever else is called is counted as `other`, so that nobody
/// can make series up.
const METHODS: [&str; 13] = [
    "Backup",
    "PublishEvents",
    "StreamEvents",
    "GetThroughput",
    "ListTopEnterprises",
    "ListEnterprises",
    "ListVesselCalls",
    "ListNoShows",
    "WatchThroughput",
    "DumpCells",
    "GetStatus",
    "LookupEvent",
    "ListCellEvents",
];

/// The name of those.
pub const OTHER: &str = "other";

/// The method of a path, if it is one of ours.
pub fn method(path: &str) -> &'static str {
    let asked = path.rsplit('/').next().unwrap_or_default();
    let known = METHODS.into_iter().find(|&known| known == asked);
    known.unwrap_or(OTHER)
}

/// Wraps the server's services.
#[derive(Clone)]
pub struct Layer(Arc<Metrics>);

impl Layer {
    /// Counts into these metrics.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self(metrics)
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            metrics: Arc::clone(&self.0),
        }
    }
}

/// A service whose calls are counted.
#[derive(Clone)]
pub struct Observed<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

/// One call; counted when dropped, which is when it has ended, however it ended.
struct Call {
    metrics: Arc<Metrics>,
    method: &'static str,
    started: Instant,
    code: Code,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.metrics
            .request(self.method, self.code, self.started.elapsed().as_secs_f64());
    }
}

impl Call {
    fn note(&mut self, headers: &mut HeaderMap) {
        let Some(status) = Status::from_header_map(headers) else {
            return;
        };
        self.code = status.code();
        if let Some(limit) = status::limit_of(&status) {
            self.metrics.limit(&limit).increment(1);
        }
        if self.code != Code::Ok && status.details().is_empty() {
            // What cannot stand in a header stays as it was.
            let _ = status::explained(status).add_header(headers);
        }
    }
}

impl<S, A, B> Service<Request<A>> for Observed<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Body + Unpin,
{
    type Response = Response<Counted<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let method = method(request.uri().path());
        let metrics = Arc::clone(&self.metrics);
        // What ends without a status was given up by its caller.
        let mut call = Call {
            metrics,
            method,
            started: Instant::now(),
            code: Code::Cancelled,
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            call.note(response.headers_mut());
            Ok(response.map(|body| Counted { body, call }))
        })
    }
}

/// A body whose trailers tell how the call ended.
pub struct Counted<B> {
    body: B,
    call: Call,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            self.call.note(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
