//! A year of the port, day by day, with default settings: what it takes in memory and
//! on the disk, and that all of it is counted.

use crate::check;
use crate::corpus::DAY_MS;
use crate::disk;
use crate::process::memory_mib;
use crate::send::{Manner, send};
use crate::server::Server;
use crate::stage::Stage;
use crate::supply::{Supply, Until};
use std::time::Instant;

/// Days between two that are told.
const TOLD_EVERY: usize = 10;

/// Runs so many days, of which none is kept once it is sent.
pub async fn run(stage: &mut Stage, days: usize) -> anyhow::Result<()> {
    let dir = stage.fresh("year")?;
    let end = |stage: &Stage, day| stage.corpus.start_ms() + (day as i64 + 1) * DAY_MS;
    let mut server = Server::start_clocked(&dir, end(stage, 0))?;
    let mut client = stage.client(&server).await?;
    let started = Instant::now();
    println!("  day    records  identities  resident MiB  log MiB  store MiB  minutes");
    for day in 0..days {
        stage.corpus.ensure(day + 1)?;
        server.set_clock(end(stage, day))?;
        let supply = Supply::start(stage.corpus.reader(), Until::Days(day, day + 1));
        let sent = send(&server.url, &supply, Manner::Batches).await?;
        let status = check::visible(&mut client, &sent.positions).await?;
        stage.corpus.forget(day)?;
        if day % TOLD_EVERY == TOLD_EVERY - 1 || day + 1 == days {
            server.checkpointed(status.events as f64)?;
            let mib = |bytes: f64| bytes / 1_048_576.0;
            println!(
                "{:5} {:10} {:11} {:13.0} {:8.0} {:10.0} {:8.1}",
                day + 1,
                status.events,
                status.identities,
                memory_mib(server.pid(), "VmRSS")?,
                mib(server.metric("quaymeter_log_bytes")?),
                mib(server.metric("quaymeter_store_bytes")?),
                started.elapsed().as_secs_f64() / 60.0
            );
        }
    }
    check::totals(&mut client, &stage.corpus, days, 0).await?;
    let peak = memory_mib(server.pid(), "VmHWM")?;
    drop(client);
    server.stop()?;
    let bytes = disk::allocated_bytes(&dir)? as f64 / 1_048_576.0;
    println!(
        "every figure is as meant; at most {peak:.0} MiB resident; {bytes:.0} MiB on the disk"
    );
    Ok(())
}
