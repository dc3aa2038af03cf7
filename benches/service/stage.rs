//! What all scenarios share: where they work, what they send, what they note.

use crate::corpus::Corpus;
use crate::options::Options;
use crate::report::Report;
use crate::server::Server;
use anyhow::Context as _;
use quaymeter::answers::Client;
use std::fs;
use std::path::PathBuf;

/// The stage of all scenarios.
pub struct Stage {
    pub options: Options,
    /// On the real disk, below `target`.
    pub dir: PathBuf,
    pub corpus: Corpus,
    pub report: Report,
    /// Bytes and events of a group of the log under the sustained load, as far
    /// as it was measured.
    pub group: Option<Group>,
    /// The most events a second that were seen.
    pub fastest: f64,
}

/// What the log wrote with one fsync, on average.
#[derive(Clone, Copy)]
pub struct Group {
    pub bytes: f64,
    pub events: f64,
}

impl Stage {
    /// An empty data directory.
    pub fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
        }
        Ok(dir)
    }

    /// A client of the query service.
    pub async fn client(&self, server: &Server) -> anyhow::Result<Client> {
        let client = Client::connect(server.url.clone()).await;
        Ok(client
            .context("connect to the query service")?
            .max_decoding_message_size(64 << 20))
    }

    /// Enough days for a load of some seconds at the speed seen so far.
    pub fn enough_for(&mut self, seconds: f64) -> anyhow::Result<()> {
        // The next run may be faster than those before it.
        const RESERVE: f64 = 1.3;
        self.corpus.ensure(1)?;
        let per_day = self.corpus.days()[0].sent as f64;
        let days = self.fastest * seconds * RESERVE / per_day;
        self.corpus.ensure(days.ceil() as usize + 1)
    }
}
