//! `quaymeter publish` against a scripted service: formats, fallbacks, the
//! rejects file and the exit status.

use super::service::{Fault, Plan, Service};
use clap::Parser;
use quaymeter::cli::publish::{Args, run};
use serde_json::Value;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tonic::Status;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/dcsa")
        .join(name)
}

async fn publish(service: &Service, more: &[&str], files: &[&Path]) -> anyhow::Result<ExitCode> {
    let mut line = vec![
        "publish",
        "--quiet",
        "--source",
        "tester",
        "--to",
        &service.url,
    ];
    line.extend(more);
    line.extend(files.iter().map(|file| file.to_str().expect("UTF-8")));
    run(Command::try_parse_from(line).expect("arguments").args).await
}

fn is(status: ExitCode, code: u8) -> bool {
    format!("{status:?}") == format!("{:?}", ExitCode::from(code))
}

fn rejects(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a rejects file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn came(service: &Service) -> Vec<String> {
    let seen = service.seen.lock().expect("no panic");
    assert_eq!(seen.breaches, Vec::<String>::new());
    seen.ids.concat()
}

#[tokio::test]
async fn lines_that_are_no_events_are_rejected_and_the_rest_is_published() {
    let service = Service::start(|_| Plan::default()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("events.ndjson");
    let text = "{\"eventId\":\"a\"}\n\nno event\n{\"eventId\":\"b-bad\", \"revision\":\"3\"}\n{\"eventId\":\"c\"}";
    std::fs::write(&file, text).expect("written");
    let out = dir.path().join("rejects.ndjson");
    let more = ["--batch", "2", "--rejects", out.to_str().expect("UTF-8")];
    let status = publish(&service, &more, &[&file]).await.expect("published");
    assert!(is(status, 2), "some refused");
    assert_eq!(came(&service), ["a", "b-bad", "c"]);
    let mut rejects = rejects(&out);
    rejects.sort_by_key(|reject| reject["line"].as_u64());
    let [unread, refused] = rejects.as_slice() else {
        panic!("{rejects:?}")
    };
    assert_eq!(
        (&unread["line"], &unread["reason"]),
        (&3.into(), &"MALFORMED".into())
    );
    assert_eq!(
        (&unread["refused_by"], &unread["event"]),
        (&"client".into(), &"no event".into())
    );
    assert_eq!(
        (&refused["line"], &refused["event_id"]),
        (&4.into(), &"b-bad".into())
    );
    assert_eq!(
        (&refused["refused_by"], &refused["field"]),
        (&"service".into(), &"event_id".into())
    );
    assert_eq!(
        refused["event"],
        serde_json::json!({"eventId": "b-bad", "revision": "3"})
    );
    assert_eq!(refused["file"], file.to_str().expect("UTF-8"));
}

#[tokio::test]
async fn the_exit_status_is_0_if_all_is_accepted() {
    let service = Service::start(|_| Plan::default()).await;
    let status = publish(&service, &[], &[&fixture("tnt-300-request-transport.json")]).await;
    assert!(is(status.expect("published"), 0));
    assert_eq!(came(&service), ["evt-trans-001-2026-01-20T12:30:00Z"]);
}

#[tokio::test]
async fn dcsa_is_told_by_its_looks_and_the_fallbacks_are_used() {
    let service = Service::start(|_| Plan::default()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("rejects.ndjson");
    let more = [
        "--facility=CNNBO/TEST",
        "--party=carrier=smdg:COS",
        "--rejects",
        out.to_str().expect("UTF-8"),
    ];
    let names = ["tnt-220-response.json", "tnt-ref-impl-events.json"];
    let files = names.map(fixture);
    let status = publish(&service, &more, &[&files[0], &files[1]])
        .await
        .expect("published");
    assert!(is(status, 2));
    let expected = std::fs::read_to_string(fixture("expected.tsv")).expect("a fixture");
    // Each file's refusals by default, less those that the fallbacks mend.
    let count = |options: &str, stage: &str| {
        let of_ours = |line: &&str| {
            let columns: Vec<_> = line.split('\t').collect();
            columns[0] == options && names.contains(&columns[1]) && columns[4] == stage
        };
        expected.lines().filter(of_ours).count()
    };
    let mended = count("fallback", "cell");
    assert_eq!(mended, 3);
    assert_eq!(rejects(&out).len(), count("default", "client") - mended);
    let sent = count("default", "cell") + count("default", "service") + mended;
    assert_eq!(came(&service).len(), sent);
    let reject = &rejects(&out)[0];
    assert_eq!(
        (&reject["index"], &reject["reason"]),
        (&1.into(), &"UNSUPPORTED".into())
    );
    assert_eq!(
        reject["event"]["eventID"],
        "3cecb101-7a1a-43a4-9d62-e88a131651e3"
    );
}

#[tokio::test]
async fn dcsa_events_may_be_one_a_line_and_a_retraction_finds_its_event_before_it() {
    let service = Service::start(|_| Plan::default()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("events.ndjson");
    let compact = |name: &str| {
        let value: Value =
            serde_json::from_slice(&std::fs::read(fixture(name)).expect("a fixture"))
                .expect("JSON");
        value.to_string()
    };
    let retraction = r#"{"metadata":{"eventID":"r","retractedEventID":"evt-resp-equip-001","eventCreatedDateTime":"2026-01-21T00:00:00Z"}}"#;
    let transport = compact("tnt-300-request-transport.json");
    let text = format!(
        "{transport}\n{{broken}}\n{}\n{retraction}\n",
        compact("tnt-300-response.json")
    );
    std::fs::write(&file, text).expect("written");
    let out = dir.path().join("rejects.ndjson");
    let more = ["--rejects", out.to_str().expect("UTF-8")];
    let status = publish(&service, &more, &[&file]).await.expect("published");
    assert!(is(status, 2));
    let trans = "evt-trans-001-2026-01-20T12:30:00Z";
    let equip = "evt-resp-equip-001";
    assert_eq!(came(&service), [trans, "evt-resp-trans-001", equip, equip]);
    let told: Vec<_> = rejects(&out)
        .iter()
        .map(|reject| {
            let at = reject["line"].as_u64().or(reject["index"].as_u64());
            format!(
                "{} {}",
                at.expect("a place"),
                reject["reason"].as_str().expect("a reason")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "2 MALFORMED",
            "1 NO_FACILITY",
            "4 UNSUPPORTED",
            "5 UNSUPPORTED"
        ]
    );
}

#[tokio::test]
async fn a_document_that_is_cut_off_fails_and_nothing_of_it_is_sent() {
    let service = Service::start(|_| Plan::default()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("cut.json");
    let text = std::fs::read(fixture("tnt-220-response.json")).expect("a fixture");
    std::fs::write(&file, &text[..text.len() / 2]).expect("written");
    let failed = publish(&service, &[], &[&file])
        .await
        .expect_err("a failure");
    let told = format!("{failed:#}");
    assert!(
        told.contains("cut.json") && told.contains("EOF while parsing"),
        "{told}"
    );
    assert_eq!(came(&service), Vec::<String>::new());
}

#[tokio::test]
async fn a_service_that_fails_is_an_error_that_names_what_was_acknowledged() {
    let fault = Fault::Status(Status::permission_denied("not you"));
    let plan = Plan {
        fault: Some((3, fault)),
        ..Plan::default()
    };
    let service = Service::start(move |_| plan.clone()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("events.ndjson");
    let text: String = (0..100)
        .map(|n| format!("{{\"eventId\":\"e{n}\"}}\n"))
        .collect();
    std::fs::write(&file, text).expect("written");
    let failed = publish(&service, &["--batch", "1"], &[&file])
        .await
        .expect_err("a failure");
    let told = format!("{failed:#}");
    assert!(told.contains("PermissionDenied: not you"), "{told}");
    assert!(told.contains("last event acknowledged: "), "{told}");
}

#[tokio::test]
async fn of_a_batch_that_was_cut_only_the_acknowledged_part_is_named() {
    let fault = Fault::Status(Status::permission_denied("not you"));
    let plan = Plan {
        batch_events_max: 2,
        credit: 2,
        fault: Some((6, fault)),
        ..Plan::default()
    };
    let service = Service::start(move |_| plan.clone()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("events.ndjson");
    let text: String = (1..=10)
        .map(|n| format!("{{\"eventId\":\"e{n}\"}}\n"))
        .collect();
    std::fs::write(&file, text).expect("written");
    let failed = publish(&service, &[], &[&file])
        .await
        .expect_err("a failure");
    let told = format!("{failed:#}");
    let last = format!("last event acknowledged: {}:4 e4", file.display());
    assert!(told.contains(&last), "{told}");
}

#[tokio::test]
async fn a_file_that_is_not_there_fails() {
    let service = Service::start(|_| Plan::default()).await;
    let failed = publish(&service, &[], &[Path::new("no-such-file")]).await;
    assert!(format!("{:#}", failed.expect_err("a failure")).contains("open no-such-file"));
}

#[test]
fn wrong_options_are_refused() {
    for wrong in [
        ["--facility", "CNNBO"],
        ["--party", "CARRIER"],
        ["--party", "SAILOR=smdg:COS"],
        ["--party", "CARRIER=COS"],
        ["--batch", "0"],
        ["--batch", "10001"],
        ["--format", "xml"],
    ] {
        let line = ["publish", "--source", "s"].into_iter().chain(wrong);
        assert!(Command::try_parse_from(line).is_err(), "{wrong:?}");
    }
}
