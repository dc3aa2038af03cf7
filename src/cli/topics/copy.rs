//! `topics import` and `topics migrate`: what was appended, into new topics.

use super::super::{progress::Bar, settings};
use crate::config::Config;
use crate::log::dir::{self, DataDir};
use crate::log::kafka::connection::Connection;
use crate::log::kafka::topics::Plan;
use crate::log::kafka::topics::admin::{self, Admin};
use crate::log::scan::Scan;
use crate::server::shaping;
use crate::transfer::Done;
use crate::transfer::import::Import;
use crate::transfer::migrate::Migrate;
use anyhow::{Context as _, Result, bail};
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Of both.
#[derive(Debug, clap::Args)]
struct How {
    /// Copy also if the oldest records are gone: what was counted of them will be missing
    #[arg(long)]
    partial: bool,
    /// No progress bar
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

/// What `topics import` may be told: the data directory, and where the topics are.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    how: How,
}

/// What `topics migrate` may be told: beside the settings of the new topics, the old ones.
#[derive(Debug, clap::Args)]
pub struct MigrateArgs {
    /// The `kafka.prefix` of the topics that are copied
    #[arg(long, value_name = "PREFIX")]
    from_prefix: String,
    #[command(flatten)]
    how: How,
}

/// Copies a stopped service's log into the events' topic.
///
/// # Errors
/// A log or topics that cannot be copied; see [`crate::transfer::Error`].
pub async fn import(ImportArgs { how }: ImportArgs) -> Result<ExitCode> {
    let (partial, bar) = (how.partial, Bar::new(how.quiet));
    let config = how.settings.resolve()?;
    let copied = tokio::task::spawn_blocking(move || {
        let dir = &config.data_dir;
        let stored = dir::stored_settings(dir).context("find the data")?;
        if stored != shaping(&config) {
            bail!(
                "the data was counted under other settings: {stored:?}, not {:?}; give the same ones, here and to `serve`",
                shaping(&config)
            );
        }
        // It stays taken until the end: a service would go on appending.
        let taken = DataDir::open(dir, &stored).context("take the data directory")?;
        let (connection, plan) = required(&config)?;
        let scan = Scan::open(&taken.log()).context("open the log")?;
        let partitions = config.kafka.partitions as u32;
        let import = Import::open(&connection, (&plan.names, partitions), scan, partial)?;
        bar.bytes(import.bytes(), "copying the log");
        let done = import.run(&mut |bytes| bar.at(bytes))?;
        bar.clear();
        Ok(done)
    });
    tell(copied.await??, "the log")
}

/// Copies the events of other topics into the planned ones.
///
/// # Errors
/// Topics that cannot be copied; see [`crate::transfer::Error`].
pub async fn migrate(MigrateArgs { from_prefix, how }: MigrateArgs) -> Result<ExitCode> {
    let (partial, bar) = (how.partial, Bar::new(how.quiet));
    let config = how.settings.resolve()?;
    let copied = tokio::task::spawn_blocking(move || {
        let prefix = &config.kafka.prefix;
        if from_prefix == prefix.to_string() {
            bail!("--from-prefix and kafka.prefix are both {prefix}: copy into new topics");
        }
        let (connection, plan) = required(&config)?;
        let from = format!("{from_prefix}.events");
        let partitions = Admin::of(&connection)?.partitions(&from)?;
        let partitions = partitions.with_context(|| format!("there is no topic {from}"))?;
        let to = (&*plan.names.events, config.kafka.partitions as u32);
        let migrate = Migrate::open(&connection, (&from, partitions), to, partial)?;
        bar.records(migrate.records(), "copying events");
        let done = migrate.run(&mut |records| bar.at(records))?;
        bar.clear();
        Ok(done)
    });
    tell(copied.await??, "the topic")
}

/// The brokers, and the topics, which must be as planned.
fn required(config: &Config) -> Result<(Connection, Plan)> {
    let connection = Connection::of(config)?;
    let plan = Plan::of(config);
    admin::require(&connection, &plan)?;
    Ok((connection, plan))
}

fn tell(done: Done, what: &str) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    write!(out, "copied {} events", done.events)?;
    if done.before > 0 {
        write!(out, "; of {what}, {} were copied before", done.before)?;
    }
    if done.left > 0 {
        write!(out, "; {} records are no events and were left", done.left)?;
    }
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}
