//! What the side port is told: readiness and metrics.

use super::Budgets;
use super::http::Side;
use crate::log::gauge::Gauge;
use crate::metrics::{EnterpriseTotal, Metrics};
use crate::view::{State, View};
use std::sync::Arc;
use tokio::sync::watch;

/// Readiness and metrics.
pub(super) struct Tells {
    view: Arc<View>,
    metrics: Arc<Metrics>,
    budgets: Budgets,
    log: Gauge,
    draining: watch::Receiver<bool>,
}

impl Tells {
    /// Of this view and these metrics; not ready once it drains.
    pub(super) fn new(
        view: &Arc<View>,
        metrics: &Arc<Metrics>,
        budgets: Budgets,
        log: Gauge,
        draining: watch::Receiver<bool>,
    ) -> Self {
        Self {
            view: Arc::clone(view),
            metrics: Arc::clone(metrics),
            budgets,
            log,
            draining,
        }
    }

    /// Gauges that are counted when they are asked for.
    fn count_cells(&self, state: &State) {
        let census = state.cells.census();
        let calls = state.cells.calls.iter().count() as i64;
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
        let Budgets { requests, answers } = &self.budgets;
        self.metrics.request_bytes.set(requests.held() as f64);
        let buffered = self.log.waiting_bytes();
        self.metrics.buffered_bytes.set(buffered as f64);
        self.metrics.answer_bytes.set(answers.held() as f64);
        self.view.scan(|state| {
            self.count_cells(state);
            let totals = state.cells.totals().into_iter();
            let totals = totals.map(|(owner, totals)| EnterpriseTotal {
                enterprise: state.cells.names.get(owner.enterprise),
                role: owner.role,
                totals,
            });
            self.metrics.render(totals)
        })
    }
}
