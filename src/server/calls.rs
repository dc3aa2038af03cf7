//! Bounds every call: how many there are at once, what its request may hold, and
//! how long its answer may wait for the client.

mod answer;

use super::admission::Peer;
use super::line::Line;
use crate::auth::caller::Caller;
use crate::auth::quota::{self, Over, Quotas, Taken};
use crate::budget::{Budget, Carried};
use crate::config;
use crate::intake::{Inflow, Limits, Manner};
use crate::status;
use answer::Answer;
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// When to come back after too many calls.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Who was told to wait and does not hears so no sooner: refusals that are answered at
/// once keep processors busy that others wait for.
const REFUSED_AFTER: Duration = Duration::from_millis(100);

/// Calls of health and reflection at once: a watch of the health lasts as long as
/// its client likes, and must not take the place of others.
const ASIDE_MAX: usize = 256;

/// Bytes of a message that asks: a filter of a thousand enterprises and a
/// thousand facilities is 130 KiB.
pub const QUESTION_BYTES_MAX: usize = 1 << 20;

/// Wraps the server's services.
#[derive(Clone)]
pub struct Layer(Arc<Shared>);

struct Shared {
    requests: Arc<Budget>,
    quotas: Quotas,
    message_bytes: usize,
    arrival: Duration,
    calls: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

impl Layer {
    /// Within these limits, and those of each caller; `requests` bounds what arrives.
    pub fn new(limits: &config::Limits, requests: Arc<Budget>, quotas: Quotas) -> Self {
        Self(Arc::new(Shared {
            requests,
            quotas,
            message_bytes: limits.message_bytes,
            arrival: Duration::from_millis(limits.request_arrival_ms),
            calls: Arc::new(Semaphore::new(limits.calls)),
            aside: Arc::new(Semaphore::new(ASIDE_MAX)),
        }))
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded {
            inner,
            shared: Arc::clone(&self.0),
        }
    }
}

/// A service whose calls are bounded.
#[derive(Clone)]
pub struct Bounded<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// Kinds of calls with limits of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `StreamEvents`.
    Stream,
    /// `PublishEvents`.
    Publish,
    /// Everything of the `ThroughputService`, a backup, and a probe of the
    /// health.
    Question,
    /// Watches of the health, reflection, and what does not exist.
    Aside,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path {
            "/quaymeter.v1.IngestService/StreamEvents" => Self::Stream,
            "/quaymeter.v1.IngestService/PublishEvents" => Self::Publish,
            "/grpc.health.v1.Health/Check" => Self::Question,
            path if path.starts_with("/quaymeter.v1.AdminService/") => Self::Question,
            path if path.starts_with("/quaymeter.v1.ThroughputService/") => Self::Question,
            _ => Self::Aside,
        }
    }

    /// Whether a caller may send more now.
    fn judge(self, taken: &Taken) -> Result<(), Over> {
        match self {
            Self::Stream => taken.may_open(),
            Self::Publish => taken.may_call(),
            Self::Question | Self::Aside => Ok(()),
        }
    }

    fn manner(self) -> Manner {
        match self {
            Self::Publish | Self::Question => Manner::Unary,
            Self::Stream => Manner::Stream,
            Self::Aside => Manner::Dialogue,
        }
    }
}

/// A call's place among all, and among its caller's questions.
type Places = (Option<OwnedSemaphorePermit>, Option<quota::Place>);

/// No place, and how long to say nothing of it.
struct Refused {
    status: Status,
    after: Duration,
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

impl Shared {
    fn places(&self, kind: Kind, caller: &Caller) -> Result<Places, Refused> {
        let own = match kind {
            Kind::Aside => None,
            Kind::Stream | Kind::Publish => {
                // Before anything is read: what was too much must not be again.
                let taken = self.quotas.of(caller)?;
                taken.map(|taken| kind.judge(&taken)).transpose()?;
                None
            }
            Kind::Question => {
                let taken = self.quotas.of(caller)?;
                taken.map(|taken| taken.query()).transpose()?
            }
        };
        Ok((self.place(kind)?, own))
    }

    fn place(&self, kind: Kind) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let (places, what) = match kind {
            Kind::Stream => return Ok(None),
            Kind::Publish | Kind::Question => (&self.calls, "calls"),
            Kind::Aside => (&self.aside, "calls of health and reflection"),
        };
        let place = Arc::clone(places).try_acquire_owned();
        place
            .map(Some)
            .map_err(|_| status::overloaded(what, RETRY_AFTER))
    }

    fn inflow(&self, kind: Kind, body: Body) -> Inflow {
        let message_bytes = match kind {
            Kind::Stream | Kind::Publish => self.message_bytes,
            Kind::Question | Kind::Aside => QUESTION_BYTES_MAX.min(self.message_bytes),
        };
        let limits = Limits {
            budget: Arc::clone(&self.requests),
            message_bytes,
            within: self.arrival,
        };
        Inflow::new(body, limits, kind.manner())
    }
}

type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Answer>, E>> + Send>>;

impl<S> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = Answering<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let peer = request.extensions_mut().remove::<Peer>();
        let (line, ends) = match peer {
            Some(peer) => (peer.line, Some(peer.ends)),
            None => (Line::default(), None),
        };
        let kind = Kind::of(request.uri().path());
        let caller = Caller::of(request.extensions());
        let places = match self.shared.places(kind, &caller) {
            Ok(places) => places,
            Err(Refused { status, after }) => {
                let refused = Answer::new(status.into_http(), None, (None, None), line);
                return Box::pin(async move {
                    tokio::time::sleep(after).await;
                    Ok(refused)
                });
            }
        };
        let (mut parts, body) = request.into_parts();
        if let Some(ends) = ends {
            // Where `Request::remote_addr` looks.
            parts.extensions.insert(ends);
        }
        let inflow = self.shared.inflow(kind, body);
        if matches!(kind, Kind::Stream | Kind::Publish) {
            parts.extensions.insert(inflow.clone());
        }
        let response = self
            .inner
            .call(Request::from_parts(parts, Body::new(inflow)));
        Box::pin(async move {
            let mut response = response.await?;
            let held = response.extensions_mut().remove::<Carried>();
            let held = held.and_then(Carried::take);
            Ok(Answer::new(response, held, places, line))
        })
    }
}
