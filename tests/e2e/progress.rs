//! Long commands show how far they are, on a terminal and nowhere else.

use crate::place::{Place, counted, text};
use crate::service::quaymeter;
use crate::terminal::Terminal;
use quaymeter::view::position::Position;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SIZE: (u16, u16) = (100, 30);

fn simulate(events: &str) -> Command {
    let mut command = quaymeter();
    command.args(["simulate", "--events", events]);
    command
}

fn a_day(place: &Place) -> PathBuf {
    let file = place.path("day.ndjson");
    let mut simulate = simulate("3000");
    simulate.args(["--invalid", "0"]);
    simulate.stdout(std::fs::File::create(&file).unwrap());
    assert!(simulate.status().unwrap().success());
    file
}

/// Runs a command in a terminal; all that it drew, and what is left of it.
#[track_caller]
fn drawn(command: &Command) -> (String, String) {
    let terminal = Terminal::start(command, SIZE);
    let status = terminal.ended();
    assert_eq!(status.code(), Some(0), "{}", terminal.written());
    terminal.assert_restored();
    (terminal.written(), terminal.until("now", |_| true))
}

/// That a bar with rate and time left was drawn, and is gone.
#[track_caller]
fn assert_bar((drawn, left): &(String, String), rate: &str) {
    assert!(drawn.contains(" left"), "no time left: {drawn:?}");
    assert!(drawn.contains(rate), "no {rate}: {drawn:?}");
    assert!(!left.contains(" left"), "the bar stays:\n{left}");
}

#[track_caller]
fn piped(command: &mut Command) -> (String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{:?}", text(&output));
    text(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn simulate_publish_and_audit_show_a_bar_with_rate_and_time_left() {
    let place = Place::new();
    let service = place.serve(&[]);
    let mut sent = simulate("3000");
    sent.args(["--to", &service.grpc]);
    let shown = drawn(&sent);
    assert_bar(&shown, "/s");
    assert!(shown.1.contains("0 not as meant"), "{}", shown.1);
    let mut publish = quaymeter();
    publish.args(["publish", "--source", "tos", "--to", &service.grpc]);
    publish.arg(a_day(&place));
    let shown = drawn(&publish);
    assert_bar(&shown, "B/s");
    assert!(shown.1.contains("events accepted"), "{}", shown.1);
    let mut audit = quaymeter();
    audit.args(["audit", "--server", &service.grpc, "--data-dir"]);
    audit.arg(place.data());
    let shown = drawn(&audit);
    assert_bar(&shown, "B/s");
    assert!(shown.1.contains("no figure differs"), "{}", shown.1);
    // Told to be quiet, they draw nothing.
    for command in [&mut sent, &mut publish, &mut audit] {
        let quiet = drawn(command.arg("--quiet")).0;
        assert!(!quiet.contains(" left"), "{quiet:?}");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_drawn_into_a_pipe() {
    let place = Place::new();
    let service = place.serve(&[]);
    let (_, told) = piped(simulate("1000").args(["--to", &service.grpc]));
    assert!(told.ends_with(" 0 not as meant\n"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let (events, told) = piped(&mut simulate("1000"));
    assert!(events.starts_with('{') && told.is_empty(), "{told}");
    let (nothing, told) = piped(simulate("1000").args(["--quiet", "--to", &service.grpc]));
    assert_eq!((&*nothing, &*told), ("", ""));
    let mut audit = quaymeter();
    audit.args(["audit", "--server", &service.grpc, "--data-dir"]);
    assert_eq!(piped(audit.arg(place.data())).1, "");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_for_a_terminal_to_show_come_without_a_bar() {
    let (drawn, left) = drawn(&simulate("1000"));
    assert!(left.contains("eventId"), "{left}");
    assert!(!drawn.contains(" left"), "{drawn:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_tells_the_position_that_includes_all_it_sent() {
    let place = Place::new();
    let service = place.serve(&[]);
    let file = a_day(&place);
    let mut publish = quaymeter();
    publish.args(["publish", "--source", "tos", "--to", &service.grpc]);
    let (summary, told) = piped(publish.arg(&file));
    assert_eq!(told, "");
    let position = summary.lines().last().unwrap();
    let position = position.strip_prefix("position ").unwrap();
    let mut query = quaymeter();
    query.args(["query", "--status", "--server", &service.grpc]);
    let (status, _) = piped(query.args(["--at-least", position]));
    let lines = std::fs::read_to_string(&file).unwrap().lines().count();
    let told = status.split_whitespace().any(|word| {
        let position = Position::decode(word, &place.tokens());
        position.is_some_and(|position| position.offset() == Some(lines as u64))
    });
    assert!(told, "{status}");
    let position = Position::decode(position, &place.tokens());
    assert_eq!(position, Some(Position::embedded(lines as u64)));
    counted(&service.grpc, lines).await;
    service.stop();
}
