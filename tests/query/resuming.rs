//! Watches that lose their connection: what they hear afterwards completes what
//! they had, whatever changed and however often they are cut off.

use crate::fixture::{Port, Post, at, ms};
use crate::service::{Running, invalid, reason};
use crate::watching::{soon, trucks, watch};
use quaymeter::client::watch::{Heard, Watch};
use quaymeter::event::Role;
use quaymeter::meter::cell::{Change, DAY_MS};
use quaymeter::meter::figure::Meaning;
use quaymeter::pb::{self, Dimension, Grain};
use quaymeter::query::Settings;
use quaymeter::view::history::Limits;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::Code;

const CLOCK: &str = "2026-11-23T00:00:00Z";

type Key = (i64, String, String, i32, i32);

/// The rows as a client holds them.
#[derive(Debug, Default, PartialEq)]
struct Rows(BTreeMap<Key, pb::Figures>);

fn key(row: &pb::ThroughputRow) -> Key {
    let start = row.start.unwrap().seconds;
    let (facility, enterprise) = (row.facility.clone(), row.enterprise.clone());
    (start, facility, enterprise, row.role, row.classifier)
}

impl Rows {
    fn hear(&mut self, message: &pb::WatchThroughputResponse) {
        if message.snapshot {
            self.0.clear();
        }
        for row in &message.rows {
            self.0.insert(key(row), row.figures.clone().unwrap());
        }
        for row in &message.removed {
            self.0.remove(&key(row));
        }
    }

    fn of(rows: &[pb::ThroughputRow]) -> Self {
        let row = |row: &pb::ThroughputRow| (key(row), row.figures.clone().unwrap());
        Self(rows.iter().map(row).collect())
    }
}

async fn told(watch: &mut Watch) -> pb::WatchThroughputResponse {
    let telling = async {
        loop {
            match watch.next().await.unwrap() {
                Heard::Told(message) => return *message,
                Heard::Interrupted { .. } => {}
            }
        }
    };
    soon(telling).await
}

fn question(grain: Grain, by: &[Dimension], filter: pb::Filter) -> pb::WatchThroughputRequest {
    let mut request = watch();
    request.query = Some(pb::GetThroughputRequest {
        filter: Some(filter),
        from: at("2026-11-21T16:00:00Z"),
        to: at("2026-11-23T16:00:00Z"),
        grain: grain.into(),
        group_by: by.iter().map(|&by| by.into()).collect(),
        page_size: 10_000,
        ..Default::default()
    });
    request
}

fn questions() -> Vec<pb::WatchThroughputRequest> {
    let (enterprise, facility) = (Dimension::Enterprise, Dimension::Facility);
    let only = pb::Filter {
        enterprises: vec!["ygt:e1".into(), "ygt:e3".into()],
        roles: vec![Role::Carrier.into()],
        facilities: vec!["CNNBO".into()],
        ..Default::default()
    };
    vec![
        question(Grain::Day, &[enterprise], pb::Filter::default()),
        question(
            Grain::Quarter,
            &[enterprise, facility],
            pb::Filter::default(),
        ),
        question(Grain::Total, &[], pb::Filter::default()),
        question(Grain::Hour, &[facility], only),
    ]
}

/// Something that counts, around the days that are watched.
fn post(random: &mut ChaCha8Rng) -> Post {
    let enterprises = ["ygt:e1", "ygt:e2", "ygt:e3", "ygt:e4"];
    let facilities = ["CNNBO/BLCT2", "CNNBO/MSICT", "CNZOS/YS"];
    let at = ms("2026-11-21T12:00:00Z") + random.random_range(0..3 * 96) * 900_000;
    let what = [(Meaning::TrucksIn, 1), (Meaning::TrucksOut, 2)];
    Post {
        facility: facilities[random.random_range(0..3)],
        role: [Role::Carrier, Role::Fleet][random.random_range(0..2)],
        ..Post::new(
            enterprises[random.random_range(0..4)],
            at,
            &what[random.random_range(0..2)..][..1],
        )
    }
}

/// Posts some, takes some back, lets days pass.
fn change(port: &mut Port, random: &mut ChaCha8Rng, posted: &mut Vec<Post>, day: &mut i32) {
    let mut batch = Vec::new();
    for _ in 0..random.random_range(1..4) {
        if !posted.is_empty() && random.random_bool(0.5) {
            let one = posted.swap_remove(random.random_range(0..posted.len()));
            batch.push(one.taken_back());
        } else {
            let one = post(random);
            posted.push(one.clone());
            batch.push(one);
        }
    }
    port.post(&batch);
    if random.random_bool(0.05) {
        *day += 1;
        let clock = i64::from(*day) * DAY_MS;
        port.publish(&[Change::Clock(*day)], clock, &[]);
    }
}

async fn fresh(running: &Running, request: &pb::WatchThroughputRequest) -> Rows {
    let mut client = running.client().await;
    let answer = client.get_throughput(request.query.clone().unwrap()).await;
    let answer = answer.unwrap().into_inner();
    assert!(answer.next_page_token.is_empty());
    Rows::of(&answer.rows)
}

/// How many messages went on from a token, and how many began anew.
async fn cut_at_random(seed: u64, limits: Limits) -> (usize, usize) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut port = Port::remembering("Asia/Shanghai", CLOCK, limits);
    let running = Running::with(&port, Settings::default()).await;
    let request = questions().swap_remove(seed as usize % 4);
    let mut watch = Watch::new(&running.address, request.clone()).unwrap();
    let (mut rows, mut posted) = (Rows::default(), Vec::new());
    let mut day = (ms(CLOCK) / DAY_MS) as i32;
    let (mut resumed, mut anew, mut connected) = (0, 0, false);
    for _ in 0..40 {
        for _ in 0..random.random_range(0..4) {
            change(&mut port, &mut random, &mut posted, &mut day);
        }
        // Heard at once after a cut; else only if there is something.
        if !connected {
            let message = told(&mut watch).await;
            rows.hear(&message);
            assert!(!message.resume_token.is_empty(), "seed {seed}");
            if message.snapshot {
                anew += 1;
            } else {
                resumed += 1;
            }
            assert_eq!(rows, fresh(&running, &request).await, "seed {seed}");
            connected = true;
        }
        if random.random_bool(0.7) {
            watch.cut();
            connected = false;
        }
    }
    let last = fresh(&running, &request).await;
    while rows != last {
        rows.hear(&told(&mut watch).await);
    }
    (resumed, anew)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_off_at_random_ends_with_the_rows_of_a_fresh_snapshot() {
    let enough = Limits {
        bytes: 1 << 20,
        age_ms: i64::MAX,
    };
    for seed in 0..6 {
        let (resumed, anew) = cut_at_random(seed, enough).await;
        assert_eq!(anew, 1, "seed {seed}: only the first is a snapshot");
        assert!(resumed > 5, "seed {seed}: {resumed} resumed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_token_may_be_too_old_is_exact_too() {
    // Some two or three publications.
    let little = Limits {
        bytes: 300,
        age_ms: i64::MAX,
    };
    let (mut resumed, mut anew) = (0, 0);
    for seed in 100..106 {
        let counts = cut_at_random(seed, little).await;
        (resumed, anew) = (resumed + counts.0, anew + counts.1);
    }
    assert!(resumed > 10 && anew > 10, "{resumed} resumed, {anew} anew");
}

#[tokio::test]
async fn a_resumed_watch_hears_only_what_changed_and_what_went() {
    let mut port = Port::new("Asia/Shanghai", CLOCK);
    let names = ["smdg:COS", "smdg:MSC", "smdg:ZIM"];
    port.post(&names.map(|name| trucks(name, 1)));
    let running = Running::start(&port).await;
    let mut watch = Watch::new(&running.address, watch()).unwrap();
    let first = told(&mut watch).await;
    assert!(first.snapshot && first.rows.len() == 3);
    watch.cut();
    port.post(&[trucks("smdg:COS", 1), trucks("smdg:MSC", 1).taken_back()]);
    let next = told(&mut watch).await;
    let ids = |rows: &[pb::ThroughputRow]| -> Vec<_> {
        rows.iter().map(|row| row.enterprise.clone()).collect()
    };
    assert!(!next.snapshot);
    assert_eq!(ids(&next.rows), ["smdg:COS"]);
    assert_eq!(ids(&next.removed), ["smdg:MSC"]);
    // Nothing changed: that it went on is told all the same.
    watch.cut();
    let none = told(&mut watch).await;
    assert!(!none.snapshot && none.rows.is_empty() && none.removed.is_empty());
    assert!(!none.resume_token.is_empty());
}

async fn resumed(
    running: &Running,
    token: &str,
    with: impl FnOnce(&mut pb::WatchThroughputRequest),
) -> Result<pb::WatchThroughputResponse, tonic::Status> {
    let mut request = watch();
    request.resume_token = token.into();
    with(&mut request);
    let mut client = running.client().await;
    let mut stream = client.watch_throughput(request).await?.into_inner();
    Ok(soon(stream.message()).await?.unwrap())
}

#[tokio::test]
async fn a_token_is_of_its_own_question_only() {
    let mut port = Port::new("Asia/Shanghai", CLOCK);
    port.post(&[trucks("smdg:COS", 1)]);
    let running = Running::start(&port).await;
    let first = resumed(&running, "", |_| {}).await.unwrap();
    let token = first.resume_token;
    type Change = fn(&mut pb::GetThroughputRequest);
    let others: [Change; 4] = [
        |query| query.to = at("2026-11-24T16:00:00Z"),
        |query| query.grain = Grain::Hour.into(),
        |query| query.group_by.clear(),
        |query| query.zone = "Asia/Tokyo".into(),
    ];
    for change in others {
        let with = |request: &mut pb::WatchThroughputRequest| {
            let query = request.query.get_or_insert_default();
            change(query);
            // Tokyo's days are not ours.
            if !query.zone.is_empty() {
                query.grain = Grain::Total.into();
            }
        };
        let refused = resumed(&running, &token, with).await.unwrap_err();
        assert_eq!(reason(&refused), invalid("resume_token"));
    }
    let position = first.freshness.unwrap().position;
    for wrong in ["nonsense", &token[1..], &position] {
        let refused = resumed(&running, wrong, |_| {}).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong}");
    }
    // At another pace, and including another position, it is the same question.
    let same = |request: &mut pb::WatchThroughputRequest| {
        request.interval = None;
        request.query.get_or_insert_default().at_least = position;
    };
    assert!(!resumed(&running, &token, same).await.unwrap().snapshot);
}

#[tokio::test]
async fn a_token_of_another_service_gives_a_snapshot() {
    let mut tokens = Vec::new();
    let mut services = Vec::new();
    for _ in 0..2 {
        let mut port = Port::new("Asia/Shanghai", CLOCK);
        port.post(&[trucks("smdg:COS", 1)]);
        let running = Running::start(&port).await;
        tokens.push(resumed(&running, "", |_| {}).await.unwrap().resume_token);
        services.push((port, running));
    }
    let other = resumed(&services[0].1, &tokens[1], |_| {}).await.unwrap();
    assert!(other.snapshot && other.rows.len() == 1);
    let own = resumed(&services[0].1, &tokens[0], |_| {}).await.unwrap();
    assert!(!own.snapshot && own.rows.is_empty());
}

#[tokio::test]
async fn a_quiet_watch_gets_a_new_token_while_others_rows_change() {
    let mut port = Port::new("Asia/Shanghai", CLOCK);
    let settings = Settings {
        token_every: Duration::ZERO,
        ..Settings::default()
    };
    let running = Running::with(&port, settings).await;
    let mut client = running.client().await;
    let stream = client.watch_throughput(watch()).await.unwrap();
    let mut stream = stream.into_inner();
    let first = soon(stream.message()).await.unwrap().unwrap();
    let elsewhere = Post::new(
        "smdg:COS",
        ms("2026-11-20T01:00:00Z"),
        &[(Meaning::TrucksIn, 1)],
    );
    port.post(&[elsewhere]);
    let next = soon(stream.message()).await.unwrap().unwrap();
    assert!(!next.snapshot && next.rows.is_empty() && next.removed.is_empty());
    assert_ne!(next.resume_token, first.resume_token);
}
