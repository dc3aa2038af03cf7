//! What the side port is told: readiness and metrics.

use super::http::Side;
use crate::metrics::{EnterpriseTotal, Metrics};
use crate::view::{State, View};
use std::sync::Arc;
use tokio::sync::watch;

/// Readiness and metrics.
pub struct Tells {
    view: Arc<View>,
    metrics: Arc<Metrics>,
    draining: watch::Receiver<bool>,
}

impl Tells {
    /// Of this view and these metrics; not ready once it drains.
    pub fn new(view: &Arc<View>, metrics: &Arc<Metrics>, draining: watch::Receiver<bool>) -> Self {
        Self {
            view: Arc::clone(view),
            metrics: Arc::clone(metrics),
            draining,
        }
    }

    /// Gauges that are counted when they are asked for.
    fn count_cells(&self, state: &State) {
        let census = state.cells.census();
        let calls = state.cells.calls.len() as i64;
        for (family, cells) in [
            ("quarter", census.quarters()),
            ("day", census.days()),
            ("call", calls),
            ("slot", census.slots()),
        ] {
            self.metrics.cells.with([family]).set(cells as f64);
        }
    }
}

impl Side for Tells {
    fn ready(&self) -> Result<(), String> {
        if *self.draining.borrow() {
            Err("the service is stopping".into())
        } else {
            Ok(())
        }
    }

    fn metrics(&self) -> String {
        self.view.read(|state| {
            self.count_cells(state);
            let totals = state
                .cells
                .totals
                .iter()
                .map(|(owner, totals)| EnterpriseTotal {
                    enterprise: state.cells.names.get(owner.enterprise),
                    role: owner.role,
                    totals,
                });
            self.metrics.render(totals)
        })
    }
}
