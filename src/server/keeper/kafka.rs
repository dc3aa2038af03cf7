//! The log in Kafka, and an instance of the group that counts it.

use super::Parts;
use crate::cluster::assigned::Assigned;
use crate::cluster::instance::{self, Instance};
use crate::cluster::mirror;
use crate::cluster::owned::Terms;
use crate::config::Config;
use crate::log::Kind;
use crate::log::dir::DataDir;
use crate::log::kafka::connection::Connection;
use crate::log::kafka::group::Member;
use crate::log::kafka::producer::{Options, Producer};
use crate::log::kafka::topics::{Plan, Topics, admin};
use crate::server::Error;
use crate::server::options::{shaping, store_options, worker_options};
use crate::store::Store;
use crate::view::View;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a start waits for brokers.
const BROKERS: Duration = Duration::from_secs(60);

/// The pause before they are asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// The producer and the instance.
pub(in crate::server) struct Kafka {
    producer: Producer,
    instance: Instance,
}

impl Kafka {
    pub(super) fn open(parts: &Parts<'_>) -> Result<Self, Error> {
        let &Parts { config, dir, .. } = parts;
        let connection = Connection::of(config)?;
        require(&connection, &Plan::of(config))?;
        // A line for each stage, so that one that hangs is known.
        tracing::info!("the topics are as planned");
        let topics = Topics::of(&config.kafka.prefix);
        let member = member(config, dir, topics.clone())?;
        let store = open_store(parts)?;
        tracing::info!("opened the copy of the changelogs");
        let worker = worker_options(config);
        let terms = Terms {
            rules: worker.rules,
            keeping: worker.keeping,
            shaping: told(parts)?.into(),
        };
        let options = Options {
            queue_bytes: u32::try_from(config.limits.buffered_bytes).unwrap_or(u32::MAX),
            ..Options::default()
        };
        let clock = Arc::clone(parts.clock);
        let producer = Producer::start(&connection, &topics.events, options, move || clock())?;
        tracing::info!("the producer is ready");
        let instance = instance::Parts {
            connection,
            member,
            partitions: config.kafka.partitions as u32,
            terms,
            interval: Duration::from_millis(config.kafka.commit_interval_ms),
            metrics: Arc::clone(parts.metrics),
            tracer: parts.tracer.clone(),
        };
        Ok(Self {
            producer,
            instance: Instance::start(instance, &store, Arc::clone(parts.clock))?,
        })
    }

    pub(super) fn view(&self) -> &Arc<View> {
        self.instance.view()
    }

    pub(super) fn assigned(&self) -> &Arc<Assigned> {
        self.instance.assigned()
    }

    pub(super) fn producer(&self) -> Producer {
        self.producer.clone()
    }

    pub(super) async fn failed(&mut self) -> Result<(), Error> {
        tokio::select! {
            error = self.producer.failed() => Err(Error::Producer(error)),
            () = self.instance.gone() => Ok(()),
        }
    }

    /// Commits what is counted, if the brokers answer in time: what is not committed is
    /// counted again by whoever has its partitions next.
    pub(super) async fn stop(self, until: Instant) -> Result<(), Error> {
        let left = until.saturating_duration_since(Instant::now());
        let instance = self.instance;
        let stopping = tokio::task::spawn_blocking(move || instance.stop());
        let (closed, stopped) = tokio::join!(
            timeout_at(until, self.producer.close(left)),
            timeout_at(until, stopping),
        );
        if closed.is_err() || stopped.is_err() {
            tracing::warn!(
                "the brokers did not answer in time: what is not committed is counted again"
            );
        }
        let stopped = match stopped {
            Ok(stopped) => stopped.map_err(|_| Error::Died)?.map_err(Error::Instance),
            Err(_) => Ok(()),
        };
        stopped.and(closed.unwrap_or(Ok(())).map_err(Error::Producer))
    }
}

/// Refuses topics that are not as planned; waits for brokers that may just be starting,
/// or have much to do.
fn require(connection: &Connection, plan: &Plan) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        match admin::require(connection, plan) {
            Err(error) if error.kind() == Kind::Retry && started.elapsed() < BROKERS => {
                tracing::warn!(%error, "waiting for Kafka");
                std::thread::sleep(AGAIN);
            }
            done => return Ok(done?),
        }
    }
}

/// The store of the mirror, made anew if that is too old to be gone on with.
fn open_store(parts: &Parts<'_>) -> Result<Store, Error> {
    let (path, options) = (parts.dir.store(), store_options(parts.config));
    let store = Store::open_with(&path, options)?;
    let partitions = parts.config.kafka.partitions as u16;
    let stale = mirror::is_stale(&store, partitions, (parts.clock)());
    if !stale.map_err(instance::Error::Mirror)? {
        return Ok(store);
    }
    tracing::warn!("the copy of the changelogs is too old, and is made anew");
    drop(store);
    let old = path.with_added_extension("old");
    let moved = match old.exists() {
        true => std::fs::remove_dir_all(&old),
        false => Ok(()),
    };
    let moved = moved.and_then(|()| std::fs::rename(&path, &old));
    moved.map_err(Error::Stale)?;
    let store = Store::open_with(&path, options)?;
    std::fs::remove_dir_all(&old).map_err(Error::Stale)?;
    Ok(store)
}

/// The settings that shape numbers, and the key of the pseudonyms: two instances must
/// have the same of both.
fn told(parts: &Parts<'_>) -> Result<Vec<u8>, Error> {
    let settings = serde_json::json!({
        "settings": shaping(parts.config),
        "partitions": parts.config.kafka.partitions,
        "pseudonyms": parts.pseudonyms.check(),
    });
    serde_json::to_vec(&settings).map_err(Error::Settings)
}

fn member(config: &Config, dir: &DataDir, topics: Topics) -> Result<Member, Error> {
    let prefix = &config.kafka.prefix;
    let drawn = dir.instance(&format!("Kafka's topic {}", topics.events))?;
    let named = config.kafka.instance.as_ref();
    let instance = named.map_or(drawn, ToString::to_string);
    Ok(Member {
        group: prefix.to_string(),
        transactional_id: format!("{prefix}-{instance}"),
        events: topics.events,
        cells: topics.cells,
        dead_letters: topics.dead_letter,
    })
}
