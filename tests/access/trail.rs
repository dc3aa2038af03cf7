//! The audit trail over the real binary: what is done by whom stands in it, whole, and
//! what is changed in it afterwards is found.

use crate::ending::{end, ended, watching};
use crate::noted::{changed, each, records, trail};
use crate::place::{QUARTER_MS, arrivals, get, text, until};
use crate::port::{Bearer, CALLERS, Port, id, ingest, page, throughput};
use crate::service::{Service, quaymeter};
use quaymeter::pb::{
    GetStatusRequest, GetThroughputRequest, ListTopEnterprisesRequest, Measure,
    PublishEventsRequest, Role,
};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use tonic::Code;

fn directory(port: &Port) -> PathBuf {
    port.place.data().join("trail")
}

fn verified(port: &Port, heads: &[&str]) -> (i32, String) {
    let heads = heads.iter().flat_map(|head| ["--head", head]);
    let arguments: Vec<_> = ["verify"].into_iter().chain(heads).collect();
    let verified = trail(&port.place, &arguments);
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
    let watch = watching(service, Bearer::of(gone)).await;
    port.revoke(gone);
    ended(&end(watch).await);
    // Once: of two there might be two records.
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
    // One that was answered before it was refused.
    let watched = [("caller", "reader"), ("method", "WatchThroughput")];
    one(kept, &[&[("kind", "read")], &watched[..]].concat());
    let broken_off = refused(&watched);
    assert_eq!(broken_off["code"], "Unauthenticated");
    assert_eq!(broken_off["reason"], "CREDENTIALS_ENDED");
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
    let commands = records(&port.place, &["--chain", "commands"]);
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
    let after = records(&port.place, &["--chain", "commands"]);
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
    let kept = records(&port.place, &[]);
    answers_and_refusals(&kept);
    loads(&kept, id(&shown[2]));
    changes(&port, id(&shown[2]));
}

/// A command that makes a key.
fn making(port: &Port, caller: &str) -> Child {
    let mut command = quaymeter();
    command.args(["keys", "create", caller]);
    command.args(port.settings());
    command.arg("--data-dir").arg(port.place.data());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_could_not_be_written_is_noted_as_one_that_failed() {
    let port = Port::new(CALLERS);
    port.key("reader");
    let file = port.key_file();
    let before = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    // What is read from a pipe ends when we say so.
    mkfifoat(CWD, file.as_path(), Mode::RUSR | Mode::WUSR).unwrap();
    let making = making(&port, "publisher");
    let mut options = File::options();
    options
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32);
    let mut pipe = None;
    until("the keys are being read", async || {
        // Nobody can write what nobody reads.
        pipe = options.open(&file).ok();
        pipe.is_some()
    })
    .await;
    // A directory: no file comes in its place.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    pipe.unwrap().write_all(&before).unwrap();
    let made = making.wait_with_output().unwrap();
    assert!(!made.status.success(), "{}", text(&made).0);
    let commands = changed(&port.place, "commands", "api_key");
    assert_eq!(each(&commands, "action"), ["create", "create", "fail"]);
    assert_eq!(each(&commands, "failed"), ["", "", "create"]);
    for field in ["id", "caller", "expires"] {
        assert_eq!(commands[1][field], commands[2][field], "{field}");
    }
    assert_eq!(commands[2]["caller"], "publisher");
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
    let kept = records(&port.place, &[]);
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
        !records(&port.place, &["--kind", "refused"]).is_empty()
    })
    .await;
    service.kill();
    port.serve(&[]).stop();
    let (status, told) = verified(&port, &[]);
    assert_eq!(status, 0, "{told}");
    let started = records(&port.place, &["--kind", "started"]);
    let clean: Vec<_> = started.iter().map(|record| &record["clean"]).collect();
    assert_eq!(clean, [true, false]);
    assert_eq!(records(&port.place, &["--kind", "stopped"]).len(), 1);
    assert_eq!(records(&port.place, &["--caller", "reader"]).len(), 1);
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
