//! Log lines on stderr, for people or for machines.

use crate::config::{Log, LogFormat};
use anyhow::{Context as _, anyhow};
use std::io::{self, IsTerminal as _};
use tracing_subscriber::EnvFilter;

/// Starts logging for the whole process; only a binary's own main path may.
///
/// # Errors
/// Logging was started before.
pub fn start(settings: &Log) -> anyhow::Result<()> {
    // The storage engine tells of each of its files at `info`.
    let level = format!("fjall=warn,lsm_tree=warn,{}", settings.level.as_str());
    let filter = EnvFilter::try_new(level).context("read log.level")?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match settings.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).try_init(),
    };
    started
        .map_err(|error| anyhow!(error))
        .context("start logging")
}
