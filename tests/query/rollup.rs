//! What GetThroughput sums up against a recount of what was posted.

use crate::fixture::{Port, Post, ms, stamp};
use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use quaymeter::auth::caller::Caller;
use quaymeter::event::{Classifier, DispatchStage, Fullness, Millis, Role};
use quaymeter::meter::cell::Ahead;
use quaymeter::meter::figure::{Figure, Figures, Meaning};
use quaymeter::meter::histogram;
use quaymeter::pb::{self, DurationKind, Grain, Movement};
use quaymeter::query::asker::Asker;
use quaymeter::query::sight::Sight;
use quaymeter::query::throughput::{Key, Limit, Question, Row, fingerprint, message, weight};
use quaymeter::query::{dump::Dump, grain};
use std::collections::BTreeMap;

const GRAINS: [Grain; 6] = [
    Grain::Quarter,
    Grain::Hour,
    Grain::Day,
    Grain::Week,
    Grain::Month,
    Grain::Total,
];
const FACILITIES: [&str; 4] = ["CNNBO/BLCT2", "CNNBO/BLCT", "CNZOS/BLCT2", "CNNBO/A"];
const ENTERPRISES: [&str; 4] = ["smdg:COS", "smdg:MSC", "ygt:a.b", "nmfta:ABCD"];
const ROLES: [Role; 3] = [Role::Carrier, Role::Fleet, Role::Forwarder];
const CLASSIFIERS: [Classifier; 2] = [Classifier::Actual, Classifier::Planned];
const DAY: i64 = 86_400_000;
const NO_LIMIT: Limit = Limit {
    rows: usize::MAX,
    bytes: usize::MAX,
};

/// Zones, and a moment at which their clocks change.
const PLACES: [(&str, &str); 7] = [
    ("Asia/Shanghai", "2026-11-01T00:00:00Z"),
    ("UTC", "2026-11-01T00:00:00Z"),
    ("Asia/Kathmandu", "2026-11-01T00:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
];

fn meanings() -> impl Strategy<Value = Vec<(Meaning, i64)>> {
    let one = prop_oneof![
        Just(Meaning::Boxes(Movement::Loaded, Fullness::Laden)),
        Just(Meaning::TeuMilli(Movement::Discharged, Fullness::Empty)),
        Just(Meaning::TrucksIn),
        Just(Meaning::Dispatch(DispatchStage::Accepted)),
        Just(Meaning::DurationCount(DurationKind::TruckTurn)),
        (-79..200i32).prop_map(|at| Meaning::DurationBucket(DurationKind::TruckTurn, at)),
        Just(Meaning::DurationBucket(
            DurationKind::Dwell,
            histogram::ZERO
        )),
    ];
    proptest::collection::vec((one, 1..5i64), 1..3)
}

fn post(around: Millis, days: i64) -> impl Strategy<Value = Post> {
    let near = prop_oneof![-4 * 3_600_000..4 * 3_600_000i64, -days * DAY..days * DAY];
    let who = (
        0..FACILITIES.len(),
        0..ENTERPRISES.len(),
        0..ROLES.len(),
        0..CLASSIFIERS.len(),
    );
    (near, who, meanings()).prop_map(
        move |(near, (facility, enterprise, role, classifier), figures)| Post {
            facility: FACILITIES[facility],
            role: ROLES[role],
            classifier: CLASSIFIERS[classifier],
            ..Post::new(ENTERPRISES[enterprise], around + near, &figures)
        },
    )
}

#[derive(Clone, Debug)]
struct Case {
    zone: &'static str,
    reporting: &'static str,
    grain: Grain,
    interval: (Millis, Millis),
    posts: Vec<Post>,
    request: pb::GetThroughputRequest,
}

fn case() -> impl Strategy<Value = Case> {
    let place = (0..PLACES.len(), 0..GRAINS.len(), 0..2usize);
    place.prop_flat_map(|(place, grain, reporting)| {
        let (zone, around) = PLACES[place];
        let (around, grain) = (ms(around), GRAINS[grain]);
        let days = if grain == Grain::Month { 70 } else { 12 };
        let posts = proptest::collection::vec(post(around, days), 0..60);
        let ends = (-days * DAY..0, 0..days * DAY);
        let groups = proptest::sample::subsequence(vec![1, 2], 0..=2);
        let facilities =
            proptest::sample::subsequence(vec!["cnnbo", "CNZOS/BLCT2", "CNNGB/A"], 0..=3);
        let enterprises = proptest::sample::subsequence(ENTERPRISES.to_vec(), 0..=2);
        let roles = proptest::sample::subsequence(ROLES.to_vec(), 0..=2);
        let classifiers = proptest::sample::subsequence(CLASSIFIERS.to_vec(), 0..=2);
        let filter = (facilities, enterprises, roles, classifiers);
        (posts, ends, groups, filter).prop_map(move |(posts, (from, to), group_by, filter)| {
            let tz = TimeZone::get(zone).unwrap();
            let align = |at| grain::floor(grain, &tz, at).unwrap();
            let interval = (
                align(around + from),
                grain::ceil(grain, &tz, around + to + 1).unwrap(),
            );
            let (facilities, enterprises, roles, classifiers) = filter;
            let strings = |from: Vec<&str>| from.into_iter().map(String::from).collect();
            let request = pb::GetThroughputRequest {
                filter: Some(pb::Filter {
                    enterprises: strings(enterprises),
                    roles: roles.into_iter().map(i32::from).collect(),
                    facilities: strings(facilities),
                    classifiers: classifiers.into_iter().map(i32::from).collect(),
                }),
                from: stamp(interval.0),
                to: stamp(interval.1),
                grain: grain.into(),
                zone: zone.into(),
                group_by,
                ..Default::default()
            };
            let reporting = [zone, "Asia/Shanghai"][reporting];
            Case {
                zone,
                reporting,
                grain,
                interval,
                posts,
                request,
            }
        })
    })
}

/// What distinguishes the rows of a zone, by its clock and calendar alone.
fn label(grain: Grain, zone: &TimeZone, at: Millis) -> String {
    let at = Timestamp::from_millisecond(at)
        .unwrap()
        .to_zoned(zone.clone());
    let date = at.date();
    match grain {
        Grain::Quarter => (at.timestamp().as_second().div_euclid(900)).to_string(),
        // An hour that is lived twice is two rows, but half an hour lived twice,
        // as on Lord Howe, is in one row of 90 min.
        Grain::Hour => {
            let half = zone.iana_name() == Some("Australia/Lord_Howe");
            let offset = if half { 0 } else { at.offset().seconds() };
            format!("{date} {} {offset}", at.hour())
        }
        Grain::Day => date.to_string(),
        Grain::Week => {
            let back = i64::from(date.weekday().to_monday_zero_offset());
            date.checked_sub(back.days()).unwrap().to_string()
        }
        Grain::Month => format!("{} {}", date.year(), date.month()),
        _ => String::new(),
    }
}

/// A recount: by label, facility, enterprise, role and classifier.
type Recount = BTreeMap<(String, String, String, i32, i32), Figures>;

fn recount(case: &Case) -> Recount {
    let zone = TimeZone::get(case.zone).unwrap();
    let filter = case.request.filter.as_ref().unwrap();
    let mut counted = Recount::new();
    for post in &case.posts {
        let place = &post.facility[..5];
        let asked = (case.interval.0..case.interval.1).contains(&post.at)
            && (filter.enterprises.is_empty()
                || filter.enterprises.contains(&post.enterprise.into()))
            && (filter.roles.is_empty() || filter.roles.contains(&post.role.into()))
            && (filter.facilities.is_empty()
                || filter.facilities.iter().any(|f| match &**f {
                    "cnnbo" => place == "CNNBO",
                    "CNNGB/A" => post.facility == "CNNBO/A",
                    exact => post.facility == exact,
                }))
            && match &filter.classifiers[..] {
                [] => post.classifier == Classifier::Actual,
                wanted => wanted.contains(&post.classifier.into()),
            };
        if asked {
            let by = |dimension: i32, name: &str| match case.request.group_by.contains(&dimension) {
                true => name.to_owned(),
                false => String::new(),
            };
            let (enterprise, facility) = (by(1, post.enterprise), by(2, post.facility));
            let key = (
                label(case.grain, &zone, post.at),
                facility,
                enterprise,
                post.role.into(),
                post.classifier.into(),
            );
            let figures = counted.entry(key).or_default();
            for &(meaning, value) in &post.figures {
                figures.add(Figure::of(meaning), value);
            }
        }
    }
    counted
}

fn question(port: &Port, request: &pb::GetThroughputRequest) -> Question {
    let reporting = port.view.read(|state| state.cells.keeping().zone.clone());
    Question::parse(request, &reporting, &Sight::everything(0)).unwrap()
}

fn ask(port: &Port, question: &Question, after: Option<&Key>, limit: Limit) -> (Vec<Row>, bool) {
    port.view
        .read(|state| question.rows(&state.cells, &Ahead::default(), after, limit))
        .unwrap()
}

fn fed(case: &Case) -> Port {
    let mut port = Port::new(case.reporting, "2026-01-10T00:00:00Z");
    port.post(&case.posts);
    port
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn rows_are_what_a_recount_by_clock_and_calendar_gives(case in case()) {
        let port = fed(&case);
        let (rows, more) = ask(&port, &question(&port, &case.request), None, NO_LIMIT);
        prop_assert!(!more);
        prop_assert!(rows.is_sorted_by(|a, b| a.0 < b.0));
        let zone = TimeZone::get(case.zone).unwrap();
        let mut answered = Recount::new();
        for (key, figures) in rows {
            prop_assert_eq!(grain::floor(case.grain, &zone, key.start).unwrap(), key.start);
            let label = label(case.grain, &zone, key.start);
            let key = (label, key.facility.into(), key.enterprise.into(), key.role, key.classifier);
            prop_assert!(answered.insert(key, figures).is_none(), "two rows of one label");
        }
        prop_assert_eq!(answered, recount(&case));
    }

    #[test]
    fn pages_are_the_one_page_cut(case in case(), limit in 1..7usize) {
        let port = fed(&case);
        let question = question(&port, &case.request);
        let (all, _) = ask(&port, &question, None, NO_LIMIT);
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let limit = Limit { rows: limit, bytes: usize::MAX };
            let (page, more) = ask(&port, &question, after.as_ref(), limit);
            prop_assert!(page.len() == limit.rows || !more);
            after = page.last().map(|(key, _)| key.clone());
            paged.extend(page);
            if !more {
                break;
            }
        }
        prop_assert_eq!(paged, all);
    }

    #[test]
    fn pages_over_changing_rows_give_each_lasting_row_once(case in case(), rest in 0..30usize) {
        let rest = rest.min(case.posts.len());
        let mut port = fed(&Case { posts: case.posts[rest..].to_vec(), ..case.clone() });
        let question = question(&port, &case.request);
        let lasting = ask(&port, &question, None, NO_LIMIT).0;
        let (mut paged, mut after, mut later) = (Vec::new(), None, case.posts[..rest].iter());
        loop {
            let before = ask(&port, &question, None, NO_LIMIT).0;
            let (page, more) = ask(&port, &question, after.as_ref(), Limit { rows: 2, ..NO_LIMIT });
            prop_assert!(page.iter().all(|row| before.contains(row)), "a page is of its own state");
            after = page.last().map(|(key, _)| key.clone());
            paged.extend(page.into_iter().map(|(key, _)| key));
            if !more {
                break;
            }
            port.post(&later.by_ref().take(2).cloned().collect::<Vec<_>>());
        }
        prop_assert!(paged.is_sorted_by(|a, b| a < b));
        prop_assert!(lasting.iter().all(|(key, _)| paged.contains(key)));
    }

    #[test]
    fn a_row_is_never_larger_than_its_weight(figures in meanings(), value in 0..1i64 << 50) {
        let key = Key {
            start: ms("2026-11-01T00:00:00Z"),
            facility: FACILITIES[0].into(),
            enterprise: ENTERPRISES[3].into(),
            role: 8,
            classifier: 3,
        };
        let mut all = Figures::default();
        figures.iter().for_each(|&(meaning, _)| all.add(Figure::of(meaning), value));
        for kind in (1..).map_while(|kind| DurationKind::try_from(kind).ok()) {
            all.add(Figure::of(Meaning::DurationSumMs(kind)), value);
            all.add(Figure::of(Meaning::DurationBucket(kind, 200)), value >> 8);
        }
        let row = (key, all);
        let weight = weight(&row);
        let message = message(row.0, Some(&row.1));
        prop_assert!(prost::Message::encoded_len(&message) + 4 <= weight);
    }

    #[test]
    fn a_dump_is_all_cells_in_canonical_order(case in case()) {
        let port = fed(&case);
        for grain in [Grain::Quarter, Grain::Day] {
            let request = pb::DumpCellsRequest { grain: grain.into(), ..Default::default() };
            let mut dump = Dump::parse(&request).unwrap();
            let mut cells = Vec::new();
            loop {
                let part = port.view.read(|state| dump.part(&state.cells)).unwrap();
                if part.is_empty() {
                    break;
                }
                cells.extend(part);
            }
            let canonical = |(key, _): &Row| {
                let Key { start, facility, enterprise, role, classifier } = key.clone();
                (facility, enterprise, role, classifier, start)
            };
            prop_assert!(cells.is_sorted_by(|a, b| canonical(a) < canonical(b)));
            let zone = TimeZone::get(case.reporting).unwrap();
            let midnight = |at| stamp(grain::floor(Grain::Day, &zone, ms(at)).unwrap());
            let all = pb::GetThroughputRequest {
                filter: Some(pb::Filter { classifiers: vec![1, 2, 3], ..Default::default() }),
                from: midnight("2025-12-20T00:00:00Z"),
                to: midnight("2027-01-12T00:00:00Z"),
                grain: grain.into(),
                zone: case.reporting.into(),
                group_by: vec![1, 2],
                ..Default::default()
            };
            let (mut rows, _) = ask(&port, &question(&port, &all), None, NO_LIMIT);
            rows.sort_by_key(canonical);
            prop_assert_eq!(cells, rows);
        }
    }
}

#[test]
fn a_dump_of_many_cells_comes_in_parts_of_at_most_a_thousand() {
    let mut port = Port::new("Asia/Shanghai", "2026-11-20T00:00:00Z");
    let start = ms("2026-11-01T00:00:00Z");
    let post = |n: i64| Post {
        facility: FACILITIES[(n % 3) as usize],
        ..Post::new(
            ENTERPRISES[(n % 2) as usize],
            start + n / 6 * 900_000,
            &[(Meaning::TrucksIn, n + 1)],
        )
    };
    port.post(&(0..2_500).map(post).collect::<Vec<_>>());
    let request = pb::DumpCellsRequest {
        grain: Grain::Quarter.into(),
        ..Default::default()
    };
    let mut dump = Dump::parse(&request).unwrap();
    let mut parts = Vec::new();
    loop {
        let part = port.view.read(|state| dump.part(&state.cells)).unwrap();
        if part.is_empty() {
            break;
        }
        parts.push(part);
    }
    assert_eq!(
        parts.iter().map(Vec::len).collect::<Vec<_>>(),
        [1000, 1000, 500]
    );
    let sum: i64 = parts
        .iter()
        .flatten()
        .map(|(_, f)| f.get(Figure::of(Meaning::TrucksIn)))
        .sum();
    assert_eq!(sum, (1..=2_500).sum::<i64>());
}

#[test]
fn requests_differ_by_anything_but_page_and_position() {
    let request = pb::GetThroughputRequest {
        zone: "UTC".into(),
        grain: 3,
        ..Default::default()
    };
    let paged = pb::GetThroughputRequest {
        page_size: 7,
        page_token: "x".into(),
        at_least: "y".into(),
        ..request.clone()
    };
    let asker = Asker::new(&Caller::anyone(), &crate::service::tokens(), 0);
    let of = |request| fingerprint(&asker, "GetThroughput", request);
    assert!(of(&request).is_same(&of(&paged)));
    let other = pb::GetThroughputRequest {
        grain: 2,
        ..request.clone()
    };
    assert!(!of(&request).is_same(&of(&other)));
}
