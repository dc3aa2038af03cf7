//! The services of a process without its sockets: what is appended goes nowhere, and
//! what is asked about was posted by hand. What is explained is read from a log of its
//! own.

mod past;
mod valid;
mod void;

pub use valid::{decodes, events, valid};

use crate::event::NOW_MS;
use crate::fixture::{Port, Post};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use quaymeter::auth::caller::Caller;
use quaymeter::auth::quota::Quotas;
use quaymeter::budget::Budget;
use quaymeter::config::{Config, Sources};
use quaymeter::event::{Millis, Role};
use quaymeter::fingerprint::Fingerprints;
use quaymeter::ingest::{Appends, Budgets, Ingest, Keys, Limits};
use quaymeter::log::Durable;
use quaymeter::log::committer::{Committer, Options};
use quaymeter::log::embedded::{self, Log};
use quaymeter::meter::Counts;
use quaymeter::meter::figure::Meaning;
use quaymeter::metrics::Metrics;
use quaymeter::pb::ingest_service_server::IngestServiceServer;
use quaymeter::pb::throughput_service_server::ThroughputServiceServer;
use quaymeter::pb::{self, Fullness, Movement};
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::query;
use quaymeter::trace::Tracer;
use quaymeter::trail::Trail;
use quaymeter::view::token::Tokens;
use quaymeter::view::{Published, View};
use quaymeter::worker;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::service::Routes;
use tower::Service as _;

/// No call takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// As many pieces of an answer are read; a watch has no end.
const PIECES_MAX: usize = 64;

/// And a watch that has nothing to tell is left after so long.
const IDLE: Duration = Duration::from_millis(20);

/// A method.
#[derive(Clone, Debug)]
pub struct Method {
    pub path: String,
    /// Whether its request is a stream.
    pub streams: bool,
    /// Whether its answer is one.
    answers_stream: bool,
}

/// All services, and a runtime of this thread.
pub struct Service {
    runtime: Runtime,
    routes: Routes,
    methods: Vec<Method>,
    _stop: watch::Sender<bool>,
}

impl Service {
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let _entered = runtime.enter();
        let log = past::Remembered::new();
        let view = port(log.end());
        let ingest = ingest(Arc::clone(&view), stopped.clone());
        let query = query::Service::new(
            view,
            Arc::new(()),
            clock(),
            stopped,
            query::Settings::default(),
            Budget::new(256 << 20),
            tokens(),
        );
        let query = query.explaining(log.past());
        let routes = Routes::new(IngestServiceServer::new(ingest))
            .add_service(ThroughputServiceServer::new(query))
            .prepare();
        drop(_entered);
        Self {
            runtime,
            routes,
            methods: methods(),
            _stop: stop,
        }
    }

    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Makes a call and hears the answer: how it ended.
    pub fn call(&self, method: &Method, messages: &[&[u8]]) -> Status {
        let mut body = Vec::new();
        for message in messages {
            body.push(0);
            body.extend((message.len() as u32).to_be_bytes());
            body.extend(*message);
        }
        let request = http::Request::post(&method.path)
            .header("content-type", "application/grpc")
            .header("grpc-timeout", "10m")
            .extension(Caller::anyone())
            .body(Body::new(axum::body::Body::from(body)));
        let mut routes = self.routes.clone();
        let calling = async {
            let answer = routes.call(request.unwrap()).await.unwrap();
            heard(answer, method.answers_stream).await
        };
        let called = async { tokio::time::timeout(PATIENCE, calling).await };
        let called = self.runtime.block_on(called);
        called.unwrap_or_else(|_| panic!("{} hangs", method.path))
    }
}

/// Reads an answer, or enough of it.
async fn heard<B>(answer: http::Response<B>, stream: bool) -> Status
where
    B: http_body::Body + Unpin,
    B::Error: std::fmt::Debug,
{
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    let mut body = answer.into_body();
    for _ in 0..PIECES_MAX {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = match stream {
            true => tokio::time::timeout(IDLE, frame).await,
            false => Ok(frame.await),
        };
        let Ok(Some(frame)) = frame else { break };
        let frame = frame.unwrap();
        if let Some(trailers) = frame.trailers_ref() {
            return Status::from_header_map(trailers).expect("no status");
        }
    }
    Status::ok("")
}

fn clock() -> Arc<dyn Fn() -> Millis + Send + Sync> {
    Arc::new(|| NOW_MS)
}

fn tokens() -> Tokens {
    Tokens::new(&[7; 32])
}

/// Some figures of two enterprises, and this position of the log.
fn port(position: u64) -> Arc<View> {
    let mut port = Port::new("Asia/Shanghai", "2026-11-23T04:00:00Z");
    let boxes = [(Meaning::Boxes(Movement::Loaded, Fullness::Laden), 3)];
    let hour = 3_600_000;
    let mut posts = Vec::new();
    for ago in 1..40 {
        let mut post = Post::new("smdg:COS", NOW_MS - ago * hour, &boxes);
        post.call = (ago < 10).then_some(("call-1", "9074729"));
        posts.push(post);
        let mut post = Post::new("ygt:F1", NOW_MS - ago * hour, &boxes);
        post.role = Role::Fleet;
        post.slot_end = (ago < 10).then_some(NOW_MS - ago * hour / 2);
        posts.push(post);
    }
    port.post(&posts);
    port.view.publish(Published {
        rounds: Vec::new(),
        position,
        appended_at: NOW_MS,
        counts: Counts::default(),
        sources: &[],
    });
    port.view
}

fn ingest(view: Arc<View>, draining: watch::Receiver<bool>) -> Ingest {
    let config = Config::resolve(Sources::default()).unwrap();
    let options = embedded::Options::default();
    let opened = Log::open(Arc::new(void::Void), Path::new("/void"), options, 0).unwrap();
    let sink = |_: Vec<Durable<worker::Batch>>| Ok(());
    let handle = Committer::start(opened.appender, || NOW_MS, Options::default(), sink).unwrap();
    Ingest::new(
        Limits::of(&config),
        Appends::embedded(handle, config.limits.buffered_bytes),
        view,
        Keys {
            pseudonyms: Pseudonyms::with_key(1, &[7; 32]).into(),
            fingerprints: Fingerprints::new(&[7; 16]),
            tokens: tokens(),
        },
        Budgets {
            requests: Budget::new(256 << 20),
            answers: Budget::new(256 << 20),
        },
        clock(),
        Arc::new(Metrics::new(&config.metrics).unwrap()),
        Quotas::default(),
        Tracer::default(),
        Trail::default(),
        draining,
    )
}

/// Every method that the protos declare, by name.
fn methods() -> Vec<Method> {
    let mut methods = Vec::new();
    for file in FileDescriptorSet::decode(pb::DESCRIPTORS).unwrap().file {
        for service in &file.service {
            let name = format!("/{}.{}/", file.package(), service.name());
            methods.extend(service.method.iter().map(|method| Method {
                path: format!("{name}{}", method.name()),
                streams: method.client_streaming(),
                answers_stream: method.server_streaming(),
            }));
        }
    }
    methods.sort_by(|one, other| one.path.cmp(&other.path));
    methods
}
