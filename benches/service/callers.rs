//! A service whose callers are known: those of the generator's sources.

use crate::server::quaymeter;
use anyhow::ensure;
use quaymeter::simulate::SOURCES;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use tonic::metadata::AsciiMetadataValue;

/// Who is known.
pub struct Callers {
    /// What the service has to be told.
    pub settings: Vec<String>,
    /// Of each source.
    pub tokens: Vec<AsciiMetadataValue>,
}

impl Callers {
    /// One for each source, by its name, who may send everything. Their files are beside
    /// the data directory.
    pub fn known(data: &Path) -> anyhow::Result<Self> {
        let mut text = String::new();
        for name in SOURCES {
            writeln!(text, "[[callers]]\nname = \"{name}\"\nkeys = \"all\"")?;
            let all = "{ facilities = \"all\", enterprises = \"all\", vessel_calls = true }";
            writeln!(text, "publish = {all}")?;
        }
        let (callers, keys) = (data.with_extension("toml"), data.with_extension("keys"));
        fs::write(&callers, text)?;
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let settings = vec![
            "--callers".to_owned(),
            path(&callers),
            "--caller-keys".to_owned(),
            path(&keys),
        ];
        let tokens = SOURCES.iter().map(|name| key(name, &settings, data));
        let tokens = tokens.collect::<Result<_, _>>()?;
        Ok(Self { settings, tokens })
    }
}

/// A new key of a caller.
fn key(name: &str, settings: &[String], data: &Path) -> anyhow::Result<AsciiMetadataValue> {
    let mut command = quaymeter();
    command.args(["keys", "create", name]).args(settings);
    let made = command.arg("--data-dir").arg(data).output()?;
    let told = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "a key for {name}: {told}");
    let key = String::from_utf8(made.stdout)?;
    Ok(format!("Bearer {}", key.trim()).parse()?)
}
