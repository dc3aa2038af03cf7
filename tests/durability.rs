//! The order of durability: through an injected file layer, every
//! acknowledgement is held against what was synced when it came.

use pbjson_types::Timestamp;
use quaymeter::client::{Observer, Options, Publisher, Settled};
use quaymeter::config::{Config, Sources};
use quaymeter::log::disk::{Disk, File, RealDisk};
use quaymeter::pb;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::server::listeners::Listeners;
use quaymeter::server::{Error, Service};
use std::collections::HashSet;
use std::error::Error as _;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Real files; what is written is known as durable only once it is synced.
#[derive(Clone, Default)]
struct Watched {
    durable: Arc<Mutex<HashSet<u32>>>,
    syncs_fail: Arc<AtomicBool>,
}

struct WatchedFile {
    file: Box<dyn File>,
    disk: Watched,
    unsynced: Vec<u8>,
}

impl Watched {
    fn file(&self, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(WatchedFile {
            file,
            disk: self.clone(),
            unsynced: Vec::new(),
        })
    }

    fn is_durable(&self, number: u32) -> bool {
        self.durable.lock().unwrap().contains(&number)
    }
}

impl Disk for Watched {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(RealDisk.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(RealDisk.open(path)?))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

impl File for WatchedFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(at, buffer)
    }
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.file.append(parts)?;
        parts
            .iter()
            .for_each(|part| self.unsynced.extend_from_slice(part));
        Ok(())
    }
    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.file.truncate(size)
    }
    fn sync(&mut self) -> io::Result<()> {
        if self.disk.syncs_fail.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected"));
        }
        self.file.sync()?;
        let mut durable = self.disk.durable.lock().unwrap();
        for at in 0..self.unsynced.len().saturating_sub(ID_BYTES - 1) {
            let id = &self.unsynced[at..at + ID_BYTES];
            let digits = id
                .strip_prefix(b"event-")
                .and_then(|d| std::str::from_utf8(d).ok());
            durable.extend(digits.and_then(|digits| digits.parse::<u32>().ok()));
        }
        self.unsynced.clear();
        Ok(())
    }
}

/// `event-` and eight digits.
const ID_BYTES: usize = 14;

struct Running {
    url: String,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), Error>>,
    _dir: tempfile::TempDir,
}

async fn start(disk: Watched) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data").display().to_string();
    let flags = vec![
        ("data_dir", data_dir),
        ("drain_deadline_ms", "60000".into()),
    ];
    let config = Config::resolve(Sources {
        file: None,
        environment: Vec::new(),
        flags,
    })
    .unwrap();
    let clock = Arc::new(|| jiff::Timestamp::now().as_millisecond());
    let service = Service::build(config, Arc::new(disk), clock).unwrap();
    let listeners = Listeners::on_loopback(0, 0, 0).await.unwrap();
    let url = format!("http://{}", listeners.grpc.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let stopped = async move {
        let _ = stopped.await;
    };
    let done = tokio::spawn(service.run(listeners, stopped));
    Running {
        url,
        stop,
        done,
        _dir: dir,
    }
}

fn event(number: u32) -> pb::Event {
    let now = jiff::Timestamp::now();
    let shipment = pb::ShipmentStep {
        stage: pb::ShipmentStage::Booked.into(),
        ..Default::default()
    };
    pb::Event {
        event_id: format!("event-{number:08}"),
        occurred_at: Some(Timestamp {
            seconds: now.as_second(),
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

/// Holds every acknowledged event against what is durable at that moment.
struct Holds(Watched, u32);

impl Observer<u32> for Holds {
    fn settled(&mut self, settled: Settled<'_, u32>) {
        assert_eq!((settled.refused, settled.results.len()), (0, 0));
        for number in self.1..self.1 + settled.accepted {
            assert!(
                self.0.is_durable(number),
                "event {number} was acknowledged before its sync"
            );
        }
        self.1 += settled.accepted;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledgement_comes_before_its_sync() {
    let disk = Watched::default();
    let running = start(disk.clone()).await;
    let mut tasks = Vec::new();
    for stream in 0..6u32 {
        let (seen, url) = (disk.clone(), running.url.clone());
        tasks.push(tokio::spawn(async move {
            let (give, input) = mpsc::channel(8);
            let first = stream * 1_000_000;
            tokio::spawn(async move {
                for batch in 0..200 {
                    let events = (0..7).map(|n| event(first + batch * 7 + n)).collect();
                    give.send((batch, events)).await.unwrap();
                }
            });
            let options = Options::new(&url, "tos", &format!("client-{stream}"));
            let mut holds = Holds(seen, first);
            let report = Publisher::new(options)
                .unwrap()
                .run(input, &mut holds)
                .await
                .unwrap();
            assert_eq!(report.accepted, 1400);
        }));
        let (seen, url) = (disk.clone(), running.url.clone());
        tasks.push(tokio::spawn(async move {
            let mut client = IngestServiceClient::connect(url).await.unwrap();
            for n in 0..200 {
                let number = 50_000_000 + stream * 1_000_000 + n;
                let events = vec![event(number)];
                let request = pb::PublishEventsRequest {
                    source: "tos".into(),
                    events,
                    ..Default::default()
                };
                client.publish_events(request).await.unwrap();
                assert!(
                    seen.is_durable(number),
                    "event {number} was acknowledged before its sync"
                );
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    running.stop.send(()).unwrap();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_never_acknowledged_and_stops_the_service() {
    let disk = Watched::default();
    let running = start(disk.clone()).await;
    let mut client = IngestServiceClient::connect(running.url.clone())
        .await
        .unwrap();
    let request = |number| pb::PublishEventsRequest {
        source: "tos".into(),
        events: vec![event(number)],
        ..Default::default()
    };
    client.publish_events(request(1)).await.unwrap();
    disk.syncs_fail.store(true, Ordering::SeqCst);
    let refused = client.publish_events(request(2)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    // The disk is well again, but what it did meanwhile is not known.
    disk.syncs_fail.store(false, Ordering::SeqCst);
    let refused = client.publish_events(request(3)).await.unwrap_err();
    // The service says so, or has closed the connection already: with a source, the
    // status was made here, of what became of the connection.
    let gone = refused.source().is_some();
    assert!(gone || refused.code() == tonic::Code::Unavailable);
    let failed = running.done.await.unwrap().unwrap_err();
    assert!(matches!(failed, Error::Log(_)), "{failed}");
    assert!(!disk.is_durable(2) && !disk.is_durable(3));
}
