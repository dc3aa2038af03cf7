//! `quaymeter simulate`: a simulated day as NDJSON, its truth as a file.

use super::progress;
use super::service::Connection;
use crate::client::reach::Credentials;
use crate::deliver::{Delivered, Delivery, deliver_as};
use crate::simulate::{FULL_DAY, Options, Rates, Sent, Simulation};
use anyhow::Context as _;
use indicatif::ProgressBar;
use jiff::{Timestamp, tz::TimeZone};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Simulates a day of Ningbo-Zhoushan Port, deterministic from a seed.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The seed: the same seed and end make the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The last instant of the day, for example 2026-05-14T03:00:00Z [default: now]
    #[arg(long, value_name = "RFC3339")]
    pub end: Option<Timestamp>,
    /// About how many distinct events
    #[arg(long, default_value_t = FULL_DAY,
        value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    pub events: u32,
    /// About how many enterprises [default: in keeping with the events]
    #[arg(long, value_parser = clap::value_parser!(u32).range(60..=30_000))]
    pub enterprises: Option<u32>,
    /// How many trucks with a driver each [default: in keeping with the events]
    #[arg(long, value_parser = clap::value_parser!(u32).range(300..=90_000))]
    pub drivers: Option<u32>,
    /// Share of sendings that are sent again
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = Rates::default().duplicates)]
    pub duplicates: f64,
    /// Share of sendings that are held up and so overtaken
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = Rates::default().disorder)]
    pub disorder: f64,
    /// The longest such hold-up, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub displacement: u32,
    /// Share of events that are told 2 to 12 hours late
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = Rates::default().late)]
    pub late: f64,
    /// Share of events that are amended
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = Rates::default().revisions)]
    pub revisions: f64,
    /// Share of events that are taken back, some to be brought back again
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = Rates::default().retractions)]
    pub retractions: f64,
    /// Share of further events that are to be refused
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = Rates::default().invalid)]
    pub invalid: f64,
    /// Writes the true cells to this file, as NDJSON
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// The IANA time zone of the truth's days
    #[arg(long, default_value = "Asia/Shanghai", value_parser = TimeZone::get)]
    pub zone: TimeZone,
    /// Sends to this server instead of writing NDJSON to stdout
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// How that server is reached
    #[command(flatten)]
    pub connection: Connection,
    /// Events a second, at most [default: as fast as they are taken]
    #[arg(long, value_name = "EVENTS", requires = "to",
        value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
    /// No progress bar and no summary; what was not meant is told all the same
    #[arg(long, short)]
    pub quiet: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err("not between 0 and 1".into())
    }
}

impl Args {
    /// What is to be simulated; `now` is the end if none was given.
    pub fn options(&self, now: Timestamp) -> Options {
        Options {
            seed: self.seed,
            end_ms: self.end.unwrap_or(now).as_millisecond(),
            events: self.events,
            enterprises: self.enterprises,
            drivers: self.drivers,
            rates: Rates {
                duplicates: self.duplicates,
                disorder: self.disorder,
                displacement_ms: i64::from(self.displacement) * 1000,
                late: self.late,
                revisions: self.revisions,
                retractions: self.retractions,
                invalid: self.invalid,
            },
        }
    }
}

/// Simulates, writes the truth if asked, and delivers the events: to a service,
/// or to stdout.
///
/// # Errors
/// A file or stdout that cannot be written; a service that cannot be reached.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let simulation = Simulation::new(&args.options(Timestamp::now()));
    if let Some(path) = &args.truth {
        write_truth(&simulation, &args.zone, path)?;
    }
    if let Some(endpoint) = args.to {
        let delivery = Delivery {
            endpoint,
            streams: 1,
            batch_events: 500,
            rate: args.rate,
        };
        let credentials = args.connection.credentials();
        return send(&simulation, &delivery, &credentials, args.quiet).await;
    }
    let quiet = args.quiet || io::stdout().is_terminal();
    match write_events(&simulation, io::stdout().lock(), quiet) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result.context("writing events to stdout")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends the day to a service. Outcomes that were not meant are told, and are a
/// failure.
async fn send(
    simulation: &Simulation,
    delivery: &Delivery,
    credentials: &Credentials,
    quiet: bool,
) -> anyhow::Result<ExitCode> {
    let delivered = with_progress(simulation, delivery, credentials, quiet).await?;
    let Delivered {
        accepted,
        refused,
        surprises,
        ..
    } = delivered;
    if !quiet || surprises > 0 {
        eprintln!("{accepted} accepted, {refused} refused, {surprises} not as meant");
    }
    for surprise in delivered.told {
        eprintln!("{surprise}");
    }
    Ok(if surprises == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::FAILED)
    })
}

/// Delivers a day under a progress bar, unless it is to be quiet.
///
/// # Errors
/// What could not be published.
pub async fn with_progress(
    simulation: &Simulation,
    delivery: &Delivery,
    credentials: &Credentials,
    quiet: bool,
) -> Result<Delivered, crate::deliver::Error> {
    let (progress, acknowledged) = (
        bar(quiet, simulation.counts().sent),
        Arc::new(AtomicU64::new(0)),
    );
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    let delivering = deliver_as(credentials, simulation, delivery, Arc::clone(&acknowledged));
    tokio::pin!(delivering);
    loop {
        tokio::select! {
            delivered = &mut delivering => {
                progress.finish_and_clear();
                return delivered;
            }
            _ = beat.tick() => progress.set_position(acknowledged.load(Ordering::Relaxed)),
        }
    }
}

/// Writes the truth as NDJSON.
///
/// # Errors
///
/// A file that cannot be written.
pub fn write_truth(simulation: &Simulation, zone: &TimeZone, path: &Path) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    let mut out = BufWriter::new(file);
    let truth = simulation.truth(zone).context("reckoning the truth")?;
    truth
        .write(&mut out)
        .with_context(|| format!("writing {}", path.display()))?;
    out.flush()
        .with_context(|| format!("writing {}", path.display()))
}

/// Writes all events as NDJSON, in sending order. Refused ones are among them.
///
/// # Errors
///
/// What the writer says.
pub fn write_events(simulation: &Simulation, out: impl Write, quiet: bool) -> io::Result<()> {
    let sent = simulation.sent();
    let progress = bar(quiet, sent.len() as u64);
    let mut out = BufWriter::with_capacity(1 << 16, out);
    for Sent { event, .. } in progress.wrap_iter(sent) {
        serde_json::to_writer(&mut out, &event)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Nothing is drawn between the lines of what a terminal shows already.
fn bar(quiet: bool, events: u64) -> ProgressBar {
    let style = "{bar:32} {human_pos}/{human_len} events, {per_sec}, {eta} left";
    progress::bar(quiet, Some(events), style)
}
