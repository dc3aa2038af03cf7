//! What is rendered is what Kubernetes takes.

use crate::tools::{all_values, chart, helm, python, template, text, told};
use std::process::Output;

fn checked(yaml: &str) -> Output {
    told(python("tests/helm/manifests.py").arg("check"), yaml)
}

#[test]
fn every_manifest_is_of_the_last_three_versions_of_kubernetes() {
    for (name, values) in all_values() {
        let output = checked(&template(&chart(), &values).unwrap());
        let faults = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{name}:\n{faults}");
    }
}

#[test]
fn what_kubernetes_does_not_take_is_seen() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: ";
    let monitor =
        "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a}\nspec: ";
    for (bad, said) in [
        (format!("{service}{{prots: []}}"), "prots"),
        (format!("{service}{{ports: [{{port: a}}]}}"), "'a'"),
        (format!("{service}{{type: A, type: B}}"), "twice"),
        (format!("{monitor}{{endpoints: []}}"), "selector"),
        (
            "apiVersion: v1\nkind: Servise\nmetadata: {name: a}".into(),
            "Servise",
        ),
    ] {
        let output = checked(&bad);
        let faults = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success(), "{bad}");
        assert!(faults.contains(said), "{bad}:\n{faults}");
    }
}

#[test]
fn the_chart_is_without_lint() {
    for (name, values) in all_values() {
        let mut helm = helm();
        helm.args(["lint", "--strict", "--values", "-"])
            .arg(chart());
        let output = told(&mut helm, &values);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{name}:\n{said}");
        assert!(!said.contains("[WARNING]"), "{name}:\n{said}");
    }
}
