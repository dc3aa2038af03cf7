//! The whole service, measured: `make bench`. It starts the real binary on a
//! real disk, drives it over real gRPC from a process of its own on the same
//! processors, and holds what was counted against what was meant: figures of a
//! service that counts wrongly are worth nothing, and are not reported.
//!
//! docs/performance.md says how each figure is measured.

mod bare;
mod callers;
mod check;
mod chunk;
mod clocked;
mod codec;
mod corpus;
mod disk;
mod fair;
mod floors;
mod hostile;
mod kafka;
mod lane;
mod latency;
mod machine;
mod month;
mod options;
mod paced;
mod probes;
mod process;
mod rates;
mod report;
mod restart;
mod scrape;
mod send;
mod server;
mod stage;
mod streams;
mod supply;
mod totals;
mod year;

use anyhow::Context as _;
use corpus::Corpus;
use options::Options;
use report::Report;
use stage::Stage;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// As the service has it, which is measured here in one more place.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    quaymeter::allocator::give_back_soon();
    if std::env::args().any(|argument| argument == bare::FLAG) {
        return bare::run();
    }
    let arguments = std::env::args().skip_while(|argument| argument != clocked::FLAG);
    if let [_, now, data] = &arguments.collect::<Vec<_>>()[..] {
        return clocked::run(now, data.clone());
    }
    let options = Options::parse(std::env::args().skip(1))?;
    // The generator's senders share one thread, and leave the rest to the service.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<()> {
    let started = Instant::now();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    fs::create_dir_all(&out).with_context(|| format!("make {}", out.display()))?;
    let name = if options.quick {
        "quick.json"
    } else {
        "report.json"
    };
    let mut report = Report::default();
    machine::describe(&mut report, &out)?;
    if options.year.is_none() {
        announce(&options);
    }
    // Whatever was left by a run that was cut off.
    let dir = out.join("work");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    let corpus = Corpus::new(&dir.join("days"), options.events_per_day())?;
    let mut stage = Stage {
        corpus,
        dir,
        report,
        group: None,
        fastest: 0.0,
        options,
    };
    if let Some(days) = stage.options.year {
        year::run(&mut stage, days).await?;
        return Ok(fs::remove_dir_all(&stage.dir)?);
    }
    rates::run(&mut stage).await?;
    fair::run(&mut stage).await?;
    month::run(&mut stage).await?;
    restart::run(&mut stage).await?;
    scrape::run(&mut stage).await?;
    streams::run(&mut stage).await?;
    floors::run(&mut stage).await?;
    kafka::run(&mut stage).await?;
    let Stage {
        mut report, dir, ..
    } = stage;
    fs::remove_dir_all(&dir)?;
    report.fact("machine.load_after", machine::load());
    report.fact("machine.took_s", started.elapsed().as_secs_f64().round());
    finish(&report, &out.join(name))
}

/// How long it will take, about: loading and checking take their time beside
/// what is timed.
fn announce(options: &Options) {
    let runs = options.runs as u64;
    let mut seconds = runs * 60 + 120;
    for (manner, key) in rates::KEYS {
        if options.wants(&[key]) {
            seconds += runs * (options.time(manner).as_secs() + 15);
        }
    }
    for (keys, each) in [
        (&fair::KEYS[..], 160),
        (&month::KEYS, 150),
        (&[restart::KEY], 40),
        (&scrape::KEYS, 45),
        (&streams::KEYS, 30),
        (&kafka::KEYS, 240),
    ] {
        if options.wants(keys) {
            seconds += runs * options.scaled(each);
        }
    }
    let figures = report::keys().filter(|key| options.wants(&[key])).count();
    println!(
        "{figures} figures, {runs} runs each, planned for {} min",
        seconds.div_ceil(60)
    );
}

fn finish(report: &Report, path: &Path) -> anyhow::Result<()> {
    let json = report.json();
    for (name, value) in json.iter().filter(|(name, _)| name.starts_with("machine.")) {
        println!("{name}: {value}");
    }
    println!("\n{}", report.table());
    let text = serde_json::to_string_pretty(&json)?;
    fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}
