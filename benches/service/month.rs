//! A month of the port: what it takes in memory and on disk, and how soon the
//! service answers while fifty thousand events a second come in.

use crate::check;
use crate::disk;
use crate::latency::p99_ms;
use crate::paced::{EVENTS_PER_S, Paced};
use crate::probes;
use crate::process::memory_mib;
use crate::send::{Manner, send};
use crate::server::Server;
use crate::stage::Stage;
use crate::supply::{Supply, Until};
use anyhow::Context as _;

/// What is measured here.
pub const KEYS: [&str; 6] = [
    "embedded.rss_14m_mib",
    "embedded.ack_p99_ms",
    "embedded.fresh_p99_ms",
    "embedded.query_p99_ms",
    "embedded.top_p99_ms",
    "embedded.bytes_per_event",
];

/// Distinct events within the horizon.
pub const EVENTS: u64 = 14_000_000;

/// Days that are sent while acknowledgements, probes and questions are timed,
/// then while leaders are asked for.
const TIMED_DAYS: usize = 2;
const TOP_DAYS: usize = 1;

/// Measures all of it, run by run.
pub async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    if !stage.options.wants(&KEYS) {
        return Ok(());
    }
    let events = stage.options.scaled(EVENTS);
    let days = stage.corpus.days_with(events, |day| day.distinct)?;
    stage.corpus.ensure(days + TIMED_DAYS + TOP_DAYS)?;
    for run in 0..stage.options.runs {
        eprintln!("a month of {days} days: run {}", run + 1);
        measure(stage, days).await?;
    }
    Ok(())
}

async fn measure(stage: &mut Stage, days: usize) -> anyhow::Result<()> {
    let dir = stage.fresh("month")?;
    let server = Server::start(&dir)?;
    let mut client = stage.client(&server).await?;
    let supply = Supply::start(stage.corpus.reader(), Until::Days(0, days));
    let sent = send(&server.url, &supply, Manner::Batches).await?;
    let status = check::visible(&mut client, &sent.positions).await?;
    server.checkpointed(status.events as f64)?;
    let resident = memory_mib(server.pid(), "VmRSS")?;
    stage.report.add("embedded.rss_14m_mib", resident);
    let peak = memory_mib(server.pid(), "VmHWM")?;
    stage.report.note("embedded.rss_14m_mib", "peak", peak);

    let day = |n| stage.corpus.reader().read(days + n);
    let timed: Vec<_> = (0..TIMED_DAYS).map(day).collect::<Result<_, _>>()?;
    let asking = probes::Asking::of(&stage.corpus, days);
    let paced = Paced::start(&server.url, timed.concat(), EVENTS_PER_S).await?;
    let probing = probes::fresh(&server.url, &paced);
    let questions = probes::questions(&server.url, &asking, &paced);
    let (fresh, questions) = tokio::join!(probing, questions);
    let heard = paced.finish().await?;
    let probed = fresh.context("fresh")?;
    let report = &mut stage.report;
    report.add("embedded.ack_p99_ms", p99_ms(heard.latencies)?);
    report.note(
        "embedded.ack_p99_ms",
        "generator_late_p99_ms",
        heard.late_p99_ms,
    );
    let probes = probed.len() as i64;
    report.add("embedded.fresh_p99_ms", p99_ms(probed)?);
    report.add("embedded.query_p99_ms", p99_ms(questions?)?);

    let timed: Vec<_> = (0..TOP_DAYS)
        .map(|n| stage.corpus.reader().read(days + TIMED_DAYS + n))
        .collect::<Result<_, _>>()?;
    let paced = Paced::start(&server.url, timed.concat(), EVENTS_PER_S).await?;
    let leaders = probes::leaders(&server.url, &asking, &paced).await?;
    let heard = paced.finish().await?;
    stage.report.add("embedded.top_p99_ms", p99_ms(leaders)?);

    check::visible(&mut client, &heard.positions).await?;
    let all = days + TIMED_DAYS + TOP_DAYS;
    check::totals(&mut client, &stage.corpus, all, probes).await?;
    drop(client);
    server.stop()?;
    let distinct: u64 = stage.corpus.days()[..all]
        .iter()
        .map(|day| day.distinct)
        .sum();
    let bytes = disk::allocated_bytes(&dir)? as f64 / distinct as f64;
    stage.report.add("embedded.bytes_per_event", bytes);
    Ok(())
}
