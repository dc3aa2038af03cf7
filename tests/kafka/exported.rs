//! Each enterprise is exported by one instance, and goes with its partition.

use crate::healed::delivered;
use crate::instances::{PARTITIONS, World, a_day, assert_meant};
use crate::place::{get, until};
use crate::service::Service;
use jiff::tz::TimeZone;
use quaymeter::pb;
use quaymeter::simulate::Simulation;
use quaymeter::truth::{Figure, Grain};
use std::collections::{BTreeMap, BTreeSet};

type Samples = BTreeMap<String, f64>;

fn samples(instance: &Service, prefix: &str) -> Samples {
    let (_, page) = get(&instance.http, "/metrics");
    let ours = page.lines().filter(|line| line.starts_with(prefix));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    ours.map(sample).collect()
}

/// What is told of enterprises, but for what depends on the day.
fn enterprises(instance: &Service) -> Samples {
    let mut samples = samples(instance, "quaymeter_enterprise_");
    samples.retain(|series, _| !series.starts_with("quaymeter_enterprise_today"));
    samples.retain(|series, _| series.contains("enterprise=\""));
    samples
}

/// Of which partitions an instance tells how far they are behind.
fn lagging(instance: &Service) -> (BTreeSet<String>, u64) {
    let lags = samples(instance, "quaymeter_lag_events");
    let partition = |series: &String| series.split('"').nth(1).unwrap().to_owned();
    (
        lags.keys().map(partition).collect(),
        lags.values().map(|&lag| lag as u64).sum(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_is_told_of_by_one_instance_and_goes_with_its_partition() {
    let world = World::new();
    let (first, second) = (world.start("first"), world.start("second"));
    until("both count", async || {
        [&first, &second].iter().all(|of| !lagging(of).0.is_empty())
    })
    .await;
    let day = a_day(141, 3_000);
    let positions = delivered(&day, &first).await;
    for instance in [&first, &second] {
        assert_meant(instance, &day, &positions).await;
    }
    let (here, there) = (enterprises(&first), enterprises(&second));
    assert!(!here.is_empty() && !there.is_empty());
    let ids = |of: &Samples| -> BTreeSet<String> {
        let id = |series: &String| series.split('"').nth(1).unwrap().to_owned();
        of.keys().map(id).collect()
    };
    assert!(ids(&here).is_disjoint(&ids(&there)));
    let mut all = here.clone();
    all.extend(there);
    assert_eq!(boxes_of_terminals(&all), boxes_meant(&day));
    let (ours, theirs) = (lagging(&first).0, lagging(&second).0);
    assert!(ours.is_disjoint(&theirs));
    assert_eq!(ours.len() + theirs.len(), PARTITIONS as usize);
    until("nothing lags", async || {
        [&first, &second].iter().all(|of| lagging(of).1 == 0)
    })
    .await;

    second.stop();
    until("all is told of by who is left", async || {
        enterprises(&first).len() == all.len()
    })
    .await;
    assert_eq!(enterprises(&first), all);
    first.stop();
}

/// Containers of all terminals, by what was exported.
fn boxes_of_terminals(all: &Samples) -> i64 {
    let sum = |name: &str| -> f64 {
        let of = all
            .iter()
            .filter(|(series, _)| series.starts_with(name) && series.contains("role=\"terminal\""));
        of.map(|(_, value)| value).sum()
    };
    let added = sum("quaymeter_enterprise_boxes_total{");
    (added - sum("quaymeter_enterprise_boxes_taken_back_total{")) as i64
}

/// The same by what was meant.
fn boxes_meant(day: &Simulation) -> i64 {
    let truth = day.truth(&TimeZone::UTC).unwrap();
    let of_terminals = truth.cells.iter().filter(|(key, _)| {
        (key.grain, key.role, key.classifier)
            == (Grain::Quarter, pb::Role::Terminal, pb::Classifier::Actual)
    });
    let figures = of_terminals.flat_map(|(_, figures)| figures.iter());
    let boxes = figures.filter(|(figure, _)| matches!(figure, Figure::Boxes(..)));
    boxes.map(|(_, value)| value).sum()
}
