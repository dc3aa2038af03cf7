//! What the side port is told: the metrics.

mod enterprises;
mod gauges;

use super::Budgets;
use super::http::Side;
use super::names::Names;
use crate::cluster::assigned::Assigned;
use crate::ingest::Clock;
use crate::log::gauge::Gauge;
use crate::metrics::Metrics;
use crate::turns::Turns;
use crate::view::View;
use std::path::PathBuf;
use std::sync::Arc;

/// The metrics, and what is measured for them.
pub(super) struct Tells {
    pub(super) view: Arc<View>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) names: Arc<Names>,
    pub(super) clock: Clock,
    pub(super) budgets: Budgets,
    pub(super) log: Gauge,
    /// What waits for its turn there.
    pub(super) turns: Turns,
    /// The partitions that are counted here, if others count too.
    pub(super) assigned: Option<Arc<Assigned>>,
    /// Whose file system is measured.
    pub(super) dir: PathBuf,
}

impl Side for Tells {
    fn metrics(&self) -> Vec<String> {
        let lags = self.measure();
        self.metrics.render(self.enterprises(), &lags)
    }
}
