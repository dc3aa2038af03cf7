//! Dashboards, alerts and the runbook: that they ask for what there is, that Prometheus
//! and Grafana understand them, and that they say the same.

#[path = "prometheus/boards.rs"]
mod boards;
#[path = "survive/faults.rs"]
mod faults;
#[path = "prometheus/fired.rs"]
mod fired;
#[path = "prometheus/known.rs"]
mod known;
#[path = "prometheus/live.rs"]
mod live;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "e2e/place.rs"]
mod place;
#[path = "prometheus/promql.rs"]
mod promql;
#[path = "prometheus/rules.rs"]
mod rules;
#[path = "prometheus/runbook.rs"]
mod runbook;
#[path = "prometheus/server.rs"]
mod server;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "e2e/service.rs"]
mod service;
#[path = "prometheus/shape.rs"]
mod shape;
#[expect(dead_code, reason = "shared with the tests of survival")]
#[path = "survive/site.rs"]
mod site;
#[path = "prometheus/stage.rs"]
mod stage;
#[path = "prometheus/tools.rs"]
mod tools;
#[path = "prometheus/watched.rs"]
mod watched;

use known::Known;
use std::path::Path;

/// A file of the repository.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn dashboards_ask_for_metrics_and_labels_that_there_are() {
    let known = Known::exported();
    let mut faults = Vec::new();
    for board in boards::all() {
        for query in board
            .queries()
            .into_iter()
            .chain(board.asked_by_variables())
        {
            let found = known.faults(&query.expr);
            faults.extend(
                found
                    .into_iter()
                    .map(|fault| format!("{}: {fault}", query.place)),
            );
        }
    }
    assert_none(&faults);
}

#[test]
fn rules_ask_for_metrics_and_labels_that_there_are() {
    let known = Known::with_recorded();
    let rules = rules::alerts().into_iter().chain(rules::recording());
    let faults = rules.flat_map(|rule| {
        let found = known.faults(&rule.expr).into_iter();
        found
            .map(move |fault| format!("{}: {fault}", rule.name))
            .collect::<Vec<_>>()
    });
    assert_none(&faults.collect::<Vec<_>>());
}
