//! The service by a clock that whoever started it sets: a year takes as long as its
//! events do.

use quaymeter::config::{Config, Sources};
use quaymeter::log::disk::RealDisk;
use quaymeter::server::Service;
use quaymeter::server::listeners::Listeners;
use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Makes this binary that server; the time and the data directory follow.
pub const FLAG: &str = "--clocked-server";

/// Serves with default settings until it is told to stop. Each line of its standard
/// input is the time from then on, in ms since 1970-01-01T00:00Z, as the first is.
pub fn run(first: &str, data: String) -> anyhow::Result<()> {
    let clock = Arc::new(AtomicI64::new(first.parse()?));
    let told = Arc::clone(&clock);
    std::thread::spawn(move || {
        let times = std::io::stdin().lock().lines().map_while(Result::ok);
        for time in times.filter_map(|time| time.parse().ok()) {
            clock.store(time, Ordering::SeqCst);
        }
    });
    let config = Config::resolve(Sources {
        file: None,
        environment: Vec::new(),
        flags: vec![("data_dir", data)],
    })?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let now = Arc::new(move || told.load(Ordering::SeqCst));
        let service = Service::build(config, Arc::new(RealDisk), now)?;
        let listeners = Listeners::on_loopback(0, 0, 0).await?;
        let mut stop = signal(SignalKind::terminate())?;
        println!("{}", listeners.told()?);
        service
            .run(listeners, async move {
                let _ = stop.recv().await;
            })
            .await?;
        Ok(())
    })
}
