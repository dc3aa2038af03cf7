//! Whose events a caller may send, and how many, over the real binary.

use crate::place::{arrivals, until};
use crate::port::{Bearer, Port, ingest, publishing};
use crate::service::Service;
use quaymeter::pb::stream_events_request::Message;
use quaymeter::pb::{
    self, PublishEventsRequest, PublishEventsResponse, Reason, StreamEventsRequest,
};
use quaymeter::status;
use std::time::{Duration, Instant};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const CALLERS: &str = r#"
[[callers]]
name = "gate"
keys = "all"
publish = { facilities = ["CNNBO/BLCT2"], enterprises = "all", vessel_calls = false }

[[callers]]
name = "depot"
keys = "all"
publish = { facilities = "all", enterprises = "all", vessel_calls = true }
quota = { events_per_s = 500, batch_events = 500 }

[[callers]]
name = "slow"
keys = "all"
publish = { facilities = "all", enterprises = "all", vessel_calls = true }
quota = { bytes_per_s = 10_000, batch_events = 5_000 }

[[callers]]
name = "operator"
keys = "all"
operate = true
"#;

async fn publish(
    service: &Service,
    key: &str,
    request: PublishEventsRequest,
) -> Result<PublishEventsResponse, Status> {
    let mut client = ingest(service, Bearer::of(key)).await;
    Ok(client.publish_events(request).await?.into_inner())
}

/// How long a refusal for this limit tells to wait.
fn told_to_wait(refused: &Status, limit: &str) -> Duration {
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(status::limit_of(refused).as_deref(), Some(limit));
    let retry = refused.get_details_retry_info().unwrap();
    retry.retry_delay.unwrap()
}

fn request(source: &str, numbers: std::ops::Range<u32>) -> PublishEventsRequest {
    PublishEventsRequest {
        source: source.into(),
        events: arrivals(numbers),
        ..PublishEventsRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sends_as_himself_and_what_he_may_not_is_refused_alone() {
    let port = Port::new(CALLERS);
    let (gate, depot) = (port.key("gate"), port.key("depot"));
    let service = port.serve(&[]);
    let mut mixed = request("", 0..3);
    mixed.events[1].facility = "CNNBO/BLCT3".into();
    let answer = publish(&service, &gate, mixed).await.unwrap();
    assert_eq!((answer.accepted, answer.refused), (2, 1));
    let refused = &answer.results[0];
    assert_eq!(refused.index, 1);
    let refusal = refused.refusal.as_ref().unwrap();
    assert_eq!(
        (refusal.reason(), &*refusal.field),
        (Reason::NotAllowed, "facility")
    );
    let counted = "quaymeter_events_refused_total{reason=\"not_allowed\"}";
    assert_eq!(port.metric(&service, counted) as u64, 1);
    // The same ids of another source are other events.
    let other = publish(&service, &depot, request("", 0..3)).await.unwrap();
    assert_eq!(other.accepted, 3);
    until("all are counted, each for itself", async || {
        port.metric(&service, "quaymeter_applied_offset ") >= 5.0
    })
    .await;
    let foreign = publish(&service, &gate, request("depot", 0..1)).await;
    assert_eq!(foreign.unwrap_err().code(), Code::PermissionDenied);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_over_his_quota_is_told_how_long_and_nobody_else_is() {
    let port = Port::new(CALLERS);
    let (gate, depot) = (port.key("gate"), port.key("depot"));
    let service = port.serve(&[]);
    let mut from = 0;
    let refused = loop {
        from += 500;
        match publish(&service, &depot, request("", from - 500..from)).await {
            Ok(answer) => assert_eq!(answer.accepted, 500),
            Err(refused) => break refused,
        }
    };
    let delay = told_to_wait(&refused, "events per second of this caller");
    let other = publish(&service, &gate, request("gate", 0..250)).await;
    assert_eq!(other.unwrap().accepted, 250);
    let _ = tokio::time::timeout(delay, std::future::pending::<()>()).await;
    let again = publish(&service, &depot, request("", from - 500..from)).await;
    assert_eq!(again.unwrap().accepted, 500);
    let counted = "quaymeter_discarded_total{reason=\"events_per_second_of_this_caller\"}";
    assert_eq!(port.metric(&service, counted) as u64, 1);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_to_wait_is_not_even_read_before() {
    let port = Port::new(CALLERS);
    let depot = port.key("depot");
    let service = port.serve(&[]);
    loop {
        let full = publish(&service, &depot, request("", 0..500)).await;
        let Err(refused) = full else { continue };
        let told = Instant::now();
        let delay = told_to_wait(&refused, "events per second of this caller");
        // Of this, whoever reads it says that it is too much for ever.
        let early = publish(&service, &depot, request("", 0..501)).await;
        match early.unwrap_err().code() {
            Code::ResourceExhausted => break,
            code => assert!(told.elapsed() >= delay, "{code:?}"),
        }
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_too_much_of_his_waits_he_opens_no_stream_and_others_do() {
    let port = Port::new(CALLERS);
    let (slow, gate) = (port.key("slow"), port.key("gate"));
    let service = port.serve(&[]);
    let opened = publishing(&service, Bearer::of(&slow), "first").await;
    let (say, _hear) = opened.unwrap();
    // The last is more than what ever goes: it is told so when its turn comes, and until
    // then waits like all others.
    let batches = (1..=40).map(|n| (n, arrivals(n * 10..n * 10 + 10)));
    for (sequence, events) in batches.chain([(41, arrivals(1_000..5_500))]) {
        let sequence = u64::from(sequence);
        let batch = Message::Batch(pb::StreamBatch { sequence, events });
        let message = Some(batch);
        say.send(StreamEventsRequest { message }).await.unwrap();
    }
    let mut refused = None;
    until("a stream is refused", async || {
        let opened = publishing(&service, Bearer::of(&slow), "second").await;
        refused = opened.err();
        refused.is_some()
    })
    .await;
    let delay = told_to_wait(&refused.unwrap(), "bytes per second of this caller");
    assert!(delay >= Duration::from_secs(1), "{delay:?}");
    let other = publishing(&service, Bearer::of(&gate), "first").await;
    assert!(other.is_ok());
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_number_of_his_own_is_held_to_that_of_the_service() {
    let port = Port::new(CALLERS);
    let (gate, depot) = (port.key("gate"), port.key("depot"));
    for (setting, most) in [
        (&["--limits-caller-events-per-s", "200"][..], 200),
        (&["--limits-caller-batch-events", "2000"], 2_000),
        (&[], 250),
    ] {
        let service = port.serve(setting);
        let taken = publish(&service, &gate, request("", 0..most)).await;
        assert_eq!(taken.unwrap().accepted, most);
        // More at once than what he may in a second could never be sent.
        too_many(&service, &gate, most).await;
        let own = publish(&service, &depot, request("", 0..500)).await;
        assert_eq!(own.unwrap().accepted, 500);
        too_many(&service, &depot, 500).await;
        service.stop();
    }
    let service = port.serve(&["--limits-caller-events-per-s", "0"]);
    let all = publish(&service, &gate, request("", 0..10_000)).await;
    assert_eq!(all.unwrap().accepted, 10_000);
    service.stop();
}

/// Sends one more than the most, which is read in vain.
async fn too_many(service: &Service, key: &str, most: u32) {
    let refused = publish(service, key, request("", 0..most + 1)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let expected = format!("1 to {most} events");
    assert!(refused.message().contains(&expected), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_taken_is_read_no_oftener_than_what_can() {
    let port = Port::new(CALLERS);
    let (gate, depot) = (port.key("gate"), port.key("depot"));
    let service = port.serve(&[]);
    let foreign = async || {
        let foreign = publish(&service, &depot, request("gate", 0..1)).await;
        assert_eq!(foreign.unwrap_err().code(), Code::PermissionDenied);
    };
    foreign().await;
    waits(&service, &depot, &gate).await;
    too_many(&service, &depot, 500).await;
    waits(&service, &depot, &gate).await;
    // It is not even decoded.
    let many = publish(&service, &depot, request("", 0..10_001)).await;
    assert_eq!(many.unwrap_err().code(), Code::InvalidArgument);
    waits(&service, &depot, &gate).await;
    let batch = |sequence, count| {
        let events = arrivals(0..count);
        let message = Some(Message::Batch(pb::StreamBatch { sequence, events }));
        StreamEventsRequest { message }
    };
    for batches in [
        &[batch(1, 501)][..],
        &[batch(1, 1), batch(1, 1)],
        &[batch(1, 10_001)],
    ] {
        let opened = publishing(&service, Bearer::of(&depot), "first").await;
        let (say, mut hear) = opened.unwrap();
        for batch in batches {
            say.send(batch.clone()).await.unwrap();
        }
        while let Ok(Some(_)) = hear.message().await {}
        waits(&service, &depot, &gate).await;
    }
    for (source, client_id) in [("gate", "first"), ("", "")] {
        let open = pb::StreamOpen {
            source: source.into(),
            client_id: client_id.into(),
            ..pb::StreamOpen::default()
        };
        let message = Some(Message::Open(open));
        let opening = tokio_stream::once(StreamEventsRequest { message });
        let mut client = ingest(&service, Bearer::of(&depot)).await;
        let mut hear = client.stream_events(opening).await.unwrap().into_inner();
        hear.message().await.unwrap_err();
        waits(&service, &depot, &gate).await;
    }
    service.stop();
}

/// One has to wait before he calls or opens a stream, another has not; then he waits.
async fn waits(service: &Service, key: &str, other: &str) {
    let limit = "refused messages of this caller";
    let stream = publishing(service, Bearer::of(key), "second").await;
    told_to_wait(&stream.err().unwrap(), limit);
    let early = publish(service, key, request("", 0..1)).await;
    let delay = told_to_wait(&early.unwrap_err(), limit);
    assert!(delay <= Duration::from_secs(1), "{delay:?}");
    assert_eq!(
        publish(service, other, request("", 0..1))
            .await
            .unwrap()
            .accepted,
        1
    );
    let _ = tokio::time::timeout(delay, std::future::pending::<()>()).await;
    assert_eq!(
        publish(service, key, request("", 0..1))
            .await
            .unwrap()
            .accepted,
        1
    );
}
