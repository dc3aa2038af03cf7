//! `quaymeter serve`: resolves everything, then runs the service until it is
//! told to stop.

use super::signals::{at_each, hangups, shutdown_signal};
use super::{logging, settings};
use crate::config::Config;
use crate::failpoint;
use crate::log::disk::RealDisk;
use crate::server::Service;
use anyhow::Context as _;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

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
    failpoint::configure();
    warn_of_open_ports(&config);
    let shutdown = shutdown_signal()?;
    service(config, shutdown).await?;
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

/// Binds the ports, says so on stdout, and serves.
async fn service(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let hangups = hangups()?;
    let grpc = bind("listen", config.listen).await?;
    let http = bind("http_listen", config.http_listen).await?;
    let listening = format!(
        "listening grpc={} http={}",
        grpc.local_addr()?,
        http.local_addr()?
    );
    let service = tokio::task::spawn_blocking(move || {
        let clock = Arc::new(|| jiff::Timestamp::now().as_millisecond());
        Service::build(config, Arc::new(RealDisk), clock)
    });
    let service = service.await??;
    let names = Arc::clone(service.names());
    let known = Arc::clone(service.known());
    at_each(hangups, move || {
        let (names, known) = (Arc::clone(&names), Arc::clone(&known));
        async move {
            names.reload().await;
            known.reload().await;
        }
    });
    writeln!(io::stdout(), "{listening}")?;
    Ok(service.run(grpc, http, shutdown).await?)
}

async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("listen on {address} ({setting})"))
}
