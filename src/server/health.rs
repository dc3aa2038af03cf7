//! The health port: whether the service lives and takes calls, and nothing else. In
//! plain text, because what probes it knows no secret, and by HTTP and gRPC, because
//! some know only the one. It answers until the very end of a drain.

use super::crowd::Crowd;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// The gRPC name of the process being up: it does not end with a drain.
pub const LIVENESS: &str = "liveness";

/// What takes calls until a drain begins. The empty name stands for all.
const READY: [&str; 4] = [
    "",
    "quaymeter.v1.AdminService",
    "quaymeter.v1.IngestService",
    "quaymeter.v1.ThroughputService",
];

/// Connections at the same time; with more, the oldest is cut: a probe must come
/// through, or a service that works is killed.
const CONNECTIONS_MAX: usize = 64;

/// Streams at the same time on a connection.
const STREAMS_MAX: u32 = 8;

/// Bytes of a request's head, and of the question in it.
const HEAD_BYTES_MAX: usize = 16 << 10;
const QUESTION_BYTES_MAX: usize = 1 << 10;

/// Streams that a client opened and reset before they were looked at.
const RESET_STREAMS_MAX: usize = 8;

/// Streams that a client makes us reset, over the whole life of a connection.
const FAULTY_STREAMS_MAX: usize = 64;

/// From one answer, or the connection's start, to the end of the next head.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// A connection is asked this often whether it lives, and closed when it does not
/// answer for this long.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Then a connection ends after its current answer.
const CONNECTION_WITHIN: Duration = Duration::from_secs(600);

/// From the stop signal to the end of what is being answered.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// After a failed accept, which is most often for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves the health port until `shutdown`. What takes calls does not any more once
/// `draining` is true.
pub async fn run(
    listener: TcpListener,
    draining: watch::Receiver<bool>,
    shutdown: impl Future<Output = ()>,
) {
    let (mut reporter, health) = health_reporter();
    report(&reporter, ServingStatus::Serving).await;
    let router = router(health, draining.clone());
    // Dropping it is the stop signal of the connections.
    let (stop, stopped) = watch::channel(());
    let mut connections = Crowd::new(CONNECTIONS_MAX);
    let mut drained = pin!(drained(draining));
    let (mut shutdown, mut told) = (pin!(shutdown), false);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            () = &mut drained, if !told => {
                told = true;
                report(&reporter, ServingStatus::NotServing).await;
            }
            () = connections.next() => {}
            stream = accept(&listener) => {
                connections.begin(serve(stream, router.clone(), stopped.clone()));
            }
        }
    }
    drop((listener, stop));
    report(&reporter, ServingStatus::NotServing).await;
    // Watches end by themselves when what they watch is gone.
    for service in READY.iter().chain(&[LIVENESS]) {
        reporter.clear_service_status(service).await;
    }
    if timeout(STOP_WITHIN, connections.ended()).await.is_err() {
        tracing::debug!("health port: connections cut at the stop");
    }
}

async fn report(reporter: &HealthReporter, ready: ServingStatus) {
    for service in READY {
        reporter.set_service_status(service, ready).await;
    }
    let lives = ServingStatus::Serving;
    reporter.set_service_status(LIVENESS, lives).await;
}

async fn drained(mut draining: watch::Receiver<bool>) {
    // An error means that the service itself is gone.
    let _ = draining.wait_for(|&draining| draining).await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "health port: accept a connection");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    let builder = protocols();
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Whatever it is, it is the client's affair.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = sleep(CONNECTION_WITHIN) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(STOP_WITHIN, connection).await;
}

/// HTTP/1.1 and HTTP/2, within limits.
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(FAULTY_STREAMS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    builder
}

fn router(health: HealthServer<impl Health>, draining: watch::Receiver<bool>) -> Router {
    let health = health.max_decoding_message_size(QUESTION_BYTES_MAX);
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(draining)
        .route_service("/grpc.health.v1.Health/Check", health.clone())
        .route_service("/grpc.health.v1.Health/Watch", health)
}

async fn ready(State(draining): State<watch::Receiver<bool>>) -> Response {
    match *draining.borrow() {
        false => "ready\n".into_response(),
        true => {
            let why = "the service is stopping\n";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}
