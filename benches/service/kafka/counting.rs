//! An instance that counts what lies in the topic, and one that restores what was
//! counted.

use super::Place;
use crate::check;
use crate::process::{cpu_s, memory_mib};
use crate::server::Server;
use crate::stage::Stage;
use anyhow::bail;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Reached only when something hangs.
const WITHIN: Duration = Duration::from_secs(1_200);

/// Events a second, and MiB at most.
pub type Counted = (f64, f64);

/// One day, which lies in the topic when an instance begins.
pub async fn day(stage: &mut Stage, place: &Place<'_>, name: &str) -> anyhow::Result<Counted> {
    let (server, rate, data) = count(stage, place, name, 1).await?;
    let peak = memory_mib(server.pid(), "VmHWM")?;
    stage.report.add("kafka.worker_per_s", rate);
    stage.report.add("kafka.worker_rss_mib", peak);
    let cpu = cpu_s(server.pid())?;
    stage.report.note("kafka.worker_per_s", "cpu_s", cpu);
    server.stop()?;
    std::fs::remove_dir_all(data)?;
    Ok((rate, peak))
}

/// Many days.
pub async fn backlog(stage: &mut Stage, place: &Place<'_>, days: usize) -> anyhow::Result<()> {
    let (server, rate, data) = count(stage, place, "backlog-counted", days).await?;
    stage.report.add("kafka.catch_up_per_s", rate);
    let peak = memory_mib(server.pid(), "VmHWM")?;
    stage.report.note("kafka.catch_up_per_s", "rss_mib", peak);
    server.stop()?;
    Ok(std::fs::remove_dir_all(data)?)
}

/// Some days in one partition, restored from its changelog by an instance with an empty
/// disk: until it answers and counts on.
pub async fn restored(stage: &mut Stage, place: &Place<'_>, days: usize) -> anyhow::Result<()> {
    const KEY: &str = "kafka.restore_1m_s";
    let (server, _, data) = count(stage, place, "restored", days).await?;
    let identities = server.metric("quaymeter_identities")?;
    server.stop()?;
    stage.report.note(KEY, "identities", identities);
    for _ in 0..stage.options.runs {
        std::fs::remove_dir_all(&data)?;
        let started = Instant::now();
        let server = place.serve(&data)?;
        until(&server, "quaymeter_assigned_partitions", 1.0)?;
        stage.report.add(KEY, started.elapsed().as_secs_f64());
        let mut client = stage.client(&server).await?;
        check::totals(&mut client, &stage.corpus, days, 0).await?;
        server.stop()?;
    }
    Ok(std::fs::remove_dir_all(data)?)
}

/// Counts what lies in the topic: events a second from the first partition on that the
/// instance was given.
async fn count(
    stage: &mut Stage,
    place: &Place<'_>,
    name: &str,
    days: usize,
) -> anyhow::Result<(Server, f64, PathBuf)> {
    let data = stage.fresh(name)?;
    let records: u64 = stage.corpus.days()[..days].iter().map(|day| day.sent).sum();
    let server = place.serve(&data)?;
    until(&server, "quaymeter_assigned_partitions", 1.0)?;
    let started = Instant::now();
    until(&server, "quaymeter_applied_events_total", records as f64)?;
    let rate = records as f64 / started.elapsed().as_secs_f64();
    let mut client = stage.client(&server).await?;
    check::totals(&mut client, &stage.corpus, days, 0).await?;
    Ok((server, rate, data))
}

/// Waits until a metric is as great.
fn until(server: &Server, name: &str, least: f64) -> anyhow::Result<()> {
    let started = Instant::now();
    while server.metric(name)? < least {
        if started.elapsed() > WITHIN {
            bail!("{name} is not {least} within {WITHIN:?}");
        }
        // A page of metrics of 3,000 enterprises takes its time too.
        std::thread::sleep(Duration::from_millis(250));
    }
    Ok(())
}
