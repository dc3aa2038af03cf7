//! `quaymeter demo`: the main job on real input, and the proof that it is exact.

use super::settings::defaults;
use super::simulate::with_progress;
use crate::answers::{self, Client, Question};
use crate::client::reach::Credentials;
use crate::deliver::{Delivered, Delivery};
use crate::log::disk::RealDisk;
use crate::pb;
use crate::server::Service;
use crate::server::listeners::Listeners;
use crate::simulate::{Options, Simulation};
use crate::truth::{Grain, Truth, diff};
use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use jiff::{Timestamp, tz::TimeZone};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Differences that are shown one by one.
const SHOWN_MAX: usize = 20;

/// Runs a simulated day of Ningbo through real gRPC, and compares every cell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The seed of the day
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// About how many distinct events
    #[arg(long, default_value_t = crate::simulate::FULL_DAY,
        value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    events: u32,
    /// Keep serving afterwards, on 127.0.0.1:7070 to 7072, until a signal
    #[arg(long)]
    stay: bool,
}

struct Running {
    url: String,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), crate::server::Error>>,
    _dir: tempfile::TempDir,
}

/// Runs the demo.
///
/// # Errors
/// Whatever keeps it from comparing. A difference is the status 1.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let end_ms = Timestamp::now().as_millisecond();
    println!(
        "Simulating a day of Ningbo-Zhoushan that ends now (seed {}) …",
        args.seed
    );
    let options = Options::new(args.seed, end_ms).with_events(args.events);
    let simulation =
        Arc::new(tokio::task::spawn_blocking(move || Simulation::new(&options)).await?);
    let running = start(args.stay).await?;
    let delivered = stream(&simulation, &running.url).await?;
    let mut client = Client::connect(running.url.clone())
        .await
        .context("ask the service")?;
    for position in &delivered.positions {
        let request = pb::GetStatusRequest {
            at_least: position.clone(),
        };
        client
            .get_status(request)
            .await
            .context("wait until all is counted")?;
    }
    show(&mut client, end_ms).await?;
    let exact = compare(&mut client, &simulation, &delivered, end_ms).await?;
    if args.stay {
        println!("serving on {}; stop with Ctrl-C", running.url);
        super::signals::shutdown_signal()?.await;
    }
    // It may have ended by itself; then its error is told below.
    let _ = running.stop.send(());
    running.done.await??;
    Ok(if exact {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::FAILED)
    })
}

/// A service of its own on loopback, with a temporary data directory.
async fn start(stay: bool) -> anyhow::Result<Running> {
    let dir = tempfile::tempdir().context("make a temporary data directory")?;
    let config = defaults(&dir.path().join("data"))?;
    let [grpc, http, health] = if stay { [7070, 7071, 7072] } else { [0; 3] };
    let listeners = Listeners::on_loopback(grpc, http, health).await?;
    let url = format!("http://{}", listeners.grpc.local_addr()?);
    let clock = Arc::new(|| Timestamp::now().as_millisecond());
    let build = move || Service::build(config, Arc::new(RealDisk), clock);
    let service = tokio::task::spawn_blocking(build).await??;
    let (stop, stopped) = oneshot::channel();
    let done = tokio::spawn(service.run(listeners, async {
        // Either way it is time to stop.
        let _ = stopped.await;
    }));
    println!("Serving on {url}, data in {}", dir.path().display());
    Ok(Running {
        url,
        stop,
        done,
        _dir: dir,
    })
}

async fn stream(simulation: &Simulation, url: &str) -> anyhow::Result<Delivered> {
    let sent = simulation.counts().sent;
    println!("Streaming {sent} events over 6 gRPC streams …");
    let started = Instant::now();
    let delivery = Delivery {
        endpoint: url.to_owned(),
        streams: 2,
        batch_events: 500,
        rate: None,
    };
    let delivered = with_progress(simulation, &delivery, &Credentials::default(), false).await?;
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "Acknowledged as durable: {} accepted, {} refused as meant, in {elapsed:.1} s ({:.0} events/s)",
        delivered.accepted,
        delivered.refused,
        (delivered.accepted + delivered.refused) as f64 / elapsed
    );
    Ok(delivered)
}

/// Leaders, truck turns, and how to ask for more.
async fn show(client: &mut Client, end_ms: i64) -> anyhow::Result<()> {
    const DAY_MS: i64 = 86_400_000;
    const QUARTER_MS: i64 = 900_000;
    let to = (end_ms / QUARTER_MS + 1) * QUARTER_MS;
    let from = to - DAY_MS - QUARTER_MS;
    for (role, measure, title) in [
        (
            pb::Role::Carrier,
            pb::Measure::ThroughputTeuMilli,
            "Carriers by TEU over the quay",
        ),
        (
            pb::Role::Fleet,
            pb::Measure::TruckPassages,
            "Fleets by truck passages",
        ),
    ] {
        let request = pb::ListTopEnterprisesRequest {
            role: role.into(),
            measure: measure.into(),
            from: Some(answers::instant(from)),
            to: Some(answers::instant(to)),
            limit: 5,
            ..Default::default()
        };
        let leaders = client
            .list_top_enterprises(request)
            .await?
            .into_inner()
            .enterprises;
        println!("\n{title}\n{}", leaderboard(&leaders, measure));
    }
    let request = pb::GetThroughputRequest {
        filter: Some(pb::Filter {
            roles: vec![pb::Role::Terminal.into()],
            ..Default::default()
        }),
        from: Some(answers::instant(from)),
        to: Some(answers::instant(to)),
        grain: pb::Grain::Total.into(),
        ..Default::default()
    };
    let rows = client.get_throughput(request).await?.into_inner().rows;
    let figures = rows.into_iter().filter_map(|row| row.figures);
    for turn in figures.flat_map(|figures| figures.durations) {
        if turn.kind() == pb::DurationKind::TruckTurn {
            let minutes = |s: f64| s / 60.0;
            println!(
                "\nTruck turns at terminals: {} turns, p50 {:.0} min, p90 {:.0} min, p95 {:.0} min",
                turn.count,
                minutes(turn.p50_s),
                minutes(turn.p90_s),
                minutes(turn.p95_s)
            );
        }
    }
    println!("\nReady to paste, while `quaymeter demo --stay` or `quaymeter serve` runs:");
    println!(
        "  quaymeter query --top 10 --role CARRIER --measure throughput-teu-milli --from -24h"
    );
    println!("  quaymeter query --role TERMINAL --by facility --grain hour --from today");
    println!("  quaymeter query --durations --role TERMINAL --grain total --from -24h");
    println!("  quaymeter query --calls --from today --format json\n");
    Ok(())
}

fn leaderboard(leaders: &[pb::RankedEnterprise], measure: pb::Measure) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_header(["", "enterprise", "value"]);
    for leader in leaders {
        let id = leader
            .enterprise
            .as_ref()
            .map_or("", |enterprise| &enterprise.id);
        let value = match measure {
            pb::Measure::ThroughputTeuMilli => format!("{:.1}", leader.value as f64 / 1000.0),
            _ => leader.value.to_string(),
        };
        table.add_row([leader.rank.to_string(), id.to_owned(), value]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Compares the union of what is answered and of what was meant, cell by cell.
async fn compare(
    client: &mut Client,
    simulation: &Simulation,
    delivered: &Delivered,
    end_ms: i64,
) -> anyhow::Result<bool> {
    const DAY_MS: i64 = 86_400_000;
    let zone = TimeZone::get("Asia/Shanghai")?;
    let truth = simulation.truth(&zone)?;
    let question = Question {
        from_ms: end_ms - 3 * DAY_MS,
        to_ms: end_ms + 10 * DAY_MS,
        at_least: String::new(),
    };
    let answered: Truth = answers::everything(client, &zone, &question).await?;
    let differences = diff(&truth, &answered);
    for difference in differences.iter().take(SHOWN_MAX) {
        println!("{difference}");
    }
    for surprise in delivered.told.iter().take(SHOWN_MAX) {
        println!("{surprise}");
    }
    let status = client
        .get_status(pb::GetStatusRequest::default())
        .await?
        .into_inner();
    let counts = simulation.counts();
    println!(
        "compared: {} quarter-hour cells, {} day cells, {} vessel calls, {} appointment slots",
        answered.count(Grain::Quarter),
        answered.count(Grain::Day),
        answered.calls.len(),
        answered.slots.len()
    );
    println!(
        "among them: {} duplicates, {} late events, {} revisions, {} retractions, {} re-paired durations",
        status.duplicates,
        counts.late,
        status.revisions,
        status.retractions,
        status.repaired_durations
    );
    let wrong = differences.len() as u64 + delivered.surprises;
    println!(
        "exact: {} events, {} cells, {wrong} differences",
        counts.events,
        answered.cells.len()
    );
    Ok(wrong == 0)
}
