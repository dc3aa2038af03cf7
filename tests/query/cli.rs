//! What `quaymeter query` prints.

use crate::fixture::{Port, Post, ms};
use crate::service::{Running, loaded, port};
use clap::Parser as _;
use quaymeter::cli::query::{Args, print};
use quaymeter::event::Role;
use quaymeter::meter::figure::Meaning;
use quaymeter::meter::histogram;
use quaymeter::pb::{AppointmentStage, DurationKind};
use quaymeter::query::Settings;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    query: Args,
}

async fn ask(running: &Running, words: &str) -> Result<String, String> {
    let server = ["query", "--server", &running.address];
    let cli = Cli::try_parse_from(server.into_iter().chain(words.split_whitespace()));
    let mut printed = Vec::new();
    let result = print(&cli.map_err(|error| error.to_string())?.query, &mut printed).await;
    result.map_err(|error| format!("{error:#}"))?;
    String::from_utf8(printed).map_err(|error| error.to_string())
}

fn busy() -> Port {
    let mut port = port();
    let turn = DurationKind::TruckTurn;
    let turns = [
        (Meaning::TrucksIn, 1_500),
        (Meaning::DurationCount(turn), 2),
        (Meaning::DurationSumMs(turn), 3_600_000),
        (
            Meaning::DurationBucket(turn, histogram::bucket(1_800_000)),
            2,
        ),
    ];
    let at = ms("2026-11-23T01:00:00Z");
    let slot = [(Meaning::Appointment(AppointmentStage::Confirmed), 3)];
    port.post(&[
        Post {
            call: Some(("C1", "9321483")),
            ..loaded("smdg:COS", 7)
        },
        loaded("smdg:MSC", 5),
        Post {
            role: Role::Fleet,
            ..Post::new("ygt:f", at, &turns)
        },
        Post {
            role: Role::Fleet,
            slot_end: Some(at + 900_000),
            ..Post::new("ygt:f", at, &slot)
        },
    ]);
    port
}

async fn running() -> Running {
    Running::start(&busy()).await
}

const DAY: &str = "--from 2026-11-23 --to 2026-11-24";

#[tokio::test]
async fn every_kind_of_question_has_its_table() {
    let running = running().await;
    for (question, expected) in [
        ("", &["carrier", "fleet", "12", "1,500"][..]),
        (
            "--by enterprise,facility --grain hour",
            &["2026-11-23T09:00:00+08:00", "smdg:MSC", "CNNBO/BLCT2"],
        ),
        (
            "--grain quarter --zone Asia/Kathmandu",
            &["2026-11-23T06:45:00+05:45"],
        ),
        ("--durations", &["truck_turn", "p95 min", "30.0"]),
        ("--top 5 --role carrier", &["smdg:COS", "中远海运", "boxes"]),
        ("--calls", &["C1", "9321483"]),
        ("--no-shows", &["no-shows", "ygt:f"]),
        ("--enterprises --contains quiet", &["Quiet Ltd"]),
        ("--status", &["Asia/Shanghai", "day cells"]),
    ] {
        let printed = ask(&running, &format!("{DAY} {question}")).await.unwrap();
        for expected in expected {
            assert!(
                printed.contains(expected),
                "{question}: no {expected} in\n{printed}"
            );
        }
    }
}

#[tokio::test]
async fn who_may_not_see_all_gets_the_tables_of_what_he_may_see() {
    let caller = crate::unseen::limited("a");
    let running = Running::of(&busy(), Settings::default(), caller).await;
    for (question, expected) in [
        ("--by enterprise", "smdg:COS"),
        ("--top 5 --role carrier", "smdg:COS"),
        ("--no-shows", "nothing"),
        ("--enterprises", "COSCO"),
        ("--status", "Asia/Shanghai"),
    ] {
        let printed = ask(&running, &format!("{DAY} {question}")).await.unwrap();
        assert!(printed.contains(expected), "{question}: {printed}");
        assert!(!printed.contains("smdg:MSC") && !printed.contains("ygt:f"));
    }
    let refused = ask(&running, &format!("{DAY} --calls")).await.unwrap_err();
    assert!(refused.contains("callers who may read all"), "{refused}");
}

#[tokio::test]
async fn json_is_one_message_a_line_and_csv_has_a_header() {
    let running = running().await;
    let json = ask(&running, &format!("{DAY} --by enterprise --format json"))
        .await
        .unwrap();
    let rows: Vec<quaymeter::pb::ThroughputRow> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<_> = rows.iter().map(|row| &*row.enterprise).collect();
    assert_eq!(ids, ["smdg:COS", "smdg:MSC", "ygt:f"]);
    let csv = ask(&running, &format!("{DAY} --role carrier --format csv"))
        .await
        .unwrap();
    let lines: Vec<_> = csv.lines().collect();
    assert!(
        lines[0].starts_with("start,facility,enterprise,role,classifier,loaded,"),
        "{csv}"
    );
    assert!(
        lines[1].starts_with("2026-11-23T00:00:00+08:00,all,all,carrier,actual,12,0,0,0.000,"),
        "{csv}"
    );
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn a_refusal_is_shown_with_its_details() {
    let running = running().await;
    let refused = ask(&running, &format!("{DAY} --enterprise COS"))
        .await
        .unwrap_err();
    for expected in [
        "InvalidArgument",
        "INVALID_FIELD",
        "field filter.enterprises[0]",
        "found=\"COS\"",
    ] {
        assert!(refused.contains(expected), "{refused}");
    }
    let old = ask(&running, "--from 2020-01-01 --to 2020-01-02")
        .await
        .unwrap_err();
    assert!(old.contains("earliest="), "{old}");
    assert!(
        ask(&running, "--top 5")
            .await
            .unwrap_err()
            .contains("--role")
    );
}
