//! `quaymeter top` as frames: what is told, at any size.

use quaymeter::cli::top::frame::{draw, draw_plain, text};
use quaymeter::cli::top::state::{Choice, Counts, Key, Reading, State};
use quaymeter::pb::{self, Measure, Reason, Role};
use quaymeter::query::ask::message;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Duration;

const NOW: i64 = 1_795_600_000_000;

const CARRIERS: Choice = Choice {
    role: Role::Carrier,
    measure: Measure::ThroughputTeuMilli,
};

fn leader(rank: u32, id: &str, names: [&str; 2], value: i64) -> pb::RankedEnterprise {
    let [name_zh, name_en] = names.map(String::from);
    pb::RankedEnterprise {
        rank,
        enterprise: Some(pb::Enterprise {
            id: id.into(),
            name_zh,
            name_en,
            roles: Vec::new(),
        }),
        value,
    }
}

fn leaders() -> Vec<pb::RankedEnterprise> {
    vec![
        leader(1, "smdg:MSC", ["地中海航运", "MSC"], 13_143_000),
        leader(2, "smdg:MSK", ["", "Maersk"], 8_152_600),
        leader(3, "smdg:COS", ["中远海运集装箱运输有限公司", ""], 6_809_100),
        leader(4, "uscc:91330203MAXAJNGP93", ["宁波Ｘ船务", ""], 6_154_100),
        leader(5, "smdg:ZIM", ["", ""], 39_158),
    ]
}

/// `seconds` after the service started.
fn status(seconds: i64, accepted: i64) -> pb::GetStatusResponse {
    let now = NOW + seconds * 1000;
    let count = |reason: Reason, count| pb::ReasonCount {
        reason: reason.into(),
        count,
    };
    pb::GetStatusResponse {
        freshness: Some(pb::Freshness {
            position: "AQAB".into(),
            appended_at: Some(message(now - 1_200)),
            complete_through: Some(message(now - 95_000)),
            ..pb::Freshness::default()
        }),
        events: 476_481,
        duplicates: 17_246 + accepted / 20,
        identities: 443_696,
        version: "0.1.0".into(),
        reporting_zone: "Asia/Shanghai".into(),
        now: Some(message(now)),
        started_at: Some(message(NOW)),
        intake: Some(pb::Intake {
            accepted,
            refused: vec![
                count(Reason::TooOld, 41),
                count(Reason::ContainerNumber, 403),
            ],
            warned: vec![count(Reason::ContainerCheckDigit, 5)],
            streams: 6,
        }),
        progress: Some(pb::Progress {
            log_end: 476_493,
            applied: 476_481,
            checkpoint: 470_000,
        }),
        resident_bytes: 326 << 20,
        ..Default::default()
    }
}

fn reading(seconds: i64, accepted: i64) -> Reading {
    Reading {
        choice: CARRIERS,
        status: status(seconds, accepted),
        leaders: leaders(),
        turns: Some(pb::DurationFigure {
            count: 16_529,
            p50_s: 2_160.0,
            p90_s: 3_600.0,
            ..Default::default()
        }),
    }
}

fn new() -> State {
    State::new("http://127.0.0.1:7070", Duration::from_secs(2), CARRIERS)
}

/// After two answers, 2 s apart, the last one just now: 12 s after the start.
fn known() -> State {
    let mut state = new();
    state.heard(10_000, reading(11_530, 470_000));
    state.heard(12_000, reading(11_532, 472_469));
    state
}

fn drawn(state: &State, now: u64, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let draw = |frame: &mut ratatui::Frame<'_>| draw(state, now, frame.buffer_mut());
    terminal.draw(draw).unwrap();
    terminal.backend().buffer().clone()
}

#[track_caller]
fn assert_golden(size: (u16, u16), golden: &str) {
    let found = text(&drawn(&known(), 12_500, size));
    assert!(found == golden, "found at {size:?}:\n{found}");
}

#[test]
fn a_usual_terminal_shows_all_of_it() {
    assert_golden((80, 24), include_str!("fixtures/top/80x24.txt"));
}

#[test]
fn a_small_terminal_shows_what_matters_most() {
    assert_golden((40, 12), include_str!("fixtures/top/40x12.txt"));
}

#[test]
fn a_wide_terminal_shows_refusals_beside_the_leaders() {
    assert_golden((120, 16), include_str!("fixtures/top/120x16.txt"));
}

/// States in which something else is drawn each.
fn states() -> Vec<(State, u64)> {
    let with = |change: &dyn Fn(&mut State)| {
        let mut state = known();
        change(&mut state);
        state
    };
    let failed = |state: &mut State| state.failed("connection refused\u{1b}[2J", 30_000);
    let mut unheard = new();
    failed(&mut unheard);
    let empty = Reading {
        leaders: Vec::new(),
        turns: None,
        status: pb::GetStatusResponse::default(),
        choice: CARRIERS,
    };
    vec![
        (new(), 0),
        (unheard, 20_000),
        (known(), 12_500),
        (known(), 100_000),
        (with(&failed), 25_000),
        (with(&|state| state.help = true), 12_500),
        (with(&|state| state.paused = true), u64::MAX),
        (with(&|state| assert!(!state.pressed(Key::Role(1)))), 12_500),
        (with(&|state| state.heard(13_000, empty.clone())), 13_000),
    ]
}

#[test]
fn any_state_is_drawn_at_any_size() {
    let narrow = (0..=44u16).flat_map(|width| (0..=14u16).map(move |height| (width, height)));
    let others = [
        (80, 24),
        (109, 30),
        (110, 3),
        (111, 60),
        (500, 1),
        (1, 500),
        (700, 200),
    ];
    for (at, (state, now)) in states().iter().enumerate() {
        for size in narrow.clone().chain(others) {
            let shown = text(&drawn(state, *now, size));
            assert!(!shown.contains('\u{1b}'), "state {at} at {size:?}");
        }
    }
}

#[test]
fn at_20_by_5_there_are_rates_and_a_leader() {
    let shown = text(&drawn(&known(), 12_500, (20, 5)));
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 5, "{shown}");
    assert!(lines[1].starts_with("accepted 1,23"), "{shown}");
}

/// The column in which the text of a row's last digit stands.
fn last_digit(buffer: &Buffer, row: u16) -> Option<u16> {
    let is_digit = |x: &u16| {
        buffer[(*x, row)]
            .symbol()
            .starts_with(|c: char| c.is_ascii_digit())
    };
    (0..buffer.area.width).rev().find(is_digit)
}

#[test]
fn values_stand_below_each_other_whatever_the_names() {
    for width in [36, 50, 64, 80, 100] {
        let buffer = drawn(&known(), 12_500, (width, 40));
        let shown = text(&buffer);
        let first = shown.lines().position(|line| line.contains("13,143.0"));
        let first = first.unwrap_or_else(|| panic!("at {width}:\n{shown}")) as u16;
        let columns: Vec<_> = (first..first + 5)
            .map(|row| last_digit(&buffer, row))
            .collect();
        assert!(
            columns.iter().all(|column| *column == columns[0]),
            "{columns:?}\n{shown}"
        );
    }
}

#[test]
fn rates_are_of_the_last_ten_seconds_and_begin_anew_with_the_service() {
    let mut state = new();
    assert_eq!(state.rates(), None);
    state.heard(0, reading(100, 0));
    assert_eq!(state.rates(), None);
    for second in 1..=60i64 {
        // 100 a second, then 1,000.
        let accepted = second.min(40) * 100 + (second - 40).max(0) * 1_000;
        state.heard(second as u64 * 1000, reading(100 + second, accepted));
    }
    let rates = Counts {
        accepted: 1_000.0,
        refused: 0.0,
        warned: 0.0,
        duplicates: 50.0,
    };
    assert_eq!(state.rates(), Some(rates));
    let mut restarted = reading(200, 5);
    restarted.status.started_at = Some(message(NOW + 150_000));
    state.heard(70_000, restarted);
    assert_eq!(state.rates(), None);
}

#[test]
fn keys_choose_pause_and_quit() {
    let mut state = known();
    let mut press = |key| {
        let quit = state.pressed(key);
        (quit, state.choice, state.paused, state.help)
    };
    let to = |role, measure| Choice { role, measure };
    let teu = Measure::ThroughputTeuMilli;
    assert_eq!(press(Key::Role(1)).1, to(Role::Yard, teu));
    assert_eq!(press(Key::Role(-1)).1, CARRIERS);
    assert_eq!(press(Key::RoleNumber(1)).1, to(Role::Forwarder, teu));
    assert_eq!(press(Key::Role(-1)).1, to(Role::ServiceProvider, teu));
    for nothing in [0, 9] {
        let stays = to(Role::ServiceProvider, teu);
        assert_eq!(press(Key::RoleNumber(nothing)).1, stays);
    }
    let mass = to(Role::ServiceProvider, Measure::ThroughputMassKg);
    assert_eq!(press(Key::Measure(1)).1, mass);
    assert!(press(Key::Pause).2 && !press(Key::Pause).2);
    assert!(press(Key::Help).3);
    let (quit, _, _, help) = press(Key::Escape);
    assert!(!quit && !help, "Escape leaves the help first");
    assert!(press(Key::Escape).0 && press(Key::Quit).0);
}

#[test]
fn an_answer_that_does_not_come_is_told_with_its_reason_and_the_next_attempt() {
    let shown = |state: &State, now| text(&drawn(state, now, (80, 24)));
    let mut state = known();
    assert!(!shown(&state, 17_000).contains("no answer"));
    assert!(shown(&state, 24_001).contains("no answer for 12 s\n"));
    state.failed("transport error", 27_000);
    let told = shown(&state, 24_001);
    assert!(
        told.contains("no answer for 12 s, again in 3 s: transport error\n"),
        "{told}"
    );
    // What was known stays to be seen.
    assert!(told.contains("smdg:MSC"), "{told}");
    state.heard(25_000, reading(11_545, 473_000));
    assert!(!shown(&state, 25_500).contains("no answer"));
    state.paused = true;
    let paused = shown(&state, 99_000);
    assert!(
        paused.contains("PAUSED") && !paused.contains("no answer"),
        "{paused}"
    );
}

#[test]
fn what_was_not_asked_yet_never_stands_under_anothers_name() {
    let mut state = known();
    state.pressed(Key::Measure(1));
    let shown = text(&drawn(&state, 12_500, (80, 24)));
    assert!(
        shown.contains("carriers by tonnes over the quay"),
        "{shown}"
    );
    assert!(!shown.contains("smdg:MSC"), "{shown}");
}

#[test]
fn a_snapshot_has_no_keys_and_no_blanks_at_the_end() {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 50));
    draw_plain(&known(), 12_000, &mut buffer);
    let shown = text(&buffer);
    for told in [
        "accepted",
        "turn p90 60 min",
        "地中海航运",
        "container number",
        "refused in",
    ] {
        assert!(shown.contains(told), "no {told} in\n{shown}");
    }
    assert!(!shown.contains("quit") && !shown.contains(" \n") && !shown.ends_with("\n\n"));
}
