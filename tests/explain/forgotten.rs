//! What was forgotten: it stays counted, and counts again if it is sent again.

use crate::place::retraction;
use crate::world::*;
use quaymeter::answers::instant;
use quaymeter::pb::{EventState, RecordFate};

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_event_stays_counted_and_its_pair_is_frozen() {
    let world = World::at_noon().await;
    world
        .send(vec![comes("in", NOON - HOUR_MS), leaves("out", NOON)])
        .await;
    world.pass(HORIZON_DAYS).await;
    assert_eq!(world.lookup("in").await.state(), EventState::Known);
    world.pass(HORIZON_DAYS + 1).await;
    let answer = world.lookup("in").await;
    assert_eq!(answer.state(), EventState::Forgotten);
    let gone = life(&answer);
    let until = instant(UTC_DAY + (HORIZON_DAYS + 1) * DAY_MS);
    assert_eq!((gone.forgotten, gone.remembered_until), (true, Some(until)));
    assert_eq!(gone.cells.len(), 1);
    assert_eq!(pairs(gone), [("out", false, HOUR_MS)]);
    assert_eq!(gone.pairs[0].frozen_at, Some(until));
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_event_that_is_sent_again_lives_twice() {
    let world = World::at_noon().await;
    world.one(comes("a", NOON)).await;
    world.pass(HORIZON_DAYS + 1).await;
    let now = NOON + (HORIZON_DAYS + 1) * DAY_MS;
    world.one(comes("a", now)).await;
    world.one(comes("a", now)).await;
    let answer = world.lookup("a").await;
    assert_eq!(answer.state(), EventState::Known);
    let lives: Vec<_> = answer.lives.iter().map(|life| life.forgotten).collect();
    assert_eq!(lives, [true, false]);
    let days: Vec<_> = answer.lives.iter().map(|life| life.cells[0].day).collect();
    let second = DAY_START + (HORIZON_DAYS + 1) * DAY_MS;
    assert_eq!(days, [Some(instant(DAY_START)), Some(instant(second))]);
    let expected = [
        (RecordFate::New, true),
        (RecordFate::New, true),
        (RecordFate::Duplicate, false),
    ];
    assert_eq!(fates(&answer), expected);
    let of: Vec<_> = answer.records.iter().map(|record| record.life).collect();
    assert_eq!(of, [1, 2, 2]);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_whose_partner_was_forgotten_outlives_its_retraction() {
    let world = World::at_noon().await;
    world
        .send(vec![comes("in", NOON - HOUR_MS), leaves("out", NOON)])
        .await;
    // The end is heard of once more, the start is not.
    world.service.set(NOON + 20 * DAY_MS);
    world.one(leaves("out", NOON)).await;
    world.pass(HORIZON_DAYS + 1).await;
    world.one(retraction("out", 1)).await;
    let answer = world.lookup("out").await;
    assert_eq!(answer.state(), EventState::Known);
    let out = life(&answer);
    assert!(out.event.as_ref().unwrap().retracted);
    assert_eq!(out.cells, []);
    assert_eq!(pairs(out), [("in", true, HOUR_MS)]);
    let frozen = instant(UTC_DAY + (HORIZON_DAYS + 1) * DAY_MS);
    assert_eq!(out.pairs[0].frozen_at, Some(frozen));
    // The cell says so too: the turn counts, the passage does not.
    let parts = world.cell(DAY_START, DAY_START + DAY_MS).await.unwrap();
    let [part] = &parts[..] else {
        panic!("{parts:?}")
    };
    let ids = part.events.iter().map(|event| {
        let id = event.identity.as_ref().map_or("", |of| &*of.event_id);
        (id, event.retracted, event.forgotten, event.pairs.len())
    });
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids, [("in", false, true, 0), ("out", true, false, 1)]);
    let figures = part.figures.as_ref().unwrap();
    assert_eq!((figures.trucks_in, figures.trucks_out), (1, 0));
    assert_eq!(figures.durations[0].count, 1);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_quarter_is_kept_no_longer_only_the_day_is_told() {
    let world = World::at_noon().await;
    world.one(comes("a", NOON)).await;
    world.pass(50).await;
    let answer = world.lookup("a").await;
    let cell = &life(&answer).cells[0];
    assert_eq!((cell.quarter, cell.day), (None, Some(instant(DAY_START))));
    world.service.stop().await;
}
