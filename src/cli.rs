//! The command line: what is asked, and who answers it.

mod asked;
mod audit;
mod backup;
mod check_config;
mod completions;
mod dead_letter;
mod demo;
mod digits;
mod explain;
mod keys;
mod logging;
mod noted;
mod progress;
mod pseudonyms;
pub mod publish;
pub mod query;
mod serve;
mod service;
mod settings;
mod signals;
mod simulate;
pub mod top;
mod topics;
mod trail;
mod words;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The exit status of a command that failed, and of one that was not
/// understood: clap's own 2 means "some refused" here.
pub const FAILED: u8 = 1;

/// Exact throughput per enterprise, metered from a port's events.
#[derive(Debug, Parser)]
#[command(name = "quaymeter", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Args),
    /// Run a simulated day of Ningbo and compare every cell with the truth
    Demo(demo::Args),
    /// Simulate a day of a port, to a service or as NDJSON
    Simulate(simulate::Args),
    /// Publish events from files or standard input
    Publish(publish::Args),
    /// Watch a service at work
    Top(top::Args),
    /// Ask a service for figures
    Query(query::Args),
    /// Recount the log and compare every cell
    Audit(audit::Args),
    /// Explain what became of an event, or which events make up a cell
    Explain(explain::Args),
    /// Copy a running service's data, or check such a copy
    Backup(backup::Args),
    /// Show, make, check or fill the topics in Kafka
    Topics(topics::Args),
    /// Show records in Kafka that are none of ours, or put them back
    DeadLetter(dead_letter::Args),
    /// Make, list and take back API keys of callers
    Keys(keys::Args),
    /// List, add or erase keys of the pseudonyms of plates and drivers
    Pseudonyms(pseudonyms::Args),
    /// Verify or show the audit trail
    Trail(trail::Args),
    /// Check the configuration and report every fault
    CheckConfig(check_config::Args),
    /// Print a shell's completion script
    Completions(completions::Args),
}

const EXAMPLES: &str = "\
Examples:
  quaymeter serve --data-dir /var/lib/quaymeter
  quaymeter serve --config quaymeter.toml --log-level debug
  quaymeter serve --dump-config > quaymeter.toml
  quaymeter serve --listen 0.0.0.0:7070 --tls-cert meter.crt --tls-key meter.key --callers callers.toml
  quaymeter check-config --config quaymeter.toml
  quaymeter topics create --brokers kafka-0:9092,kafka-1:9092
  quaymeter topics import --data-dir /var/lib/quaymeter --brokers kafka-0:9092
  quaymeter dead-letter list --brokers kafka-0:9092
  quaymeter keys create tos-blct2 --expires 90d --data-dir /var/lib/quaymeter
  quaymeter demo
  quaymeter simulate --events 20000 --to http://127.0.0.1:7070
  quaymeter publish day.ndjson --source tos --rejects rejects.ndjson
  quaymeter top --role CARRIER --measure throughput-teu-milli
  quaymeter pseudonyms rotate --from 2027-01-01 --config quaymeter.toml
  quaymeter trail verify --data-dir /var/lib/quaymeter
  quaymeter backup --to /backups/2026-11-25
  quaymeter query --top 10 --role CARRIER --measure throughput-teu-milli --from -24h
  quaymeter explain event CNNBO/BLCT2 tos gate-4711

Exit status: 0 done, 1 failed; publish: 2 some events were refused; audit: 2
some figures differ; dead-letter requeue: 2 some are still no events; trail verify: 2 it is
not whole; explain: 2 the event was never seen, or a cell's events do
not come to its figures.";

impl Cli {
    /// Reads the process's arguments.
    ///
    /// # Errors
    /// The status to exit with, once help, version or the fault is printed.
    pub fn from_arguments() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // Help for nobody to read is no failure of ours.
            let _ = error.print();
            if error.use_stderr() {
                ExitCode::from(FAILED)
            } else {
                ExitCode::SUCCESS
            }
        })
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// What failed, for the caller to print once.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Simulate(args) => simulate::run(args).await,
            Command::Publish(args) => publish::run(args).await,
            Command::Top(args) => top::run(args).await,
            Command::Query(args) => query::run(args).await,
            Command::Audit(args) => audit::run(args).await,
            Command::Explain(args) => explain::run(args).await,
            Command::Backup(args) => backup::run(args).await,
            Command::Topics(args) => topics::run(args).await,
            Command::DeadLetter(args) => dead_letter::run(args).await,
            Command::Keys(args) => keys::run(args),
            Command::Pseudonyms(args) => pseudonyms::run(args),
            Command::Trail(args) => trail::run(args),
            Command::CheckConfig(args) => check_config::run(args),
            Command::Completions(args) => completions::run(args),
        }
    }
}
