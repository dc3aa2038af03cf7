//! The audit trail over the real binary: what is done by whom stands in it, whole, and
//! what is changed in it afterwards is found.

use crate::place::{QUARTER_MS, arrivals, get, text, until};
use crate::port::{Bearer, CALLERS, Port, id, ingest, page, throughput};
use crate::service::{Service, quaymeter};
use quaymeter::pb::{
    GetStatusRequest, GetThroughputRequest, ListTopEnterprisesRequest, Measure,
    PublishEventsRequest, Role,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use tonic::Code;

fn directory(port: &Port) -> PathBuf {
    port.place.data().join("trail")
}

fn trail(port: &Port, arguments: &[&str]) -> Output {
    let mut command = quaymeter();
    command.arg("trail").args(arguments);
    command.arg("--data-dir").arg(port.place.data());
    command.output().unwrap()
}

/// The records of a chain that a command shows.
fn records(port: &Port, arguments: &[&str]) -> Vec<Value> {
    let all = [&["show", "--json", "--last", "0"], arguments].concat();
    let shown = trail(port, &all);
    let (out, err) = text(&shown);
    assert!(shown.status.success(), "{err}");
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn verified(port: &Port, heads: &[&str]) -> (i32, String) {
    let heads = heads.iter().flat_map(|head| ["--head", head]);
    let arguments: Vec<_> = ["verify"].into_iter().chain(heads).collect();
    let verified = trail(port, &arguments);
    let (out, err) = text(&verified);
    (verified.status.code().unwrap(), out + &err)
}

/// The only one with these fields.
fn one<'a>(records: &'a [Value], fields: &[(&str, &str)]) -> &'a Value {
    let is = |record: &&Value| fields.iter().all(|(name, value)| record[name] == **value);
    let found: Vec<_> = records.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{fields:?} in {records:#?}");
    found[0]
}

/// One good event and one that is refused.
async fn publish(service: &Service, bearer: Bearer, source: &str) -> Result<u32, Code> {
    let mut events = arrivals(0..2);
    events[1].facility = "nowhere at all".into();
    let request = PublishEventsRequest {
        source: source.into(),
        events,
        ..PublishEventsRequest::default()
    };
    let answer = ingest(service, bearer).await.publish_events(request).await;
    answer
        .map(|answer| answer.into_inner().accepted)
        .map_err(|status| status.code())
}

/// Keys of the publisher, a reader, and a reader whose key is taken back.
type Shown = [String; 3];

/// Some calls that are answered, and some that are not.
async fn calls(port: &Port, service: &Service, [publisher, reader, gone]: &Shown) {
    for _ in 0..3 {
        let sent = publish(service, Bearer::of(publisher), "").await;
        assert_eq!(sent, Ok(1));
    }
    let foreign = publish(service, Bearer::of(publisher), "tos").await;
    assert_eq!(foreign, Err(Code::PermissionDenied));
    let not_his = publish(service, Bearer::of(reader), "").await;
    assert_eq!(not_his, Err(Code::PermissionDenied));
    let mut client = throughput(service, Bearer::of(reader)).await;
    let question = GetThroughputRequest {
        from: Some(quaymeter::answers::instant(0)),
        at_least: "what is no token".into(),
        ..GetThroughputRequest::default()
    };
    client.get_throughput(question).await.unwrap_err();
    let status = GetStatusRequest::default();
    for _ in 0..2 {
        client.get_status(status.clone()).await.unwrap();
    }
    let mut client = throughput(service, Bearer::of(gone)).await;
    client.get_status(status.clone()).await.unwrap();
    port.revoke(gone);
    until("the key is good no more", async || {
        client.get_status(status.clone()).await.is_err()
    })
    .await;
    // That one may have been under way when the key ended; this one comes with it.
    let refused = client.get_status(status).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(page(service, Some(port.operator())).0, 200);
    assert_eq!(page(service, Some(reader)).0, 403);
    assert_eq!(page(service, None).0, 401);
}

fn answers_and_refusals(kept: &[Value]) {
    let sent = one(kept, &[("kind", "sent")]);
    assert_eq!(sent["source"], "publisher");
    assert_eq!(
        (&sent["batches"], &sent["accepted"], &sent["refused"]),
        (&3.into(), &3.into(), &3.into())
    );
    assert_eq!(
        sent["reasons"].as_object().unwrap().values().next(),
        Some(&3.into())
    );
    let refused = |fields: &[(&str, &str)]| {
        let all = [&[("kind", "refused")], fields].concat();
        let record = one(kept, &all);
        assert_eq!(record["peer"], "127.0.0.1");
        record
    };
    refused(&[
        ("caller", "publisher"),
        ("method", "PublishEvents"),
        ("reason", "NOT_ALLOWED"),
    ]);
    let lacks = [
        ("caller", "reader"),
        ("method", "PublishEvents"),
        ("cause", "publish"),
    ];
    refused(&lacks);
    refused(&[
        ("method", "GetStatus"),
        ("code", "Unauthenticated"),
        ("cause", "key_revoked"),
    ]);
    refused(&[
        ("caller", "reader"),
        ("method", "GetThroughput"),
        ("code", "InvalidArgument"),
    ]);
    refused(&[("method", "metrics"), ("caller", "reader"), ("code", "403")]);
    refused(&[("method", "metrics"), ("code", "401"), ("cause", "missing")]);
    one(
        kept,
        &[
            ("kind", "read"),
            ("method", "metrics"),
            ("caller", "operator"),
        ],
    );
}

fn loads(kept: &[Value], gone: &str) {
    let loaded: Vec<_> = kept
        .iter()
        .filter(|record| record["of"] == "callers")
        .collect();
    assert_eq!(
        loaded.len(),
        2,
        "at the start and after the key was revoked"
    );
    let ended = loaded[1]["credentials_ended"].as_str().unwrap();
    assert_eq!(ended, format!("reader=key:{gone}"));
    one(kept, &[("of", "pseudonym_key"), ("action", "load")]);
}

fn changes(port: &Port, gone: &str) {
    let commands = records(port, &["--chain", "commands"]);
    let created: Vec<_> = commands
        .iter()
        .filter(|record| record["action"] == "create")
        .collect();
    assert_eq!(created.len(), 4, "{commands:#?}");
    let revoked = one(&commands, &[("action", "revoke")]);
    assert_eq!(
        (&revoked["id"], &revoked["caller"]),
        (&gone.into(), &"reader".into())
    );
    assert!(revoked["uid"].is_string());
    let none = port.keys(&["revoke", "000000000000"]);
    assert!(!none.status.success());
    let after = records(port, &["--chain", "commands"]);
    assert_eq!(after.len(), commands.len(), "nothing was about to be done");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_stands_in_the_trail() {
    let port = Port::new(CALLERS);
    let shown: Shown = ["publisher", "reader", "reader"].map(|of| port.key(of));
    let service = port.serve(&[]);
    calls(&port, &service, &shown).await;
    service.stop();
    let (status, told) = verified(&port, &[]);
    assert_eq!(status, 0, "{told}");
    let kept = records(&port, &[]);
    answers_and_refusals(&kept);
    loads(&kept, id(&shown[2]));
    changes(&port, id(&shown[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_kept_by_callers_and_of_anyone() {
    let port = Port::new("");
    let service = port.place.serve(&[]);
    let mut client = throughput(&service, Bearer::none()).await;
    let now = jiff::Timestamp::now().as_millisecond() / QUARTER_MS * QUARTER_MS;
    let question = |facility: &str| ListTopEnterprisesRequest {
        facilities: vec![facility.into()],
        role: Role::Carrier.into(),
        measure: Measure::ThroughputBoxes.into(),
        from: Some(quaymeter::answers::instant(now - QUARTER_MS)),
        to: Some(quaymeter::answers::instant(now)),
        ..Default::default()
    };
    for facility in ["CNNBO/BLCT2", "CNNBO/BLCT2", "CNNBO/BLCT3"] {
        client
            .list_top_enterprises(question(facility))
            .await
            .unwrap();
    }
    assert_eq!(get(&service.http, "/metrics").0, 200);
    service.stop();
    let kept = records(&port, &[]);
    one(
        &kept,
        &[
            ("kind", "read"),
            ("method", "metrics"),
            ("peer", "127.0.0.1"),
        ],
    );
    let of = |record: &&Value| record["method"] == "ListTopEnterprises";
    let asked: Vec<_> = kept.iter().filter(of).collect();
    let told = |record: &&Value| {
        let asked = record["asked"].as_str().unwrap().to_owned();
        (record["times"].as_u64().unwrap(), asked)
    };
    let mut found: Vec<_> = asked.iter().map(told).collect();
    found.sort();
    let [(1, once), (2, twice)] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(once.contains("\"CNNBO/BLCT3\""), "{once}");
    assert!(twice.contains("\"CNNBO/BLCT2\""), "{twice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_killed_leaves_a_whole_trail_that_says_so() {
    let port = Port::new(CALLERS);
    let reader = port.key("reader");
    let service = port.serve(&[]);
    let refused = publish(&service, Bearer::of(&reader), "").await;
    assert_eq!(refused, Err(Code::PermissionDenied));
    until("the refusal is written", async || {
        !records(&port, &["--kind", "refused"]).is_empty()
    })
    .await;
    service.kill();
    port.serve(&[]).stop();
    let (status, told) = verified(&port, &[]);
    assert_eq!(status, 0, "{told}");
    let started = records(&port, &["--kind", "started"]);
    let clean: Vec<_> = started.iter().map(|record| &record["clean"]).collect();
    assert_eq!(clean, [true, false]);
    assert_eq!(records(&port, &["--kind", "stopped"]).len(), 1);
    assert_eq!(records(&port, &["--caller", "reader"]).len(), 1);
}

fn first_file(directory: &Path) -> PathBuf {
    directory.join("service-00000001.ndjson")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_cut_off_or_removed_is_found() {
    let port = Port::new(CALLERS);
    port.serve(&[]).stop();
    let (status, told) = verified(&port, &[]);
    assert_eq!(status, 0, "{told}");
    let heads: Vec<_> = told
        .lines()
        .filter_map(|line| line.trim().strip_prefix("head "))
        .collect();
    assert_eq!(heads.len(), 2, "{told}");
    assert_eq!(verified(&port, &heads).0, 0);
    // Each of them, also beside another of the same number.
    let (number, _) = heads[0].split_once(':').unwrap();
    let forged = format!("{number}:{}", "0".repeat(64));
    let (status, told) = verified(&port, &[heads[0], &forged]);
    assert_eq!(status, 2, "{told}");
    let path = first_file(&directory(&port));
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        whole.replacen("\"clean\":true", "\"clean\":false", 1),
    )
    .unwrap();
    let (status, told) = verified(&port, &heads);
    assert_eq!(status, 2, "{told}");
    assert!(
        told.contains("service: BROKEN") && told.contains(", line 2: its hash"),
        "{told}"
    );
    let cut = whole.trim_end().rsplit_once('\n').unwrap().0;
    fs::write(&path, format!("{cut}\n")).unwrap();
    assert_eq!(
        verified(&port, &[]).0,
        0,
        "a chain without its end is whole"
    );
    assert_eq!(verified(&port, &heads).0, 2);
    fs::remove_file(&path).unwrap();
    let (status, told) = verified(&port, &heads);
    assert_eq!(status, 2, "{told}");
    fs::write(&path, &whole).unwrap();
    assert_eq!(verified(&port, &heads).0, 0);
    let (status, told) = verified(&port, &["service=1:00"]);
    assert_eq!(status, 1, "{told}");
}
