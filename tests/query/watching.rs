//! Watches: a snapshot and its changes are the state, whatever is watched.

use crate::fixture::{Port, Post, at, ms};
use crate::service::{Running, assert_limited, figures_of};
use compact_str::CompactString;
use proptest::prelude::*;
use quaymeter::meter::figure::{Figure, Figures, Meaning};
use quaymeter::pb;
use quaymeter::query::throughput::Key;
use quaymeter::query::watch::{Diff, ROWS_MAX, Rows, Step, diff, messages};
use std::collections::VecDeque;
use std::time::Duration;
use tonic::Code;

fn rows() -> impl Strategy<Value = Rows> {
    let key = (0..3i64, 0..3u8).prop_map(|(start, enterprise)| Key {
        start: start * 900_000,
        facility: CompactString::default(),
        enterprise: format!("ygt:{enterprise}").into(),
        role: 1,
        classifier: 1,
    });
    let figures = (1..3i64).prop_map(|trucks| {
        let mut figures = Figures::default();
        figures.add(Figure::of(Meaning::TrucksIn), trucks);
        figures
    });
    proptest::collection::btree_map(key, figures, 0..9)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_difference_leads_from_the_previous_rows_to_the_next(previous in rows(), next in rows()) {
        let step = diff(&previous, &next);
        let mut led = previous.clone();
        for key in &step.removed {
            prop_assert!(led.remove(key).is_some(), "removed what was not there");
        }
        for (key, figures) in &step.rows {
            let before = led.insert(key.clone(), figures.clone());
            prop_assert_ne!(before.as_ref(), Some(figures), "sent what did not change");
        }
        prop_assert_eq!(&led, &next);
        prop_assert!(messages(step_of(diff(&next, &next), false)).is_empty());
    }
}

/// From the state of token `before` to that of `after`.
fn step_of(diff: Diff, snapshot: bool) -> Step {
    Step {
        diff,
        snapshot,
        always: false,
        freshness: pb::Freshness::default(),
        before: "before".into(),
        after: "after".into(),
    }
}

#[test]
fn a_large_snapshot_comes_in_messages_below_the_clients_limit() {
    let mut rows = Rows::new();
    let mut figures = Figures::default();
    for at in -79..200 {
        let meaning = Meaning::DurationBucket(pb::DurationKind::Dwell, at);
        figures.add(Figure::of(meaning), 1 << 50);
    }
    for start in 0..2_000 {
        let key = Key {
            start: start * 900_000,
            facility: CompactString::default(),
            enterprise: "ygt:a".into(),
            role: 1,
            classifier: 1,
        };
        rows.insert(key, figures.clone());
    }
    let sent = messages(step_of(diff(&Rows::new(), &rows), true));
    assert!(sent.len() > 1);
    assert!(
        sent.iter()
            .all(|message| prost::Message::encoded_len(message) < 4 * 1024 * 1024)
    );
    assert_eq!(sent.iter().filter(|message| message.snapshot).count(), 1);
    assert!(sent[0].snapshot);
    assert_eq!(
        sent.iter().map(|message| message.rows.len()).sum::<usize>(),
        2_000
    );
    let tokens = |sent: &VecDeque<pb::WatchThroughputResponse>| -> Vec<_> {
        sent.iter().map(|part| part.resume_token.clone()).collect()
    };
    // Who is cut off within a snapshot has nothing to resume from, and within a
    // change what he had before.
    let expected = |cut: &str| {
        let mut expected = vec![cut.to_owned(); sent.len()];
        expected[sent.len() - 1] = "after".into();
        expected
    };
    assert_eq!(tokens(&sent), expected(""));
    let changed = messages(step_of(diff(&Rows::new(), &rows), false));
    assert_eq!(tokens(&changed), expected("before"));
}

pub fn watch() -> pb::WatchThroughputRequest {
    pb::WatchThroughputRequest {
        query: Some(pb::GetThroughputRequest {
            from: at("2026-11-22T16:00:00Z"),
            to: at("2026-11-23T16:00:00Z"),
            grain: pb::Grain::Day.into(),
            group_by: vec![pb::Dimension::Enterprise.into()],
            ..Default::default()
        }),
        interval: Some(pbjson_types::Duration {
            seconds: 0,
            nanos: 100_000_000,
        }),
        ..Default::default()
    }
}

pub fn trucks(enterprise: &'static str, trucks: i64) -> Post {
    Post::new(
        enterprise,
        ms("2026-11-23T01:00:00Z"),
        &[(Meaning::TrucksIn, trucks)],
    )
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("in 30 s")
}

#[tokio::test]
async fn a_watch_gives_a_snapshot_then_changed_rows_then_removals() {
    let mut port = Port::new("Asia/Shanghai", "2026-11-23T00:00:00Z");
    port.post(&[trucks("smdg:COS", 1), trucks("smdg:MSC", 1)]);
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let mut stream = client.watch_throughput(watch()).await.unwrap().into_inner();
    let shown = |message: &pb::WatchThroughputResponse| {
        let row = |row: &pb::ThroughputRow| (row.enterprise.clone(), figures_of(row).trucks_in);
        let rows: Vec<_> = message.rows.iter().map(row).collect();
        let removed: Vec<_> = message
            .removed
            .iter()
            .map(|row| row.enterprise.clone())
            .collect();
        (message.snapshot, rows, removed)
    };
    let snapshot = soon(stream.message()).await.unwrap().unwrap();
    let (cos, msc) = ("smdg:COS".to_owned(), "smdg:MSC".to_owned());
    assert_eq!(
        shown(&snapshot),
        (true, vec![(cos.clone(), 1), (msc.clone(), 1)], vec![])
    );
    // What is not watched moves nothing.
    let elsewhere = Post::new(
        "smdg:COS",
        ms("2026-11-20T01:00:00Z"),
        &[(Meaning::TrucksIn, 1)],
    );
    port.post(&[elsewhere]);
    port.post(&[trucks("smdg:COS", 2)]);
    let changed = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!(shown(&changed), (false, vec![(cos, 3)], vec![]));
    port.post(&[trucks("smdg:MSC", 1).taken_back()]);
    let removed = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!(shown(&removed), (false, vec![], vec![msc]));
    assert!(removed.removed[0].figures.is_none());
}

#[tokio::test]
async fn a_slow_watcher_gets_one_step_for_many_changes() {
    let mut port = Port::new("Asia/Shanghai", "2026-11-23T00:00:00Z");
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let mut stream = client.watch_throughput(watch()).await.unwrap().into_inner();
    assert!(soon(stream.message()).await.unwrap().unwrap().snapshot);
    let mut last = 0;
    let mut messages = 0;
    for _ in 0..500 {
        port.post(&[trucks("smdg:COS", 1)]);
    }
    while last < 500 {
        let message = soon(stream.message()).await.unwrap().unwrap();
        last = figures_of(&message.rows[0]).trucks_in;
        messages += 1;
    }
    assert_eq!(last, 500);
    assert!(
        messages <= 3,
        "{messages} messages for changes within one interval"
    );
}

#[tokio::test]
async fn watches_end_when_the_service_stops() {
    let port = Port::new("Asia/Shanghai", "2026-11-23T00:00:00Z");
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let mut stream = client.watch_throughput(watch()).await.unwrap().into_inner();
    assert!(soon(stream.message()).await.unwrap().unwrap().snapshot);
    running.stop.send_replace(true);
    let ended = soon(stream.message()).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
}

#[tokio::test]
async fn watches_are_limited_and_a_place_is_free_again_after_one_ends() {
    let port = Port::new("Asia/Shanghai", "2026-11-23T00:00:00Z");
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let mut held = Vec::new();
    for _ in 0..running.settings.watches_max {
        held.push(client.watch_throughput(watch()).await.unwrap());
    }
    let refused = client.watch_throughput(watch()).await.unwrap_err();
    assert_limited(&refused, "watches", true);
    drop(held);
    let again = async {
        while client.watch_throughput(watch()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
}

/// One row of a watch of quarter-hours.
fn row(enterprise: &'static str, quarter: i64) -> Post {
    let at = ms("2026-11-22T16:00:00Z") + quarter * 900_000;
    Post::new(enterprise, at, &[(Meaning::TrucksIn, 1)])
}

#[tokio::test]
async fn no_more_rows_are_watched_than_may_be() {
    const QUARTERS: i64 = 80;
    let mut port = Port::new("Asia/Shanghai", "2026-11-23T00:00:00Z");
    let mut rows = Vec::new();
    for n in 0..ROWS_MAX as i64 / QUARTERS {
        let enterprise: &'static str = format!("ygt:{n}").leak();
        rows.extend((0..QUARTERS).map(|quarter| row(enterprise, quarter)));
    }
    assert_eq!(rows.len(), ROWS_MAX);
    port.post(&rows);
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let mut request = watch();
    if let Some(query) = &mut request.query {
        query.grain = pb::Grain::Quarter.into();
    }
    let watched = client.watch_throughput(request.clone()).await;
    let mut watched = watched.unwrap().into_inner();
    let mut told = 0;
    while told < ROWS_MAX {
        let part = soon(watched.message()).await.unwrap().unwrap();
        told += part.rows.len();
    }
    assert_eq!(told, ROWS_MAX);
    port.post(&[row("ygt:0", QUARTERS)]);
    let ended = soon(watched.message()).await.unwrap_err();
    assert_limited(&ended, "rows to watch", false);
    let another = client.watch_throughput(request).await;
    let mut another = another.unwrap().into_inner();
    let refused = soon(another.message()).await.unwrap_err();
    assert_limited(&refused, "rows to watch", false);
}

#[tokio::test]
async fn a_wrong_watch_is_refused() {
    let port = Port::new("Asia/Shanghai", "2026-11-23T00:00:00Z");
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    for (millis, ok) in [
        (99, false),
        (100, true),
        (3_600_000, true),
        (3_600_001, false),
    ] {
        let mut request = watch();
        let nanos = (millis % 1000 * 1_000_000) as i32;
        request.interval = Some(pbjson_types::Duration {
            seconds: millis / 1000,
            nanos,
        });
        let answer = client.watch_throughput(request).await;
        assert_eq!(answer.is_ok(), ok, "{millis} ms");
    }
    let mut paged = watch();
    if let Some(query) = &mut paged.query {
        query.page_token = "x".into();
    }
    assert_eq!(
        client.watch_throughput(paged).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}
