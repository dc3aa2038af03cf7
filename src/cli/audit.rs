//! `quaymeter audit`: recounts the log by brute force and compares every cell.

use super::asked::{self, Asked};
use super::progress::Bar;
use super::service;
use super::settings::SettingArgs;
use crate::answers::{Reach, Spool, position};
use crate::audit::compare::{Audit, Report};
use crate::audit::{Rules, Survey, survey};
use crate::config::{Config, LogKind};
use crate::log::dir::ShapingSettings;
use crate::log::kafka::connection::Connection;
use crate::log::kafka::topics::{Plan, Topics, admin};
use crate::log::kafka::whole::Whole;
use crate::log::readable::Readable;
use crate::log::scan::Scan;
use crate::server::shaping;
use crate::view::position::Position;
use anyhow::{Context as _, bail};
use jiff::{Timestamp, tz::TimeZone};
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit status when something differs.
const DIFFERS: u8 = 2;

/// What a record takes in memory while its facility is recounted: measured.
const RECORD_BYTES: u64 = 450;

/// What `audit` may be told. Of the settings, the ones that say where the log is: a
/// data directory, whose own settings are in it; or Kafka, with those that `serve` has.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The running service on that log: on Kafka, any instance. Without it, the state
    /// that a stopped service left in its data directory is restored and asked
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    connection: service::Connection,
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
    #[command(flatten)]
    settings: SettingArgs,
}

/// Recounts and compares.
///
/// # Errors
/// A log or a service that cannot be read. A difference is the status 2.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.settings.resolve()?;
    let settings = match config.log.kind {
        LogKind::Embedded => asked::settings(&config.data_dir)?,
        LogKind::Kafka => shaping(&config),
    };
    let rules = rules(&settings)?;
    let bar = Bar::new(args.quiet);
    let asked = match (&args.server, config.log.kind) {
        (Some(url), _) => Asked::connected(&args.connection.reach(url)?).await?,
        (None, LogKind::Embedded) => Asked::restored(&config.data_dir, &settings, &bar).await?,
        (None, LogKind::Kafka) => {
            bail!("--server must name the instance that the log in Kafka is compared with")
        }
    };
    let reach = Reach {
        zone: rules.zone.clone(),
        quarter_days: rules.quarter_days,
        day_days: rules.day_days,
    };
    bar.counts("cells answered");
    let spool = Spool::fill(asked.client.clone(), reach, |rows| bar.at(rows)).await?;
    same_settings(&spool, &settings)?;
    let (records_max, show) = (u64::from(args.memory) * (1 << 20) / RECORD_BYTES, args.show);
    let done = tokio::task::spawn_blocking(move || {
        let logs = logs(&config)?;
        let recounting = Recounting {
            rules,
            logs,
            records_max,
            show,
            bar,
        };
        recounting.run(spool)
    });
    let done = done.await??;
    tell(&done, &asked.name)?;
    let exact = done.report.differences == 0 && done.report.unsettled == 0 && done.known();
    Ok(if exact {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERS)
    })
}

/// The log, partition by partition.
fn logs(config: &Config) -> anyhow::Result<Vec<Box<dyn Readable>>> {
    let what = "open the log to recount";
    if config.log.kind == LogKind::Embedded {
        let scan = Scan::open(&config.data_dir.join("log")).context(what)?;
        return Ok(vec![Box::new(scan)]);
    }
    let connection = Connection::of(config)?;
    // With another number of partitions, facilities would be looked for elsewhere.
    admin::require(&connection, &Plan::of(config))?;
    let topic = Topics::of(&config.kafka.prefix).events;
    let partitions = config.kafka.partitions as u32;
    let open = |partition| -> anyhow::Result<Box<dyn Readable>> {
        let whole = Whole::open(&connection, &topic, partition, partitions);
        Ok(Box::new(whole.context(what)?))
    };
    (0..partitions).map(open).collect()
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
            "the service counts in zone and horizon {of_service:?}, the log in {of_data:?}: is it another service's?"
        );
    }
    Ok(())
}

/// All that the recount needs.
struct Recounting {
    rules: Rules,
    /// The log, partition by partition.
    logs: Vec<Box<dyn Readable>>,
    records_max: u64,
    show: usize,
    bar: Bar,
}

/// What came of it.
struct Done {
    surveys: Vec<Survey>,
    report: Report,
    /// The last position that was compared.
    last: Position,
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
        let first = position(spool.before.freshness.as_ref())?;
        let last = position(spool.after.freshness.as_ref())?;
        let surveys = self.survey(&last)?;
        let partitions = self.logs.len() as u32;
        let audits: Vec<Audit<'_>> = (0..)
            .zip(self.logs.iter().zip(&surveys))
            .map(|(partition, (log, survey))| Audit {
                log: &**log,
                rules: &self.rules,
                survey,
                first: first.in_partition(partition),
                last: last.in_partition(partition),
                records_max: self.records_max,
                shown_max: self.show,
            })
            .collect();
        let mut passes = Vec::new();
        for (partition, audit) in (0..).zip(&audits) {
            passes.push(
                audit
                    .passes(&spool.in_partition(partition, partitions))
                    .len(),
            );
        }
        let amounts = self.logs.iter().zip(&passes);
        let total = amounts.map(|(log, &passes)| log.amount() * passes as u64);
        self.stage(total.sum(), "recounting");
        let (mut report, mut read) = (Report::default(), 0);
        for (partition, audit) in (0..).zip(&audits) {
            let mut amount = 0;
            let mut answers = spool.in_partition(partition, partitions);
            let of = audit.run(&mut answers, &mut |now| {
                amount = now;
                self.bar.at(read + now);
            })?;
            read += amount;
            report.include(of, self.show);
        }
        self.bar.clear();
        Ok(Done {
            answered_identities: spool.after.identities,
            surveys,
            report,
            last,
            passes: passes.into_iter().sum(),
        })
    }

    fn survey(&self, last: &Position) -> anyhow::Result<Vec<Survey>> {
        self.stage(
            self.logs.iter().map(|log| log.amount()).sum(),
            "surveying the log",
        );
        let mut read = 0;
        let surveys = (0..).zip(&self.logs).map(|(partition, log)| {
            let survey = survey(&**log, last.in_partition(partition), |amount| {
                self.bar.at(read + amount);
            })?;
            read += log.amount();
            Ok(survey)
        });
        surveys.collect()
    }

    /// What is read is measured in bytes of one log, or in records of several.
    fn stage(&self, total: u64, what: &'static str) {
        match self.logs.len() {
            1 => self.bar.bytes(total, what),
            _ => self.bar.records(total, what),
        }
    }
}

fn tell(done: &Done, of: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let Done {
        surveys, report, ..
    } = done;
    let where_from = match &surveys[..] {
        [survey] => format!("offsets {} to {}", survey.start, done.last),
        surveys => format!("{} partitions", surveys.len()),
    };
    writeln!(
        out,
        "recounted {} records ({where_from}) of {} facilities in {} passes: {} identities known, {} forgotten",
        surveys.iter().map(|of| of.records).sum::<u64>(),
        surveys.iter().map(|of| of.facilities.len()).sum::<usize>(),
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
