//! Alerts and dashboards that lie in the chart's folders, however many there are.

use crate::tools::{chart, objects, one, template};
use serde_json::Value;
use std::fs;
use std::path::Path;

const BOTH: &str = "{prometheusRule: {enabled: true}, dashboards: {enabled: true}}";

/// A copy of the chart without its alerts and dashboards, with these files instead.
fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in [
        "Chart.yaml",
        "values.yaml",
        "values.schema.json",
        ".helmignore",
    ] {
        fs::copy(chart().join(name), copy.path().join(name)).unwrap();
    }
    copy_folder(&chart().join("templates"), &copy.path().join("templates"));
    for (path, content) in files {
        let path = copy.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

const ALERTS: &str = "groups:
  - name: log
    rules:
      - alert: Full
        expr: quaymeter_log_bytes > 1e9
        for: 5m
        annotations: {summary: '{{ $labels.pod }} has {{ $value | humanize1024 }}B'}
";
const MORE: &str = "groups: [{name: more, rules: [{record: a:b, expr: 'vector(1)'}]}]";
const BOARD: &str = "{\"uid\": \"quay\", \"legendFormat\": \"{{pod}}\",\n \"title\": \"港口\"}\n";

#[test]
fn all_groups_of_all_files_are_in_one_rule() {
    let copy = with(&[("alerts/a.yaml", ALERTS), ("alerts/b.yaml", MORE)]);
    let found = objects(&template(copy.path(), BOTH).unwrap());
    let groups = one(&found, "PrometheusRule", "")["spec"]["groups"].clone();
    let mut expected = objects(ALERTS)[0]["groups"].as_array().unwrap().clone();
    expected.extend(objects(MORE)[0]["groups"].as_array().unwrap().clone());
    assert_eq!(groups, Value::Array(expected));
}

#[test]
fn every_dashboard_is_a_config_map_of_its_own_as_it_was() {
    let copy = with(&[
        ("dashboards/Quay_One.json", BOARD),
        ("dashboards/two.json", "{}"),
    ]);
    let found = objects(&template(copy.path(), BOTH).unwrap());
    let board = one(&found, "ConfigMap", "-dashboard-quay-one");
    assert_eq!(board["metadata"]["labels"]["grafana_dashboard"], "1");
    let kept = board["data"]["Quay_One.json"].as_str().unwrap();
    assert_eq!(kept.trim_end(), BOARD.trim_end());
    one(&found, "ConfigMap", "-dashboard-two");
}

#[test]
fn without_files_nothing_is_made_of_them() {
    let copy = with(&[]);
    let found = objects(&template(copy.path(), BOTH).unwrap());
    assert_eq!(of_kind(&found, "PrometheusRule").len(), 0);
    assert_eq!(of_kind(&found, "ConfigMap").len(), 1);
    let copy = with(&[("alerts/a.yaml", ALERTS), ("dashboards/a.json", BOARD)]);
    let found = objects(&template(copy.path(), "{}").unwrap());
    assert_eq!(of_kind(&found, "PrometheusRule").len(), 0);
    assert_eq!(of_kind(&found, "ConfigMap").len(), 1);
}

#[test]
fn a_file_without_groups_is_refused_by_name() {
    for bad in ["group: []", "groups: [", "[]"] {
        let copy = with(&[("alerts/bad.yaml", bad)]);
        let why = template(copy.path(), BOTH).expect_err(bad);
        assert!(
            why.contains("alerts/bad.yaml: no list of groups"),
            "{bad}: {why}"
        );
    }
}

#[test]
fn what_lies_in_the_charts_own_folders_is_all_there() {
    let found = objects(&template(&chart(), BOTH).unwrap());
    let files = |folder: &str, end: &str| {
        let entries = fs::read_dir(chart().join(folder)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().ends_with(end))
            .count()
    };
    let boards = of_kind(&found, "ConfigMap").len() - 1;
    assert_eq!(boards, files("dashboards", ".json"));
    assert_eq!(
        of_kind(&found, "PrometheusRule").len(),
        files("alerts", ".yaml").min(1)
    );
}
