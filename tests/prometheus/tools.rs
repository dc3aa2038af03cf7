//! What Prometheus, Grafana's types and our generator say.

use crate::boards::{self, Board, filled};
use crate::server::tool;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Runs it in the repository; it must succeed.
#[track_caller]
fn succeeds(command: &mut Command) {
    let output = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("a command");
    let (out, err) = (&output.stdout, &output.stderr);
    let told = String::from_utf8_lossy(out) + String::from_utf8_lossy(err);
    assert!(output.status.success(), "{command:?}:\n{told}");
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let files = std::fs::read_dir(folder).expect("tests of rules");
    let files = files.map(|file| file.expect("a file").path());
    succeeds(
        Command::new(tool("prometheus/promtool"))
            .args(["test", "rules"])
            .args(files),
    );
}

#[test]
fn rules_are_in_order() {
    let mut check = Command::new(tool("prometheus/promtool"));
    succeeds(check.args([
        "check",
        "rules",
        crate::rules::ALERTS,
        crate::rules::RECORDING,
    ]));
}

/// As rules, because promtool checks those.
#[test]
fn prometheus_reads_every_expression_of_the_dashboards() {
    let dir = tempfile::tempdir().expect("a folder");
    let queries: Vec<_> = boards::all()
        .iter()
        .flat_map(|board| [board.queries(), board.asked_by_variables()])
        .flatten()
        .collect();
    let rule = |(at, query): (usize, &boards::Query)| {
        let labels = json!({ "of": query.place });
        json!({ "record": format!("expr_{at}"), "expr": filled(&query.expr, &SAMPLE), "labels": labels })
    };
    let rules: Vec<Value> = queries.iter().enumerate().map(rule).collect();
    let file = dir.path().join("boards.yaml");
    // JSON is YAML.
    let text = json!({ "groups": [{ "name": "boards", "rules": rules }] }).to_string();
    std::fs::write(&file, text).expect("a file");
    succeeds(
        Command::new(tool("prometheus/promtool"))
            .args(["check", "rules"])
            .arg(file),
    );
}

/// Some value for each variable.
const SAMPLE: [(&str, &str); 8] = [
    ("__rate_interval", "5m"),
    ("__range", "6h"),
    ("job", ".*"),
    ("instance", ".*"),
    ("enterprise", ".*"),
    ("role", "carrier"),
    ("movement", "loaded|discharged"),
    ("source", ".*"),
];

#[test]
fn grafanas_types_hold_for_every_dashboard() {
    tool("grafana/node_modules");
    succeeds(&mut Command::new("tests/grafana/check"));
}

#[test]
fn dashboards_are_as_they_are_written() {
    succeeds(Command::new("scripts/dashboards/generate").arg("--check"));
}

/// Each alert is seen to fire, and seen not to.
#[test]
fn every_alert_has_a_test_of_both_kinds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let files = std::fs::read_dir(folder).expect("tests of rules");
    let text: String = files
        .map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("text"))
        .collect();
    let mut faults = Vec::new();
    for rule in crate::rules::alerts() {
        let asked = format!("alertname=\"{}\"", rule.name);
        let values: Vec<_> = text
            .split("- expr: ")
            .filter(|case| case.contains(&asked))
            .filter_map(|case| case.split("value: ").nth(1)?.split_whitespace().next())
            .collect();
        if !values.contains(&"0") || values.iter().all(|value| *value == "0") {
            faults.push(format!("{}: {values:?}", rule.name));
        }
    }
    crate::assert_none(&faults);
}

/// What is read here is not nothing.
#[test]
fn the_dashboards_ask_much() {
    let count = boards::all()
        .iter()
        .map(Board::queries)
        .map(|all| all.len())
        .sum::<usize>();
    assert!(count > 250, "only {count} expressions");
}
