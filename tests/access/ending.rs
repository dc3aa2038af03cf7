//! What is open when credentials end.

use crate::place::{DEADLINE, arrivals, recently, until};
use crate::port::{Bearer, CALLERS, Port, Shown, callers, channel, publishing, reason, throughput};
use crate::service::Service;
use crate::signer::Signer;
use quaymeter::answers::instant;
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{self, StreamEventsRequest, StreamEventsResponse};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tonic::{Code, Status, Streaming};

/// What a watch tells.
pub type Watch = Streaming<pb::WatchThroughputResponse>;

/// It ended with its credentials.
pub fn ended(status: &Status) {
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(reason(status), ("CREDENTIALS_ENDED".into(), None));
}

/// Sends batches of ten trucks within the credit, for as long as they are taken.
async fn sending(say: mpsc::Sender<StreamEventsRequest>, mut granted: watch::Receiver<u64>) {
    for sequence in 1.. {
        let first = sequence as u32 * 10;
        // Without who hears there is no credit any more, and no stream.
        let enough = granted.wait_for(|granted| u64::from(first) <= *granted);
        if enough.await.is_err() {
            return;
        }
        let events = arrivals(first..first + 10);
        let batch = pb::StreamBatch { sequence, events };
        let message = Some(Say::Batch(batch));
        if say.send(StreamEventsRequest { message }).await.is_err() {
            return;
        }
    }
}

/// What was acknowledged until the end, and how it ended.
async fn heard(
    mut answers: Streaming<StreamEventsResponse>,
    grant: watch::Sender<u64>,
) -> (u64, Status) {
    let mut acknowledged = 0;
    let hearing = async {
        loop {
            match answers.message().await {
                Ok(Some(answer)) => match answer.message.unwrap() {
                    Hear::Ack(ack) => {
                        assert_eq!(ack.refused, 0);
                        acknowledged += u64::from(ack.accepted);
                        grant.send_replace(ack.granted_events);
                    }
                    other => panic!("{other:?}"),
                },
                Ok(None) => panic!("it ended without a word"),
                Err(status) => return status,
            }
        }
    };
    let status = tokio::time::timeout(DEADLINE, hearing).await.unwrap();
    (acknowledged, status)
}

/// Publishes, and brings its credentials' end about once something is counted: all that
/// was taken is acknowledged before the stream ends.
pub async fn publishes_to_the_end(
    port: &Port,
    service: &Service,
    bearer: Bearer,
    bring_about: impl FnOnce(),
) {
    let (say, answers) = publishing(service, bearer, "c").await.unwrap();
    let (grant, granted) = watch::channel(20_000);
    let sender = tokio::spawn(sending(say, granted));
    let hearing = tokio::spawn(heard(answers, grant));
    let mut asking = throughput(service, Bearer::of(port.operator())).await;
    let mut events = async || {
        let status = asking.get_status(pb::GetStatusRequest::default()).await;
        status.unwrap().into_inner().events
    };
    until("something is counted", async || events().await > 100).await;
    bring_about();
    let (acknowledged, status) = hearing.await.unwrap();
    ended(&status);
    sender.await.unwrap();
    // What was taken and not acknowledged would be counted too.
    until("all is counted", async || {
        events().await as u64 >= acknowledged
    })
    .await;
    assert_eq!(events().await as u64, acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_its_stream_once_all_that_was_taken_is_acknowledged() {
    let port = Port::new(CALLERS);
    let key = port.key("publisher");
    let service = port.serve(&[]);
    publishes_to_the_end(&port, &service, Bearer::of(&key), || port.revoke(&key)).await;
    service.stop();
}

/// Who may send ten events a second.
const SLOW: &str = r#"
[[callers]]
name = "slow"
keys = "all"
publish = { facilities = "all", enterprises = "all", vessel_calls = true }
quota = { events_per_s = 10, batch_events = 10 }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_turn_when_its_key_is_revoked_is_not_taken() {
    const STREAMS: u64 = 12;
    let port = Port::new(&format!("{CALLERS}{SLOW}"));
    let key = port.key("slow");
    let service = port.serve(&[]);
    let (mut open, mut hearing) = (Vec::new(), Vec::new());
    // A second's worth on each.
    for stream in 0..STREAMS {
        let opened = publishing(&service, Bearer::of(&key), &format!("c{stream}")).await;
        let (say, answers) = opened.unwrap();
        let first = stream as u32 * 10;
        let events = arrivals(first..first + 10);
        let message = Some(Say::Batch(pb::StreamBatch {
            sequence: 1,
            events,
        }));
        say.send(StreamEventsRequest { message }).await.unwrap();
        open.push(say);
        let (grant, _) = watch::channel(0);
        hearing.push(tokio::spawn(heard(answers, grant)));
    }
    let mut asking = throughput(&service, Bearer::of(port.operator())).await;
    let mut events = async || {
        let status = asking.get_status(pb::GetStatusRequest::default()).await;
        status.unwrap().into_inner().events as u64
    };
    until("something is counted", async || events().await >= 10).await;
    port.revoke(&key);
    let mut acknowledged = 0;
    for hearing in hearing {
        let (events, status) = hearing.await.unwrap();
        ended(&status);
        acknowledged += events;
    }
    assert!(acknowledged < 10 * STREAMS, "all was taken");
    until("what was acknowledged is counted", async || {
        events().await >= acknowledged
    })
    .await;
    assert_eq!(events().await, acknowledged);
    service.stop();
}

/// A watch that has told its first rows.
pub async fn watching(service: &Service, bearer: Bearer) -> Watch {
    watching_over(Shown::new(channel(service).await, bearer)).await
}

/// A watch of two days, by enterprise.
fn two_days() -> pb::WatchThroughputRequest {
    let at = recently();
    let query = pb::GetThroughputRequest {
        from: Some(instant(at - at.rem_euclid(86_400_000) - 86_400_000)),
        to: Some(instant(at - at.rem_euclid(86_400_000) + 86_400_000)),
        grain: pb::Grain::Hour.into(),
        group_by: vec![pb::Dimension::Enterprise.into()],
        ..pb::GetThroughputRequest::default()
    };
    pb::WatchThroughputRequest {
        query: Some(query),
        ..pb::WatchThroughputRequest::default()
    }
}

/// A watch, and the first that it tells.
async fn begun(
    line: Shown,
    request: pb::WatchThroughputRequest,
) -> (Watch, pb::WatchThroughputResponse) {
    let mut client = ThroughputServiceClient::new(line);
    let mut watch = client.watch_throughput(request).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    (watch, first)
}

/// The same over a connection that there is.
pub async fn watching_over(line: Shown) -> Watch {
    let (watch, first) = begun(line, two_days()).await;
    assert!(first.snapshot);
    watch
}

/// How a watch ends.
pub async fn end(mut watch: Watch) -> Status {
    let ending = async {
        loop {
            match watch.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a word"),
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(DEADLINE, ending).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_its_watches_and_no_others() {
    let port = Port::new(CALLERS);
    let (key, other) = (port.key("reader"), port.key("reader"));
    let service = port.serve(&[]);
    let watch = watching(&service, Bearer::of(&key)).await;
    let theirs = watching(&service, Bearer::of(&other)).await;
    port.revoke(&key);
    ended(&end(watch).await);
    // Until it is taken back as well.
    port.revoke(&other);
    ended(&end(theirs).await);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rights_end_what_is_open_and_hold_for_what_comes() {
    let port = Port::new(CALLERS);
    let key = port.key("reader");
    let service = port.serve(&[]);
    let watch = watching(&service, Bearer::of(&key)).await;
    port.rewrite(&CALLERS.replace("read = \"all\"", "operate = true"));
    ended(&end(watch).await);
    let mut asking = throughput(&service, Bearer::of(&key)).await;
    let request = pb::ListEnterprisesRequest::default();
    let status = asking.list_enterprises(request).await.unwrap_err();
    assert_eq!(reason(&status), ("NOT_ALLOWED".into(), Some("read".into())));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_what_it_opened_when_it_expires() {
    let signer = Signer::new("k");
    let port = Port::new("");
    let file = port.place.path("keys.json");
    std::fs::write(&file, signer.jwks()).unwrap();
    port.rewrite(&callers(&format!("jwks_file = {file:?}\nclock_skew_s = 0")));
    let service = port.serve(&[]);
    let mut claims = Signer::claims("reader");
    claims["exp"] = (jiff::Timestamp::now().as_second() + 4).into();
    let watch = watching(&service, Bearer::of(&signer.sign(&claims))).await;
    let started = std::time::Instant::now();
    ended(&end(watch).await);
    assert!(started.elapsed() < Duration::from_secs(30));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begins_anew_for_whoever_sees_more_than_what_he_was_told() {
    let few = CALLERS.replace(
        "read = \"all\"",
        "read = [{ enterprise = \"ygt:F1\", roles = \"all\" }]",
    );
    let port = Port::new(&few);
    let bearer = Bearer::of(&port.key("reader"));
    let service = port.serve(&[]);
    let line = Shown::new(channel(&service).await, bearer);
    let request = two_days();
    let (watch, first) = begun(line.clone(), request.clone()).await;
    assert!(first.snapshot);
    port.rewrite(CALLERS);
    ended(&end(watch).await);
    let resumed = |resume_token| pb::WatchThroughputRequest {
        resume_token,
        ..request.clone()
    };
    let (watch, anew) = begun(line.clone(), resumed(first.resume_token)).await;
    assert!(anew.snapshot);
    drop(watch);
    // Now that he sees all, he is told what changed since.
    let (_, then) = begun(line, resumed(anew.resume_token)).await;
    assert!(!then.snapshot);
    service.stop();
}
