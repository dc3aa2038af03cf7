//! A cell's events: what they add sums to what is answered about it.

use crate::place::{self, arrivals, queries, retraction};
use crate::world::*;
use quaymeter::answers::instant;
use quaymeter::pb;
use quaymeter::truth::{Figures, flatten};
use std::collections::BTreeSet;
use tonic::Code;

/// What the events come to, and their ids.
fn sum(parts: &[pb::ListCellEventsResponse]) -> (Figures, Vec<String>) {
    let events = parts.iter().flat_map(|part| &part.events);
    let mut sum = Figures::default();
    let ids = events.map(|event| {
        sum.merge(&flatten(event.figures.as_ref().unwrap()));
        event.identity.as_ref().unwrap().event_id.clone()
    });
    let ids = ids.collect();
    (sum, ids)
}

/// What is answered about F1 as a fleet.
async fn answered(url: &str, from: i64, to: i64) -> Figures {
    let request = pb::GetThroughputRequest {
        filter: Some(pb::Filter {
            enterprises: vec!["ygt:F1".into()],
            roles: vec![pb::Role::Fleet.into()],
            facilities: vec![FACILITY.into()],
            ..Default::default()
        }),
        from: Some(instant(from)),
        to: Some(instant(to)),
        grain: pb::Grain::Total.into(),
        ..Default::default()
    };
    let answer = queries(url).await.get_throughput(request).await.unwrap();
    let row = answer.into_inner().rows.into_iter().next();
    row.map_or_else(Figures::default, |row| {
        flatten(row.figures.as_ref().unwrap())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_quarter_of_a_day_and_of_days_sum_to_what_is_answered() {
    let world = World::at_noon().await;
    let quarter = NOON - HOUR_MS;
    let slot = (quarter, quarter + HOUR_MS);
    world
        .send(vec![
            comes("in", quarter - MINUTE_MS),
            leaves("out", quarter + MINUTE_MS),
            comes("wrong", quarter + 2 * MINUTE_MS),
            of_fleet(comes("other", quarter), "ygt:F2"),
            revised(comes("moved", quarter), 0),
            revised(comes("moved", quarter - DAY_MS), 1),
            appointment("slot", quarter - 2 * DAY_MS, slot),
            comes("next", quarter + 15 * MINUTE_MS),
        ])
        .await;
    world.one(retraction("wrong", 0)).await;
    for (from, to, expected) in [
        (quarter, quarter + 15 * MINUTE_MS, &["slot", "out"][..]),
        (
            DAY_START,
            DAY_START + DAY_MS,
            &["in", "slot", "out", "next"],
        ),
        (
            DAY_START - DAY_MS,
            DAY_START + DAY_MS,
            &["moved", "in", "slot", "out", "next"],
        ),
        (quarter - DAY_MS, quarter, &["moved", "in"]),
        (quarter - HOUR_MS, quarter - 30 * MINUTE_MS, &[]),
    ] {
        let parts = world.cell(from, to).await.unwrap();
        let (sum, ids) = sum(&parts);
        assert_eq!(ids, expected);
        assert_eq!(sum, answered(world.url(), from, to).await);
        let [part] = &parts[..] else {
            panic!("{parts:?}")
        };
        assert_eq!(flatten(part.figures.as_ref().unwrap()), sum);
        assert_eq!(part.events_total, expected.len() as u64);
    }
    let parts = world.cell(quarter, quarter + 15 * MINUTE_MS).await.unwrap();
    let out = &parts[0].events[1];
    let [pair] = &out.pairs[..] else {
        panic!("{out:?}")
    };
    // The same truck for another fleet is the nearer neighbour.
    assert_eq!(pair.partner.as_ref().unwrap().event_id, "other");
    assert_eq!((pair.duration_ms, pair.is_end), (MINUTE_MS, true));
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_comes_in_parts() {
    let place = place::Place::new();
    let service = place.serve(&[]);
    place::published(&service.grpc, arrivals(0..2_300)).await;
    let from = place::recently();
    let request = request(from, from + place::QUARTER_MS);
    let mut client = queries(&service.grpc).await;
    let mut stream = client.list_cell_events(request).await.unwrap().into_inner();
    let mut parts = Vec::new();
    while let Some(part) = stream.message().await.unwrap() {
        parts.push(part);
    }
    let sizes: Vec<_> = parts.iter().map(|part| part.events.len()).collect();
    assert_eq!(sizes, [1_000, 1_000, 300]);
    assert_eq!(parts[0].events_total, 2_300);
    assert!(parts[1].figures.is_none() && parts[1].freshness == parts[0].freshness);
    let (sum, ids) = sum(&parts);
    assert_eq!(sum, flatten(parts[0].figures.as_ref().unwrap()));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 2_300);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_names_its_field_and_one_beyond_reach_says_so() {
    let world = World::at_noon().await;
    world.one(comes("a", NOON)).await;
    let good = request(NOON, NOON + HOUR_MS);
    let ask = |change: &dyn Fn(&mut pb::ListCellEventsRequest)| {
        let mut request = good.clone();
        change(&mut request);
        world.list(request)
    };
    for (field, answer) in [
        ("facility", ask(&|r| r.facility = "CNNBO".into()).await),
        ("enterprise", ask(&|r| r.enterprise = "F1".into()).await),
        ("role", ask(&|r| r.role = 0).await),
        ("classifier", ask(&|r| r.classifier = 9).await),
        ("from", ask(&|r| r.from = None).await),
        ("from", ask(&|r| r.from = Some(instant(NOON + 1))).await),
        ("to", ask(&|r| r.to = Some(instant(NOON))).await),
    ] {
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().starts_with(field), "{refused:?}");
    }
    let old = NOON - 60 * DAY_MS;
    let refused = world.cell(old, old + HOUR_MS).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    world.service.stop().await;
}
