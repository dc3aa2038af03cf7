//! What a caller may send in a second, and at once.

use crate::rig::{Rig, Setup, Streams, event, of};
use quaymeter::auth::caller::Caller;
use quaymeter::auth::rights::{Quota, Rights};
use quaymeter::{pb, status};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

fn caller(name: &str, quota: Quota) -> Caller {
    let rights = Rights {
        quota,
        ..Rights::all()
    };
    let (end, ended) = watch::channel(None);
    // As long as the process lives.
    std::mem::forget(end);
    Caller::known(name.into(), Arc::new(rights), ended)
}

/// One with this quota, and one without any.
async fn rig(quota: Quota) -> Rig {
    let callers = vec![caller("flood", quota), caller("other", Quota::default())];
    Rig::set_up(Setup {
        callers,
        ..Setup::default()
    })
    .await
}

fn events(count: usize) -> Vec<pb::Event> {
    (0..count).map(|n| event(&n.to_string())).collect()
}

async fn publish(rig: &Rig, caller: &str, count: usize) -> Result<u32, Status> {
    let request = pb::PublishEventsRequest {
        events: events(count),
        ..Default::default()
    };
    let answer = rig
        .client
        .clone()
        .publish_events(of(caller, request))
        .await?;
    Ok(answer.into_inner().accepted)
}

/// The first refusal of the flood's batches, each of which takes almost all of a second.
async fn refused(rig: &Rig, count: usize) -> Status {
    for _ in 0..1_000 {
        if let Err(refused) = publish(rig, "flood", count).await {
            return refused;
        }
    }
    panic!("it is never refused");
}

/// How long the limit's refusal tells to wait.
fn wait(refused: &Status, limit: &str) -> Duration {
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(status::limit_of(refused).as_deref(), Some(limit));
    let retry = refused.get_details_retry_info().unwrap();
    retry.retry_delay.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_its_quota_is_told_how_long_to_wait_and_goes_after_it() {
    let rig = rig(Quota {
        events_per_s: Some(500),
        ..Quota::default()
    })
    .await;
    assert_eq!(publish(&rig, "flood", 500).await.unwrap(), 500);
    let refused = refused(&rig, 500).await;
    let delay = wait(&refused, "events per second of this caller");
    assert!(delay <= Duration::from_secs(1), "{delay:?}");
    // Nobody else waits.
    assert_eq!(publish(&rig, "other", 2_000).await.unwrap(), 2_000);
    let _ = tokio::time::timeout(delay, std::future::pending::<()>()).await;
    assert_eq!(publish(&rig, "flood", 500).await.unwrap(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_count_too_and_a_batch_beyond_a_seconds_is_never_taken() {
    let rig = rig(Quota {
        bytes_per_s: Some(5_000),
        batch_events: Some(200),
        ..Quota::default()
    })
    .await;
    wait(&refused(&rig, 100).await, "bytes per second of this caller");
    let never = publish(&rig, "flood", 200).await.unwrap_err();
    assert_eq!(never.code(), Code::ResourceExhausted);
    assert!(never.get_details_retry_info().is_none());
    let too_many = publish(&rig, "flood", 201).await.unwrap_err();
    assert_eq!(too_many.code(), Code::InvalidArgument);
    assert!(too_many.message().contains("1 to 200 events"), "{too_many}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_at_its_quota_is_held_back_by_its_credit_and_loses_nothing() {
    let rig = rig(Quota {
        events_per_s: Some(1_000),
        ..Quota::default()
    })
    .await;
    let (mut flood, opened) = Streams::open_of(&rig, "flood").await;
    assert_eq!(
        (opened.granted_events, opened.batch_events_max),
        (2_000, 1_000)
    );
    let (mut other, _) = Streams::open_of(&rig, "other").await;
    let (mut granted, mut accepted) = (opened.granted_events, 0);
    for sequence in 1..=6 {
        while sequence * 500 > granted {
            let ack = flood.ack().await;
            granted = ack.granted_events;
            accepted += ack.accepted;
        }
        flood.send(sequence, events(500)).await;
        other.send(sequence, events(500)).await;
        assert_eq!(other.ack().await.accepted, 500);
    }
    while accepted < 3_000 {
        accepted += flood.ack().await.accepted;
    }
    assert_eq!(accepted, 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_would_be_held_back_for_too_long_ends_with_the_wait() {
    let rig = rig(Quota {
        events_per_s: Some(1_000),
        bytes_per_s: Some(15_000),
        ..Quota::default()
    })
    .await;
    let (mut flood, _) = Streams::open_of(&rig, "flood").await;
    for sequence in 1..=8 {
        flood.send(sequence, events(200)).await;
    }
    let refused = loop {
        match flood.hear().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended as if all were well"),
            Err(refused) => break refused,
        }
    };
    let delay = wait(&refused, "bytes per second of this caller");
    assert!(delay > Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_as_many_streams_as_he_may() {
    let rig = rig(Quota {
        streams: Some(1),
        ..Quota::default()
    })
    .await;
    let (open, _) = Streams::open_of(&rig, "flood").await;
    let second = Streams::try_open(&rig, |said| of("flood", said), "").await;
    let refused = second.err().unwrap();
    wait(&refused, "streams of this caller");
    let (_other, _) = Streams::open_of(&rig, "other").await;
    drop(open);
}
