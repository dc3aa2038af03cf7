//! The log in Kafka, recounted by brute force, comes to what every instance answers.

use crate::instances::{World, a_day, assert_audited, assert_meant};
use crate::strangers::poison;
use quaymeter::answers::Client;
use quaymeter::deliver::{Delivery, deliver};
use quaymeter::pb;
use quaymeter::wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn delivery(to: &str) -> Delivery {
    Delivery {
        endpoint: to.to_owned(),
        streams: 2,
        batch_events: 20,
        rate: Some(1_500),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_agrees_while_instances_count_and_names_what_differs() {
    let world = World::new();
    let (first, second) = (world.start("first"), world.start("second"));
    poison(&world);
    let day = Arc::new(a_day(81, 6_000));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (sent, counted, to) = (
        Arc::clone(&day),
        Arc::clone(&acknowledged),
        delivery(&first.grpc),
    );
    let delivering = tokio::spawn(async move { deliver(&sent, &to, counted).await.unwrap() });
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    while acknowledged.load(Ordering::Relaxed) < 2_000 && !delivering.is_finished() {
        beat.tick().await;
    }
    assert_audited(&world, &second);
    let delivered = delivering.await.unwrap();
    for instance in [&first, &second] {
        assert_meant(instance, &day, &delivered.positions).await;
        assert_audited(&world, instance);
    }
    // Recounted by another rule, the log comes to something else.
    let server = format!("--server={}", first.grpc);
    let other = tokio::task::block_in_place(|| {
        world.command(&["audit", "-q"], &[&server, "--teu-45ft-milli=2000"])
    });
    let told = String::from_utf8_lossy(&other.stdout);
    assert_eq!(other.status.code(), Some(2), "{told}");
    assert!(told.contains("figures differ"), "{told}");
    explained(&world, &first.grpc).await;
    first.stop();
    second.stop();
}

/// What became of an event is told from its partition.
async fn explained(world: &World, grpc: &str) {
    let mut client = Client::connect(grpc.to_owned()).await.unwrap();
    for record in world.events().iter().flat_map(|records| records.first()) {
        let event = wire::decode(&record.events[0]).unwrap();
        let request = pb::LookupEventRequest {
            facility: event.facility.to_string(),
            source: record.source.to_string(),
            event_id: event.event_id.to_string(),
            ..Default::default()
        };
        let told = client.lookup_event(request).await.unwrap().into_inner();
        assert_eq!(told.state(), pb::EventState::Known);
        let offsets = told.records.iter().map(|record| record.offset);
        assert!(
            offsets
                .into_iter()
                .any(|offset| offset == record.first_offset)
        );
    }
}
