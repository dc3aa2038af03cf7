//! A service in this process, by a clock that a test sets.

use quaymeter::config::{Config, Sources};
use quaymeter::log::disk::RealDisk;
use quaymeter::server::listeners::Listeners;
use quaymeter::server::{Error, Service};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub struct Clocked {
    pub url: String,
    pub http: SocketAddr,
    clock: Arc<AtomicI64>,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), Error>>,
}

impl Clocked {
    /// Starts it at an instant in ms since 1970-01-01T00:00Z. Settings are those
    /// of a file.
    pub async fn start(data: &Path, now: i64, settings: &[(&'static str, &str)]) -> Self {
        let mut flags = vec![("data_dir", data.display().to_string())];
        flags.extend(
            settings
                .iter()
                .map(|(name, value)| (*name, (*value).into())),
        );
        let config = Config::resolve(Sources {
            file: None,
            environment: Vec::new(),
            flags,
        });
        let clock = Arc::new(AtomicI64::new(now));
        let told = Arc::clone(&clock);
        let told = Arc::new(move || told.load(Ordering::SeqCst));
        let service = Service::build(config.unwrap(), Arc::new(RealDisk), told).unwrap();
        let listeners = Listeners::on_loopback(0, 0, 0).await.unwrap();
        let url = format!("http://{}", listeners.grpc.local_addr().unwrap());
        let side = listeners.http.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(service.run(listeners, async {
            let _ = stopped.await;
        }));
        Self {
            url,
            http: side,
            clock,
            stop,
            done,
        }
    }

    /// Sets the clock.
    pub fn set(&self, now: i64) {
        self.clock.store(now, Ordering::SeqCst);
    }

    /// Stops it in good order.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.done.await.unwrap().unwrap();
    }
}
