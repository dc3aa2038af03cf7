//! The ingest service on a log of its own. Nobody applies what is durable, so
//! the view stays where it was.

use pbjson_types::Timestamp;
use quaymeter::auth::caller::Caller;
use quaymeter::auth::quota::Quotas;
use quaymeter::budget::Budget;
use quaymeter::config::{Config, Sources};
use quaymeter::fingerprint::Fingerprints;
use quaymeter::ingest::{Appends, Budgets, Ingest, Keys, Limits};
use quaymeter::log::Durable;
use quaymeter::log::committer::{Committer, Options};
use quaymeter::log::disk::{Disk, File, RealDisk};
use quaymeter::log::embedded::{self, Log};
use quaymeter::meter::Counts;
use quaymeter::meter::cell::{Cells, Keeping};
use quaymeter::metrics::Metrics;
use quaymeter::pb;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::pb::ingest_service_server::IngestServiceServer;
use quaymeter::pb::stream_events_request::Message as Asked;
use quaymeter::pb::stream_events_response::Message as Told;
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::trace::Tracer;
use quaymeter::trail::Trail;
use quaymeter::view::token::Tokens;
use quaymeter::view::{State, View};
use quaymeter::worker;
use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status, Streaming};

/// The largest message that the service takes.
pub const MESSAGE_BYTES: usize = 1 << 20;

/// The metadata in which a request says who calls.
const CALLER: &str = "caller";

pub const PATIENCE: Duration = Duration::from_secs(20);

/// Real files; while it is full, an append fails, once.
#[derive(Clone, Default)]
struct Full(Arc<AtomicBool>);

struct FullFile(Box<dyn File>, Full);

impl Disk for Full {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(FullFile(RealDisk.create(path)?, self.clone())))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(FullFile(RealDisk.open(path)?, self.clone())))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

impl File for FullFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(at, buffer)
    }
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if self.1.0.swap(false, Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.append(parts)
    }
    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.0.truncate(size)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}

/// Of every service here.
pub fn tokens() -> Tokens {
    Tokens::new(&[7; 32])
}

/// What is special about a rig.
#[derive(Default)]
pub struct Setup {
    /// The disk is full for the first group.
    pub first_fails: bool,
    /// The first group is tried once so many batches were judged.
    pub after_batches: usize,
    /// Who calls, by the name that a request's metadata says; whoever says none is
    /// anyone.
    pub callers: Vec<Caller>,
}

/// A running service.
pub struct Rig {
    pub client: IngestServiceClient<Channel>,
    pub metrics: Arc<Metrics>,
    _drain: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

impl Rig {
    /// Starts it, each batch a group of its own. If `first_fails`, the disk is
    /// full for the first one, which is tried once a second one was taken.
    pub async fn start(first_fails: bool) -> Self {
        Self::set_up(Setup {
            first_fails,
            after_batches: if first_fails { 2 } else { 0 },
            ..Setup::default()
        })
        .await
    }

    /// The same, as it is set up.
    pub async fn set_up(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::resolve(Sources::default()).unwrap();
        let disk = Full::default();
        let opened = Log::open(
            Arc::new(disk.clone()),
            &dir.path().join("log"),
            embedded::Options::default(),
            0,
        );
        disk.0.store(setup.first_fails, Ordering::SeqCst);
        let (took, taken) = std::sync::mpsc::channel();
        let wait = Cell::new(setup.after_batches);
        let commit_clock = move || {
            for _ in 0..wait.replace(0) {
                taken.recv_timeout(PATIENCE).unwrap();
            }
            now()
        };
        let options = Options {
            group_bytes: 1,
            ..Options::default()
        };
        let sink = |_: Vec<Durable<worker::Batch>>| Ok(());
        let appender = opened.unwrap().appender;
        let handle = Committer::start(appender, commit_clock, options, sink).unwrap();
        let keeping = Keeping {
            zone: config.reporting_zone.clone(),
            quarter_days: config.quarter_days,
            day_days: config.day_days,
        };
        let state = State::new(Cells::new(keeping), 0, None, Counts::default());
        let (drain, draining) = watch::channel(false);
        let metrics = Arc::new(Metrics::new(&config.metrics).unwrap());
        let ingest = Ingest::new(
            Limits::of(&config),
            Appends::embedded(handle, config.limits.buffered_bytes),
            Arc::new(View::new(state)),
            Keys {
                pseudonyms: Pseudonyms::load_or_create(&dir.path().join("key"))
                    .unwrap()
                    .into(),
                fingerprints: Fingerprints::new(&[7; 16]),
                tokens: tokens(),
            },
            Budgets {
                requests: Budget::new(256 << 20),
                answers: Budget::new(256 << 20),
            },
            Arc::new(move || {
                // Judging asks for the time once per batch.
                let _ = took.send(());
                now()
            }),
            Arc::clone(&metrics),
            Quotas::default(),
            Tracer::default(),
            Trail::default(),
            draining,
        );
        let url = serve(ingest, setup.callers).await;
        Self {
            client: IngestServiceClient::connect(url).await.unwrap(),
            metrics,
            _drain: drain,
            _dir: dir,
        }
    }
}

/// Serves it; where.
async fn serve(ingest: Ingest, callers: Vec<Caller>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = IngestServiceServer::new(ingest).max_decoding_message_size(MESSAGE_BYTES);
    let service = InterceptedService::new(service, move |mut request: Request<()>| {
        let caller = caller(&request, &callers);
        request.extensions_mut().insert(caller);
        Ok(request)
    });
    let server = Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    url
}

/// Who calls.
fn caller(request: &Request<()>, callers: &[Caller]) -> Caller {
    let Some(name) = request.metadata().get(CALLER) else {
        return Caller::anyone();
    };
    let name = name.to_str().unwrap();
    let mut known = callers.iter();
    let known = known.find(|caller| caller.name().is_some_and(|known| **known == *name));
    known.unwrap().clone()
}

/// A request of a caller.
pub fn of<T>(caller: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let name = caller.parse().unwrap();
    request.metadata_mut().insert(CALLER, name);
    request
}

type Said = ReceiverStream<pb::StreamEventsRequest>;

/// A stream to it.
pub struct Streams {
    say: mpsc::Sender<pb::StreamEventsRequest>,
    told: Streaming<pb::StreamEventsResponse>,
}

impl Streams {
    pub async fn open(rig: &Rig) -> Self {
        let (stream, _) = Self::open_as(rig, Request::new, ("tos", "client")).await;
        stream
    }

    /// One of a caller, who leaves the source out; and what he was told first.
    pub async fn open_of(rig: &Rig, caller: &str) -> (Self, pb::StreamOpened) {
        Self::open_as(rig, |said| of(caller, said), ("", "client")).await
    }

    /// One more of his, beside that.
    pub async fn open_beside(rig: &Rig, caller: &str) -> Self {
        let (stream, _) = Self::open_as(rig, |said| of(caller, said), ("", "another")).await;
        stream
    }

    async fn open_as(
        rig: &Rig,
        request: impl FnOnce(Said) -> Request<Said>,
        (source, client_id): (&str, &str),
    ) -> (Self, pb::StreamOpened) {
        let mut stream = Self::try_open_with(rig, request, (source, client_id))
            .await
            .unwrap();
        match stream.hear().await.unwrap() {
            Some(Told::Opened(opened)) => (stream, opened),
            other => panic!("{other:?} instead of an opening"),
        }
    }

    /// One that may be refused, at once or with its first answer.
    pub async fn try_open(
        rig: &Rig,
        request: impl FnOnce(Said) -> Request<Said>,
        source: &str,
    ) -> Result<Self, Status> {
        Self::try_open_with(rig, request, (source, "client")).await
    }

    async fn try_open_with(
        rig: &Rig,
        request: impl FnOnce(Said) -> Request<Said>,
        (source, client_id): (&str, &str),
    ) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(8);
        let open = pb::StreamOpen {
            source: source.into(),
            client_id: client_id.into(),
            ..Default::default()
        };
        let message = Some(Asked::Open(open));
        say.send(pb::StreamEventsRequest { message }).await.unwrap();
        let mut client = rig.client.clone();
        let told = client.stream_events(request(ReceiverStream::new(said)));
        Ok(Self {
            say,
            told: told.await?.into_inner(),
        })
    }

    pub async fn send(&mut self, sequence: u64, events: Vec<pb::Event>) {
        let message = Some(Asked::Batch(pb::StreamBatch { sequence, events }));
        let sent = self.say.send(pb::StreamEventsRequest { message }).await;
        sent.unwrap();
    }

    /// The next message, under a deadline.
    pub async fn hear(&mut self) -> Result<Option<Told>, Status> {
        let next = tokio::time::timeout(PATIENCE, self.told.message()).await;
        Ok(next.unwrap()?.and_then(|answer| answer.message))
    }

    pub async fn ack(&mut self) -> pb::StreamAck {
        match self.hear().await.unwrap() {
            Some(Told::Ack(ack)) => ack,
            other => panic!("{other:?} instead of an acknowledgement"),
        }
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

pub fn event(id: &str) -> pb::Event {
    let shipment = pb::ShipmentStep {
        stage: pb::ShipmentStage::Booked.into(),
        ..Default::default()
    };
    pb::Event {
        event_id: id.into(),
        occurred_at: Some(Timestamp {
            seconds: now() / 1000,
            nanos: 0,
        }),
        facility: "CNNBO/BLCT2".into(),
        parties: vec![pb::Party {
            role: pb::Role::Carrier.into(),
            enterprise: "smdg:COS".into(),
        }],
        detail: Some(pb::event::Detail::ShipmentStep(shipment)),
        ..Default::default()
    }
}
