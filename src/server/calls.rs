//! Bounds every call: how many there are at once, what its request may hold, and
//! how long its answer may wait for the client.

mod answer;
mod places;

use super::admission::Peer;
use super::late::Late;
use super::line::Line;
use crate::auth::caller::Caller;
use crate::auth::quota::Quotas;
use crate::budget::{Budget, Carried};
use crate::config;
use crate::intake::{Inflow, Limits, Manner};
use crate::turns::Shares;
use answer::Answer;
use http::{Request, Response};
use places::{Places, Refused, Room};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tower::Service;

/// Bytes of a message that asks: a filter of a thousand enterprises and a
/// thousand facilities is 130 KiB.
pub const QUESTION_BYTES_MAX: usize = 1 << 20;

/// Bytes of a message of whoever likes: the name of a service, or of a symbol.
const ASIDE_BYTES_MAX: usize = 4 << 10;

/// Wraps the server's services.
#[derive(Clone)]
pub struct Layer(Arc<Shared>);

struct Shared {
    requests: Arc<Budget>,
    /// Of these, who is known has a share.
    arriving: Arc<Shares>,
    message_bytes: usize,
    arrival: Duration,
    room: Room,
}

impl Layer {
    /// Within these limits, and those of each caller; `requests` bounds what arrives.
    pub fn new(limits: &config::Limits, requests: Arc<Budget>, quotas: Quotas) -> Self {
        Self(Arc::new(Shared {
            arriving: Arc::new(Shares::new(requests.limit())),
            requests,
            message_bytes: limits.message_bytes,
            arrival: Duration::from_millis(limits.request_arrival_ms),
            room: Room::new(limits, quotas),
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
    /// `WatchThroughput`.
    Watch,
    /// Everything else of the `ThroughputService`, and a backup.
    Question,
    /// A probe of the health.
    Probe,
    /// Watches of the health, reflection, and what does not exist.
    Aside,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path {
            "/quaymeter.v1.IngestService/StreamEvents" => Self::Stream,
            "/quaymeter.v1.IngestService/PublishEvents" => Self::Publish,
            "/quaymeter.v1.ThroughputService/WatchThroughput" => Self::Watch,
            "/grpc.health.v1.Health/Check" => Self::Probe,
            path if path.starts_with("/quaymeter.v1.AdminService/") => Self::Question,
            path if path.starts_with("/quaymeter.v1.ThroughputService/") => Self::Question,
            _ => Self::Aside,
        }
    }

    fn manner(self) -> Manner {
        match self {
            Self::Publish | Self::Watch | Self::Question | Self::Probe => Manner::Unary,
            Self::Stream => Manner::Stream,
            Self::Aside => Manner::Dialogue,
        }
    }
}

impl Shared {
    fn inflow(&self, kind: Kind, caller: &Caller, body: Body) -> Inflow {
        let message_bytes = match kind {
            Kind::Stream | Kind::Publish => self.message_bytes,
            Kind::Watch | Kind::Question => QUESTION_BYTES_MAX.min(self.message_bytes),
            Kind::Probe | Kind::Aside => ASIDE_BYTES_MAX,
        };
        let share = caller
            .name()
            .map(|name| (Arc::clone(&self.arriving), Arc::clone(name)));
        let limits = Limits {
            budget: Arc::clone(&self.requests),
            share,
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
        let (places, taken) = match self.shared.room.enter(kind, &caller) {
            Ok(entered) => entered,
            Err(Refused { status, after }) => {
                let mut refused: Response<Body> = status.into_http();
                refused.extensions_mut().insert(Late::by(after));
                let refused = Answer::new(refused, None, Places::default(), line);
                return Box::pin(async move { Ok(refused) });
            }
        };
        let (mut parts, body) = request.into_parts();
        if let Some(ends) = ends {
            // Where `Request::remote_addr` looks.
            parts.extensions.insert(ends);
        }
        let inflow = self.shared.inflow(kind, &caller, body);
        let publishes = (kind == Kind::Publish).then(|| inflow.clone()).zip(taken);
        if matches!(kind, Kind::Stream | Kind::Publish) {
            parts.extensions.insert(inflow.clone());
        }
        let response = self
            .inner
            .call(Request::from_parts(parts, Body::new(inflow)));
        Box::pin(async move {
            let mut response = response.await?;
            if let Some((inflow, taken)) = publishes
                && inflow.undecoded()
            {
                taken.waste();
            }
            let held = response.extensions_mut().remove::<Carried>();
            let held = held.and_then(Carried::take);
            Ok(Answer::new(response, held, places, line))
        })
    }
}
