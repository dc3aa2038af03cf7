//! `quaymeter serve`: resolves everything, then runs the service until it is
//! told to stop.

use super::signals::{at_each, hangups, shutdown_signal};
use super::{logging, settings};
use crate::config::Config;
use crate::failpoint;
use crate::log::disk::RealDisk;
use crate::server::Service;
use crate::server::exposure::{self, Exposed};
use crate::server::listeners::Listeners;
use std::future::Future;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

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
    warn_of_open_ports(&config)?;
    let shutdown = shutdown_signal()?;
    service(config, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// What is said of a port that lies open.
const OPEN: &str = "insecure_i_know: whoever reaches this port may do everything";

/// Refuses ports that lie open, or says at each start that they do: whichever log lines
/// are written.
fn warn_of_open_ports(config: &Config) -> anyhow::Result<()> {
    let logged = tracing::enabled!(tracing::Level::WARN);
    for Exposed {
        setting,
        address,
        lacks,
    } in exposure::judge(config)?
    {
        let lacks = lacks.join(" and ");
        if logged {
            tracing::warn!(setting, %address, lacks, "{OPEN}");
        } else {
            // As with a log line, it starts though nobody reads this.
            let _ = writeln!(
                io::stderr(),
                "quaymeter: {OPEN}: {setting} = {address} lacks {lacks}"
            );
        }
    }
    Ok(())
}

/// Binds the ports, says so on stdout, and serves. What is told to stop before it is
/// ready stops at once: it leaves its files as a crash would, and the next start goes on.
async fn service(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let hangups = hangups()?;
    let listeners = Listeners::bind(&config).await?;
    let listening = listeners.told()?;
    let building = tokio::task::spawn_blocking(move || {
        let clock = Arc::new(|| jiff::Timestamp::now().as_millisecond());
        Service::build(config, Arc::new(RealDisk), clock)
    });
    let mut shutdown = Box::pin(shutdown);
    let service = tokio::select! {
        built = building => built??,
        () = &mut shutdown => {
            tracing::info!("stopped before it was ready: nothing was taken");
            return Ok(());
        }
    };
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
    Ok(service.run(listeners, shutdown).await?)
}
