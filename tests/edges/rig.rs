//! The ingest service on a log of its own. Nobody applies what is durable, so
//! the view stays where it was.

use pbjson_types::Timestamp;
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
use tonic::transport::{Channel, Server};
use tonic::{Status, Streaming};

/// The largest message that the service takes.
pub const MESSAGE_BYTES: usize = 1 << 20;

const PATIENCE: Duration = Duration::from_secs(20);

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

/// A running service.
pub struct Rig {
    pub client: IngestServiceClient<Channel>,
    _drain: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

impl Rig {
    /// Starts it, each batch a group of its own. If `first_fails`, the disk is
    /// full for the first one, which is tried once a second one was taken.
    pub async fn start(first_fails: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::resolve(Sources::default()).unwrap();
        let disk = Full::default();
        let opened = Log::open(
            Arc::new(disk.clone()),
            &dir.path().join("log"),
            embedded::Options::default(),
            0,
        );
        disk.0.store(first_fails, Ordering::SeqCst);
        let (took, taken) = std::sync::mpsc::channel();
        let wait = Cell::new(if first_fails { 2 } else { 0 });
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
        let ingest = Ingest::new(
            Limits::of(&config),
            Appends::Embedded(handle),
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
            Arc::new(Metrics::new(&config.metrics).unwrap()),
            Tracer::default(),
            draining,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder()
            .add_service(IngestServiceServer::new(ingest).max_decoding_message_size(MESSAGE_BYTES))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        Self {
            client: IngestServiceClient::connect(url).await.unwrap(),
            _drain: drain,
            _dir: dir,
        }
    }
}

/// A stream to it.
pub struct Streams {
    say: mpsc::Sender<pb::StreamEventsRequest>,
    told: Streaming<pb::StreamEventsResponse>,
}

impl Streams {
    pub async fn open(rig: &Rig) -> Self {
        let (say, said) = mpsc::channel(8);
        let open = pb::StreamOpen {
            source: "tos".into(),
            client_id: "client".into(),
            ..Default::default()
        };
        let message = Some(Asked::Open(open));
        say.send(pb::StreamEventsRequest { message }).await.unwrap();
        let mut client = rig.client.clone();
        let told = client.stream_events(ReceiverStream::new(said)).await;
        let mut stream = Self {
            say,
            told: told.unwrap().into_inner(),
        };
        let first = stream.hear().await.unwrap();
        assert!(matches!(first, Some(Told::Opened(_))));
        stream
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
