//! Two worlds: in one there are only those whom a caller may see, in the other many more.
//! He cannot tell in which he is.

use crate::fixture::{Port, Post, ms};
use crate::grid::whole::{assert_told_apart, assert_whole};
use crate::grid::{self, Client, Grid, Shown, assert_equal, at};
use crate::service::{Running, invalid, reason};
use crate::watching::soon;
use quaymeter::auth::caller::Caller;
use quaymeter::auth::rights::{Read, Rights, Roles};
use quaymeter::event::{Classifier, DispatchStage, Fullness, Role};
use quaymeter::meter::cell::{Change, DAY_MS};
use quaymeter::meter::figure::Meaning;
use quaymeter::pb::{self, AppointmentStage, Dimension, DurationKind, Grain, Movement};
use quaymeter::query::Settings;
use quaymeter::view::SourceSeen;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const DAY: &str = "2026-11-22T16:00:00Z";
const QUARTER: i64 = 900_000;

/// Nobody has sent anything for three days but those who are not seen.
const CLOCK: &str = "2026-11-20T04:00:00Z";
const LATER: &str = "2026-11-23T03:00:00Z";

/// A caller by this name who may see a carrier as such, and another in every role.
pub fn limited(name: &str) -> Caller {
    let carrier = Roles::These(BTreeSet::from([Role::Carrier]));
    let these = [
        ("smdg:COS".to_owned(), carrier),
        ("ygt:seen".to_owned(), Roles::All),
        ("ygt:absent".to_owned(), Roles::All),
    ];
    known(name, Read::These(these.into()), false)
}

fn known(name: &str, read: Read, operate: bool) -> Caller {
    let rights = Rights {
        read: Some(read),
        operate,
        ..Rights::default()
    };
    let (_, ended) = watch::channel(None);
    Caller::known(name.into(), Arc::new(rights), ended)
}

fn post(enterprise: &'static str, role: Role, quarter: i64, what: &[(Meaning, i64)]) -> Post {
    Post {
        role,
        ..Post::new(enterprise, ms(DAY) + quarter * QUARTER, what)
    }
}

fn slot(mut of: Post) -> Post {
    of.slot_end = Some(of.at + QUARTER);
    of.figures = vec![(Meaning::Appointment(AppointmentStage::Confirmed), 2)];
    of
}

/// What those do whom he may see.
fn seen() -> Vec<Post> {
    let loaded = [(Meaning::Boxes(Movement::Loaded, Fullness::Laden), 3)];
    let trucks = [
        (Meaning::TrucksIn, 2),
        (Meaning::DurationCount(DurationKind::TruckTurn), 1),
        (Meaning::DurationSumMs(DurationKind::TruckTurn), 900_000),
    ];
    let mut posts = Vec::new();
    for quarter in [-90, -3, 0, 1, 5, 40] {
        let carrier = post("smdg:COS", Role::Carrier, quarter, &loaded);
        posts.push(Post {
            call: Some(("C1", "9321483")),
            ..carrier
        });
        let fleet = post("ygt:seen", Role::Fleet, quarter, &trucks);
        posts.push(slot(fleet.clone()));
        posts.push(Post {
            facility: "CNZOS/YS",
            ..fleet.clone()
        });
        posts.push(Post {
            classifier: Classifier::Planned,
            ..fleet
        });
    }
    posts
}

/// What the others do: more of everything, at the same places and at others, before,
/// meanwhile and later.
fn unseen() -> Vec<Post> {
    let much = [
        (Meaning::Boxes(Movement::Loaded, Fullness::Laden), 1000),
        (Meaning::TrucksIn, 700),
        (Meaning::Dispatch(DispatchStage::Accepted), 50),
        (Meaning::DurationCount(DurationKind::TruckTurn), 9),
        (Meaning::DurationSumMs(DurationKind::TruckTurn), 9_000_000),
    ];
    let mut posts = Vec::new();
    for quarter in -140..90 {
        for role in [Role::Carrier, Role::Fleet, Role::Terminal] {
            let shared = post("ygt:hidden", role, quarter, &much);
            posts.push(slot(shared.clone()));
            posts.push(Post {
                call: Some(("C1", "IMO9")),
                ..shared.clone()
            });
            posts.push(Post {
                facility: "CNNBO/HIDE",
                classifier: Classifier::Planned,
                ..shared.clone()
            });
            posts.push(Post {
                enterprise: "smdg:MSC",
                call: Some(("C2", "IMO8")),
                ..shared
            });
        }
        // Whom he sees as a carrier is a fleet too.
        posts.push(slot(post("smdg:COS", Role::Fleet, quarter, &much)));
    }
    posts
}

/// A world without, or with, those whom he may not see.
fn world(with_unseen: bool) -> Port {
    let mut port = Port::new("Asia/Shanghai", CLOCK);
    if with_unseen {
        port.post(&unseen());
    }
    for one in seen() {
        port.post(&[one]);
    }
    if with_unseen {
        others_go_on(&mut port);
    }
    port
}

/// Others send more, from other sources, and the log's clock goes on.
fn others_go_on(port: &mut Port) {
    port.post(&unseen()[..50]);
    let seen = SourceSeen {
        last_active: ms(LATER),
        latest_actual: Some(ms(LATER)),
    };
    let day = (ms(LATER) / DAY_MS) as i32;
    port.publish(&[Change::Clock(day)], ms(LATER), &[("others", seen)]);
}

fn over() -> Grid {
    Grid {
        day: ms(DAY),
        enterprises: vec![
            vec![],
            vec!["smdg:COS"],
            vec!["ygt:hidden"],
            vec!["ygt:nobody"],
            vec!["ygt:hidden", "ygt:seen", "smdg:COS", "smdg:MSC"],
            vec!["not an id"],
        ],
        facilities: vec![
            vec![],
            vec!["CNNBO/BLCT2"],
            vec!["CNNBO/HIDE"],
            vec!["CNNBO"],
        ],
        contains: vec!["", "hid", "seen", "安静", "Quiet", "CO"],
    }
}

async fn serve(port: &Port, caller: Caller) -> Running {
    Running::of(port, Settings::default(), caller).await
}

async fn client(running: &Running) -> Client {
    grid::client(&running.address, Shown::default()).await
}

async fn asked(port: &Port, caller: Caller) -> Vec<grid::Asked> {
    let running = serve(port, caller).await;
    over().ask(&mut client(&running).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_tells_of_those_who_may_not_be_seen() {
    let (alone, among) = (world(false), world(true));
    let of_alone = asked(&alone, limited("a")).await;
    let of_among = asked(&among, limited("a")).await;
    assert_equal(&of_alone, &of_among);
    assert_whole(&of_among);
    let all: String = of_among
        .iter()
        .flat_map(|asked| asked.answers.clone())
        .collect();
    for hidden in ["hidden", "smdg:MSC", "CNNBO/HIDE", "IMO9", "quiet", "Quiet"] {
        assert!(!all.contains(hidden), "{hidden} is told");
    }
    // What he may see is told, and is no more than that.
    for seen in [
        "ygt:seen",
        "smdg:COS",
        "CNZOS/YS",
        "trucks_in: 2",
        "boxes: 3",
    ] {
        assert!(all.contains(seen), "{seen} is not told");
    }
    let pages = of_among.iter().map(|asked| asked.answers.len()).max();
    assert!(pages > Some(3), "no pages were gone through");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_all_tells_the_worlds_apart_by_every_method() {
    let all = || known("all", Read::All, true);
    let (alone, among) = (world(false), world(true));
    let (of_alone, of_among) = (asked(&alone, all()).await, asked(&among, all()).await);
    assert_told_apart(&of_alone, &of_among);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_that_may_not_be_seen_is_answered_like_one_that_is_not_there() {
    let running = serve(&world(true), limited("a")).await;
    let mut client = client(&running).await;
    let mut of = async |id: &str| {
        let question = pb::GetThroughputRequest {
            filter: Some(pb::Filter {
                enterprises: vec![id.into()],
                ..Default::default()
            }),
            from: at(ms(DAY)),
            to: at(ms(DAY) + DAY_MS),
            grain: Grain::Day.into(),
            ..Default::default()
        };
        let answer = client.get_throughput(question).await.unwrap().into_inner();
        grid::masked(answer, |of| grid::fresh(&mut of.freshness))
    };
    assert_eq!(of("ygt:hidden").await, of("ygt:nobody").await);
    assert_ne!(of("ygt:seen").await, of("ygt:nobody").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_posted_for_those_who_may_not_be_seen() {
    let mut port = Port::new("Asia/Shanghai", CLOCK);
    let his = serve(&port, limited("a")).await;
    let everybodys = serve(&port, known("all", Read::All, false)).await;
    // A service that starts has all posted.
    port.post(&[seen(), unseen()].concat());
    let waiting = port.view.unposted();
    assert!(waiting > seen().len());
    let asked = over().ask(&mut client(&his).await).await;
    let is_seen = |one: &grid::Asked| one.answers.concat().contains("trucks_in: 2");
    assert!(asked.iter().any(is_seen));
    let mut his = client(&his).await;
    let watched = his.watch_throughput(watching(&[Dimension::Facility]));
    let (told, _) = next(&mut watched.await.unwrap().into_inner()).await;
    assert!(told.contains("trucks_in: 2"), "{told}");
    assert_eq!(port.view.unposted(), waiting);
    over().ask(&mut client(&everybodys).await).await;
    assert_eq!(port.view.unposted(), 0);
}

fn watching(by: &[Dimension]) -> pb::WatchThroughputRequest {
    pb::WatchThroughputRequest {
        query: Some(pb::GetThroughputRequest {
            from: at(ms(DAY)),
            to: at(ms(DAY) + DAY_MS),
            grain: Grain::Hour.into(),
            group_by: by.iter().map(|&by| by.into()).collect(),
            ..Default::default()
        }),
        interval: Some(Duration::from_millis(100).into()),
        resume_token: String::new(),
    }
}

async fn next(stream: &mut tonic::Streaming<pb::WatchThroughputResponse>) -> (String, String) {
    let message = soon(stream.message()).await.unwrap().unwrap();
    let token = message.resume_token.clone();
    let told = grid::masked(message, |message| {
        message.resume_token = format!("{} characters", message.resume_token.len());
        grid::fresh(&mut message.freshness);
    });
    (told, token)
}

/// What a watch hears while those he sees, and perhaps others, do something, and after
/// it was cut off.
async fn heard(mut port: Port, by: &[Dimension], others: bool) -> Vec<String> {
    let running = serve(&port, limited("a")).await;
    let mut client = client(&running).await;
    let mut told = Vec::new();
    let mut request = watching(by);
    for round in 0..2 {
        let opened = client.watch_throughput(request.clone()).await;
        let mut stream = opened.unwrap().into_inner();
        let mut token = String::new();
        for step in 0..3 {
            let (message, new) = next(&mut stream).await;
            (token, _) = (new, told.push(message));
            if others {
                others_go_on(&mut port);
            }
            if step == 2 {
                break;
            }
            let what = [(Meaning::TrucksIn, 1)];
            port.post(&[post("ygt:seen", Role::Fleet, round + step, &what)]);
        }
        request.resume_token = token;
        if others {
            others_go_on(&mut port);
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_hears_nothing_of_those_who_may_not_be_seen() {
    for by in [&[][..], &[Dimension::Enterprise], &[Dimension::Facility]] {
        let alone = heard(world(false), by, false).await;
        let among = heard(world(true), by, true).await;
        assert_eq!(alone, among);
        assert!(alone[1].contains("trucks_in"), "{}", alone[1]);
        // How long a difference is known depends on others.
        assert!(alone[3].contains("snapshot: true"), "{}", alone[3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_roles_in_the_registry_those_are_told_that_may_be_seen() {
    for (caller, roles) in [
        (limited("a"), &[Role::Carrier][..]),
        (known("b", Read::All, false), &[Role::Carrier, Role::Yard]),
    ] {
        let roles: Vec<i32> = roles.iter().map(|&role| role.into()).collect();
        let mut client = client(&serve(&world(false), caller).await).await;
        let listed = client.list_enterprises(pb::ListEnterprisesRequest {
            contains: "COSCO".into(),
            ..Default::default()
        });
        let listed = listed.await.unwrap().into_inner().enterprises;
        assert_eq!((&*listed[0].id, &listed[0].roles), ("smdg:COS", &roles));
        let top = client.list_top_enterprises(pb::ListTopEnterprisesRequest {
            role: Role::Carrier.into(),
            measure: pb::Measure::ThroughputBoxes.into(),
            from: at(ms(DAY)),
            to: at(ms(DAY) + DAY_MS),
            ..Default::default()
        });
        let top = top.await.unwrap().into_inner().enterprises;
        let top = top[0].enterprise.as_ref().unwrap();
        assert_eq!((&*top.id, &top.roles), ("smdg:COS", &roles));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_of_the_caller_only_who_was_given_its_token() {
    let port = world(true);
    let question = pb::GetThroughputRequest {
        from: at(ms(DAY)),
        to: at(ms(DAY) + DAY_MS),
        grain: Grain::Hour.into(),
        page_size: 1,
        ..Default::default()
    };
    let (his, others) = (limited("a"), limited("b"));
    let mut his = client(&serve(&port, his).await).await;
    let mut others = client(&serve(&port, others).await).await;
    let first = his.get_throughput(question.clone()).await.unwrap();
    let next = pb::GetThroughputRequest {
        page_token: first.into_inner().next_page_token,
        ..question
    };
    his.get_throughput(next.clone()).await.unwrap();
    let refused = others.get_throughput(next).await.unwrap_err();
    assert_eq!(reason(&refused), invalid("page_token"));
    // A position is everybody's.
    let status = his.get_status(pb::GetStatusRequest::default()).await;
    let position = status.unwrap().into_inner().freshness.unwrap().position;
    let question = pb::GetStatusRequest { at_least: position };
    others.get_status(question).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_all_is_told_what_he_may_read_and_no_counts() {
    let running = serve(&world(true), limited("a")).await;
    let mut client = client(&running).await;
    let status = client.get_status(pb::GetStatusRequest::default());
    let mut status = status.await.unwrap().into_inner();
    let readable = status.readable.take().unwrap().enterprises;
    let told: Vec<_> = readable
        .iter()
        .map(|one| (&*one.enterprise, one.roles.clone()))
        .collect();
    let carrier = vec![Role::Carrier.into()];
    assert_eq!(
        told,
        [
            ("smdg:COS", carrier),
            ("ygt:absent", vec![]),
            ("ygt:seen", vec![])
        ]
    );
    let freshness = status.freshness.take().unwrap();
    assert!(freshness.appended_at.is_none() && freshness.reach.is_empty());
    assert!(freshness.complete_through.is_none() && !freshness.position.is_empty());
    let rest = pb::GetStatusResponse {
        version: env!("CARGO_PKG_VERSION").into(),
        reporting_zone: "Asia/Shanghai".into(),
        horizon_days: 35,
        now: status.now,
        ..Default::default()
    };
    assert_eq!(status, rest);
}
