//! The log in Kafka: what the broker does with the same records and nothing else, what
//! goes through the pipeline, and a peer, all against one real broker on this machine.

mod broker;
mod counting;
mod peer;
mod raw;

use crate::check;
use crate::latency::percentile_ms;
use crate::paced::Paced;
use crate::probes;
use crate::process::Watch;
use crate::send::{Manner, send};
use crate::server::{SHAPING, Server, quaymeter};
use crate::stage::Stage;
use crate::supply::{Supply, Until};
use anyhow::{Context as _, ensure};
use broker::Broker;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What is measured here.
pub const KEYS: [&str; 12] = [
    "kafka.raw_produce_per_s",
    "kafka.raw_consume_per_s",
    "kafka.ingest_per_s",
    "kafka.worker_per_s",
    "kafka.worker_rss_mib",
    "kafka.worker_per_peer",
    "kafka.rss_per_peer",
    "kafka.catch_up_per_s",
    "kafka.fresh_p50_ms",
    "kafka.fresh_p99_ms",
    "kafka.restore_1m_s",
    "peer.",
];

/// Of each topic.
const PARTITIONS: u32 = 6;

/// How long events are sent as fast as they are taken, and at a pace.
const INGEST_S: u64 = 30;
const PACED_S: u64 = 30;

/// The load under which it is timed how soon an event is visible.
const FRESH_PER_S: u32 = 10_000;

/// Distinct events with which a partition is restored, and those that are caught up with.
const RESTORED: u64 = 1_000_000;
const BACKLOG: u64 = 5_000_000;

/// Topics of a prefix on a broker.
struct Place<'a> {
    broker: &'a Broker,
    prefix: String,
    partitions: u32,
    dir: &'a Path,
}

impl<'a> Place<'a> {
    /// New topics.
    fn new(
        (broker, dir): (&'a Broker, &'a Path),
        prefix: &str,
        partitions: u32,
    ) -> anyhow::Result<Self> {
        let place = Self {
            broker,
            prefix: prefix.into(),
            partitions,
            dir,
        };
        place.command(&["topics", "create"], &[])?;
        Ok(place)
    }

    fn settings(&self) -> Vec<String> {
        let partitions = self.partitions.to_string();
        let key = self.dir.join("pseudonyms.key");
        let pairs = [
            ("--log", "kafka"),
            ("--brokers", &*self.broker.bootstrap),
            ("--kafka-prefix", &*self.prefix),
            ("--kafka-partitions", &*partitions),
            ("--kafka-replication", "1"),
            ("--kafka-min-insync", "1"),
            ("--pseudonym-key", &*key.to_string_lossy()),
            // With another name it would wait for its former self's session to end.
            ("--kafka-instance", "only"),
        ];
        let words = pairs.into_iter().flat_map(|(flag, value)| [flag, value]);
        words.map(str::to_owned).collect()
    }

    fn command(&self, words: &[&str], more: &[&str]) -> anyhow::Result<()> {
        let mut command = quaymeter();
        command.args(words).args(SHAPING).args(self.settings());
        done(command.args(more))
    }

    /// Copies an embedded log into the topic.
    fn import(&self, data: &Path) -> anyhow::Result<()> {
        let data = format!("--data-dir={}", data.display());
        self.command(&["topics", "import", "--quiet"], &[&data])
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn serve(&self, data: &Path) -> anyhow::Result<Server> {
        Server::start_with(data, &self.settings())
    }
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("run a command")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {errors}");
    Ok(())
}

/// Measures all that is asked for.
pub async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    if !stage.options.wants(&KEYS) {
        return Ok(());
    }
    let dir = stage.fresh("kafka")?;
    std::fs::create_dir_all(&dir)?;
    let broker = Broker::start(&dir.join("broker"))?;
    let at = (&broker, &*dir);
    let day = embedded(stage, &dir, "day", 1).await?;
    for run in 0..stage.options.runs {
        eprintln!("kafka: run {}", run + 1);
        let name = |what: &str| format!("{what}{run}");
        let place = Place::new(at, &name("day"), PARTITIONS)?;
        place.import(&day)?;
        if stage
            .options
            .wants(&["kafka.raw_", "kafka.ingest", "kafka.worker_per_s"])
        {
            let target = Place::new(at, &name("raw"), PARTITIONS)?;
            raw::run(stage, &place, &target)?;
        }
        if stage
            .options
            .wants(&["kafka.worker_", "kafka.rss_", "peer."])
        {
            let counted = counting::day(stage, &place, &name("counted")).await?;
            peer::run(stage, &place, counted)?;
        }
        if stage.options.wants(&["kafka.ingest_per_s"]) {
            ingest(stage, &Place::new(at, &name("ingest"), PARTITIONS)?).await?;
        }
        if stage.options.wants(&["kafka.fresh_"]) {
            fresh(stage, &Place::new(at, &name("fresh"), PARTITIONS)?).await?;
        }
    }
    if stage.options.wants(&["kafka.restore_1m_s"]) {
        let days = stage
            .corpus
            .days_with(stage.options.scaled(RESTORED), |day| day.distinct)?;
        let log = embedded(stage, &dir, "million", days).await?;
        let place = Place::new(at, "restore", 1)?;
        place.import(&log)?;
        counting::restored(stage, &place, days).await?;
    }
    if stage.options.wants(&["kafka.catch_up_per_s"]) {
        let days = stage
            .corpus
            .days_with(stage.options.scaled(BACKLOG), |day| day.sent)?;
        let log = embedded(stage, &dir, "backlog", days).await?;
        let place = Place::new(at, "backlog", PARTITIONS)?;
        place.import(&log)?;
        counting::backlog(stage, &place, days).await?;
    }
    drop(broker);
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// The first days in an embedded log; its data directory.
async fn embedded(
    stage: &mut Stage,
    dir: &Path,
    name: &str,
    days: usize,
) -> anyhow::Result<PathBuf> {
    stage.corpus.ensure(days)?;
    let data = dir.join(name);
    let server = Server::start(&data)?;
    let supply = Supply::start(stage.corpus.reader(), Until::Days(0, days));
    send(&server.url, &supply, Manner::Batches).await?;
    server.stop()?;
    Ok(data)
}

/// Events sent as fast as they are acknowledged, while they are counted.
async fn ingest(stage: &mut Stage, place: &Place<'_>) -> anyhow::Result<()> {
    const KEY: &str = "kafka.ingest_per_s";
    let time = Duration::from_secs(stage.options.scaled(INGEST_S));
    stage.fastest = stage.fastest.max(100_000.0);
    stage.enough_for(time.as_secs_f64())?;
    let server = place.serve(&place.dir.join("ingest"))?;
    let mut client = stage.client(&server).await?;
    let watch = Watch::start(server.pid())?;
    let supply = Supply::start(stage.corpus.reader(), Until::Elapsed(time));
    let sent = send(&server.url, &supply, Manner::Batches).await?;
    let (seconds, generator, service) = watch.stop()?;
    check::visible(&mut client, &sent.positions).await?;
    check::totals(&mut client, &stage.corpus, supply.days(), 0).await?;
    let report = &mut stage.report;
    report.add(KEY, sent.accepted as f64 / seconds);
    report.note(KEY, "seconds", seconds);
    report.note(KEY, "generator_cores", generator);
    report.note(KEY, "service_cores", service);
    server.stop()?;
    Ok(std::fs::remove_dir_all(place.dir.join("ingest"))?)
}

/// How soon an event is visible that is sent while others come at a pace.
async fn fresh(stage: &mut Stage, place: &Place<'_>) -> anyhow::Result<()> {
    let events = stage.options.scaled(PACED_S) * u64::from(FRESH_PER_S);
    let days = stage.corpus.days_with(events, |day| day.sent)?;
    let server = place.serve(&place.dir.join("fresh"))?;
    let mut client = stage.client(&server).await?;
    let reader = stage.corpus.reader();
    let chunks: Vec<_> = (0..days)
        .map(|day| reader.read(day))
        .collect::<Result<_, _>>()?;
    let mut left = events as i64;
    let chunks: Vec<_> = chunks
        .concat()
        .into_iter()
        .take_while(|chunk| {
            left -= i64::from(chunk.events);
            left >= 0
        })
        .collect();
    let paced = Paced::start(&server.url, chunks, FRESH_PER_S).await?;
    let probed = probes::fresh(&server.url, &paced).await?;
    let heard = paced.finish().await?;
    check::visible(&mut client, &heard.positions).await?;
    let report = &mut stage.report;
    report.add("kafka.fresh_p50_ms", percentile_ms(probed.clone(), 50)?);
    report.add("kafka.fresh_p99_ms", percentile_ms(probed, 99)?);
    let acknowledged = percentile_ms(heard.latencies, 99)?;
    report.note("kafka.fresh_p99_ms", "ack_p99_ms", acknowledged);
    report.note(
        "kafka.fresh_p99_ms",
        "generator_late_p99_ms",
        heard.late_p99_ms,
    );
    server.stop()?;
    Ok(std::fs::remove_dir_all(place.dir.join("fresh"))?)
}
