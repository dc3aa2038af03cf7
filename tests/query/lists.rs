//! The other questions over real sockets: leaders, enterprises, vessel calls,
//! no-shows, dumps and the status.

use crate::fixture::{Post, at, ms};
use crate::service::{Running, asked, assert_limited, invalid, loaded, port, reason, tokens};
use quaymeter::auth::caller::Caller;
use quaymeter::event::{Classifier, Role};
use quaymeter::meter::figure::Meaning;
use quaymeter::pb::throughput_service_server::ThroughputService as _;
use quaymeter::pb::{
    self, AppointmentStage, DurationKind, Fullness, Measure, Movement, VesselCallStage,
};
use quaymeter::query::Settings;
use quaymeter::view::position::Position;
use tonic::Request;

async fn with_leaders() -> Running {
    let mut port = port();
    let discharged = Meaning::Boxes(Movement::Discharged, Fullness::Empty);
    let restowed = Meaning::Boxes(Movement::Restowed, Fullness::Laden);
    let instant = ms("2026-11-23T01:00:00Z");
    let elsewhere = Post::new("ygt:a", instant, &[(discharged, 2)]);
    let fleet = loaded("ygt:fleet", 99);
    let plan = loaded("ygt:plan", 99);
    port.post(&[
        loaded("ygt:b", 5),
        loaded("ygt:a", 3),
        Post {
            facility: "CNZOS/X",
            ..elsewhere
        },
        loaded("ygt:B", 5),
        Post::new("ygt:restows", instant, &[(restowed, 9)]),
        Post {
            role: Role::Fleet,
            ..fleet
        },
        Post {
            classifier: Classifier::Planned,
            ..plan
        },
        loaded("smdg:COS", 1),
    ]);
    Running::start(&port).await
}

fn top() -> pb::ListTopEnterprisesRequest {
    pb::ListTopEnterprisesRequest {
        role: Role::Carrier.into(),
        measure: Measure::ThroughputBoxes.into(),
        from: at("2026-11-23T01:00:00Z"),
        to: at("2026-11-23T01:15:00Z"),
        ..Default::default()
    }
}

#[tokio::test]
async fn leaders_are_ranked_by_value_then_by_the_bytes_of_their_ids() {
    let running = with_leaders().await;
    let mut client = running.client().await;
    let mut ask = async |request| {
        let answer = client.list_top_enterprises(request).await.unwrap();
        let leaders = answer.into_inner().enterprises.into_iter();
        let shown = |leader: pb::RankedEnterprise| {
            let enterprise = leader.enterprise.unwrap_or_default();
            (leader.rank, enterprise.id, enterprise.name_zh, leader.value)
        };
        leaders.map(shown).collect::<Vec<_>>()
    };
    let of = |rank, id: &str, name: &str, value| (rank, id.to_owned(), name.to_owned(), value);
    let all = [
        of(1, "ygt:B", "", 5),
        of(2, "ygt:a", "", 5),
        of(3, "ygt:b", "", 5),
        of(4, "smdg:COS", "中远海运", 1),
    ];
    assert_eq!(ask(top()).await, all);
    let two = pb::ListTopEnterprisesRequest { limit: 2, ..top() };
    assert_eq!(ask(two).await, all[..2]);
    let facilities = vec!["cnzos".into()];
    let there = pb::ListTopEnterprisesRequest {
        facilities,
        ..top()
    };
    assert_eq!(ask(there).await, [of(1, "ygt:a", "", 2)]);
}

#[tokio::test]
async fn leaders_are_in_one_role_by_one_measure() {
    let running = with_leaders().await;
    let mut client = running.client().await;
    let mut request = top();
    request.role = 0;
    let refused = client.list_top_enterprises(request).await.unwrap_err();
    assert_eq!(reason(&refused), invalid("role"));
    let mut request = top();
    request.measure = 0;
    let refused = client.list_top_enterprises(request).await.unwrap_err();
    assert_eq!(reason(&refused), invalid("measure"));
    let mut request = top();
    request.limit = 1_001;
    let refused = client.list_top_enterprises(request).await.unwrap_err();
    assert_eq!(reason(&refused), invalid("limit"));
}

#[tokio::test]
async fn enterprises_come_from_cells_and_the_registry_by_id() {
    let mut port = port();
    port.post(&[
        loaded("smdg:COS", 1),
        Post {
            role: Role::Fleet,
            ..loaded("ygt:z", 1)
        },
    ]);
    port.post(&[Post {
        role: Role::Agent,
        ..loaded("smdg:COS", 1)
    }]);
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let mut ask = async |request: pb::ListEnterprisesRequest| {
        let answer = client.list_enterprises(request).await.unwrap().into_inner();
        let ids: Vec<_> = answer
            .enterprises
            .iter()
            .map(|enterprise| enterprise.id.clone())
            .collect();
        (ids, answer)
    };
    let (ids, answer) = ask(pb::ListEnterprisesRequest::default()).await;
    assert_eq!(ids, ["smdg:COS", "ygt:quiet", "ygt:z"]);
    assert_eq!(
        answer.enterprises[0].roles,
        [Role::Carrier, Role::Yard, Role::Agent].map(i32::from)
    );
    for (contains, expected) in [
        ("QUIET", "ygt:quiet"),
        ("中远", "smdg:COS"),
        ("ygt:Z", "ygt:z"),
    ] {
        let request = pb::ListEnterprisesRequest {
            contains: contains.into(),
            ..Default::default()
        };
        assert_eq!(ask(request).await.0, [expected]);
    }
    let fleet = pb::ListEnterprisesRequest {
        role: Role::Fleet.into(),
        ..Default::default()
    };
    assert_eq!(ask(fleet).await.0, ["ygt:z"]);
    let first = pb::ListEnterprisesRequest {
        page_size: 2,
        ..Default::default()
    };
    let (_, answer) = ask(first).await;
    let rest = pb::ListEnterprisesRequest {
        page_token: answer.next_page_token,
        ..Default::default()
    };
    assert_eq!(ask(rest).await.0, ["ygt:z"]);
}

async fn with_calls() -> Running {
    let mut port = port();
    let moves = |hour: &str, call, vessel, figures: &[(Meaning, i64)]| Post {
        call: Some((call, vessel)),
        ..Post::new("smdg:COS", ms(hour), figures)
    };
    let load = |count| [(Meaning::Boxes(Movement::Loaded, Fullness::Laden), count)];
    let discharge = [(Meaning::Boxes(Movement::Discharged, Fullness::Laden), 20)];
    let restow = [(Meaning::Boxes(Movement::Restowed, Fullness::Laden), 10)];
    let stay = [
        (Meaning::DurationCount(DurationKind::BerthStay), 1),
        (Meaning::DurationSumMs(DurationKind::BerthStay), 7_200_000),
        (Meaning::VesselCall(VesselCallStage::Unberthed), 1),
    ];
    port.post(&[
        moves("2026-11-22T10:00:00Z", "C1", "9321483", &load(30)),
        moves("2026-11-23T01:00:00Z", "C1", "9811000", &discharge),
        moves("2026-11-23T02:00:00Z", "C1", "9811000", &restow),
        moves("2026-11-23T03:00:00Z", "C1", "BOAT", &stay),
        moves("2026-11-23T03:00:00Z", "C0", "9811000", &load(4)),
        moves("2026-11-21T10:00:00Z", "OLD", "9811000", &load(4)),
    ]);
    Running::start(&port).await
}

fn calls() -> pb::ListVesselCallsRequest {
    pb::ListVesselCallsRequest {
        from: at("2026-11-21T16:00:00Z"),
        to: at("2026-11-23T16:00:00Z"),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_vessel_call_sums_its_days_and_is_named_by_most_of_its_events() {
    let running = with_calls().await;
    let answer = running.client().await.list_vessel_calls(calls()).await;
    let [without_stay, call] = &answer.unwrap().into_inner().calls[..] else {
        panic!("not two calls")
    };
    assert_eq!((&*without_stay.call_id, &*call.call_id), ("C0", "C1"));
    assert_eq!(without_stay.moves_per_berth_hour, None);
    assert_eq!((call.loaded, call.discharged, call.restowed), (30, 20, 10));
    let stays = (call.berth_stays, call.moves_per_berth_hour);
    assert_eq!(stays, (1, Some(25.0)));
    // 30 events name each of two vessels: the lesser in bytes it is.
    assert_eq!(call.vessel, "9321483");
}

#[tokio::test]
async fn vessel_calls_come_in_pages_over_whole_days() {
    let running = with_calls().await;
    let mut client = running.client().await;
    let mut request = calls();
    request.page_size = 1;
    let page = client.list_vessel_calls(request.clone()).await.unwrap();
    let page = page.into_inner();
    assert_eq!(page.calls[0].call_id, "C0");
    request.page_token = page.next_page_token;
    let page = client.list_vessel_calls(request).await.unwrap();
    let page = page.into_inner();
    assert_eq!(page.calls[0].call_id, "C1");
    assert_eq!(page.next_page_token, "");
    let mut only = calls();
    only.call_id = "C0".into();
    let only = client.list_vessel_calls(only).await.unwrap().into_inner();
    assert_eq!(only.calls.len(), 1);
    let mut misaligned = calls();
    misaligned.from = at("2026-11-21T17:00:00Z");
    let refused = client.list_vessel_calls(misaligned).await.unwrap_err();
    assert_eq!(reason(&refused), invalid("from"));
}

const EARLY: &str = "2026-11-23T02:00:00Z";
const ENDED: &str = "2026-11-23T03:00:00Z";
const LATER: &str = "2026-11-23T05:00:00Z";

async fn with_slots() -> Running {
    use AppointmentStage::{Cancelled, Changed, Confirmed, Requested, Used};
    let mut port = port();
    let slot = |enterprise, (start, end), stage, count| {
        let figures = [(Meaning::Appointment(stage), count)];
        Post {
            role: Role::Fleet,
            slot_end: Some(ms(end)),
            ..Post::new(enterprise, ms(start), &figures)
        }
    };
    port.post(&[
        slot("ygt:b", (EARLY, ENDED), Confirmed, 9),
        slot("ygt:b", (EARLY, ENDED), Used, 4),
        slot("ygt:b", (EARLY, ENDED), Cancelled, 1),
        slot("ygt:b", (EARLY, ENDED), Changed, 2),
        slot("ygt:a", (EARLY, ENDED), Confirmed, 1),
        slot("ygt:a", (EARLY, "2026-11-23T02:30:00Z"), Confirmed, 1),
        slot("ygt:c", (EARLY, ENDED), Requested, 7),
        slot("ygt:a", (ENDED, LATER), Confirmed, 1),
    ]);
    Running::start(&port).await
}

fn slots() -> pb::ListNoShowsRequest {
    pb::ListNoShowsRequest {
        from: at("2026-11-23T00:00:00Z"),
        to: at("2026-11-23T16:00:00Z"),
        ..Default::default()
    }
}

#[tokio::test]
async fn no_shows_are_asked_for_slots_that_have_ended() {
    let running = with_slots().await;
    let mut client = running.client().await;
    let rows = client.list_no_shows(slots()).await.unwrap();
    let rows = rows.into_inner().rows;
    let shown = |row: &pb::NoShowRow| (row.slot_end, row.enterprise.clone(), row.no_shows);
    let expected = [
        (at("2026-11-23T02:30:00Z"), "ygt:a".to_owned(), 1),
        (at(ENDED), "ygt:a".to_owned(), 1),
        (at(ENDED), "ygt:b".to_owned(), 2),
    ];
    assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), expected);
    let of = &rows[2];
    let counts = (of.confirmed, of.changed, of.cancelled, of.used);
    assert_eq!(counts, (9, 2, 1, 4));
    let mut later = slots();
    later.ended_by = at(LATER);
    let rows = client.list_no_shows(later).await.unwrap().into_inner().rows;
    assert_eq!(rows.len(), 4);
}

#[tokio::test]
async fn pages_of_no_shows_are_the_one_page_cut() {
    let running = with_slots().await;
    let mut client = running.client().await;
    let all = client.list_no_shows(slots()).await.unwrap();
    let mut request = slots();
    request.page_size = 1;
    let mut found = Vec::new();
    loop {
        let page = client.list_no_shows(request.clone()).await.unwrap();
        let page = page.into_inner();
        assert!(page.rows.len() <= 1);
        found.extend(page.rows);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, all.into_inner().rows);
}

#[tokio::test]
async fn a_dump_carries_its_state_even_if_there_is_nothing_to_dump() {
    let mut port = port();
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let request = pb::DumpCellsRequest {
        grain: pb::Grain::Day.into(),
        ..Default::default()
    };
    let mut dump = client
        .dump_cells(request.clone())
        .await
        .unwrap()
        .into_inner();
    let part = dump.message().await.unwrap().unwrap();
    assert!(part.cells.is_empty() && part.freshness.is_some());
    assert_eq!(dump.message().await.unwrap(), None);
    port.post(&[loaded("smdg:COS", 1)]);
    let mut dump = client.dump_cells(request).await.unwrap().into_inner();
    let part = dump.message().await.unwrap().unwrap();
    assert_eq!(part.cells[0].start, at("2026-11-22T16:00:00Z"));
    assert_eq!(part.cells[0].facility, "CNNBO/BLCT2");
    assert_eq!(dump.message().await.unwrap(), None);
    let wrong = pb::DumpCellsRequest {
        grain: pb::Grain::Hour.into(),
        ..Default::default()
    };
    let refused = client.dump_cells(wrong).await.unwrap_err();
    assert_eq!(reason(&refused), invalid("grain"));
}

/// Those that nobody takes: over a socket, so short a dump would be sent at once.
#[tokio::test]
async fn dumps_are_limited_and_a_place_is_free_again_after_one_ends() {
    let (_stop, service) = asked(&port(), Settings::default());
    let dump = async || {
        let mut request = Request::new(pb::DumpCellsRequest {
            grain: pb::Grain::Day.into(),
            ..Default::default()
        });
        request.extensions_mut().insert(Caller::anyone());
        service.dump_cells(request).await
    };
    let mut held = Vec::new();
    for _ in 0..Settings::default().dumps_max {
        held.push(dump().await.unwrap());
    }
    let Err(refused) = dump().await else {
        panic!("one more is given");
    };
    assert_limited(&refused, "dumps", true);
    drop(held.pop());
    held.push(dump().await.unwrap());
}

#[tokio::test]
async fn the_status_tells_what_is_counted_and_kept() {
    let mut port = port();
    port.post(&[loaded("smdg:COS", 1)]);
    port.post(&[Post {
        at: ms("2026-11-23T02:00:00Z"),
        ..loaded("smdg:COS", 1)
    }]);
    let running = Running::start(&port).await;
    let request = pb::GetStatusRequest {
        at_least: Position::embedded(2).encode(&tokens()),
    };
    let status = running
        .client()
        .await
        .get_status(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (status.events, status.quarter_cells, status.day_cells),
        (2, 2, 1)
    );
    assert_eq!(
        (&*status.reporting_zone, status.horizon_days),
        ("Asia/Shanghai", 35)
    );
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
}
