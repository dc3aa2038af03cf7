//! The other questions over real sockets: leaders, enterprises, vessel calls,
//! no-shows, dumps and the status.

use crate::fixture::{Post, at, ms};
use crate::service::{Running, invalid, loaded, port, reason};
use quaymeter::event::{Classifier, Role};
use quaymeter::meter::figure::Meaning;
use quaymeter::pb::{
    self, AppointmentStage, DurationKind, Fullness, Measure, Movement, VesselCallStage,
};
use quaymeter::view::position::Position;

#[tokio::test]
async fn leaders_are_ranked_by_value_then_by_the_bytes_of_their_ids() {
    let mut port = port();
    let discharged = Meaning::Boxes(Movement::Discharged, Fullness::Empty);
    let restowed = Meaning::Boxes(Movement::Restowed, Fullness::Laden);
    let instant = ms("2026-11-23T01:00:00Z");
    port.post(&[
        loaded("ygt:b", 5),
        loaded("ygt:a", 3),
        Post {
            facility: "CNZOS/X",
            ..Post::new("ygt:a", instant, &[(discharged, 2)])
        },
        loaded("ygt:B", 5),
        Post::new("ygt:restows", instant, &[(restowed, 9)]),
        Post {
            role: Role::Fleet,
            ..loaded("ygt:fleet", 99)
        },
        Post {
            classifier: Classifier::Planned,
            ..loaded("ygt:plan", 99)
        },
        loaded("smdg:COS", 1),
    ]);
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let request = pb::ListTopEnterprisesRequest {
        role: Role::Carrier.into(),
        measure: Measure::ThroughputBoxes.into(),
        from: at("2026-11-23T01:00:00Z"),
        to: at("2026-11-23T01:15:00Z"),
        ..Default::default()
    };
    let top = client
        .list_top_enterprises(request.clone())
        .await
        .unwrap()
        .into_inner()
        .enterprises;
    let shown = |top: &pb::RankedEnterprise| {
        (
            top.rank,
            top.enterprise.clone().unwrap_or_default().id,
            top.value,
        )
    };
    let expected = [
        (1, "ygt:B", 5),
        (2, "ygt:a", 5),
        (3, "ygt:b", 5),
        (4, "smdg:COS", 1),
    ];
    assert_eq!(
        top.iter().map(shown).collect::<Vec<_>>(),
        expected.map(|(r, id, v)| (r, id.into(), v))
    );
    assert_eq!(top[3].enterprise.clone().unwrap().name_zh, "中远海运");
    let two = pb::ListTopEnterprisesRequest {
        limit: 2,
        ..request.clone()
    };
    assert_eq!(
        client
            .list_top_enterprises(two)
            .await
            .unwrap()
            .into_inner()
            .enterprises
            .len(),
        2
    );
    let here = pb::ListTopEnterprisesRequest {
        facilities: vec!["cnzos".into()],
        ..request.clone()
    };
    let here = client
        .list_top_enterprises(here)
        .await
        .unwrap()
        .into_inner()
        .enterprises;
    assert_eq!(
        here.iter().map(shown).collect::<Vec<_>>(),
        [(1, "ygt:a".to_owned(), 2)]
    );
    for (request, field) in [
        (
            pb::ListTopEnterprisesRequest {
                role: 0,
                ..request.clone()
            },
            "role",
        ),
        (
            pb::ListTopEnterprisesRequest {
                measure: 0,
                ..request.clone()
            },
            "measure",
        ),
        (
            pb::ListTopEnterprisesRequest {
                limit: 1_001,
                ..request
            },
            "limit",
        ),
    ] {
        let refused = client.list_top_enterprises(request).await.unwrap_err();
        assert_eq!(reason(&refused), invalid(field));
    }
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
        [Role::Carrier as i32, Role::Agent as i32]
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

#[tokio::test]
async fn a_vessel_call_sums_its_days_and_is_named_by_most_of_its_events() {
    let mut port = port();
    let moves = |hour: &str, call, vessel, figures: &[(Meaning, i64)]| Post {
        call: Some((call, vessel)),
        ..Post::new("smdg:COS", ms(hour), figures)
    };
    let (load, discharge) = (Movement::Loaded, Movement::Discharged);
    let boxes = |movement, count| (Meaning::Boxes(movement, Fullness::Laden), count);
    let stay = [
        (Meaning::DurationCount(DurationKind::BerthStay), 1),
        (
            Meaning::DurationSumMs(DurationKind::BerthStay),
            2 * 3_600_000,
        ),
        (Meaning::VesselCall(VesselCallStage::Unberthed), 1),
    ];
    port.post(&[
        moves("2026-11-22T10:00:00Z", "C1", "9321483", &[boxes(load, 30)]),
        moves(
            "2026-11-23T01:00:00Z",
            "C1",
            "9811000",
            &[boxes(discharge, 20)],
        ),
        moves(
            "2026-11-23T02:00:00Z",
            "C1",
            "9811000",
            &[boxes(Movement::Restowed, 10)],
        ),
        moves("2026-11-23T03:00:00Z", "C1", "BOAT", &stay),
        moves("2026-11-23T03:00:00Z", "C0", "9811000", &[boxes(load, 4)]),
        moves("2026-11-21T10:00:00Z", "OLD", "9811000", &[boxes(load, 4)]),
    ]);
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let request = pb::ListVesselCallsRequest {
        from: at("2026-11-21T16:00:00Z"),
        to: at("2026-11-23T16:00:00Z"),
        ..Default::default()
    };
    let calls = client
        .list_vessel_calls(request.clone())
        .await
        .unwrap()
        .into_inner()
        .calls;
    assert_eq!(
        calls.iter().map(|call| &*call.call_id).collect::<Vec<_>>(),
        ["C0", "C1"]
    );
    assert_eq!(calls[0].moves_per_berth_hour, None);
    let call = &calls[1];
    assert_eq!((call.loaded, call.discharged, call.restowed), (30, 20, 10));
    assert_eq!(
        (call.berth_stays, call.moves_per_berth_hour),
        (1, Some(25.0))
    );
    // 30 events name each of two vessels: the lesser in bytes it is.
    assert_eq!(call.vessel, "9321483");
    let one = pb::ListVesselCallsRequest {
        page_size: 1,
        ..request.clone()
    };
    let page = client
        .list_vessel_calls(one.clone())
        .await
        .unwrap()
        .into_inner();
    let next = pb::ListVesselCallsRequest {
        page_token: page.next_page_token,
        ..one
    };
    let page = client.list_vessel_calls(next).await.unwrap().into_inner();
    assert_eq!(
        (&*page.calls[0].call_id, &*page.next_page_token),
        ("C1", "")
    );
    let only = pb::ListVesselCallsRequest {
        call_id: "C0".into(),
        ..request.clone()
    };
    assert_eq!(
        client
            .list_vessel_calls(only)
            .await
            .unwrap()
            .into_inner()
            .calls
            .len(),
        1
    );
    let misaligned = pb::ListVesselCallsRequest {
        from: at("2026-11-21T17:00:00Z"),
        ..request
    };
    let refused = client.list_vessel_calls(misaligned).await.unwrap_err();
    assert_eq!(reason(&refused), invalid("from"));
}

#[tokio::test]
async fn no_shows_are_asked_for_slots_that_have_ended() {
    let mut port = port();
    let slot = |enterprise, start: &str, end: &str, stage, count| Post {
        role: Role::Fleet,
        slot_end: Some(ms(end)),
        ..Post::new(
            enterprise,
            ms(start),
            &[(Meaning::Appointment(stage), count)],
        )
    };
    let (early, ended) = ("2026-11-23T02:00:00Z", "2026-11-23T03:00:00Z");
    let later = "2026-11-23T05:00:00Z";
    use AppointmentStage::{Cancelled, Changed, Confirmed, Requested, Used};
    port.post(&[
        slot("ygt:b", early, ended, Confirmed, 9),
        slot("ygt:b", early, ended, Used, 4),
        slot("ygt:b", early, ended, Cancelled, 1),
        slot("ygt:b", early, ended, Changed, 2),
        slot("ygt:a", early, ended, Confirmed, 1),
        slot("ygt:a", early, "2026-11-23T02:30:00Z", Confirmed, 1),
        slot("ygt:c", early, ended, Requested, 7),
        slot("ygt:a", ended, later, Confirmed, 1),
    ]);
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let request = pb::ListNoShowsRequest {
        from: at("2026-11-23T00:00:00Z"),
        to: at("2026-11-23T16:00:00Z"),
        ..Default::default()
    };
    let rows = client
        .list_no_shows(request.clone())
        .await
        .unwrap()
        .into_inner()
        .rows;
    let shown = |row: &pb::NoShowRow| (row.slot_end, row.enterprise.clone(), row.no_shows);
    let expected = [
        (at("2026-11-23T02:30:00Z"), "ygt:a".to_owned(), 1),
        (at(ended), "ygt:a".to_owned(), 1),
        (at(ended), "ygt:b".to_owned(), 2),
    ];
    assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), expected);
    let counts = (
        rows[2].confirmed,
        rows[2].changed,
        rows[2].cancelled,
        rows[2].used,
    );
    assert_eq!(counts, (9, 2, 1, 4));
    let later = pb::ListNoShowsRequest {
        ended_by: at(later),
        ..request.clone()
    };
    assert_eq!(
        client
            .list_no_shows(later)
            .await
            .unwrap()
            .into_inner()
            .rows
            .len(),
        4
    );
    let mut paged = pb::ListNoShowsRequest {
        page_size: 1,
        ..request
    };
    let mut found = Vec::new();
    loop {
        let page = client
            .list_no_shows(paged.clone())
            .await
            .unwrap()
            .into_inner();
        found.extend(page.rows);
        paged.page_token = page.next_page_token;
        if paged.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, rows);
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
        at_least: Position::embedded(2).encode(),
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
