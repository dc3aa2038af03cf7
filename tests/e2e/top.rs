//! `quaymeter top` in a real terminal and in a pipe.

use crate::place::{Place, address, passage, published, text};
use crate::service::{Service, quaymeter};
use crate::terminal::Terminal;
use quaymeter::pb;
use std::ops::Range;
use std::process::Command;

const SIZE: (u16, u16) = (80, 24);

fn top(server: &str) -> Command {
    let mut command = quaymeter();
    command.args(["top", "--interval", "0.2", "--server", server]);
    command
}

/// Each passes twice: now, and soon, so that some did today whenever it is asked.
fn trucks(numbers: Range<u32>) -> Vec<pb::Event> {
    let now = jiff::Timestamp::now().as_millisecond();
    let passages = numbers.flat_map(|n| [(n, now), (n, now + 5 * 60_000)]);
    let one = |(n, at): (u32, i64)| {
        let plate = format!("浙B{n:05}");
        passage(&format!("{n}-{at}"), at, pb::GateDirection::In, &plate)
    };
    passages.map(one).collect()
}

async fn with_trucks(place: &Place) -> Service {
    let names = place.path("registry.csv");
    let lines = "id,name_zh,name_en,roles\nygt:F1,宁波车队,,FLEET\n";
    std::fs::write(&names, lines).unwrap();
    let service = place.serve(&["--registry", names.to_str().unwrap()]);
    published(&service.grpc, trucks(0..3)).await;
    service
}

fn fleets(server: &str) -> Command {
    let mut command = top(server);
    command.args(["--role", "fleet", "--measure", "truck-passages"]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn it_follows_the_service_the_keys_and_the_size_and_gives_the_terminal_back() {
    let place = Place::new();
    let service = with_trucks(&place).await;
    let mut terminal = Terminal::start(&fleets(&service.grpc), SIZE);
    terminal.until_shows("宁波车队");
    terminal.until_shows("events 6");
    published(&service.grpc, trucks(3..5)).await;
    terminal.until_shows("events 10");
    // Smaller, larger, and smallest, while it runs.
    terminal.resize((40, 10));
    let small = terminal.until("it is drawn anew", |screen| {
        let first = screen.rows(0, 40).next();
        first.is_some_and(|first| first.starts_with("quaymeter") && first.len() <= 40)
            && !screen.contents().contains("role")
    });
    assert!(small.contains("accepted"), "{small}");
    terminal.resize((120, 30));
    terminal.until("what was refused is beside", |screen| {
        let beside = |row: String| row.contains("fleets by") && row.contains("refused in");
        screen.rows(0, 120).any(beside)
    });
    terminal.resize((1, 1));
    terminal.until("one column is drawn", |screen| {
        screen.contents().trim() == "…"
    });
    terminal.resize(SIZE);
    terminal.until_shows("p pause");
    terminal.press("\x1b[C");
    terminal.until_shows("shippers by truck passages");
    terminal.press("2");
    terminal.until_shows("carriers by truck passages");
    terminal.press("\x1b[B");
    terminal.until_shows("carriers by truck turns");
    terminal.press("?");
    terminal.until_shows("another role");
    terminal.press("?p");
    terminal.until_shows("PAUSED");
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
    terminal.assert_restored();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_out_gives_the_terminal_back() {
    let place = Place::new();
    let service = with_trucks(&place).await;
    type Out = fn(&mut Terminal);
    let ways: [(&str, Out); 5] = [
        ("Esc", |terminal| terminal.press("\x1b")),
        ("Ctrl-C", |terminal| terminal.press("\x03")),
        ("SIGTERM", |terminal| terminal.signal("TERM")),
        ("SIGINT", |terminal| terminal.signal("INT")),
        ("SIGHUP", |terminal| terminal.signal("HUP")),
    ];
    for (way, out) in ways {
        let mut terminal = Terminal::start(&top(&service.grpc), SIZE);
        terminal.until_shows("events 6");
        out(&mut terminal);
        assert_eq!(terminal.ended().code(), Some(0), "{way}");
        terminal.assert_restored();
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_takes_nothing_holds_up_no_signal() {
    let place = Place::new();
    let service = with_trucks(&place).await;
    let terminal = Terminal::start(&top(&service.grpc), SIZE);
    terminal.until_shows("events 6");
    assert_eq!(terminal.signal_unread("TERM").code(), Some(1));
    terminal.assert_edits_lines();
    service.stop();
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_gives_the_terminal_back_and_is_told() {
    let place = Place::new();
    let service = with_trucks(&place).await;
    let mut command = top(&service.grpc);
    command.env("FAILPOINTS", "top.draw=3*off->panic(drawn too much)");
    let terminal = Terminal::start(&command, SIZE);
    assert_eq!(terminal.ended().code(), Some(101));
    terminal.assert_restored();
    let written = terminal.written();
    assert!(written.contains("drawn too much"), "{written}");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_is_told_and_found_again() {
    let place = Place::new();
    let service = with_trucks(&place).await;
    let mut terminal = Terminal::start(&fleets(&service.grpc), SIZE);
    terminal.until_shows("events 6");
    let address = address(&service);
    service.stop();
    let told = terminal.until_shows("no answer for");
    assert!(
        told.contains("again in") && told.contains("宁波车队"),
        "{told}"
    );
    let service = place.serve_at(&address, &[]);
    terminal.until("it answers again", |screen| {
        !screen.contents().contains("no answer")
    });
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
    terminal.assert_restored();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_is_told_and_asked_again() {
    let place = Place::new();
    let service = with_trucks(&place).await;
    let mut terminal = Terminal::start(&top(&service.grpc), SIZE);
    terminal.until_shows("events 6");
    service.signal("STOP");
    terminal.until_shows("no answer for");
    terminal.until_shows("it took longer than 10 s");
    service.signal("CONT");
    terminal.until("it answers again", |screen| {
        !screen.contents().contains("no answer")
    });
    terminal.press("q");
    assert_eq!(terminal.ended().code(), Some(0));
    service.stop();
}

/// For how many seconds nothing new has come, as the screen says.
fn newest_s(screen: &str) -> Option<usize> {
    let (_, after) = screen.split_once("newest ")?;
    after.split_once(" s ago")?.0.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changes_is_written() {
    let place = Place::new();
    let service = with_trucks(&place).await;
    let mut terminal = Terminal::start(&fleets(&service.grpc), SIZE);
    let since = |seconds| {
        let shown = terminal.until("time has passed", |screen| {
            newest_s(&screen.contents()).is_some_and(|newest| newest >= seconds)
        });
        newest_s(&shown).unwrap()
    };
    let first = since(3);
    let before = terminal.written().len();
    // Some ten rounds of questions later.
    let last = since(first + 2);
    let more = terminal.written().len() - before;
    assert!(
        more < 300 * (last - first),
        "{more} bytes from {first} s to {last} s"
    );
    terminal.press("q");
    terminal.ended();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn into_a_pipe_it_prints_one_snapshot() {
    let place = Place::new();
    let service = with_trucks(&place).await;
    let note = "standard output is not a terminal: one snapshot, as with --once\n";
    for (arguments, expected) in [(&[][..], note), (&["--once"], "")] {
        let output = fleets(&service.grpc).args(arguments).output().unwrap();
        let (shown, told) = text(&output);
        assert_eq!((output.status.code(), &*told), (Some(0), expected));
        for expected in [
            "accepted 0/s",
            "lag 0",
            "宁波车队",
            "events 6",
            "refused in",
        ] {
            assert!(shown.contains(expected), "no {expected} in\n{shown}");
        }
        assert!(
            !shown.contains('\x1b') && !shown.contains("q quit"),
            "{shown}"
        );
    }
    let server = service.grpc.clone();
    service.stop();
    let output = top(&server).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).1.contains(&server), "{:?}", text(&output));
    let wrong = quaymeter()
        .args(["top", "--interval", "0"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(1));
}
