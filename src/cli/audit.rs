//! `quaymeter audit`: recounts the log by brute force and compares every cell.

use super::asked::{self, Asked};
use super::progress::Bar;
use crate::answers::{Reach, Spool, offset};
use crate::audit::compare::{Audit, Report};
use crate::audit::{Rules, Survey, survey};
use crate::log::dir::ShapingSettings;
use crate::log::scan::Scan;
use anyhow::{Context as _, bail};
use jiff::{Timestamp, tz::TimeZone};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit status when something differs.
const DIFFERS: u8 = 2;

/// What a record takes in memory while its facility is recounted: measured.
const RECORD_BYTES: u64 = 450;

/// What `audit` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data directory whose log is recounted
    #[arg(long, value_name = "DIR", default_value = "./quaymeter-data")]
    data_dir: PathBuf,
    /// The running service on that directory; without it, a stopped service's
    /// state is restored and asked
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Differences that are shown one by one; all are counted
    #[arg(long, value_name = "FIGURES", default_value_t = 20)]
    show: usize,
    /// Memory for the recount; a single facility may need more. Less memory
    /// means more passes over the log
    #[arg(long, value_name = "MIB", default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(1..))]
    memory: u32,
    /// No progress bar
    #[arg(long, short)]
    quiet: bool,
}

/// Recounts and compares.
///
/// # Errors
/// A log or a service that cannot be read. A difference is the status 2.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = asked::settings(&args.data_dir)?;
    let rules = rules(&settings)?;
    let bar = Bar::new(args.quiet);
    let asked = match &args.server {
        Some(url) => Asked::connected(url).await?,
        None => Asked::restored(&args.data_dir, &settings, &bar).await?,
    };
    let reach = Reach {
        zone: rules.zone.clone(),
        quarter_days: rules.quarter_days,
        day_days: rules.day_days,
    };
    bar.counts("cells answered");
    let spool = Spool::fill(asked.client.clone(), reach, |rows| bar.at(rows)).await?;
    same_settings(&spool, &settings)?;
    let scan = Scan::open(&args.data_dir.join("log")).context("open the log to recount")?;
    let recounting = Recounting {
        rules,
        scan,
        records_max: u64::from(args.memory) * (1 << 20) / RECORD_BYTES,
        show: args.show,
        bar,
    };
    let done = tokio::task::spawn_blocking(move || recounting.run(spool)).await??;
    tell(&done, &asked.name)?;
    let exact = done.report.differences == 0 && done.report.unsettled == 0 && done.known();
    Ok(if exact {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERS)
    })
}

fn rules(settings: &ShapingSettings) -> anyhow::Result<Rules> {
    let zone = &settings.reporting_zone;
    let days = |days: u32| i32::try_from(days).context("read the stored settings");
    Ok(Rules {
        zone: TimeZone::get(zone).with_context(|| format!("find the time zone {zone:?}"))?,
        horizon_days: days(settings.horizon_days)?,
        quarter_days: days(settings.quarter_days)?,
        day_days: days(settings.day_days)?,
        teu_45ft_milli: settings.teu_45ft_milli.into(),
    })
}

fn same_settings(spool: &Spool, settings: &ShapingSettings) -> anyhow::Result<()> {
    let status = &spool.before;
    let of_service = (&*status.reporting_zone, status.horizon_days);
    let of_data = (&*settings.reporting_zone, settings.horizon_days);
    if of_service != of_data {
        bail!(
            "the service counts in zone and horizon {of_service:?}, the data directory in {of_data:?}: is it another service's?"
        );
    }
    Ok(())
}

/// All that the recount needs.
struct Recounting {
    rules: Rules,
    scan: Scan,
    records_max: u64,
    show: usize,
    bar: Bar,
}

/// What came of it.
struct Done {
    survey: Survey,
    report: Report,
    /// The last position that was compared.
    last: u64,
    /// Identities that the service knows there.
    answered_identities: i64,
    passes: usize,
}

impl Done {
    /// Whether as many identities are known as the service says. A log that was
    /// cut does not know them all.
    fn known(&self) -> bool {
        let cut = self.report.vouches_from.is_some();
        cut || self.report.identities == self.answered_identities
    }
}

impl Recounting {
    fn run(self, mut spool: Spool) -> anyhow::Result<Done> {
        let first = offset(spool.before.freshness.as_ref())?;
        let last = offset(spool.after.freshness.as_ref())?;
        let bar = &self.bar;
        bar.bytes(self.scan.bytes(), "surveying the log");
        let survey = survey(&self.scan, last, |bytes| bar.at(bytes))?;
        let audit = Audit {
            scan: &self.scan,
            rules: &self.rules,
            survey: &survey,
            first,
            last,
            records_max: self.records_max,
            shown_max: self.show,
        };
        let passes = audit.passes(&spool).len();
        let total = self.scan.bytes() * passes as u64;
        bar.bytes(total, "recounting");
        let report = audit.run(&mut spool, &mut |bytes| bar.at(bytes))?;
        bar.clear();
        Ok(Done {
            answered_identities: spool.after.identities,
            survey,
            report,
            last,
            passes,
        })
    }
}

fn tell(done: &Done, of: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let Done { survey, report, .. } = done;
    writeln!(
        out,
        "recounted {} records (offsets {} to {}) of {} facilities in {} passes: {} identities known, {} forgotten",
        survey.records,
        survey.start,
        done.last,
        survey.facilities.len(),
        done.passes,
        report.identities,
        report.forgotten
    )?;
    if let Some((acts, ahead)) = report.vouches_from {
        writeln!(
            out,
            "the log was cut: it vouches for what happened from {} on, and for plans, estimates and appointments from {} on; vessel calls are not compared",
            instant(acts),
            instant(ahead)
        )?;
    }
    writeln!(
        out,
        "compared {} quarter-hours, {} days, {} vessel calls and {} slots with {of}",
        report.quarters, report.days, report.calls, report.slots
    )?;
    if report.asked_again > 0 {
        let again = report.asked_again;
        writeln!(out, "{again} parts moved meanwhile and were asked again")?;
    }
    if report.unsettled > 0 {
        let parts = report.unsettled;
        writeln!(
            out,
            "{parts} parts moved whenever they were asked and were not compared: audit again when less is going on"
        )?;
    }
    if !done.known() {
        let answered = done.answered_identities;
        writeln!(
            out,
            "identities known: {}, answered {answered}",
            report.identities
        )?;
    }
    for difference in &report.shown {
        writeln!(out, "{difference}")?;
    }
    match report.differences {
        0 => writeln!(out, "no figure differs")?,
        count => writeln!(out, "{count} figures differ")?,
    }
    Ok(())
}

fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |at| at.to_string())
}
