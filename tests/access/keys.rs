//! API keys from end to end: made, listed and taken back by commands, shown to the
//! service, and seen by nobody else.

use crate::place::{arrivals, text, until};
use crate::port::{Bearer, CALLERS, Port, id, ingest, page, reason, throughput};
use crate::service::{Service, quaymeter};
use quaymeter::pb::{GetStatusRequest, PublishEventsRequest};
use std::os::unix::fs::PermissionsExt as _;
use tonic::{Code, Status};

/// What becomes of a batch of one event.
async fn publish(service: &Service, bearer: Bearer) -> Result<u32, Status> {
    let request = PublishEventsRequest {
        source: "publisher".into(),
        events: arrivals(0..1),
        ..PublishEventsRequest::default()
    };
    let answer = ingest(service, bearer).await.publish_events(request).await;
    answer.map(|answer| answer.into_inner().accepted)
}

fn unauthenticated(told: Result<u32, Status>) {
    let status = told.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(reason(&status), ("UNAUTHENTICATED".into(), None));
    assert_eq!(
        status.message(),
        "credentials that are known here are needed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_shown_listed_and_taken_back() {
    let port = Port::new(CALLERS);
    let made = port.keys(&["create", "publisher", "--expires", "90d"]);
    let (key, told) = text(&made);
    let key = key.trim();
    assert!(key.starts_with("qm_") && key.len() == 66, "{key:?}");
    assert!(told.contains("it is shown this once"), "{told}");
    let service = port.serve(&[]);
    assert_eq!(publish(&service, Bearer::of(key)).await.unwrap(), 1);
    let listed = text(&port.keys(&["list", "--format", "json"])).0;
    assert!(
        listed.contains(id(key)) && listed.contains("\"state\":\"good\""),
        "{listed}"
    );
    assert!(!listed.contains(key), "{listed}");
    port.revoke(key);
    until("the key is good no more", async || {
        publish(&service, Bearer::of(key)).await.is_err()
    })
    .await;
    unauthenticated(publish(&service, Bearer::of(key)).await);
    let listed = text(&port.keys(&["list"])).0;
    assert!(listed.contains("revoked"), "{listed}");
    assert!(
        port.metric(
            &service,
            "quaymeter_unauthenticated_total{cause=\"key_revoked\"} "
        ) >= 1.0
    );
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_key_is_refused_without_a_hint() {
    let port = Port::new(CALLERS);
    let key = port.key("publisher");
    let service = port.serve(&[]);
    let other = Port::new(CALLERS).key("publisher");
    let mistyped = key.replace(id(&key), "0123456789ab");
    let last = key.char_indices().last().unwrap().0;
    for (cause, bearer) in [
        ("missing", Bearer::none()),
        ("key_unknown", Bearer::of(&other)),
        ("key_mistyped", Bearer::of(&mistyped)),
        ("malformed", Bearer::of(&key[..last])),
        ("malformed", Bearer::of("")),
        ("too_long", Bearer::of(&"a".repeat(9000))),
    ] {
        unauthenticated(publish(&service, bearer).await);
        let counter = format!("quaymeter_unauthenticated_total{{cause=\"{cause}\"}} ");
        assert!(port.metric(&service, &counter) >= 1.0, "{cause}");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_callers_file_whoever_reaches_the_port_may_do_everything() {
    let port = Port::new(CALLERS);
    let service = port.place.serve(&[]);
    for bearer in [Bearer::none(), Bearer::of("whatever")] {
        assert_eq!(publish(&service, bearer.clone()).await.unwrap(), 1);
        let mut asking = throughput(&service, bearer).await;
        asking
            .get_status(GetStatusRequest::default())
            .await
            .unwrap();
    }
    service.stop();
}

/// What a service says that does not start.
#[track_caller]
fn refused_start(port: &Port) -> String {
    let settings = port.settings();
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let mut command = port.place.command("127.0.0.1:0", &settings);
    let output = command.output().unwrap();
    let (out, err) = text(&output);
    assert_eq!((output.status.code(), &*out), (Some(1), ""));
    err
}

#[test]
fn a_key_file_that_others_may_read_stops_a_start() {
    let port = Port::new(CALLERS);
    port.key("reader");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(port.key_file(), open).unwrap();
    let err = refused_start(&port);
    assert!(
        err.contains("are open to others (mode 644), expected mode 600"),
        "{err}"
    );
}

#[test]
fn a_faulty_callers_file_stops_a_start_with_every_fault() {
    let port = Port::new("[[callers]]\nname = \"a b\"\nread = \"some\"\n");
    let err = refused_start(&port);
    for fault in [
        "callers[0].name: found \"a b\"",
        "callers[0].read: found \"some\"",
    ] {
        assert!(err.contains(fault), "{err}");
    }
}

#[test]
fn keys_are_in_the_data_directory_by_default() {
    let port = Port::new(CALLERS);
    let data = port.place.data();
    let mut command = quaymeter();
    command
        .args(["keys", "create", "reader", "--data-dir"])
        .arg(&data);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", text(&made).1);
    let file = data.join("callers.keys");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let callers = port.callers();
    let service = port.place.serve(&["--callers", callers.to_str().unwrap()]);
    service.stop();
}

#[test]
fn the_metrics_are_for_who_may_operate() {
    let port = Port::new(CALLERS);
    let (reader, operator) = (port.key("reader"), port.key("operator"));
    let service = port.serve(&[]);
    let status = |token: Option<&str>| page(&service, token).0;
    assert_eq!(status(None), 401);
    assert_eq!(status(Some("qm_nobodys")), 401);
    assert_eq!(status(Some(&reader)), 403);
    assert_eq!(status(Some(&operator)), 200);
    service.stop();
}
