//! How many events a second: sent as fast as they are taken, until all of them
//! are durable, counted once each, and visible.

use crate::check;
use crate::process::Watch;
use crate::send::{Manner, send};
use crate::server::Server;
use crate::stage::{Group, Stage};
use crate::supply::{Supply, Until};
use std::time::{Duration, Instant};

/// Each manner's key.
pub const KEYS: [(Manner, &str); 3] = [
    (Manner::Batches, "embedded.events_per_s"),
    (Manner::Calls, "embedded.unary_events_per_s"),
    (Manner::Singles, "embedded.single_events_per_s"),
];

/// Before anything is known of this machine's speed.
const WARM_UP: Duration = Duration::from_secs(3);
const WARM_UP_DAYS: usize = 6;

/// Measures all manners that are asked for.
pub async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    for (manner, key) in KEYS {
        if !stage.options.wants(&[key]) {
            continue;
        }
        let time = stage.options.time(manner);
        // The other manners are no faster than batches.
        if stage.fastest == 0.0 {
            stage.corpus.ensure(WARM_UP_DAYS)?;
            measure(stage, Manner::Batches, WARM_UP, None).await?;
        }
        for run in 0..stage.options.runs {
            stage.enough_for(time.as_secs_f64())?;
            eprintln!("{key}: run {}", run + 1);
            measure(stage, manner, time, Some(key)).await?;
        }
    }
    Ok(())
}

async fn measure(
    stage: &mut Stage,
    manner: Manner,
    time: Duration,
    key: Option<&'static str>,
) -> anyhow::Result<()> {
    let dir = stage.fresh("rates")?;
    let server = Server::start(&dir)?;
    let mut client = stage.client(&server).await?;
    let watch = Watch::start(server.pid())?;
    let supply = Supply::start(stage.corpus.reader(), Until::Elapsed(time));
    let sent = send(&server.url, &supply, manner).await?;
    let acknowledged = Instant::now();
    check::visible(&mut client, &sent.positions).await?;
    let lag = acknowledged.elapsed().as_secs_f64();
    let (seconds, generator, service) = watch.stop()?;
    check::totals(&mut client, &stage.corpus, supply.days(), 0).await?;
    let rate = sent.accepted as f64 / seconds;
    stage.fastest = stage.fastest.max(rate);
    if let Some(key) = key {
        let report = &mut stage.report;
        report.add(key, rate);
        report.note(key, "seconds", seconds);
        report.note(key, "lag_s", lag);
        report.note(key, "generator_cores", generator);
        report.note(key, "service_cores", service);
        report.note(key, "service_us_per_event", service * 1e6 / rate);
        if seconds < time.as_secs_f64() {
            eprintln!("  THE LOAD RAN OUT: {key} was measured for {seconds:.0} s only");
        }
        if manner == Manner::Batches {
            stage.group = Some(group(&server)?);
        }
    }
    server.kill()
}

fn group(server: &Server) -> anyhow::Result<Group> {
    let groups = server.metric("quaymeter_log_fsync_seconds_count")?.max(1.0);
    Ok(Group {
        bytes: server.metric("quaymeter_log_appended_bytes_total")? / groups,
        events: server.metric("quaymeter_log_appended_events_total")? / groups,
    })
}
