//! What only Kafka has is on the dashboards, and what goes wrong with it is told. All else
//! that they ask is tested without it, in tests/prometheus.

use crate::healed::{delivered, spoil};
use crate::instances::{PARTITIONS, World, a_day, assert_meant};
use crate::server::{Prometheus, until_known};
use crate::strangers::poison;
use crate::watched::{fired_unasked, until_fired, watched};
use quaymeter::cluster::mark::VERSION;
use std::collections::BTreeSet;

/// Waits until a histogram that the dashboards show has a percentile.
async fn until_shown(prometheus: &Prometheus, metric: &str) {
    let rate = format!("sum by (le) (rate({metric}_bucket[15s]))");
    let expr = format!("histogram_quantile(0.9, {rate})");
    until_known(&format!("{metric} is shown"), async || {
        let values = prometheus.ask(&expr).unwrap();
        values.iter().any(|value| value.is_finite())
    })
    .await;
}

/// Waits until a recorded number of partitions is this one.
async fn until_recorded(prometheus: &Prometheus, name: &str, wanted: u32) {
    until_known(&format!("{name} is {wanted}"), async || {
        let values = prometheus.ask(name).unwrap();
        values.iter().any(|&value| value as u32 == wanted)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_with_kafka_is_shown_and_told() {
    let world = World::new();
    let (first, second) = (world.start("first"), world.start("second"));
    let warm_up = a_day(131, 500);
    let positions = delivered(&warm_up, &first).await;
    for instance in [&first, &second] {
        assert_meant(instance, &warm_up, &positions).await;
    }
    let prometheus = watched(&[&first.http, &second.http]).await;
    until_recorded(&prometheus, "job:quaymeter_partitions:count", PARTITIONS).await;
    until_recorded(
        &prometheus,
        "job:quaymeter_assigned_partitions:sum",
        PARTITIONS,
    )
    .await;
    delivered(&a_day(132, 500), &first).await;
    for metric in ["quaymeter_commit_seconds", "quaymeter_commit_values"] {
        until_shown(&prometheus, metric).await;
    }
    assert_eq!(fired_unasked(&prometheus), BTreeSet::new());

    poison(&world);
    until_fired(&prometheus, &["QuaymeterDeadLetters"]).await;
    spoil(&world, VERSION);
    until_fired(&prometheus, &["QuaymeterChangelogBroken"]).await;
    second.kill();
    let gone = ["QuaymeterInstanceDown", "QuaymeterPartitionsWithoutOwner"];
    until_fired(&prometheus, &gone).await;
    // The other one takes over, for which it restores what it is given.
    until_recorded(
        &prometheus,
        "job:quaymeter_assigned_partitions:sum",
        PARTITIONS,
    )
    .await;
    until_shown(&prometheus, "quaymeter_restore_seconds").await;
    first.stop();
}
