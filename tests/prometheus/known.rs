//! The metrics that there are: those of docs/metrics.md, which is made from the code.

use crate::promql;
use std::collections::{BTreeMap, BTreeSet};

/// Metrics by name, with their labels.
pub struct Known(BTreeMap<String, BTreeSet<String>>);

/// What Prometheus adds to every series of a target. `namespace` only in Kubernetes.
const OF_TARGETS: [&str; 3] = ["instance", "job", "namespace"];

impl Known {
    /// What the service exports, and what Prometheus says of its targets.
    pub fn exported() -> Self {
        let page = crate::read("docs/metrics.md");
        let mut known = BTreeMap::from([("up".to_owned(), BTreeSet::new())]);
        for line in page.lines() {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            match cells[..] {
                ["", name, kind, labels, _, ""] if name.starts_with('`') => {
                    add(&mut known, ticked(name).remove(0), kind, ticked(labels));
                }
                _ => {
                    let names = ticked(line).into_iter();
                    let of_process = names.filter(|name| name.starts_with("process_"));
                    known.extend(of_process.map(|name| (name, BTreeSet::new())));
                }
            }
        }
        assert!(
            known.len() > 80,
            "docs/metrics.md tells of {} only",
            known.len()
        );
        Self(known)
    }

    /// Those and what recording rules make of them.
    pub fn with_recorded() -> Self {
        let mut known = Self::exported();
        for rule in crate::rules::recording() {
            let labels = promql::uses(&rule.expr).kept;
            known.0.insert(rule.name, labels);
        }
        known
    }

    /// What is wrong with the names in an expression.
    pub fn faults(&self, expression: &str) -> Vec<String> {
        let uses = promql::uses(expression);
        let mut faults = Vec::new();
        let mut possible: BTreeSet<&str> = OF_TARGETS.into();
        possible.extend(uses.made.iter().map(String::as_str));
        for asked in &uses.asked {
            let Some(labels) = self.0.get(&asked.metric) else {
                faults.push(format!("there is no {}", asked.metric));
                continue;
            };
            possible.extend(labels.iter().map(String::as_str));
            let is_strange =
                |label: &&String| !labels.contains(*label) && !OF_TARGETS.contains(&label.as_str());
            let strange = asked.labels.iter().filter(is_strange);
            faults.extend(strange.map(|label| format!("{} has no {label}", asked.metric)));
        }
        let strange = uses
            .kept
            .iter()
            .filter(|label| !possible.contains(label.as_str()));
        faults.extend(strange.map(|label| format!("nothing has a {label}")));
        faults
    }

    /// Whether there is a metric of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn add(
    known: &mut BTreeMap<String, BTreeSet<String>>,
    name: String,
    kind: &str,
    labels: Vec<String>,
) {
    let labels: BTreeSet<_> = labels.into_iter().collect();
    if kind == "histogram" {
        let mut with_bound = labels.clone();
        with_bound.insert("le".into());
        known.insert(format!("{name}_bucket"), with_bound);
        known.insert(format!("{name}_sum"), labels.clone());
        known.insert(format!("{name}_count"), labels);
    } else {
        known.insert(name, labels);
    }
}

/// What stands in backticks.
pub fn ticked(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn wrong_names_are_found() {
    let known = Known::exported();
    let right = "sum by (namespace, method) (rate(quaymeter_grpc_requests_total{code=\"OK\"}[5m]))";
    assert_eq!(known.faults(right), Vec::<String>::new());
    for (wrong, fault) in [
        (
            "quaymeter_grpc_request_total",
            "there is no quaymeter_grpc_request_total",
        ),
        ("quaymeter_ack_seconds", "there is no quaymeter_ack_seconds"),
        (
            "quaymeter_calls{method=\"a\"}",
            "quaymeter_calls has no method",
        ),
        ("sum by (code) (quaymeter_calls)", "nothing has a code"),
    ] {
        assert_eq!(known.faults(wrong), [fault]);
    }
}
