//! The configuration that a pod gets is one that the program takes, and says what was meant.

use crate::pods::{Pod, pods};
use crate::tools::{all_values, quaymeter, rendered, text};
use std::process::Output;

/// What the program says in a pod, with what is mounted there laid out in a folder.
fn in_pod(pod: &Pod, arguments: &[&str]) -> Output {
    let place = pod.laid_out();
    let mut program = quaymeter();
    program.args(arguments).envs(pod.environment(place.path()));
    program.output().expect("it runs")
}

fn dumped(pod: &Pod) -> Vec<String> {
    let output = in_pod(pod, &["serve", "--dump-config"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    settings(&text(&output.stdout))
}

/// `group.name = value` of each setting; the help is left out.
fn settings(dump: &str) -> Vec<String> {
    let mut group = String::new();
    let mut all = Vec::new();
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix('[') {
            group = name.replace(']', ".");
        } else if line.contains(" =") && !line.starts_with('#') {
            all.push(format!("{group}{line}"));
        }
    }
    all
}

#[test]
fn every_pod_has_a_configuration_that_the_program_takes() {
    for (name, values) in all_values() {
        for pod in pods(&rendered(&values)) {
            let output = in_pod(&pod, &["check-config"]);
            let said = text(&output.stderr);
            assert!(output.status.success(), "{name}, {}:\n{said}", pod.name);
            assert_eq!(text(&output.stdout), "ok\n");
        }
    }
}

#[test]
fn every_pod_runs_a_command_that_there_is() {
    for (name, values) in all_values() {
        for pod in pods(&rendered(&values)) {
            let mut command: Vec<&str> = pod.arguments();
            command.push("--help");
            let output = in_pod(&pod, &command);
            assert!(
                output.status.success(),
                "{name}: {command:?}: {}",
                text(&output.stderr)
            );
        }
    }
}

#[test]
fn what_is_not_said_is_the_programs_default() {
    let output = quaymeter()
        .args(["serve", "--dump-config"])
        .output()
        .unwrap();
    let defaults = settings(&text(&output.stdout));
    assert!(defaults.len() > 30, "{defaults:?}");
    let kafka =
        "mode: kafka\nconfig: {kafka: {brokers: 'a:9092'}}\npseudonymKey: {secret: {name: keys}}";
    for values in ["mode: embedded", kafka] {
        let pod = &pods(&rendered(values))[0];
        let other: Vec<String> = dumped(pod)
            .into_iter()
            .filter(|line| !defaults.contains(line))
            .map(|line| line.split(" = ").next().unwrap().into())
            .collect();
        let mut expected = vec!["listen", "http_listen", "health_listen"];
        expected.extend(["insecure_i_know", "data_dir"]);
        if values == kafka {
            expected.extend([
                "pseudonym_key",
                "log.kind",
                "kafka.brokers",
                "kafka.instance",
            ]);
        }
        assert_eq!(other, expected);
    }
}

#[test]
fn what_is_said_reaches_the_program_as_it_is() {
    let values = "config:
  strict: true
  reporting_zone: Europe/Berlin
  drain_deadline_ms: 0
  log_bytes_max: 1099511627776
  log: {format: json, level: 'info,quaymeter::log=debug'}
  limits: {request_bytes: 536870912}
  traces: {otlp_endpoint: 'http://otel:4317', sample: 0.00025}";
    let pod = &pods(&rendered(values))[0];
    let found = dumped(pod);
    for expected in [
        "listen = \"0.0.0.0:7070\"",
        "http_listen = \"0.0.0.0:7071\"",
        "health_listen = \"0.0.0.0:7072\"",
        "data_dir = \"/var/lib/quaymeter/data\"",
        "strict = true",
        "reporting_zone = \"Europe/Berlin\"",
        "drain_deadline_ms = 0",
        "log_bytes_max = 1099511627776",
        "log.kind = \"embedded\"",
        "log.format = \"json\"",
        "log.level = \"info,quaymeter::log=debug\"",
        "limits.request_bytes = 536870912",
        "traces.otlp_endpoint = \"http://otel:4317\"",
        "traces.sample = 0.00025",
    ] {
        assert!(
            found.iter().any(|line| line == expected),
            "{expected}: {found:#?}"
        );
    }
}

#[test]
fn another_configuration_replaces_the_pods() {
    let checksum = |values: &str| {
        let objects = rendered(values);
        let pod = &pods(&objects)[0];
        pod.template["metadata"]["annotations"]["checksum/config"].to_string()
    };
    let same = checksum("podLabels: {a: b}");
    assert_eq!(same, checksum("service: {port: 1}"));
    assert_ne!(same, checksum("config: {horizon_days: 36}"));
}
