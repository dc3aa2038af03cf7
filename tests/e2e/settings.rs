//! What a service refuses to start with, and how it says so.

use crate::place::{Place, arrivals, published, text, trucks_in};
use crate::service::{Service, quaymeter};
use std::process::{Command, Stdio};

/// The status and standard error of a command that is to fail by itself.
fn failed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert_eq!(out, "", "nothing is promised by what fails");
    err
}

#[test]
fn a_data_directory_has_one_process() {
    let place = Place::new();
    let first = place.serve(&[]);
    let told = failed(&mut place.command("127.0.0.1:0", &[]));
    let directory = place.data().display().to_string();
    assert!(told.contains("in use by another process"), "{told}");
    assert!(told.contains(&directory), "{told}");
    first.stop();
    place.serve(&[]).stop();
}

#[test]
fn a_killed_process_leaves_its_data_directory_free() {
    let place = Place::new();
    Service::start(&place.data(), &[]).kill();
    Service::start(&place.data(), &[]).stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_than_the_data_was_counted_with_are_refused() {
    let place = Place::new();
    let service = place.serve(&[]);
    published(&service.grpc, arrivals(0..3)).await;
    service.stop();
    for (flag, given, told_as) in [
        ("--horizon-days", "20", "horizon_days: stored 35, given 20"),
        ("--quarter-days", "60", "quarter_days: stored 45, given 60"),
        ("--day-days", "1500", "day_days: stored 1096, given 1500"),
        (
            "--teu-45ft-milli",
            "2000",
            "teu_45ft_milli: stored 2250, given 2000",
        ),
        (
            "--reporting-zone",
            "UTC",
            "reporting_zone: stored \"Asia/Shanghai\", given \"UTC\"",
        ),
    ] {
        let told = failed(&mut place.command("127.0.0.1:0", &[flag, given]));
        assert!(told.contains(told_as), "{told}");
        assert!(told.contains(&place.data().display().to_string()), "{told}");
    }
    let both = ["--horizon-days", "20", "--reporting-zone", "UTC"];
    let told = failed(&mut place.command("127.0.0.1:0", &both));
    assert!(
        told.contains("given 20") && told.contains("given \"UTC\""),
        "{told}"
    );
    // What shapes no number may change.
    let service = place.serve(&["--strict", "--drain-deadline-ms", "5000"]);
    assert_eq!(trucks_in(&service.grpc).await, 3);
    service.stop();
}

#[test]
fn an_unknown_format_version_is_refused_and_nothing_is_touched() {
    let place = Place::new();
    place.serve(&[]).stop();
    let file = place.data().join("format.json");
    let known = std::fs::read_to_string(&file).unwrap();
    for other in ["5", "3", "0", "null", "\"4\""] {
        let unknown = known.replace(
            "\"format_version\": 4",
            &format!("\"format_version\": {other}"),
        );
        assert_ne!(unknown, known);
        std::fs::write(&file, &unknown).unwrap();
        let told = failed(&mut place.command("127.0.0.1:0", &[]));
        let expected = format!("unknown format version {other} in {}", file.display());
        assert!(told.contains(&expected), "{told}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), unknown);
    }
    std::fs::write(&file, known).unwrap();
    place.serve(&[]).stop();
}

/// Faults of a file, of the environment and of flags.
fn faulty(command: &str, place: &Place) -> Command {
    let file = place.path("quaymeter.toml");
    let wrong = "horizon_days = \"many\"\nhorizn_days = 20\n[limits]\nstreams = 0\n";
    std::fs::write(&file, wrong).unwrap();
    let mut faulty = quaymeter();
    faulty.arg(command).arg("--config").arg(file);
    faulty.args(["--reporting-zone", "Asia/Ningbo", "--log-format", "xml"]);
    faulty.env("QUAYMETER_TEU_45FT_MILLI", "7");
    faulty
}

const FAULTS: [&str; 6] = [
    "horizon_days: found",
    "horizn_days",
    "limits.streams: found 0",
    "reporting_zone: found \"Asia/Ningbo\"",
    "log.format: found \"xml\"",
    "teu_45ft_milli: found \"7\"",
];

#[test]
fn every_fault_of_a_configuration_is_told_at_once() {
    let place = Place::new();
    for command in ["check-config", "serve"] {
        let told = failed(&mut faulty(command, &place));
        for fault in FAULTS {
            assert!(told.contains(fault), "{command}: no {fault:?} in\n{told}");
        }
        let named = [
            "quaymeter.toml:1",
            "QUAYMETER_TEU_45FT_MILLI",
            "--log-format",
        ];
        for origin in named {
            assert!(told.contains(origin), "{command}: no {origin:?} in\n{told}");
        }
    }
    let right = quaymeter().arg("check-config").output().unwrap();
    assert_eq!(
        (right.status.code(), text(&right).0),
        (Some(0), "ok\n".into())
    );
}

#[test]
fn a_clients_variables_do_not_stop_a_service() {
    let mut command = quaymeter();
    command.arg("check-config");
    for variable in [
        "QUAYMETER_TO",
        "QUAYMETER_SOURCE",
        "QUAYMETER_SERVER",
        "QUAYMETER_CA",
        "QUAYMETER_CERT",
        "QUAYMETER_KEY",
        "QUAYMETER_TOKEN_FILE",
    ] {
        command.env(variable, "tos");
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output).1);
}

#[test]
fn a_dumped_configuration_is_a_file_of_the_same_configuration() {
    let place = Place::new();
    let mut command = quaymeter();
    command.args(["serve", "--dump-config", "--horizon-days", "20"]);
    command.args([
        "--reporting-zone",
        "America/New_York",
        "--log-format",
        "json",
    ]);
    command.args(["--data-dir", "甲/\"quoted\"", "--limits-streams", "17"]);
    command.env("QUAYMETER_STRICT", "true");
    let output = command.output().unwrap();
    assert!(output.status.success());
    let dumped = text(&output).0;
    for line in [
        "horizon_days = 20",
        "reporting_zone = \"America/New_York\"",
        "format = \"json\"",
        "streams = 17",
        "strict = true",
    ] {
        assert!(
            dumped.lines().any(|found| found == line),
            "no {line} in\n{dumped}"
        );
    }
    let file = place.path("dumped.toml");
    std::fs::write(&file, &dumped).unwrap();
    let mut again = quaymeter();
    again
        .args(["serve", "--dump-config", "--config"])
        .arg(&file);
    assert_eq!(text(&again.output().unwrap()).0, dumped);
    // A flag wins over the file.
    again.args(["--horizon-days", "21"]);
    let changed = dumped.replace("horizon_days = 20", "horizon_days = 21");
    assert_eq!(text(&again.output().unwrap()).0, changed);
}
