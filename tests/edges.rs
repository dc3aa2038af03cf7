//! What a stream's acknowledgement promises, whatever fails beside it.

#[path = "edges/fair.rs"]
mod fair;
#[path = "edges/publishing.rs"]
mod publishing;
#[path = "edges/questions.rs"]
mod questions;
#[path = "edges/quota.rs"]
mod quota;
#[path = "edges/rig.rs"]
mod rig;
#[path = "edges/stopping.rs"]
mod stopping;

use quaymeter::pb;
use quaymeter::pb::stream_events_response::Message as Told;
use quaymeter::view::position::Position;
use rig::{Rig, Streams, event, tokens};
use tonic::Code;

fn offset(position: &str) -> u64 {
    Position::decode(position, &tokens())
        .unwrap()
        .offset()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledgement_reaches_over_a_batch_that_was_not_appended() {
    // The disk is full for the first batch, and has room again for the second.
    let rig = Rig::start(true).await;
    let mut stream = Streams::open(&rig).await;
    stream.send(1, vec![event("one")]).await;
    stream.send(2, vec![event("two")]).await;
    let failed = loop {
        match stream.hear().await {
            Ok(Some(Told::Ack(ack))) => panic!("acknowledged up to {}", ack.sequence),
            Ok(Some(_)) => {}
            Ok(None) => panic!("ended as if all were well"),
            Err(status) => break status,
        }
    };
    assert_eq!(failed.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_never_leaves_out_what_was_acknowledged_before() {
    let rig = Rig::start(false).await;
    let mut stream = Streams::open(&rig).await;
    stream.send(1, vec![event("one")]).await;
    let first = stream.ack().await;
    // Nothing of it is appended, and the view has not seen the first yet.
    stream.send(2, vec![event("")]).await;
    let second = stream.ack().await;
    assert_eq!((second.accepted, second.refused), (0, 1));
    assert_eq!(offset(&first.position), 1);
    assert!(offset(&second.position) >= 1, "it went back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_limit_ends_a_stream_with_the_reason() {
    let rig = Rig::start(false).await;
    let mut stream = Streams::open(&rig).await;
    stream.send(1, vec![event("one")]).await;
    stream
        .send(2, vec![event(&"x".repeat(rig::MESSAGE_BYTES))])
        .await;
    assert_eq!(stream.ack().await.sequence, 1);
    let failed = stream.hear().await.unwrap_err();
    assert_eq!(failed.code(), Code::OutOfRange, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_with_a_warning_is_told_of() {
    let mut rig = Rig::start(false).await;
    let events = (0..1500).map(|n| {
        let mut event = event(&format!("e{n}"));
        event.facility = "CNZSN/A".into();
        event
    });
    let request = pb::PublishEventsRequest {
        source: "tos".into(),
        events: events.collect(),
        ..Default::default()
    };
    let answer = rig.client.publish_events(request).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.accepted, answer.results.len()), (1500, 1500));
    let told = |result: &pb::EventResult| result.warnings[0].reason();
    assert!(
        answer
            .results
            .iter()
            .all(|r| told(r) == pb::Reason::SuspectLocode)
    );
}
