//! Whom a command asks: a running service, or the state that a stopped one left
//! in its data directory.

use super::progress::Bar;
use crate::answers::Client;
use crate::client::reach::{Credentials, Line, Reach};
use crate::config::{Config, Sources};
use crate::log::dir::{self, ShapingSettings};
use crate::log::disk::RealDisk;
use crate::server::RULES_VERSION;
use crate::server::offline::Offline;
use anyhow::{Context as _, bail};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The largest answer that is taken.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Whom to ask, and who stops when that is over.
pub(super) struct Asked {
    pub client: Client<Line>,
    pub name: String,
    _stop: Option<watch::Sender<bool>>,
}

/// Under which settings the data in a directory was counted.
pub(super) fn settings(dir: &Path) -> anyhow::Result<ShapingSettings> {
    let settings = dir::stored_settings(dir).context("find the data")?;
    if settings.rules_version != RULES_VERSION {
        bail!(
            "the data was counted by version {} of the rules, this program recounts by version {RULES_VERSION}",
            settings.rules_version
        );
    }
    Ok(settings)
}

impl Asked {
    /// A running service.
    pub async fn connected(reach: &Reach) -> anyhow::Result<Self> {
        let line = reach.connect().await?;
        Ok(Self {
            client: Client::new(line).max_decoding_message_size(MESSAGE_BYTES_MAX),
            name: reach.url().to_owned(),
            _stop: None,
        })
    }

    /// What a service that starts on the directory would answer, asked on
    /// loopback.
    pub async fn restored(
        dir: &Path,
        settings: &ShapingSettings,
        bar: &Bar,
    ) -> anyhow::Result<Self> {
        bar.waits("restoring the state");
        let config = stored_config(dir, settings)?;
        let open = move || Offline::open(config, Arc::new(RealDisk));
        let offline = tokio::task::spawn_blocking(open).await?;
        let offline = offline.context("restore the state that is to be asked")?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = watch::channel(false);
        // It ends with its stop signal; until then its failure shows as an answer.
        tokio::spawn(offline.serve(listener, stopped));
        let reach = Reach::new(&url, Credentials::default())?;
        let asked = Self::connected(&reach).await?;
        Ok(Self {
            name: dir.display().to_string(),
            _stop: Some(stop),
            ..asked
        })
    }
}

/// The settings that the data was counted with, and else the defaults.
fn stored_config(dir: &Path, settings: &ShapingSettings) -> anyhow::Result<Config> {
    let path = dir.to_str();
    let path = path.context("the data directory's path is not UTF-8")?;
    let flags = vec![
        ("data_dir", path.to_owned()),
        ("reporting_zone", settings.reporting_zone.clone()),
        ("teu_45ft_milli", settings.teu_45ft_milli.to_string()),
        ("horizon_days", settings.horizon_days.to_string()),
        ("quarter_days", settings.quarter_days.to_string()),
        ("day_days", settings.day_days.to_string()),
    ];
    Ok(Config::resolve(Sources {
        flags,
        ..Sources::default()
    })?)
}
