//! `quaymeter check-config`: whether `serve` would take the configuration.

use super::{FAILED, settings};
use crate::log::kafka::connection::Connection;
use crate::registry::Registry;
use crate::server::exposure;
use crate::server::tls::Tls;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// What `check-config` may be told: all that `serve` may.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: settings::SettingArgs,
}

/// Prints `ok`, or every fault on a line of its own.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match args.settings.resolve() {
        Ok(config) => config,
        Err(error) => {
            error.faults.iter().for_each(|fault| eprintln!("{fault}"));
            return Ok(ExitCode::from(FAILED));
        }
    };
    exposure::judge(&config)?;
    Tls::check(&config.tls)?;
    config.registry.as_deref().map(Registry::load).transpose()?;
    if !config.kafka.brokers.is_empty() {
        Connection::of(&config)?;
    }
    writeln!(io::stdout(), "ok")?;
    Ok(ExitCode::SUCCESS)
}
