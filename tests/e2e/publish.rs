//! `quaymeter publish`: what it sends, what it says, and how it ends.

use crate::place::{
    Place, address, assert_same, caught_up, counted, everything, status, text, until,
};
use crate::service::{Service, quaymeter};
use jiff::Timestamp;
use quaymeter::simulate::{Expected, Options, Rates, Simulation};
use quaymeter::truth::{Grain, Truth};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A simulated day in a file, and its truth.
struct Day {
    events: PathBuf,
    truth: Truth,
    sent: Vec<String>,
    simulation: Simulation,
}

/// Made by the binary; `invalid` is the share of events to be refused.
fn a_day(place: &Place, seed: u64, invalid: f64) -> Day {
    let end = Timestamp::now().as_millisecond();
    let end_at = Timestamp::from_millisecond(end).unwrap();
    let (events, truth) = (place.path("day.ndjson"), place.path("truth.ndjson"));
    let mut simulate = quaymeter();
    simulate.args(["simulate", "--events", "1000", "--seed", &seed.to_string()]);
    simulate.args([
        "--invalid",
        &invalid.to_string(),
        "--end",
        &end_at.to_string(),
    ]);
    simulate.arg("--truth").arg(&truth);
    simulate.stdout(File::create(&events).unwrap());
    assert!(simulate.status().unwrap().success());
    let text = std::fs::read_to_string(&events).unwrap();
    let rates = Rates {
        invalid,
        ..Rates::default()
    };
    let options = Options {
        rates,
        ..Options::new(seed, end).with_events(1000)
    };
    Day {
        events,
        truth: Truth::read(BufReader::new(File::open(&truth).unwrap())).unwrap(),
        sent: text.lines().map(String::from).collect(),
        simulation: Simulation::new(&options),
    }
}

fn publish(to: &str) -> Command {
    let mut command = quaymeter();
    command.args(["publish", "--source", "tos", "--to", to]);
    command
}

#[track_caller]
fn assert_exact(day: &Day, answered: &Truth) {
    assert_same(&day.truth, answered);
    assert!(answered.count(Grain::Quarter) > 300, "hardly anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_counted_exactly_and_again_changes_nothing() {
    let place = Place::new();
    let service = place.serve(&[]);
    let day = a_day(&place, 21, 0.0);
    let told = format!("{} events accepted", day.sent.len());
    for run in 1..=2 {
        let output = publish(&service.grpc).arg(&day.events).output().unwrap();
        let (summary, err) = text(&output);
        assert_eq!(output.status.code(), Some(0), "{summary}{err}");
        assert!(summary.starts_with(&told), "{summary}");
        assert!(summary.contains(", 0 refused"), "{summary}");
        counted(&service.grpc, run * day.sent.len()).await;
        assert_exact(&day, &everything(&service.grpc).await);
    }
    let quiet = publish(&service.grpc).arg("-q").arg(&day.events).output();
    assert_eq!(text(&quiet.unwrap()), (String::new(), String::new()));
    counted(&service.grpc, 3 * day.sent.len()).await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_read_to_its_end() {
    let place = Place::new();
    let service = place.serve(&[]);
    let day = a_day(&place, 22, 0.0);
    let ways = [&[][..], &["-"], &["--format", "ndjson", "--batch", "7"]];
    for (run, arguments) in (1..).zip(ways) {
        let mut command = publish(&service.grpc);
        command
            .args(arguments)
            .stdin(File::open(&day.events).unwrap());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{:?}", text(&output));
        counted(&service.grpc, run * day.sent.len()).await;
        assert_exact(&day, &everything(&service.grpc).await);
    }
    service.stop();
}

/// Line, event id, reason.
type Refused = BTreeSet<(u64, String, String)>;

fn meant_refusals(day: &Day) -> Refused {
    let sent = day.simulation.sent().zip(1..);
    let refused = sent.filter_map(|(sent, line)| match sent.expected {
        Expected::Accepted => None,
        Expected::Refused(reason) => {
            let reason = reason.as_str_name().strip_prefix("REASON_").unwrap();
            Some((line, sent.event.event_id, reason.to_owned()))
        }
    });
    refused.collect()
}

/// Every line of the rejects file; each carries its event as it was read.
fn written_refusals(day: &Day, rejects: &Path) -> Refused {
    let text = std::fs::read_to_string(rejects).unwrap();
    let refused = text.lines().map(|line| {
        let told: Value = serde_json::from_str(line).unwrap();
        let word = |key: &str| told[key].as_str().unwrap().to_owned();
        assert_eq!(word("file"), day.events.display().to_string());
        assert_eq!(word("refused_by"), "service");
        assert!(
            !word("field").is_empty() && !word("expected").is_empty(),
            "{line}"
        );
        let number = told["line"].as_u64().unwrap();
        let read: Value = serde_json::from_str(&day.sent[number as usize - 1]).unwrap();
        assert_eq!(told["event"], read);
        (number, word("event_id"), word("reason"))
    });
    refused.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_written_out_and_the_rest_is_counted_exactly() {
    let place = Place::new();
    let service = place.serve(&[]);
    let day = a_day(&place, 23, 0.1);
    let (refused, rejects) = (meant_refusals(&day), place.path("rejects.ndjson"));
    assert!(refused.len() > 50, "only {}", refused.len());
    let mut command = publish(&service.grpc);
    command.arg(&day.events).arg("--rejects").arg(&rejects);
    let output = command.output().unwrap();
    let (summary, err) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{summary}{err}");
    assert_eq!(written_refusals(&day, &rejects), refused);
    let accepted = day.sent.len() - refused.len();
    assert!(
        summary.starts_with(&format!("{accepted} events accepted")),
        "{summary}"
    );
    assert!(
        summary.contains(&format!(", {} refused", refused.len())),
        "{summary}"
    );
    caught_up(&service.grpc).await;
    assert_exact(&day, &everything(&service.grpc).await);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_event_is_refused_and_its_neighbours_are_not() {
    let place = Place::new();
    let service = place.serve(&[]);
    let day = a_day(&place, 24, 0.0);
    let (file, rejects) = (place.path("broken.ndjson"), place.path("rejects.ndjson"));
    let mut lines = day.sent.clone();
    lines.insert(500, "{\"eventId\":\"half".into());
    lines.insert(900, "{\"eventId\":\"x\",\"colour\":\"red\"}".into());
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut command = publish(&service.grpc);
    command.arg(&file).arg("--rejects").arg(&rejects);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{:?}", text(&output));
    let told = std::fs::read_to_string(&rejects).unwrap();
    let told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let at: Vec<_> = told
        .iter()
        .map(|told| (&told["line"], &told["refused_by"]))
        .collect();
    let client = Value::from("client");
    assert_eq!(at, [(&501.into(), &client), (&901.into(), &client)]);
    assert_eq!(told[0]["event"], "{\"eventId\":\"half", "as it was read");
    caught_up(&service.grpc).await;
    assert_exact(&day, &everything(&service.grpc).await);
    service.stop();
}

#[test]
fn what_cannot_be_published_at_all_ends_with_status_1_and_a_reason() {
    let place = Place::new();
    let service = place.serve(&[]);
    let day = a_day(&place, 25, 0.0);
    let failed = |command: &mut Command, expected: &[&str]| {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let (_, told) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        for expected in expected {
            assert!(told.contains(expected), "no {expected:?} in {told}");
        }
    };
    let missing = place.path("missing.ndjson");
    let name = missing.display().to_string();
    failed(
        publish(&service.grpc).arg(&missing),
        &[&name, "No such file"],
    );
    let mut source = quaymeter();
    source.args(["publish", "--source", "no spaces", "--to", &service.grpc]);
    failed(source.arg(&day.events), &["InvalidArgument", "source"]);
    failed(publish("ftp://127.0.0.1:1").arg(&day.events), &["http://"]);
    let rejects = place.path("no/such/directory");
    failed(
        publish(&service.grpc)
            .arg(&day.events)
            .arg("--rejects")
            .arg(&rejects),
        &["rejects file"],
    );
    let nobody = service.grpc.clone();
    service.stop();
    let mut gone = publish(&nobody);
    gone.args(["--give-up-after", "1"]).arg(&day.events);
    failed(&mut gone, &["no progress", "last event acknowledged: none"]);
}

/// Feeds lines to a publisher whose service is killed and started again, on the
/// same port, before the last line is there.
async fn through_a_kill(place: &Place, day: &Day, at: &str, service: Service) -> Service {
    let mut command = publish(&service.grpc);
    command.args(["--batch", "10"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let mut stdin = running.stdin.take().unwrap();
    let mut told = BufReader::new(running.stderr.take().unwrap());
    let (first, second) = day.sent.split_at(day.sent.len() / 2);
    stdin
        .write_all((first.join("\n") + "\n").as_bytes())
        .unwrap();
    until("something is counted", async || {
        status(&service.grpc).await.events > 0
    })
    .await;
    service.kill();
    // Nobody reads it all before somebody serves again.
    let second = second.join("\n") + "\n";
    let writing = std::thread::spawn(move || stdin.write_all(second.as_bytes()).unwrap());
    let mut line = String::new();
    while !line.contains("to resume") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended");
    }
    let service = place.serve_at(at, &[]);
    writing.join().unwrap();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    let output = running.wait_with_output().unwrap();
    let (summary, _) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{summary}{rest}");
    let accepted = format!("{} events accepted", day.sent.len());
    assert!(summary.starts_with(&accepted), "{summary}");
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_in_the_middle_loses_nothing_of_a_run() {
    let place = Place::new();
    // An address of its own, so that nobody takes the port meanwhile.
    let service = place.serve_at("127.0.82.1:0", &[]);
    let at = address(&service);
    let day = a_day(&place, 26, 0.0);
    let service = through_a_kill(&place, &day, &at, service).await;
    caught_up(&service.grpc).await;
    assert_exact(&day, &everything(&service.grpc).await);
    service.stop();
}
