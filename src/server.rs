//! The service as one thing: built from a configuration, then run on listeners
//! until it is told to stop. The caller owns the sockets, the clock and the
//! stop signal.

mod access;
mod admission;
mod calls;
mod crowd;
mod descriptors;
pub mod door;
mod ending;
pub mod exposure;
mod guests;
pub mod health;
pub mod http;
mod keeper;
mod late;
mod line;
pub mod listeners;
pub mod names;
mod observe;
pub mod offline;
mod options;
mod pseudonyms;
mod side;
pub mod tls;
mod trailing;
mod transport;

pub use options::shaping;

use crate::auth::known::{self, Known};
use crate::auth::quota::Quotas;
use crate::backup;
use crate::backup::give::{self, Admin};
use crate::budget::Budget;
use crate::config::Config;
use crate::ingest::{self, Appends, Clock, Ingest, Keys, Limits};
use crate::log;
use crate::log::dir::{self, DataDir};
use crate::log::disk::Disk;
use crate::metrics::Metrics;
use crate::pb;
use crate::pb::admin_service_server::AdminServiceServer;
use crate::pb::ingest_service_server::IngestServiceServer;
use crate::pb::throughput_service_server::ThroughputServiceServer;
use crate::pseudonym::{self, Pseudonyms};
use crate::query;
use crate::registry;
use crate::store;
use crate::trace::{self, Tracer};
use crate::trail::{self, Trail};
use crate::view::View;
use crate::view::token::Tokens;
use crate::worker::{self, checkpoint};
use door::Door;
use keeper::Keeper;
use listeners::Listeners;
use names::Names;
use options::{past, query_settings, trace_counts, trail_counts};
use side::Tells;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tls::Tls;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout_at;
use tonic::codec::CompressionEncoding;
use tonic::server::NamedService as _;
use tonic_health::{ServingStatus, server::HealthReporter};

/// How long the collector of traces may take what is left for it at a stop, if that is
/// not more than the drain has left.
const TRACES_WITHIN: Duration = Duration::from_secs(3);

/// How long the brokers may take for a last commit, when the drain has had all its time.
const COMMIT_WITHIN: Duration = Duration::from_secs(3);

/// The version of the rules by which is counted; other rules are other numbers.
pub const RULES_VERSION: u32 = 2;

/// Why the service could not be built or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error("open the data directory")]
    Dir(#[from] dir::Error),
    /// The key of the pseudonyms cannot be used.
    #[error("open the pseudonyms' key")]
    Pseudonym(#[from] pseudonym::Error),
    /// The backup cannot be started on.
    #[error("start on a backup")]
    Backup(#[from] backup::Error),
    /// The store failed.
    #[error("open the store")]
    Store(#[from] store::Error),
    /// The log failed.
    #[error("event log")]
    Log(#[from] log::Error),
    /// The worker failed.
    #[error("worker")]
    Worker(#[from] worker::Error),
    /// Kafka, or its topics, cannot be used.
    #[error("event log in Kafka")]
    Kafka(#[from] crate::log::kafka::Error),
    /// The producer of the log in Kafka failed.
    #[error("event log in Kafka")]
    Producer(#[source] log::Error),
    /// The instance of the group failed.
    #[error("instance")]
    Instance(#[from] crate::cluster::instance::Error),
    /// The copy of the changelogs is too old, and cannot be removed.
    #[error("remove a copy of the changelogs that is too old")]
    Stale(#[source] std::io::Error),
    /// The settings cannot be written down.
    #[error("write the settings down")]
    Settings(#[source] serde_json::Error),
    /// State could not be read.
    #[error("read the last checkpoint")]
    Checkpoint(#[from] checkpoint::Error),
    /// The enterprise registry cannot be read.
    #[error("enterprise registry")]
    Registry(#[from] registry::Error),
    /// It cannot be said who may call.
    #[error("callers")]
    Callers(#[from] known::Error),
    /// The gRPC server failed.
    #[error("gRPC server")]
    Grpc(#[from] tonic::transport::Error),
    /// Reflection cannot be offered.
    #[error("gRPC reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The metrics cannot be declared.
    #[error("metrics")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// Nothing can be traced.
    #[error("traces")]
    Trace(#[from] trace::Error),
    /// The audit trail cannot be kept.
    #[error("audit trail")]
    Trail(#[from] trail::Error),
    /// No key could be drawn.
    #[error("draw a key")]
    Random(#[source] std::io::Error),
    /// A thread could not be started.
    #[error("start a thread")]
    Thread(#[source] std::io::Error),
    /// TLS cannot be spoken with these files.
    #[error("TLS")]
    Tls(#[from] tls::Error),
    /// The worker's thread died.
    #[error("the worker died")]
    Died,
}

/// A service that is ready to run.
pub struct Service {
    config: Config,
    clock: Clock,
    metrics: Arc<Metrics>,
    view: Arc<View>,
    names: Arc<Names>,
    known: Arc<Known>,
    keys: Keys,
    key_file: pseudonyms::Seen,
    budgets: Budgets,
    keeper: Keeper,
    appends: Appends,
    quotas: Quotas,
    tracer: Tracer,
    trail: Trail,
    tls: Option<Arc<Tls>>,
    // Held until the end: one process per data directory.
    dir: DataDir,
}

/// What requests and answers may hold in memory.
#[derive(Clone)]
struct Budgets {
    requests: Arc<Budget>,
    answers: Arc<Budget>,
}

impl Service {
    /// Opens the data directory, restores the state, brings it up to the log's
    /// end and starts the threads that append and apply; or joins those who count
    /// what is in Kafka.
    ///
    /// # Errors
    /// Whatever keeps it from being exact: another process on the directory,
    /// other settings than the data was counted with, corruption, a disk error.
    pub fn build(config: Config, disk: Arc<dyn Disk>, clock: Clock) -> Result<Self, Error> {
        let dir = DataDir::open(&config.data_dir, &shaping(&config))?;
        let own_key = || dir.path().join("pseudonyms.key");
        let key_file = config.pseudonym_key.clone().unwrap_or_else(own_key);
        let found = backup::start::found(dir.path(), &key_file)?;
        let seen = pseudonyms::Seen::new(key_file.clone());
        let pseudonyms = Pseudonyms::load_or_create(&key_file)?;
        if let Some(found) = found {
            found.start(dir.path(), &key_file, &pseudonyms)?;
        }
        let metrics = Arc::new(Metrics::new(&config.metrics)?);
        let trail = Trail::start(&config, trail_counts(&metrics))?;
        trail.changed(pseudonyms::loaded(&pseudonyms));
        let tls = Tls::open(&config.tls, Arc::clone(&metrics), trail.clone())?;
        let tracer = Tracer::start(&config.traces, trace_counts(&metrics))?;
        let known = Known::open(&config, Arc::clone(&metrics), trail.clone())?;
        let names = Names::open(config.registry.clone(), Arc::clone(&metrics))?;
        let keeper = Keeper::open(&keeper::Parts {
            config: &config,
            dir: &dir,
            disk,
            clock: &clock,
            metrics: &metrics,
            pseudonyms: &pseudonyms,
            tracer: &tracer,
        })?;
        let view = Arc::clone(keeper.view());
        let tokens = Tokens::new(&pseudonyms::token_key(&pseudonyms));
        let appends = keeper.appends(config.limits.buffered_bytes);
        let keys = Keys {
            pseudonyms: pseudonyms.into(),
            fingerprints: keeper.fingerprints(),
            tokens,
        };
        let quotas = Quotas::within(&config.limits);
        let budgets = Budgets {
            requests: Budget::new(config.limits.request_bytes),
            answers: Budget::new(config.limits.answer_bytes),
        };
        Ok(Self {
            config,
            budgets,
            clock,
            metrics,
            view,
            names: Arc::new(names),
            known: Arc::new(known),
            keys,
            key_file: seen,
            keeper,
            appends,
            quotas,
            tracer,
            trail,
            tls,
            dir,
        })
    }

    /// The enterprises' names, for who wants them loaded again at once.
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Who may call, for who wants them read again at once.
    pub fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// Serves until `shutdown` resolves, then drains: no new work, streams are
    /// told to resume elsewhere, what was taken is acknowledged, the state is
    /// stored. What is not done by the drain deadline is cut off.
    ///
    /// # Errors
    /// A listener, the log or the worker that failed while serving.
    pub async fn run(
        mut self,
        listeners: Listeners,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let Listeners { grpc, http, health } = listeners;
        let (drain, draining) = watch::channel(false);
        // Dropping it ends the ports that answer to the end.
        let (end, ending) = watch::channel(());
        let deadline = Duration::from_millis(self.config.drain_deadline_ms);
        let mut serving = tokio::spawn(self.grpc(grpc, draining.clone()).await?);
        let door = Door::new(http, self.tls.clone(), tls::Port::Http);
        let gate = trailing::gate(Arc::clone(&self.known), self.trail.clone());
        let side = http::run(door, gate, Arc::new(self.tells()), over(ending.clone()));
        let side = tokio::spawn(side);
        let health = tokio::spawn(health::run(health, draining, over(ending)));
        let aside = self.aside();
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            failed = self.keeper.failed() => failed,
            served = &mut serving => flatten(served),
        };
        // Nobody listens any more when the server ended by itself.
        let _ = drain.send(true);
        let until = tokio::time::Instant::now() + deadline;
        if !serving.is_finished() && timeout_at(until, &mut serving).await.is_err() {
            tracing::warn!("the drain deadline has passed: open streams are cut off");
            serving.abort();
        }
        let least = tokio::time::Instant::now() + COMMIT_WITHIN;
        let stopped = self.keeper.stop(until.max(least)).await;
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        self.tracer.stop(left.min(TRACES_WITHIN)).await;
        drop((aside, end));
        // They stop within a second of their signal, and never panic.
        let _ = tokio::join!(side, health);
        trailing::stop(self.trail.clone()).await;
        // What has stopped tells more of the cause than what missed it.
        stopped.and(ended)
    }

    /// What goes on beside, until it is dropped.
    fn aside(&self) -> JoinSet<()> {
        let mut aside = JoinSet::new();
        aside.spawn(upkeep(Arc::clone(&self.metrics)));
        aside.spawn(Arc::clone(&self.names).follow());
        aside.spawn(Arc::clone(&self.known).follow());
        aside.spawn(self.key_file().follow());
        if let Some(tls) = &self.tls {
            aside.spawn(Arc::clone(tls).follow());
        }
        aside
    }

    /// Who looks whether the pseudonyms' keys have changed.
    fn key_file(&self) -> pseudonyms::Keys {
        let kept = (self.keys.pseudonyms.clone(), self.keys.tokens.clone());
        let told = (Arc::clone(&self.metrics), self.trail.clone());
        pseudonyms::Keys::new(&self.key_file, kept, Arc::clone(&self.clock), told)
    }

    /// What the side port is told.
    fn tells(&self) -> Tells {
        Tells {
            view: Arc::clone(&self.view),
            metrics: Arc::clone(&self.metrics),
            names: Arc::clone(&self.names),
            clock: Arc::clone(&self.clock),
            budgets: self.budgets.clone(),
            log: self.keeper.gauge(),
            turns: self.appends.turns().clone(),
            assigned: self.keeper.assigned(),
            dir: self.dir.path().to_owned(),
        }
    }

    /// Who gives backups, of what is kept here.
    fn admin(&self, draining: &watch::Receiver<bool>) -> Option<Admin> {
        let (log, store) = self.keeper.embedded()?;
        let sources = give::Sources {
            dir: self.dir.path().to_owned(),
            log: log.clone(),
            store: Arc::clone(store),
            pseudonyms: self.keys.pseudonyms.clone(),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
        };
        let limits = give::Limits {
            remote: self.config.backup.remote,
            hold: Duration::from_secs(self.config.backup.hold_s),
        };
        Some(Admin::new(sources, limits, draining.clone()))
    }

    /// Who answers questions.
    fn query(&self, draining: &watch::Receiver<bool>) -> Result<query::Service, Error> {
        let config = &self.config;
        let names = Arc::clone(&self.names);
        let query = query::Service::new(
            Arc::clone(&self.view),
            names,
            Arc::clone(&self.clock),
            draining.clone(),
            query_settings(config),
            Arc::clone(&self.budgets.answers),
            self.keys.tokens.clone(),
        );
        let query = query.explaining(past(config, &self.dir)?);
        Ok(query.counting(Arc::clone(&self.metrics)))
    }

    /// What bounds every call.
    fn calls(&self) -> calls::Layer {
        let requests = Arc::clone(&self.budgets.requests);
        calls::Layer::new(&self.config.limits, requests, self.quotas.clone())
    }

    /// The gRPC server, not running yet.
    async fn grpc(
        &self,
        listener: TcpListener,
        draining: watch::Receiver<bool>,
    ) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + use<>, Error> {
        let config = &self.config;
        let message_bytes = config.limits.message_bytes;
        let ingest = Ingest::new(
            Limits::of(config),
            self.appends.clone(),
            Arc::clone(&self.view),
            self.keys.clone(),
            ingest::Budgets {
                requests: Arc::clone(&self.budgets.requests),
                answers: Arc::clone(&self.budgets.answers),
            },
            Arc::clone(&self.clock),
            Arc::clone(&self.metrics),
            self.quotas.clone(),
            self.tracer.clone(),
            self.trail.clone(),
            draining.clone(),
        );
        let query = self.query(&draining)?;
        let (mut reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<IngestServiceServer<Ingest>>().await;
        reporter
            .set_serving::<ThroughputServiceServer<query::Service>>()
            .await;
        reporter.set_serving::<AdminServiceServer<Admin>>().await;
        let admin = self.admin(&draining).map(|admin| {
            AdminServiceServer::new(admin).max_decoding_message_size(calls::QUESTION_BYTES_MAX)
        });
        let describe = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let metrics = || Arc::clone(&self.metrics);
        let router = transport::within_limits()
            .layer(observe::Layer::new(metrics()))
            .layer(trailing::Layer::new(self.trail.clone()))
            .layer(access::Layer::new(Arc::clone(&self.known), metrics()))
            .layer(self.calls())
            .layer(ending::Layer)
            .add_service(health)
            .add_service(describe().build_v1()?)
            .add_service(describe().build_v1alpha()?)
            .add_service(
                IngestServiceServer::new(ingest)
                    .max_decoding_message_size(message_bytes)
                    .accept_compressed(CompressionEncoding::Gzip),
            )
            .add_optional_service(admin)
            .add_service(
                ThroughputServiceServer::new(query)
                    .max_decoding_message_size(calls::QUESTION_BYTES_MAX)
                    .send_compressed(CompressionEncoding::Gzip),
            );
        let (tls, asks) = (self.tls.clone(), self.known.asks());
        let incoming = admission::connections(listener, tls, &config.limits, asks, metrics());
        Ok(router.serve_with_incoming_shutdown(incoming, async move {
            stopped(draining).await;
            stop_serving(&mut reporter).await;
        }))
    }
}

/// Says that nothing is served any more, and then no more: a watch of the health
/// ends by itself, or the drain would wait for it until its deadline.
async fn stop_serving(reporter: &mut HealthReporter) {
    // The empty name stands for all.
    let services = [
        "",
        AdminServiceServer::<Admin>::NAME,
        IngestServiceServer::<Ingest>::NAME,
        ThroughputServiceServer::<query::Service>::NAME,
    ];
    for service in services {
        reporter
            .set_service_status(service, ServingStatus::NotServing)
            .await;
        reporter.clear_service_status(service).await;
    }
}

/// Moves recorded durations into their buckets now and then.
async fn upkeep(metrics: Arc<Metrics>) {
    let mut beat = tokio::time::interval(Duration::from_secs(5));
    loop {
        beat.tick().await;
        metrics.run_upkeep();
    }
}

/// Resolves when its sender is gone.
async fn over(mut ending: watch::Receiver<()>) {
    while ending.changed().await.is_ok() {}
}

/// Resolves when draining begins.
async fn stopped(mut draining: watch::Receiver<bool>) {
    // An error means that the service itself is gone.
    let _ = draining.wait_for(|&draining| draining).await;
}

fn flatten(
    served: Result<Result<(), tonic::transport::Error>, tokio::task::JoinError>,
) -> Result<(), Error> {
    Ok(served.map_err(|_| Error::Died)??)
}
