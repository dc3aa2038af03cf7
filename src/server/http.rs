//! The HTTP side port: metrics, for who may have them. It answers until the very end
//! of a drain.

use super::door::Door;
use super::guests::{Guest, Guests, Place};
use super::tls::stream::Stream;
use crate::auth::caller::Caller;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

/// Connections at the same time; for more, the oldest that was not let through the gate
/// is cut.
const CONNECTIONS_MAX: usize = 32;

/// Bytes of a request's head. No path here reads a body.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// From one answer, or the connection's start, to the end of the next head:
/// longer than a minute, at which metrics are often scraped.
const HEAD_WITHIN: Duration = Duration::from_secs(75);

/// From a request's head to its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Then a connection ends after its current answer: a client that reads slowly
/// keeps megabytes here.
const CONNECTION_WITHIN: Duration = Duration::from_secs(600);

/// From the stop signal to the end of what is being answered.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// After a failed accept, which is most often for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Scrapes at the same time: each may hold a few MB of text.
const SCRAPES_MAX: usize = 2;

/// What the side port tells about.
pub trait Side: Send + Sync + 'static {
    /// All metrics in the Prometheus text format, in pages. May work for some 100 ms:
    /// it is called where blocking is allowed.
    fn metrics(&self) -> Vec<String>;
}

/// Whether a request may have the metrics, by its headers and extensions (the client's
/// address is one, and his certificate if he showed any); else UNAUTHORIZED or FORBIDDEN.
pub type Gate = Arc<dyn Fn(&Parts) -> Result<Caller, StatusCode> + Send + Sync>;

/// A gate for whoever reaches it.
pub fn open_gate() -> Gate {
    Arc::new(|_| Ok(Caller::anyone()))
}

#[derive(Clone)]
struct Shared {
    side: Arc<dyn Side>,
    gate: Gate,
    scrapes: Arc<Semaphore>,
}

/// Serves the side port until `shutdown`, then ends what is being answered
/// within a second.
pub async fn run(
    mut door: Door,
    gate: Gate,
    side: Arc<dyn Side>,
    shutdown: impl Future<Output = ()>,
) {
    let shared = Shared {
        side,
        gate,
        scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)),
    };
    let router = router(shared);
    let guests = Guests::new(CONNECTIONS_MAX);
    // Dropping it is the stop signal of the connections.
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, place) = accept(&mut door, &guests) => {
                connections.spawn(serve(stream, router.clone(), stopped.clone(), place));
            }
        }
    }
    drop((door, stop));
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_WITHIN, ended).await.is_err() {
        tracing::debug!("side port: connections cut at the stop");
    }
}

/// The next connection that has a place.
async fn accept(door: &mut Door, guests: &Arc<Guests>) -> (Stream, Place) {
    loop {
        match door.next(|| Some(guests.admit()?.0)).await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "side port: accept a connection");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn serve(
    stream: Stream,
    mut router: Router,
    mut stopped: watch::Receiver<()>,
    mut place: Place,
) {
    router = router.layer(Extension(place.guest().clone()));
    if let Ok(peer) = stream.socket().peer_addr() {
        router = router.layer(Extension(peer));
    }
    if let Some(certificate) = stream.certificate() {
        router = router.layer(Extension(certificate));
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let grace = tokio::select! {
        ended = connection.as_mut() => return tell(ended),
        () = place.dismissed() => return,
        _ = stopped.changed() => STOP_WITHIN,
        () = sleep(CONNECTION_WITHIN) => ANSWER_WITHIN,
    };
    connection.as_mut().graceful_shutdown();
    match timeout(grace, connection).await {
        Ok(ended) => tell(ended),
        Err(_) => tracing::debug!("side port: connection cut"),
    }
}

fn tell(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "side port: serve a connection");
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(shared)
}

async fn metrics(State(shared): State<Shared>, asked: Parts) -> Response {
    let caller = match (shared.gate)(&asked) {
        Ok(caller) => caller,
        Err(status) => return refused(status),
    };
    if let Some(guest) = asked.extensions.get::<Guest>() {
        guest.is_known_as(&caller);
    }
    match timeout(ANSWER_WITHIN, scrape(shared)).await {
        Ok(Some(pages)) => {
            let bytes: usize = pages.iter().map(String::len).sum();
            let pages = pages.into_iter().map(Ok::<String, Infallible>);
            // With a length, so that a scrape that was cut off is known for one.
            let headers = [
                (
                    CONTENT_TYPE,
                    "text/plain; version=0.0.4; charset=utf-8".into(),
                ),
                (CONTENT_LENGTH, bytes.to_string()),
            ];
            (headers, Body::from_stream(stream::iter(pages))).into_response()
        }
        Ok(None) => unavailable("metrics failed"),
        Err(_) => unavailable("metrics took too long"),
    }
}

async fn scrape(shared: Shared) -> Option<Vec<String>> {
    let permit = Arc::clone(&shared.scrapes).acquire_owned().await.ok()?;
    // The permit goes along: a scrape that is given up still works to its end.
    let work = spawn_blocking(move || {
        let _permit = permit;
        shared.side.metrics()
    });
    work.await.ok()
}

/// Says no more than how to try again.
fn refused(status: StatusCode) -> Response {
    match status {
        StatusCode::UNAUTHORIZED => (status, [(WWW_AUTHENTICATE, "Bearer")]).into_response(),
        _ => status.into_response(),
    }
}

fn unavailable(reason: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
}
