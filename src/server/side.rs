//! What the side port and the queries are told: readiness, metrics, names.

use super::Budgets;
use super::http::Side;
use crate::metrics::{EnterpriseTotal, Metrics};
use crate::pb;
use crate::query::enterprises::Directory;
use crate::registry::{Entry, Registry};
use crate::view::{State, View};
use std::sync::Arc;
use tokio::sync::watch;

/// Readiness and metrics.
pub(super) struct Tells {
    view: Arc<View>,
    metrics: Arc<Metrics>,
    budgets: Budgets,
    draining: watch::Receiver<bool>,
}

impl Tells {
    /// Of this view and these metrics; not ready once it drains.
    pub(super) fn new(
        view: &Arc<View>,
        metrics: &Arc<Metrics>,
        budgets: Budgets,
        draining: watch::Receiver<bool>,
    ) -> Self {
        Self {
            view: Arc::clone(view),
            metrics: Arc::clone(metrics),
            budgets,
            draining,
        }
    }

    /// Gauges that are counted when they are asked for.
    fn count_cells(&self, state: &State) {
        let records = || {
            state
                .cells
                .owners
                .values()
                .flat_map(|records| records.values())
        };
        let quarters: usize = records().map(|record| record.quarters.len()).sum();
        self.metrics.cells.with(["quarter"]).set(quarters as f64);
        self.metrics
            .cells
            .with(["day"])
            .set(records().count() as f64);
        self.metrics
            .cells
            .with(["call"])
            .set(state.cells.calls.len() as f64);
        self.metrics
            .cells
            .with(["slot"])
            .set(state.cells.slots.len() as f64);
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
        self.metrics.answer_bytes.set(answers.held() as f64);
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

/// The enterprise registry as queries ask it.
pub struct Names(pub Arc<Registry>);

impl Directory for Names {
    fn find(&self, id: &str) -> Option<pb::Enterprise> {
        self.0.get(id).map(enterprise)
    }

    fn each(&self, give: &mut dyn FnMut(pb::Enterprise)) {
        self.0.iter().for_each(|entry| give(enterprise(entry)));
    }
}

fn enterprise(entry: &Entry) -> pb::Enterprise {
    pb::Enterprise {
        id: entry.id.to_string(),
        name_zh: entry.name_zh.to_string(),
        name_en: entry.name_en.to_string(),
        roles: entry.roles.iter().map(|&role| role.into()).collect(),
    }
}
