//! Whose events a caller may send.

use crate::offset;
use crate::rig::{Rig, Setup, Streams, event, of};
use quaymeter::auth::caller::{Caller, Ended};
use quaymeter::auth::rights::{Only, Publish, Rights};
use quaymeter::pb;
use quaymeter::pb::stream_events_response::Message as Told;
use quaymeter::pb::{Reason, ResumeReason};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::Code;

type End = watch::Sender<Option<Ended>>;

fn caller(name: &str, publish: Publish) -> (Caller, End) {
    let rights = Rights {
        publish: Some(publish),
        ..Rights::default()
    };
    let (end, ended) = watch::channel(None);
    (Caller::known(name.into(), Arc::new(rights), ended), end)
}

fn all() -> Publish {
    Publish {
        facilities: Only::All,
        enterprises: Only::All,
        vessel_calls: true,
    }
}

fn only(name: &str) -> Only {
    Only::These([name.to_owned()].into())
}

fn request(source: &str, events: Vec<pb::Event>) -> pb::PublishEventsRequest {
    pb::PublishEventsRequest {
        source: source.into(),
        events,
        ..Default::default()
    }
}

/// Two callers, of whom the first may do little.
async fn rig() -> (Rig, [End; 2]) {
    let little = Publish {
        facilities: only("CNNBO/BLCT2"),
        enterprises: only("smdg:COS"),
        vessel_calls: false,
    };
    let (little, little_ends) = caller("truckers", little);
    let (much, much_ends) = caller("depot", all());
    let setup = Setup {
        callers: vec![little, much],
        ..Setup::default()
    };
    (Rig::set_up(setup).await, [little_ends, much_ends])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_the_caller_and_nobody_else() {
    let (rig, _ends) = rig().await;
    let mut client = rig.client.clone();
    for own in ["", "truckers"] {
        let request = of(
            "truckers",
            request(own, vec![event(own.len().to_string().as_str())]),
        );
        let answer = client.publish_events(request).await.unwrap().into_inner();
        assert_eq!(answer.accepted, 1);
    }
    let foreign = of("truckers", request("depot", vec![event("foreign")]));
    let refused = client.publish_events(foreign).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("\"depot\""), "{refused}");
    assert!(refused.message().contains("\"truckers\""), "{refused}");
    let stream = Streams::try_open(&rig, |said| of("truckers", said), "depot").await;
    let refused = match stream {
        Ok(mut stream) => stream.hear().await.unwrap_err(),
        Err(refused) => refused,
    };
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_may_not_send_is_refused_alone() {
    let (rig, _ends) = rig().await;
    let mut events: Vec<pb::Event> = (0..6).map(|n| event(&n.to_string())).collect();
    events[1].facility = "CNNBO/BLCT3".into();
    events[2].parties[0].enterprise = "smdg:MSK".into();
    events[3].detail = Some(pb::event::Detail::VesselCall(pb::VesselCall {
        stage: pb::VesselCallStage::Berthed.into(),
        call_id: "call".into(),
        vessel_imo: "9319466".into(),
        ..Default::default()
    }));
    events[4].retracted = true;
    let of_truckers = of("truckers", request("", events.clone()));
    let mut client = rig.client.clone();
    let answer = client
        .publish_events(of_truckers)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.accepted, answer.refused), (3, 3));
    assert_eq!(offset(&answer.position), 3);
    let refused: Vec<(u32, &str)> = answer
        .results
        .iter()
        .map(|result| {
            let refusal = result.refusal.as_ref().unwrap();
            assert_eq!(refusal.reason(), Reason::NotAllowed);
            assert!(!refusal.found.is_empty() && !refusal.expected.is_empty());
            (result.index, &*refusal.field)
        })
        .collect();
    let meant = [
        (1, "facility"),
        (2, "parties[0].enterprise"),
        (3, "vessel_call"),
    ];
    assert_eq!(refused, meant);
    // The same events of one who may.
    let of_depot = of("depot", request("", events));
    let answer = client.publish_events(of_depot).await.unwrap().into_inner();
    assert_eq!((answer.accepted, answer.refused), (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_with_one_client_id_do_not_touch_each_other() {
    let (rig, _ends) = rig().await;
    let (mut truckers, _) = Streams::open_of(&rig, "truckers").await;
    let (mut depot, _) = Streams::open_of(&rig, "depot").await;
    truckers.send(7, vec![event("one")]).await;
    assert_eq!(truckers.ack().await.sequence, 7);
    // Nor does one's place among its batches count for the other.
    depot.send(1, vec![event("one")]).await;
    assert_eq!(depot.ack().await.sequence, 1);
    let (mut newer, _) = Streams::open_of(&rig, "truckers").await;
    let Some(Told::ResumeElsewhere(resume)) = truckers.hear().await.unwrap() else {
        panic!("it goes on");
    };
    assert_eq!(resume.reason(), ResumeReason::Superseded);
    newer.send(1, vec![event("two")]).await;
    assert_eq!(newer.ack().await.sequence, 1);
    depot.send(2, vec![event("two")]).await;
    assert_eq!(depot.ack().await.sequence, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_his_credentials_loses_his_stream_and_nobody_else_does() {
    let (rig, [truckers_end, _depot_ends]) = rig().await;
    let (mut truckers, _) = Streams::open_of(&rig, "truckers").await;
    let (mut depot, _) = Streams::open_of(&rig, "depot").await;
    truckers.send(1, vec![event("one")]).await;
    assert_eq!(truckers.ack().await.sequence, 1);
    truckers_end.send_replace(Some(Ended::Revoked));
    let refused = truckers.hear().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    depot.send(1, vec![event("one")]).await;
    assert_eq!(depot.ack().await.sequence, 1);
}
