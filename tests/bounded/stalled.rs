//! Watches that nobody reads any more.

use crate::everything::{everything, fill};
use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{Place, queries, until};
use crate::raw::{Raw, SHUT, WATCH, WIDE, assert_overloaded, discarded, metric};
use prost::Message as _;
use quaymeter::pb;

/// Watches some 6,000 rows.
fn watching() -> pb::WatchThroughputRequest {
    let mut query = everything();
    query.page_size = 0;
    query.filter = Some(pb::Filter {
        roles: vec![pb::Role::Yard.into()],
        ..Default::default()
    });
    pb::WatchThroughputRequest {
        query: Some(query),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_not_read_loses_its_connection_and_no_other_does() {
    let place = Place::new();
    let service = place.serve(&["--limits-answer-taking-ms", "1500"]);
    fill(&service.grpc).await;
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut watch = queries(&service.grpc).await;
    let mut watch = watch.watch_throughput(watching()).await.unwrap();
    let watch = watch.get_mut();
    assert!(watch.message().await.unwrap().unwrap().snapshot);
    let mut raw = Raw::connect(&service.grpc, SHUT).await;
    let mut call = raw.call(WATCH).await;
    call.say(&watching().encode_to_vec()).await;
    raw.closed().await;
    assert_eq!(discarded(&service.http, "answers_to_be_taken"), 1);
    neighbour.leaves().await;
    // What it had to say it has said.
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let mut call = raw.call(WATCH).await;
    call.say(&watching().encode_to_vec()).await;
    let answer = call.answer.await.unwrap();
    let first = answer.into_body().data().await.unwrap().unwrap();
    assert!(!first.is_empty() && raw.is_open());
    // Three watches.
    memory.stayed_within(3 * 18 * MIB);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_are_not_read_share_one_budget() {
    const WATCHES: usize = 40;
    const ANSWERS: u64 = 128 * MIB;
    let place = Place::new();
    let answers = ANSWERS.to_string();
    let service = place.serve(&["--limits-answer-bytes", &answers]);
    fill(&service.grpc).await;
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let question = watching().encode_to_vec();
    let mut connections = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..WATCHES {
        let mut raw = Raw::connect(&service.grpc, SHUT).await;
        let mut call = raw.call(WATCH).await;
        call.say(&question).await;
        connections.push(raw);
        calls.push(call);
    }
    until("there is no room for all of them", async || {
        discarded(&service.http, "bytes_of_answers") > 0
    })
    .await;
    neighbour.goes_on().await;
    assert!(metric(&service.http, "quaymeter_answer_bytes") <= ANSWERS);
    // One that reads is told.
    let mut raw = Raw::connect(&service.grpc, WIDE).await;
    let mut call = raw.call(WATCH).await;
    call.say(&question).await;
    assert_overloaded(&call.ends().await, "bytes of answers");
    memory.stayed_within(ANSWERS + 18 * MIB);
    drop((calls, connections));
    until("what they held is given back", async || {
        metric(&service.http, "quaymeter_answer_bytes") == 0
    })
    .await;
    neighbour.leaves().await;
    service.stop();
}
