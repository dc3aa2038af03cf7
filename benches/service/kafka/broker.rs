//! A real broker of one node, started and stopped by the project's own script.

use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The broker; it ends with this process at the latest.
pub struct Broker {
    dir: PathBuf,
    /// Where it listens.
    pub bootstrap: String,
}

impl Broker {
    /// A new one, when it is ready.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        script(&["install"])?;
        let path = dir.to_string_lossy();
        let owner = std::process::id().to_string();
        let told = script(&["start", &path, "--owner", &owner])?;
        let bootstrap = told.trim().strip_prefix("brokers=");
        Ok(Self {
            dir: dir.into(),
            bootstrap: bootstrap.context("no address of a broker")?.into(),
        })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Whatever is left ends with this process.
        let _ = script(&["stop", &self.dir.to_string_lossy(), "--now"]);
    }
}

fn script(words: &[&str]) -> anyhow::Result<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka/broker");
    let output = Command::new(script).args(words).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the broker: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
