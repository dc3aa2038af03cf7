//! From SIGKILL at full load to ready again.

use crate::check;
use crate::disk;
use crate::send::{Manner, send};
use crate::server::Server;
use crate::stage::Stage;
use crate::supply::{Supply, Until};
use std::fs;
use std::time::Instant;

/// What is measured here.
pub const KEY: &str = "embedded.restart_10m_s";

/// Records in the log.
const RECORDS: u64 = 10_000_000;

/// Loads once. All but the last day is in a checkpoint; the service is killed as
/// soon as the last day is visible too, which a crash at a hundred thousand
/// events a second leaves behind. Then it is started on copies of what lay there.
/// They are in the page cache, as after any crash of the process alone.
pub async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    if !stage.options.wants(&[KEY]) {
        return Ok(());
    }
    let records = stage.options.scaled(RECORDS);
    let days = stage.corpus.days_with(records, |day| day.sent)?;
    let (loaded, copy) = (stage.fresh("loaded")?, stage.dir.join("restart"));
    eprintln!("{KEY}: loading {days} days");
    let server = Server::start(&loaded)?;
    let mut client = stage.client(&server).await?;
    let mut records = 0.0;
    for (from, to) in [(0, days - 1), (days - 1, days)] {
        server.checkpointed(records)?;
        let supply = Supply::start(stage.corpus.reader(), Until::Days(from, to));
        let sent = send(&server.url, &supply, Manner::Batches).await?;
        check::visible(&mut client, &sent.positions).await?;
        records += sent.accepted as f64;
    }
    let behind = records - server.metric("quaymeter_checkpoint_offset")?;
    server.kill()?;
    stage.report.note(KEY, "replayed_events", behind);
    for run in 0..stage.options.runs {
        eprintln!("{KEY}: run {}", run + 1);
        stage.fresh("restart")?;
        disk::copy(&loaded, &copy)?;
        let started = Instant::now();
        let server = Server::start(&copy)?;
        server.ready()?;
        stage.report.add(KEY, started.elapsed().as_secs_f64());
        let mut client = stage.client(&server).await?;
        check::totals(&mut client, &stage.corpus, days, 0).await?;
        server.kill()?;
    }
    fs::remove_dir_all(&loaded)?;
    Ok(())
}
