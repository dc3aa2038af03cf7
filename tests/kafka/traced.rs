//! A trace goes through the topic to whichever instance counts the batch.

use crate::collector::{Collector, attribute, hex, traceparent};
use crate::instances::{DEADLINE, PARTITIONS, World};
use crate::place::{acknowledged, arrivals, ingest, metric, reached, until};
use crate::service::Service;
use quaymeter::log::Record;
use quaymeter::pb::{self, Event};
use std::collections::BTreeSet;
use tonic::Request;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Events of so many facilities that each partition has some.
fn everywhere() -> Vec<Event> {
    let mut events = arrivals(0..10 * PARTITIONS);
    for (n, event) in events.iter_mut().enumerate() {
        event.facility = format!("CNNBO/T{n}");
    }
    events
}

/// Publishes one batch that is part of the trace; its position.
async fn publish(to: &Service, events: Vec<Event>) -> String {
    let mut request = Request::new(pb::PublishEventsRequest {
        source: "tos".into(),
        events,
        ..Default::default()
    });
    let headers = request.metadata_mut();
    headers.insert("traceparent", PARENT.parse().unwrap());
    let answer = ingest(&to.grpc).await.publish_events(request).await;
    answer.unwrap().into_inner().position
}

fn start(world: &World, name: &str, collector: &Collector) -> Service {
    let of = ["--traces-otlp-endpoint", &collector.url];
    tokio::task::block_in_place(|| world.start_at(world.broker.bootstrap(), name, &of))
}

/// The value of the header in each record of the topic.
fn parents(world: &World) -> Vec<Option<String>> {
    let parent = |record: &Record| {
        let mut headers = record.headers.iter();
        let found = headers.find(|(name, _)| name == "traceparent")?;
        Some(String::from_utf8(found.1.to_vec()).unwrap())
    };
    let events = tokio::task::block_in_place(|| world.events());
    events.iter().flatten().map(parent).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_through_the_topic_to_the_instances_that_commit() {
    let (world, takes, other) = (
        World::new(),
        Collector::start().await,
        Collector::start().await,
    );
    let first = start(&world, "first", &takes);
    let second = start(&world, "second", &other);
    for instance in [&first, &second] {
        until("both count", async || {
            let assigned = metric(instance, "quaymeter_assigned_partitions ");
            assigned as u32 == PARTITIONS / 2
        })
        .await;
    }
    // Not part of any trace.
    acknowledged(&first.grpc, arrivals(0..5)).await;
    let position = publish(&first, everywhere()).await;
    reached(&second.grpc, &position).await;

    let append = takes.awaited(TRACE, "append", 1).await.pop().unwrap();
    let ingest = takes.awaited(TRACE, "ingest", 1).await.pop().unwrap();
    assert_eq!(append.parent_span_id, ingest.span_id);
    let committed = async |collector: &Collector| {
        let commits = || collector.named(TRACE, "commit");
        until("it is committed", async || !commits().is_empty()).await;
        commits()
    };
    let (of_first, of_second) = (committed(&takes).await, committed(&other).await);
    let commits = [of_first, of_second].concat();
    assert!(commits.iter().all(|of| of.parent_span_id == append.span_id));
    assert!(other.spans().iter().all(|span| span.name == "commit"));
    let of = |name| {
        commits
            .iter()
            .map(move |span| attribute(span, name).unwrap())
    };
    let partitions: BTreeSet<String> = of("quaymeter.partition").collect();
    assert!(partitions.len() > 1, "{partitions:?}");

    for instance in [first, second] {
        instance.stop();
    }
    let whole = [takes, other].map(|collector| collector.named(TRACE, "commit"));
    let counted = whole.iter().flatten().map(|span| {
        let events = attribute(span, "quaymeter.events").unwrap();
        events.parse::<usize>().unwrap()
    });
    // Each record once, however many transactions it took.
    assert_eq!(counted.sum::<usize>(), everywhere().len());
    let mut parents = parents(&world);
    parents.sort();
    let mut expected = vec![None; 5];
    expected.extend(vec![Some(traceparent(&append)); everywhere().len()]);
    assert_eq!(parents, expected);
    assert_eq!(hex(&append.trace_id), TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_keeps_its_traces() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let collector = Collector::start().await;
    let of = ["--traces-otlp-endpoint", &collector.url];
    let embedded = tokio::task::block_in_place(|| Service::start(dir.path(), &of));
    acknowledged(&embedded.grpc, arrivals(0..2)).await;
    publish(&embedded, everywhere()).await;
    embedded.stop();
    let append = collector.awaited(TRACE, "append", 1).await.pop().unwrap();
    let data = format!("--data-dir={}", dir.path().display());
    let import = || world.command(&["topics", "import"], &[&data]);
    let imported = tokio::task::block_in_place(import);
    assert!(imported.status.success(), "{imported:?}");
    let mut parents = parents(&world);
    parents.sort();
    let mut expected = vec![None; 2];
    expected.extend(vec![Some(traceparent(&append)); everywhere().len()]);
    assert_eq!(parents, expected);
    // Whoever counts it later goes on with it.
    let instance = start(&world, "first", &collector);
    let commits = || collector.named(TRACE, "commit");
    let waiting = until("it is committed", async || !commits().is_empty());
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
    assert!(
        commits()
            .iter()
            .all(|of| of.parent_span_id == append.span_id)
    );
    instance.stop();
}
