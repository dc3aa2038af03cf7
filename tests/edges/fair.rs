//! One source's flood, and another's few events.

use crate::offset;
use crate::rig::{Rig, Setup, Streams, event};
use quaymeter::pb;

/// Batches of the flood, and events of each: all that its credit allows.
const BATCHES: usize = 40;
const BATCH_EVENTS: usize = 500;

fn events(name: &str, count: usize) -> Vec<pb::Event> {
    (0..count)
        .map(|n| event(&format!("{name:->100}-{n}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_durable_before_almost_all_of_anothers_flood_that_came_before_it() {
    // Nothing is written before all of it was judged.
    let rig = Rig::set_up(Setup {
        after_batches: BATCHES + 1,
        ..Setup::default()
    })
    .await;
    let mut flood = Streams::open(&rig).await;
    for sequence in 1..=BATCHES {
        let batch = events(&sequence.to_string(), BATCH_EVENTS);
        flood.send(sequence as u64, batch).await;
    }
    let few = pb::PublishEventsRequest {
        source: "few".into(),
        events: events("few", 100),
        ..Default::default()
    };
    let answer = rig.client.clone().publish_events(few).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.accepted, 100);
    let (end, all) = (offset(&answer.position), (BATCHES * BATCH_EVENTS) as u64);
    assert!(end <= all / 4, "at {end} of {all}");
    let mut accepted = 0;
    while accepted < all {
        accepted += u64::from(flood.ack().await.accepted);
    }
    assert_eq!(accepted, all);
}
