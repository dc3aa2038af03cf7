//! What a caller may send in a second, and at once.

use crate::rig::{PATIENCE, Rig, Setup, Streams, event, of};
use prost::Message as _;
use quaymeter::auth::caller::Caller;
use quaymeter::auth::rights::{Quota, Rights};
use quaymeter::{pb, status};
use std::sync::Arc;
use std::time::{Duration, Instant};
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
        (1_000, 1_000)
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
async fn what_exceeds_a_limit_is_taken_and_waits_unjudged() {
    const BYTES_PER_S: u32 = 1_000;
    let quota = Quota {
        bytes_per_s: Some(BYTES_PER_S),
        ..Quota::default()
    };
    let rig = rig(quota).await;
    let (mut flood, _) = Streams::open_of(&rig, "flood").await;
    let started = Instant::now();
    for sequence in 1..=25 {
        flood.send(sequence, events(10)).await;
    }
    batches_taken(&rig, 25).await;
    let judged = rig.metrics.events_accepted.get() as f64;
    let may = (1.0 + started.elapsed().as_secs_f64()) * f64::from(BYTES_PER_S);
    assert!(judged * event("0").encoded_len() as f64 <= may, "{judged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_too_much_of_a_callers_waits_no_stream_of_his_takes_more() {
    let rig = rig(Quota {
        bytes_per_s: Some(1_000),
        ..Quota::default()
    })
    .await;
    let (mut flood, _) = Streams::open_of(&rig, "flood").await;
    let mut second = Streams::open_beside(&rig, "flood").await;
    // The last is too much for ever, which is said when its turn comes: until then it
    // waits.
    for sequence in 1..=10 {
        flood.send(sequence, events(12)).await;
    }
    flood.send(11, events(900)).await;
    batches_taken(&rig, 11).await;
    second.send(1, events(1)).await;
    let refused = second.hear().await.unwrap_err();
    let delay = wait(&refused, "bytes per second of this caller");
    assert!(delay >= Duration::from_secs(1), "{delay:?}");
}

/// Waits until so many batches of streams were taken.
async fn batches_taken(rig: &Rig, count: usize) {
    let started = Instant::now();
    let taken = format!("quaymeter_batches_total{{method=\"StreamEvents\"}} {count}");
    while !rig.metrics.render(None, &[]).concat().contains(&taken) {
        assert!(started.elapsed() < PATIENCE, "not {count} batches");
        tokio::task::yield_now().await;
    }
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
