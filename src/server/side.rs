//! What the side port is told: readiness and metrics.

mod enterprises;
mod gauges;

use super::Budgets;
use super::http::Side;
use super::names::Names;
use crate::cluster::assigned::Assigned;
use crate::ingest::Clock;
use crate::log::gauge::Gauge;
use crate::metrics::Metrics;
use crate::view::View;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Readiness and metrics.
pub(super) struct Tells {
    pub(super) view: Arc<View>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) names: Arc<Names>,
    pub(super) clock: Clock,
    pub(super) budgets: Budgets,
    pub(super) log: Gauge,
    /// The partitions that are counted here, if others count too.
    pub(super) assigned: Option<Arc<Assigned>>,
    /// Whose file system is measured.
    pub(super) dir: PathBuf,
    /// Not ready once this is true.
    pub(super) draining: watch::Receiver<bool>,
}

impl Side for Tells {
    fn ready(&self) -> Result<(), String> {
        if *self.draining.borrow() {
            Err("the service is stopping".into())
        } else {
            Ok(())
        }
    }

    fn metrics(&self) -> Vec<String> {
        let lags = self.measure();
        self.metrics.render(self.enterprises(), &lags)
    }
}
