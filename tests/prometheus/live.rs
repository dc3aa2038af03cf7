//! Every expression, asked of a real Prometheus that scrapes the real service.

use crate::boards::{self, filled};
use crate::place::{status, trucks_in, until};
use crate::server::{Prometheus, until_known};
use crate::service::quaymeter;
use crate::stage::Stage;
use crate::{promql, rules};
use std::collections::BTreeMap;

/// A value for each variable of the dashboards. A day ago there was nothing, so that is
/// asked of some seconds ago; no role has everything, so all are asked for.
const LIVE: [(&str, &str); 7] = [
    ("__rate_interval", "15s"),
    ("__range", "1m"),
    ("job", ".*"),
    ("instance", ".*"),
    ("enterprise", ".*"),
    ("movement", "loaded|discharged"),
    ("source", ".*"),
];

/// What is empty with an embedded log, because only Kafka has it: by metric.
const KAFKA_ONLY: [&str; 3] = [
    "quaymeter_commit_seconds_bucket",
    "quaymeter_commit_values_bucket",
    "quaymeter_restore_seconds_bucket",
];

fn live(expr: &str) -> String {
    let every_role = expr.replace("role=\"$role\"", "role=~\".+\"");
    filled(&every_role, &LIVE).replace("offset 1d", "offset 3s")
}

/// All expressions by where they stand: of dashboards, of recording rules, and the parts
/// of alerts that are compared, but for what only is while an instance is down.
fn questions() -> BTreeMap<String, Vec<String>> {
    let mut questions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for board in boards::all() {
        for query in board
            .queries()
            .into_iter()
            .chain(board.asked_by_variables())
        {
            questions
                .entry(query.place)
                .or_default()
                .push(live(&query.expr));
        }
    }
    for rule in rules::recording() {
        questions
            .entry(rule.name.clone())
            .or_default()
            .push(rule.name);
    }
    for rule in rules::alerts() {
        let sides = promql::sides(&rule.expr);
        let sides = sides.into_iter().filter(|side| !side.contains("up == 0"));
        let sides = sides.map(live).collect();
        questions.insert(rule.name, sides);
    }
    for list in questions.values_mut() {
        list.retain(|expr| !KAFKA_ONLY.iter().any(|metric| expr.contains(metric)));
    }
    questions
}

/// Whether there is an answer with a number in it.
fn is_answered(prometheus: &Prometheus, place: &str, expr: &str) -> bool {
    let values = prometheus
        .ask(expr)
        .unwrap_or_else(|fault| panic!("{place}: {expr}: {fault}"));
    values.iter().any(|value| value.is_finite())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_has_an_answer() {
    let stage = Stage::new("127.0.81.1");
    let service = stage.serve(&[]);
    let recording = crate::read(rules::RECORDING);
    let prometheus =
        Prometheus::start(&[&stage.http], &[&recording, &crate::read(rules::ALERTS)]).await;
    let simulator = stage.simulate(2000);
    let mut backup = quaymeter();
    backup.args(["backup", "--server", &stage.url(), "--to"]);
    assert!(
        backup
            .arg(stage.path("backup"))
            .output()
            .unwrap()
            .status
            .success()
    );
    let mut open = questions();
    let told = format!("{} places are answered", open.len());
    let mut scraped = 0.0;
    until_known(&told, async || {
        // Who asks is measured too.
        status(&stage.url()).await;
        trucks_in(&stage.url()).await;
        let last = std::mem::replace(&mut scraped, last_scrape(&prometheus));
        if scraped <= last {
            return false;
        }
        for (place, list) in &mut open {
            list.retain(|expr| !is_answered(&prometheus, place, expr));
        }
        open.retain(|_, list| !list.is_empty());
        told_first(&open);
        open.is_empty()
    })
    .await;
    drop(simulator);
    service.stop();
}

/// When the service was last scraped: before the next time nothing new is answered.
fn last_scrape(prometheus: &Prometheus) -> f64 {
    let scraped = prometheus.ask("timestamp(up)").unwrap();
    scraped.first().copied().unwrap_or_default()
}

/// What a test in vain waited for is the last that it printed.
fn told_first(open: &BTreeMap<String, Vec<String>>) {
    if let Some((place, list)) = open.first_key_value() {
        println!("{} places are open; {place}: {}", open.len(), list[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_keeps_to_the_conventions() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let stage = Stage::new("127.0.81.2");
    let service = stage.serve(&[]);
    let sender = stage.sender("tos", true);
    until("something is exported of an enterprise", async || {
        let (_, page) = crate::place::get(&stage.http, "/metrics");
        page.contains("quaymeter_enterprise_truck_passages_total{")
    })
    .await;
    let (_, page) = crate::place::get(&stage.http, "/metrics");
    sender.abort();
    let mut lint = Command::new(crate::server::tool("prometheus/promtool"));
    let lint = lint.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut lint = lint
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    lint.stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let output = lint.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    crate::assert_none(&told.lines().map(str::to_owned).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", output.status);
    service.stop();
}
