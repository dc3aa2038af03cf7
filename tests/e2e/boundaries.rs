//! What a client meets at the edges of the protocol.

use crate::place::{
    Place, acknowledged, arrivals, caught_up, channel, counted, get, ingest, published, queries,
    retraction, trucks_in, until,
};
use crate::stream::{Stream, batch, opening};
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::{self, Event};
use quaymeter::view::position::Position;
use tonic::{Code, Request, Status};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;

/// Code, stable reason, and the field that is wrong, if one is.
fn told(status: &Status) -> (Code, String, String) {
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "quaymeter");
    let field = details
        .bad_request()
        .and_then(|bad| bad.field_violations.first());
    let field = field.map_or(String::new(), |violation| violation.field.clone());
    (status.code(), info.reason.clone(), field)
}

fn invalid(field: &str) -> (Code, String, String) {
    (Code::InvalidArgument, "INVALID_FIELD".into(), field.into())
}

/// The smallest events: retractions of what never was.
fn small(events: usize) -> Vec<Event> {
    (0..events)
        .map(|n| retraction(&format!("r{n}"), 0))
        .collect()
}

/// Events that are refused, at some length.
fn nameless(events: usize) -> Vec<Event> {
    vec![retraction("", 0); events]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_no_batch_is_refused_whole() {
    let place = Place::new();
    let service = place.serve(&["--limits-batch-events", "100"]);
    let mut client = ingest(&service.grpc).await;
    for (source, events, field) in [
        ("tos", 0, "events"),
        ("tos", 101, "events"),
        ("", 1, "source"),
        ("a b", 1, "source"),
        ("港", 1, "source"),
        (&*"s".repeat(65), 1, "source"),
    ] {
        let request = pb::PublishEventsRequest {
            source: source.into(),
            events: small(events),
            ..Default::default()
        };
        let refused = client.publish_events(request).await.unwrap_err();
        assert_eq!(told(&refused), invalid(field), "{source:?}, {events}");
    }
    let request = pb::PublishEventsRequest {
        source: "s".repeat(64),
        events: small(100),
        ..Default::default()
    };
    let answer = client.publish_events(request).await.unwrap().into_inner();
    assert_eq!((answer.accepted, answer.refused), (100, 0));
    counted(&service.grpc, 100).await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_the_protocol_is_ended_with_the_field_that_is_wrong() {
    let place = Place::new();
    let service = place.serve(&["--limits-batch-events", "100"]);
    for (first, field) in [
        (batch(1, small(1)), "message"),
        (opening(""), "client_id"),
        (opening("a/b"), "client_id"),
    ] {
        let mut stream = Stream::silent(&service.grpc).await;
        stream.say(first).await;
        let refused = stream.hear().await.unwrap_err();
        assert_eq!(told(&refused), invalid(field));
    }
    for (client, then, field) in [
        ("twice", opening("twice"), "message"),
        ("same", batch(7, small(1)), "batch.sequence"),
        ("less", batch(6, small(1)), "batch.sequence"),
        ("empty", batch(8, vec![]), "events"),
        ("large", batch(8, small(101)), "events"),
    ] {
        let (mut stream, opened) = Stream::open(&service.grpc, client).await;
        assert_eq!(opened.batch_events_max, 100);
        stream.batch(7, small(3)).await;
        stream.say(then).await;
        let (acks, end) = stream.rest().await;
        assert_eq!(told(&end.unwrap_err()), invalid(field), "{client}");
        let last = acks.last().expect("what came before is acknowledged");
        assert_eq!((last.sequence, last.accepted), (7, 3), "{client}");
    }
    let (mut stream, _) = Stream::open(&service.grpc, "zero").await;
    stream.batch(0, small(1)).await;
    let refused = stream.hear().await.unwrap_err();
    assert_eq!(told(&refused), invalid("batch.sequence"));
    // Gaps are allowed.
    let (mut stream, _) = Stream::open(&service.grpc, "gaps").await;
    for sequence in [5, 6, u64::MAX] {
        stream.batch(sequence, small(1)).await;
    }
    stream.acks(u64::MAX).await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_credit_a_stream_is_ended_once_all_before_is_acknowledged() {
    const BATCHES: u64 = 40;
    const EVENTS: usize = 5_000;
    let place = Place::new();
    let service = place.serve(&["--limits-stream-credit-events", "10000"]);
    let (mut stream, opened) = Stream::open(&service.grpc, "c1").await;
    assert_eq!(opened.granted_events, 10_000);
    // The answers are so long that they pile up unread, and without them being
    // taken no credit is granted.
    let sender = stream.sender();
    let sending = tokio::spawn(async move {
        for sequence in 1..=BATCHES {
            sender.say(batch(sequence, nameless(EVENTS))).await;
        }
    });
    let violations = "quaymeter_credit_violations_total 1";
    until("it is beyond its credit", async || {
        let (_, page) = get(&service.http, "/metrics");
        page.lines().any(|line| line == violations)
    })
    .await;
    let (acks, end) = stream.rest().await;
    let refused = end.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(
        told(&refused),
        (Code::ResourceExhausted, "OVERLOADED".into(), String::new())
    );
    let details = refused.get_error_details();
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    assert!(delay.is_some_and(|delay| !delay.is_zero()), "{details:?}");
    let last = acks
        .last()
        .expect("what came before is acknowledged")
        .sequence;
    assert!((2..BATCHES).contains(&last), "{last}");
    let told: Vec<_> = acks.iter().flat_map(|ack| &ack.results).collect();
    let sequences: Vec<u64> = told.iter().map(|batch| batch.sequence).collect();
    assert_eq!(sequences, (1..=last).collect::<Vec<_>>());
    assert!(told.iter().all(|batch| batch.results.len() == EVENTS));
    let (_, page) = get(&service.http, "/metrics");
    let taken = format!("quaymeter_batches_total{{method=\"StreamEvents\"}} {last}");
    assert!(page.lines().any(|found| found == taken), "no {taken}");
    sending.await.unwrap();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_within_his_credit_is_told_everything_once_he_does() {
    const BATCHES: u32 = 40;
    const EVENTS: u32 = 500;
    let place = Place::new();
    let service = place.serve(&[]);
    let (mut stream, opened) = Stream::open(&service.grpc, "slow").await;
    assert_eq!(opened.granted_events, u64::from(BATCHES * EVENTS));
    for n in 0..BATCHES {
        // The refused half makes for more to tell than any window holds.
        let mut events = nameless(EVENTS as usize / 2);
        events.extend(arrivals(n * EVENTS / 2..(n + 1) * EVENTS / 2));
        stream.batch(u64::from(n) + 1, events).await;
    }
    // Another client is not held up by it.
    published(&service.grpc, small(10)).await;
    let acks = stream.acks(u64::from(BATCHES)).await;
    let sum = |of: fn(&pb::StreamAck) -> u32| acks.iter().map(of).sum::<u32>();
    let half = BATCHES * EVENTS / 2;
    assert_eq!(
        (sum(|ack| ack.accepted), sum(|ack| ack.refused)),
        (half, half)
    );
    let told: Vec<_> = acks.iter().flat_map(|ack| &ack.results).collect();
    assert_eq!(told.len(), BATCHES as usize);
    for (batch, sequence) in told.iter().zip(1..) {
        let indices: Vec<u32> = batch.results.iter().map(|result| result.index).collect();
        assert_eq!(batch.sequence, sequence);
        assert_eq!(indices, (0..EVENTS / 2).collect::<Vec<_>>());
    }
    let granted: Vec<u64> = acks.iter().map(|ack| ack.granted_events).collect();
    assert!(granted.is_sorted(), "{granted:?}");
    assert_eq!(granted.last(), Some(&u64::from(2 * BATCHES * EVENTS)));
    caught_up(&service.grpc).await;
    assert_eq!(trucks_in(&service.grpc).await, i64::from(half));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_stream_of_the_same_client_ends_the_older_one() {
    let place = Place::new();
    let service = place.serve(&[]);
    let (mut other, _) = Stream::open(&service.grpc, "other").await;
    let (mut older, _) = Stream::open(&service.grpc, "c1").await;
    older.batch(1, arrivals(0..5)).await;
    older.acks(1).await;
    let (mut newer, _) = Stream::open(&service.grpc, "c1").await;
    let (acks, end) = older.rest().await;
    let Ok(Some(Hear::ResumeElsewhere(resume))) = end else {
        panic!("not superseded: {end:?}");
    };
    assert_eq!(acks, []);
    assert_eq!(resume.reason(), pb::ResumeReason::Superseded);
    assert_eq!(resume.acknowledged_sequence, 1);
    assert!(matches!(older.hear().await, Ok(None)), "it was the last");
    for stream in [&mut newer, &mut other] {
        stream.batch(1, arrivals(3..8)).await;
        assert_eq!(stream.acks(1).await[0].accepted, 5);
    }
    caught_up(&service.grpc).await;
    assert_eq!(trucks_in(&service.grpc).await, 8);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_is_ended_and_one_that_speaks_is_not() {
    let place = Place::new();
    let service = place.serve(&["--limits-stream-idle-s", "1"]);
    let (mut speaking, _) = Stream::open(&service.grpc, "speaking").await;
    let (mut silent, _) = Stream::open(&service.grpc, "silent").await;
    silent.batch(1, arrivals(0..5)).await;
    silent.acks(1).await;
    let (ending, mut sequence) = (silent.rest(), 0);
    tokio::pin!(ending);
    let end = loop {
        sequence += 1;
        speaking.batch(sequence, arrivals(3..8)).await;
        tokio::select! {
            (_, end) = &mut ending => break end,
            acks = speaking.acks(sequence) => assert_eq!(acks.len(), 1),
        }
    };
    let Ok(Some(Hear::ResumeElsewhere(resume))) = end else {
        panic!("not ended for its silence: {end:?}");
    };
    assert_eq!(resume.reason(), pb::ResumeReason::Idle);
    // It was heard at least as long ago as the other one was silent.
    speaking.batch(sequence + 1, arrivals(3..8)).await;
    speaking.acks(sequence + 1).await;
    service.stop();
}

fn at_least(position: &str) -> pb::GetStatusRequest {
    pb::GetStatusRequest {
        at_least: position.into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_for_a_position_until_the_deadline() {
    let place = Place::new();
    let service = place.serve(&[]);
    let mut client = queries(&service.grpc).await;
    for n in 1..=20 {
        let events = arrivals(n * 100 - 100..n * 100);
        let position = acknowledged(&service.grpc, events).await;
        let answer = client.get_status(at_least(&position)).await.unwrap();
        let answer = answer.into_inner();
        assert_eq!(answer.events, i64::from(n) * 100, "read your own writes");
        assert!(!answer.freshness.unwrap().position.is_empty());
    }
    // It waits: what is asked for comes later.
    let tokens = place.tokens();
    let ahead = Position::embedded(2_001).encode(&tokens);
    let asking = client.get_status(at_least(&ahead));
    let (answer, _) = tokio::join!(asking, acknowledged(&service.grpc, arrivals(2_000..2_001)));
    assert_eq!(answer.unwrap().into_inner().events, 2_001);
    // Without a deadline of its own a call waits 10 s.
    let beyond = Position::embedded(1_000_000).encode(&tokens);
    let late = client.get_status(at_least(&beyond)).await.unwrap_err();
    let expected = (Code::DeadlineExceeded, "NOT_REACHED".into(), String::new());
    assert_eq!(told(&late), expected);
    let mut short = Request::new(at_least(&beyond));
    short
        .metadata_mut()
        .insert("grpc-timeout", "5S".parse().unwrap());
    let late = client.get_status(short).await.unwrap_err();
    assert_eq!(told(&late), expected);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_position_is_refused_at_once() {
    let place = Place::new();
    let service = place.serve(&[]);
    let position = acknowledged(&service.grpc, small(1)).await;
    let mut client = queries(&service.grpc).await;
    for garbage in ["nonsense", "0", "甲", &position[1..], &position.repeat(2)] {
        let refused = client.get_status(at_least(garbage)).await.unwrap_err();
        assert_eq!(told(&refused), invalid("at_least"), "{garbage}");
    }
    service.stop();
}

/// The same in both versions of reflection, which differ in name only.
macro_rules! services {
    ($version:ident, $url:expr) => {{
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let channel = channel($url).await;
        let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel);
        let request = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let asked = tokio_stream::once(request);
        let mut answers = client
            .server_reflection_info(asked)
            .await
            .unwrap()
            .into_inner();
        match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::ListServicesResponse(list)) => list
                .service
                .into_iter()
                .map(|service| service.name)
                .collect::<Vec<_>>(),
            other => panic!("no list: {other:?}"),
        }
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_names_every_service_in_both_versions() {
    let place = Place::new();
    let service = place.serve(&[]);
    for names in [
        services!(v1, &service.grpc),
        services!(v1alpha, &service.grpc),
    ] {
        for name in [
            "quaymeter.v1.IngestService",
            "quaymeter.v1.ThroughputService",
            "grpc.health.v1.Health",
        ] {
            assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
        }
    }
    service.stop();
}
