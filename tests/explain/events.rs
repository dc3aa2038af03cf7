//! Each thing that may become of an event, as a person would say it.

use crate::place::{self, retraction};
use crate::world::*;
use quaymeter::answers::instant;
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, EventState, RecordFate};
use tonic::Code;

const DUPLICATE: (RecordFate, bool) = (RecordFate::Duplicate, false);

#[tokio::test(flavor = "multi_thread")]
async fn the_highest_revision_holds_and_a_late_older_one_never_counted() {
    let world = World::at_noon().await;
    world.one(comes("a", NOON - HOUR_MS)).await;
    world.one(revised(leaves("a", NOON - 2 * HOUR_MS), 5)).await;
    world.one(revised(comes("a", NOON - 3 * HOUR_MS), 3)).await;
    let answer = world.lookup("a").await;
    assert_eq!(answer.state(), EventState::Known);
    let expected = [
        (RecordFate::New, false),
        (RecordFate::Revised, true),
        (RecordFate::Superseded, false),
    ];
    assert_eq!(fates(&answer), expected);
    let replaced: Vec<_> = answer.records.iter().map(|one| one.replaced_by).collect();
    assert_eq!(replaced, [Some(1), None, None]);
    let life = life(&answer);
    assert_eq!((life.offset, life.forgotten), (1, false));
    assert_eq!(life.event.as_ref().unwrap().revision, 5);
    assert_eq!(life.appended_at, Some(instant(NOON)));
    let [cell] = &life.cells[..] else {
        panic!("{life:?}")
    };
    assert_eq!(cell.quarter, Some(instant(NOON - 2 * HOUR_MS)));
    assert_eq!(cell.day, Some(instant(DAY_START)));
    assert_eq!(
        (cell.role(), &*cell.enterprise),
        (pb::Role::Fleet, "ygt:F1")
    );
    let figures = cell.figures.as_ref().unwrap();
    assert_eq!((figures.trucks_in, figures.trucks_out), (0, 1));
    // Its latest record was appended today: the horizon's last day is over then.
    let until = UTC_DAY + (HORIZON_DAYS + 1) * DAY_MS;
    assert_eq!(life.remembered_until, Some(instant(until)));
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_has_no_effect_and_is_told() {
    let world = World::at_noon().await;
    for _ in 0..3 {
        world.one(comes("a", NOON - HOUR_MS)).await;
    }
    let answer = world.lookup("a").await;
    assert_eq!(
        fates(&answer),
        [(RecordFate::New, true), DUPLICATE, DUPLICATE]
    );
    assert_eq!(life(&answer).offset, 0);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_conflict_the_greater_hash_is_told_to_hold() {
    for order in [[0, 1], [1, 0]] {
        let world = World::at_noon().await;
        let two = [comes("a", NOON - HOUR_MS), leaves("a", NOON - HOUR_MS)];
        for n in order {
            world.one(two[n].clone()).await;
        }
        let answer = world.lookup("a").await;
        let [first, second] = &answer.records[..] else {
            panic!("{answer:?}")
        };
        assert_eq!(first.fate(), RecordFate::New);
        let second_won = second.content_sha256 > first.content_sha256;
        assert_eq!((first.holds, second.holds), (!second_won, second_won));
        let fate = match second_won {
            true => RecordFate::ConflictWon,
            false => RecordFate::ConflictLost,
        };
        assert_eq!(second.fate(), fate);
        assert_eq!(first.replaced_by, second_won.then_some(1));
        let holds = if second_won { 1 } else { 0 };
        let figures = life(&answer).cells[0].figures.as_ref().unwrap();
        assert_eq!(figures.trucks_in, i64::from(order[holds] == 0));
        world.service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_counts_nowhere_until_it_is_taken_back() {
    let world = World::at_noon().await;
    world.one(comes("a", NOON - HOUR_MS)).await;
    world.one(retraction("a", 0)).await;
    let answer = world.lookup("a").await;
    assert_eq!(
        fates(&answer),
        [(RecordFate::New, false), (RecordFate::Retracted, true)]
    );
    let retracted = life(&answer);
    assert!(retracted.event.as_ref().unwrap().retracted);
    assert_eq!(retracted.cells, []);
    world.one(revised(comes("a", NOON - HOUR_MS), 1)).await;
    let answer = world.lookup("a").await;
    assert_eq!(fates(&answer)[2], (RecordFate::Revised, true));
    assert_eq!(life(&answer).cells.len(), 1);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_may_come_first() {
    let world = World::at_noon().await;
    world.one(retraction("a", 1)).await;
    world.one(comes("a", NOON - HOUR_MS)).await;
    let answer = world.lookup("a").await;
    assert_eq!(
        fates(&answer),
        [
            (RecordFate::Retracted, true),
            (RecordFate::Superseded, false)
        ]
    );
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_told_from_both_sides_and_counts_for_the_ends_parties() {
    let world = World::at_noon().await;
    let (start, end) = (NOON - 2 * HOUR_MS, NOON - HOUR_MS);
    world.one(of_fleet(leaves("out", end), "ygt:F2")).await;
    world.one(comes("in", start)).await;
    let (begins, ends) = (world.lookup("in").await, world.lookup("out").await);
    assert_eq!(pairs(life(&begins)), [("out", false, HOUR_MS)]);
    assert_eq!(pairs(life(&ends)), [("in", true, HOUR_MS)]);
    for answer in [&begins, &ends] {
        let pair = &life(answer).pairs[0];
        assert_eq!(pair.kind(), pb::DurationKind::TruckTurn);
        assert_eq!(
            (pair.start, pair.end),
            (Some(instant(start)), Some(instant(end)))
        );
        assert_eq!(pair.frozen_at, None);
        let [cell] = &pair.cells[..] else {
            panic!("{pair:?}")
        };
        assert_eq!(&*cell.enterprise, "ygt:F2");
        assert_eq!(cell.quarter, Some(instant(end)));
        let [turn] = &cell.figures.as_ref().unwrap().durations[..] else {
            panic!("{cell:?}")
        };
        assert_eq!((turn.count, turn.sum_ms), (1, HOUR_MS));
    }
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_neighbour_pairs_anew_and_a_retracted_one_gives_back() {
    let world = World::at_noon().await;
    let at = |minutes: i64| NOON - HOUR_MS + minutes * MINUTE_MS;
    world
        .send(vec![comes("in", at(0)), leaves("out", at(30))])
        .await;
    world.one(comes("late", at(10))).await;
    let of = async |id: &str| {
        let answer = world.lookup(id).await;
        let pairs = pairs(life(&answer)).into_iter();
        pairs
            .map(|(id, _, ms)| (id.to_owned(), ms / MINUTE_MS))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("in").await, []);
    assert_eq!(of("out").await, [("late".to_owned(), 20)]);
    world.one(retraction("late", 0)).await;
    assert_eq!(of("late").await, []);
    assert_eq!(of("out").await, [("in".to_owned(), 30)]);
    // A correction that names another truck leaves the list.
    let other = place::passage("in", at(0), pb::GateDirection::In, "浙B99999");
    world.one(revised(other, 1)).await;
    assert_eq!(of("out").await, []);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_and_vessel_calls_are_told() {
    let world = World::at_noon().await;
    let slot = (NOON + 5 * DAY_MS, NOON + 5 * DAY_MS + HOUR_MS);
    world.one(appointment("slot", NOON, slot)).await;
    let call = pb::VesselCall {
        stage: pb::VesselCallStage::Berthed.into(),
        call_id: "C1".into(),
        vessel_imo: "9321483".into(),
        ..Default::default()
    };
    let berthed = place::event("berthed", NOON - HOUR_MS, Detail::VesselCall(call));
    world.one(berthed).await;
    let answer = world.lookup("slot").await;
    let booked = life(&answer);
    let told = booked.slot.unwrap();
    assert_eq!(
        (told.start, told.end),
        (Some(instant(slot.0)), Some(instant(slot.1)))
    );
    assert_eq!(booked.cells[0].quarter, Some(instant(slot.0)));
    // It is remembered by the slot's end, which is later than its append.
    let until = UTC_DAY + (5 + HORIZON_DAYS + 1) * DAY_MS;
    assert_eq!(booked.remembered_until, Some(instant(until)));
    let answer = world.lookup("berthed").await;
    let call = life(&answer).vessel_call.as_ref().unwrap();
    assert_eq!((&*call.call_id, &*call.vessel), ("C1", "9321483"));
    assert_eq!(call.day, Some(instant(DAY_START)));
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plate_leaves_but_as_a_pseudonym() {
    let world = World::at_noon().await;
    world
        .send(vec![comes("in", NOON - HOUR_MS), leaves("out", NOON)])
        .await;
    let answer = world.lookup("in").await;
    let json = serde_json::to_string(&answer).unwrap();
    assert!(!json.contains("12345"), "{json}");
    let event = life(&answer).event.as_ref().unwrap();
    let Some(Detail::GateMove(gate)) = &event.detail else {
        panic!("{event:?}")
    };
    assert!(gate.tractor_plate.starts_with("p1:"), "{gate:?}");
    assert_eq!(life(&answer).pairs[0].key, gate.tractor_plate);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_seen_is_an_answer_that_points_elsewhere() {
    let world = World::at_noon().await;
    let empty = world.lookup("a").await;
    assert_eq!(empty.state(), EventState::NeverSeen);
    assert_eq!(empty.log.unwrap().start_at, None);
    world.one(comes("a", NOON)).await;
    let elsewhere = world.ask("cnnbo/blct3", "tos", "a").await.unwrap();
    assert_eq!(elsewhere.state(), EventState::NeverSeen);
    assert_eq!((elsewhere.lives.len(), elsewhere.records.len()), (0, 0));
    let [found] = &elsewhere.elsewhere[..] else {
        panic!("{elsewhere:?}")
    };
    assert_eq!((&*found.facility, &*found.source), (FACILITY, "tos"));
    let log = elsewhere.log.unwrap();
    assert_eq!((log.start_offset, log.start_at), (0, Some(instant(NOON))));
    assert_eq!(log.acts_from, None);
    // Part of an id, or of a known event's text, is no event.
    let other = world.lookup("浙B").await;
    assert_eq!(
        (other.state(), other.elsewhere.len()),
        (EventState::NeverSeen, 0)
    );
    let known = world.lookup("a").await;
    assert_eq!(known.elsewhere, []);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_names_its_field() {
    let world = World::at_noon().await;
    let long = "x".repeat(129);
    for (facility, source, id, field) in [
        ("CNNBO", "tos", "a", "facility"),
        ("", "tos", "a", "facility"),
        (FACILITY, "t o s", "a", "source"),
        (FACILITY, "", "a", "source"),
        (FACILITY, "tos", "", "event_id"),
        (FACILITY, "tos", "a\n", "event_id"),
        (FACILITY, "tos", &long, "event_id"),
    ] {
        let refused = world.ask(facility, source, id).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().starts_with(field), "{refused:?}");
    }
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_records_are_told_and_the_rest_is_counted() {
    let world = World::at_noon().await;
    let again = comes("a", NOON - HOUR_MS);
    world.send(vec![again; 1_207]).await;
    world.one(revised(leaves("a", NOON), 1)).await;
    let answer = world.lookup("a").await;
    assert_eq!((answer.records.len(), answer.records_omitted), (1_000, 208));
    assert_eq!(
        fates(&answer)[998..],
        [DUPLICATE, (RecordFate::Revised, true)]
    );
    assert_eq!(life(&answer).offset, 1_207);
    world.service.stop().await;
}
