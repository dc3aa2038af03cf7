//! What a scrape of the metrics takes, with the enterprises of a whole port, and what it
//! does to those who send meanwhile.

use crate::check;
use crate::latency::{p99_ms, percentile_ms};
use crate::paced::{EVENTS_PER_S, Paced};
use crate::send::{Manner, send};
use crate::server::{Server, get};
use crate::stage::Stage;
use crate::supply::{Supply, Until};
use anyhow::{Context as _, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is measured here.
pub const KEYS: [&str; 2] = ["embedded.scrape_ms", "embedded.scraped_ack_p99_ms"];

/// Days that are sent before: on one of them some enterprises rest.
const DAYS: usize = 3;

/// Scrapes of a service that has nothing else to do.
const QUIET: usize = 20;

/// More often than anybody does.
const EVERY: Duration = Duration::from_secs(1);

/// Measures both, run by run.
pub async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    if !stage.options.wants(&KEYS) {
        return Ok(());
    }
    stage.corpus.ensure(DAYS + 2)?;
    for run in 0..stage.options.runs {
        eprintln!("scrapes: run {}", run + 1);
        measure(stage).await?;
    }
    Ok(())
}

async fn measure(stage: &mut Stage) -> anyhow::Result<()> {
    let server = Server::start(&stage.fresh("scrape")?)?;
    let mut client = stage.client(&server).await?;
    let supply = Supply::start(stage.corpus.reader(), Until::Days(0, DAYS));
    let sent = send(&server.url, &supply, Manner::Batches).await?;
    check::visible(&mut client, &sent.positions).await?;
    let (mut quiet, mut text) = (Vec::new(), String::new());
    for _ in 0..QUIET {
        let started = Instant::now();
        text = server.get("/metrics")?;
        quiet.push(started.elapsed());
    }
    let [scrape, ack] = KEYS;
    let named = |name: &str| text.lines().filter(|line| line.starts_with(name)).count() as f64;
    let report = &mut stage.report;
    report.add(scrape, percentile_ms(quiet, 50)?);
    report.note(scrape, "enterprises", named("quaymeter_enterprise_info{"));
    report.note(scrape, "series", named("quaymeter_") + named("process_"));
    report.note(scrape, "mib", text.len() as f64 / f64::from(1 << 20));

    let alone = stage.corpus.reader().read(DAYS)?;
    let alone = Paced::start(&server.url, alone, EVENTS_PER_S).await?;
    let alone = alone.finish().await?;
    let beside = stage.corpus.reader().read(DAYS + 1)?;
    let beside = Paced::start(&server.url, beside, EVENTS_PER_S).await?;
    let (http, over) = (server.http().to_owned(), beside.over());
    let scraping = std::thread::spawn(move || scrapes(&http, &over));
    let beside = beside.finish().await?;
    let scraped = scraping.join().ok().context("the scraping thread died")??;
    let report = &mut stage.report;
    report.note(scrape, "beside_load", percentile_ms(scraped, 50)?);
    report.add(ack, p99_ms(beside.latencies)?);
    report.note(ack, "unscraped", p99_ms(alone.latencies)?);

    check::visible(&mut client, &beside.positions).await?;
    check::totals(&mut client, &stage.corpus, DAYS + 2, 0).await?;
    server.stop()
}

/// Scrapes until the load is over; how long each took.
fn scrapes(http: &str, over: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let started = Instant::now();
        let text = get(http, "/metrics")?;
        ensure!(text.starts_with("HTTP/1.1 200"), "a scrape failed");
        took.push(started.elapsed());
        std::thread::sleep(EVERY.saturating_sub(started.elapsed()));
    }
    Ok(took)
}
