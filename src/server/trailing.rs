//! Notes every call in the audit trail: an answer to what was asked, and every refusal,
//! also one that comes after a part of the answer. What was sent, ingest notes itself.

use super::admission::Peer;
use super::http::Gate;
use super::late::Late;
use super::observe;
use crate::auth::caller::Caller;
use crate::auth::cause::Cause;
use crate::auth::known::{Known, Refusal as Refused};
use crate::auth::rule::Rule;
use crate::status;
use crate::trail::Trail;
use crate::trail::note::{Asked, Call, Refusal};
use compact_str::CompactString;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Code, Status};
use tower::Service;

/// Methods of ours that answer no question: those that send, and what is none of ours
/// (health, reflection).
const NO_QUESTIONS: [&str; 3] = ["PublishEvents", "StreamEvents", observe::OTHER];

/// As a scrape of the metrics is named.
const METRICS: &str = "metrics";

/// How long the last records may take.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Writes down what is known; a disk that hangs holds up no stop.
pub async fn stop(trail: Trail) {
    let stopping = tokio::task::spawn_blocking(move || trail.stop());
    if timeout(STOP_WITHIN, stopping).await.is_err() {
        tracing::error!("the audit trail could not be written to its end");
    }
}

/// Wraps the server's services.
#[derive(Clone)]
pub struct Layer(Trail);

impl Layer {
    /// Notes in this trail.
    pub fn new(trail: Trail) -> Self {
        Self(trail)
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        Noted {
            inner,
            trail: self.0.clone(),
        }
    }
}

/// A service whose calls are noted.
#[derive(Clone)]
pub struct Noted<S> {
    inner: S,
    trail: Trail,
}

impl<S, A, B> Service<Request<A>> for Noted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Body + Send + Unpin,
{
    type Response = Response<Ending<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        let mut call = Call {
            caller: None,
            peer: peer.and_then(|peer| peer.ends.remote_addr()).map(address),
            method: observe::method(request.uri().path()),
        };
        let asked = Asked::default();
        let asks = self.trail.is_kept() && !NO_QUESTIONS.contains(&call.method);
        if asks {
            request.extensions_mut().insert(asked.clone());
        }
        let trail = self.trail.clone();
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            let late = response.extensions_mut().remove::<Late>();
            let extensions = response.extensions();
            let caller = extensions.get::<Caller>();
            call.caller = caller.and_then(name);
            let cause = extensions.get::<Cause>().copied();
            match refusal(response.headers(), cause) {
                Some(refusal) => trail.refused(call.clone(), refusal),
                None if asks => trail.read(call.clone(), asked.take()),
                None => {}
            }
            if let Some(late) = late {
                late.wait().await;
            }
            Ok(response.map(|body| Ending { body, trail, call }))
        })
    }
}

fn name(caller: &Caller) -> Option<CompactString> {
    caller.name().map(|name| CompactString::new(name))
}

fn address(of: SocketAddr) -> std::net::IpAddr {
    of.ip().to_canonical()
}

/// What a status refuses; none if it does not, or there is none yet.
fn refusal(headers: &HeaderMap, cause: Option<Cause>) -> Option<Refusal> {
    let status = Status::from_header_map(headers)?;
    if status.code() == Code::Ok {
        return None;
    }
    let (reason, right) = status::told_in(&status);
    Some(Refusal {
        code: format!("{:?}", status.code()),
        reason,
        cause: cause.map(|cause| cause.name().into()).or(right),
    })
}

/// A body whose trailers may refuse.
pub struct Ending<B> {
    body: B,
    trail: Trail,
    call: Call,
}

impl<B: Body + Unpin> Body for Ending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(refusal) = frame.trailers_ref().and_then(|at| refusal(at, None))
        {
            self.trail.refused(self.call.clone(), refusal);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Lets who may operate have the metrics: they tell of every enterprise. Anyone, where
/// no callers are configured. Either is noted.
pub fn gate(known: Arc<Known>, trail: Trail) -> Gate {
    Arc::new(move |parts| {
        let admitted = known.admit_by(Rule::Operate, parts);
        let call = |caller: Option<&Caller>| Call {
            caller: caller.and_then(name),
            peer: parts.extensions.get::<SocketAddr>().copied().map(address),
            method: METRICS,
        };
        let (status, caller, cause) = match admitted {
            Ok(caller) => {
                trail.read(call(Some(&caller)), None);
                return Ok(caller);
            }
            Err(Refused::Lacks(right, caller)) => (StatusCode::FORBIDDEN, Some(caller), right),
            Err(Refused::Unknown(cause)) => (StatusCode::UNAUTHORIZED, None, cause.name()),
        };
        let refusal = Refusal {
            code: status.as_str().into(),
            reason: String::new(),
            cause: Some(cause.into()),
        };
        trail.refused(call(caller.as_ref()), refusal);
        Err(status)
    })
}
