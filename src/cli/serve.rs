//! `quaymeter serve`: resolves everything, then runs the service until it is
//! told to stop.

use super::signals::shutdown_signal;
use super::{logging, settings};
use crate::config::Config;
use crate::registry::Registry;
use anyhow::Context as _;
use std::future::Future;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// What `serve` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: settings::SettingArgs,
    /// Print the resolved configuration as TOML and exit
    #[arg(long)]
    dump_config: bool,
}

/// Runs the service. Everything that can be wrong with the configuration is
/// found before a port is bound.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.settings.resolve()?;
    if args.dump_config {
        io::stdout().write_all(config.to_toml().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    logging::start(&config.log)?;
    let registry = config.registry.as_deref().map(Registry::load).transpose();
    let registry = registry.context("load the registry")?.unwrap_or_default();
    warn_of_open_ports(&config);
    let shutdown = shutdown_signal()?;
    service(config, registry, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// Everyone who reaches a port that is not on loopback may publish and read.
fn warn_of_open_ports(config: &Config) {
    let ports = [
        ("listen", config.listen),
        ("http_listen", config.http_listen),
    ];
    for (setting, address) in ports
        .iter()
        .filter(|(_, address)| !address.ip().is_loopback())
    {
        tracing::warn!(%address, "{setting} is not on loopback, and nothing is encrypted or authenticated");
    }
}

/// The seam to the service.
async fn service(
    _config: Config,
    _registry: Registry,
    _shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    anyhow::bail!("this build has no service")
}
