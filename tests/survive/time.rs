//! A clock that steps, a calendar that leaps, and zones of all kinds.

use crate::clock::Clocked;
use crate::load::Load;
use crate::place::{DAY_MS, Place, channel, passage, reached, status};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use quaymeter::answers::{self, Question, instant};
use quaymeter::log::disk::RealDisk;
use quaymeter::log::embedded::{self, Log};
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{self, GateDirection, Reason};
use quaymeter::simulate::{Options, Simulation};
use quaymeter::truth::{Grain, Split, Truth, diff};
use std::path::Path;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

fn ms(instant: &str) -> i64 {
    instant.parse::<Timestamp>().unwrap().as_millisecond()
}

/// A truck that comes in, published at once: its refusal, or the position.
async fn comes_in(url: &str, id: &str, at: i64) -> Result<String, Reason> {
    let request = pb::PublishEventsRequest {
        source: "tos".into(),
        events: vec![passage(id, at, GateDirection::In, "浙B12345")],
        ..Default::default()
    };
    let mut client = IngestServiceClient::new(channel(url).await);
    let mut answer = client.publish_events(request).await.unwrap().into_inner();
    match answer.results.pop().and_then(|result| result.refusal) {
        Some(refusal) => Err(refusal.reason()),
        None => Ok(answer.position),
    }
}

/// Trucks in on a day of Shanghai.
async fn trucks_in(url: &str, day_of: i64, grain: pb::Grain) -> i64 {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let day = Timestamp::from_millisecond(day_of).unwrap().to_zoned(zone);
    let from = day.start_of_day().unwrap().timestamp().as_millisecond();
    let request = pb::GetThroughputRequest {
        from: Some(instant(from)),
        to: Some(instant(from + DAY_MS)),
        grain: grain.into(),
        zone: "Asia/Shanghai".into(),
        ..Default::default()
    };
    let mut client = ThroughputServiceClient::new(channel(url).await);
    let answer = client.get_throughput(request).await.unwrap().into_inner();
    let figures = answer.rows.into_iter().filter_map(|row| row.figures);
    figures.map(|figures| figures.trucks_in).sum()
}

/// When each record was appended.
fn appended(data: &Path) -> Vec<i64> {
    let options = embedded::Options::default();
    let opened = Log::open(Arc::new(RealDisk), &data.join("log"), options, 0).unwrap();
    let records = opened.log.read_from(0).unwrap();
    records.map(|record| record.unwrap().appended_at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_back_and_forth_takes_nothing_back() {
    let place = Place::new();
    let noon = ms("2027-06-15T04:00:00Z");
    let service = Clocked::start(&place.data(), noon, &[]).await;
    let url = service.url.clone();
    comes_in(&url, "a", noon).await.unwrap();
    // Two hours back: what is judged is judged by the clock as it is now.
    service.set(noon - 2 * HOUR_MS);
    comes_in(&url, "b", noon - 2 * HOUR_MS + 10 * MINUTE_MS)
        .await
        .unwrap();
    let ahead = comes_in(&url, "c", noon - 2 * HOUR_MS + 10 * MINUTE_MS + 1).await;
    assert_eq!(ahead, Err(Reason::Future));
    service.set(noon + HOUR_MS);
    comes_in(&url, "c", noon).await.unwrap();
    service.set(noon);
    let last = comes_in(&url, "a", noon).await.unwrap();
    reached(&url, &last).await;
    let counted = status(&url).await;
    assert_eq!((counted.events, counted.duplicates), (4, 1));
    assert_eq!(trucks_in(&url, noon, pb::Grain::Day).await, 3);
    service.stop().await;
    let times = [noon, noon, noon + HOUR_MS, noon + HOUR_MS];
    assert_eq!(appended(&place.data()), times);
    // A restart by an earlier clock goes on from the log's.
    let service = Clocked::start(&place.data(), noon - DAY_MS, &[]).await;
    let last = comes_in(&service.url, "d", noon - DAY_MS).await.unwrap();
    reached(&service.url, &last).await;
    assert_eq!(status(&service.url).await.identities, 4);
    service.stop().await;
    assert_eq!(appended(&place.data())[4], noon + HOUR_MS);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_jump_far_ahead_forgets_identities_and_keeps_figures() {
    let place = Place::new();
    let noon = ms("2027-06-15T04:00:00Z");
    let service = Clocked::start(&place.data(), noon, &[]).await;
    let url = service.url.clone();
    comes_in(&url, "a", noon).await.unwrap();
    // Beyond the horizon of 35 days and the 45 days of quarters, once.
    let ahead = noon + 50 * DAY_MS;
    service.set(ahead);
    comes_in(&url, "b", ahead).await.unwrap();
    service.set(noon + HOUR_MS);
    // The log's clock stays there: this is remembered from there on, and its
    // quarter is out of reach.
    let last = comes_in(&url, "c", noon).await.unwrap();
    reached(&url, &last).await;
    let counted = status(&url).await;
    assert_eq!((counted.identities, counted.forgotten), (2, 1));
    assert_eq!(trucks_in(&url, noon, pb::Grain::Day).await, 2);
    let last = comes_in(&url, "c", noon).await.unwrap();
    reached(&url, &last).await;
    assert_eq!(status(&url).await.duplicates, 1, "what came since is known");
    service.stop().await;
    let service = Clocked::start(&place.data(), noon + 2 * HOUR_MS, &[]).await;
    assert_eq!(trucks_in(&service.url, noon, pb::Grain::Day).await, 2);
    assert_eq!(trucks_in(&service.url, ahead, pb::Grain::Day).await, 1);
    service.stop().await;
}

/// An interval around the simulated day, aligned to a grain of a zone.
fn aligned(grain: Grain, zone: &TimeZone, end: i64) -> (i64, i64) {
    let day = |ms: i64| {
        let at = Timestamp::from_millisecond(ms)
            .unwrap()
            .to_zoned(zone.clone());
        at.start_of_day().unwrap()
    };
    let days = |n: i8| jiff::Span::new().days(i64::from(n));
    let (mut from, mut to) = (day(end - 3 * DAY_MS), day(end + 5 * DAY_MS));
    match grain {
        Grain::Week => {
            from = from
                .checked_sub(days(from.weekday().to_monday_zero_offset()))
                .unwrap();
            to = to
                .checked_add(days(7 - to.weekday().to_monday_zero_offset()))
                .unwrap();
        }
        Grain::Month => {
            from = from.first_of_month().unwrap();
            to = to.last_of_month().unwrap().checked_add(days(1)).unwrap();
        }
        Grain::Quarter | Grain::Hour | Grain::Day => {}
    }
    let ms = |at: jiff::Zoned| at.start_of_day().unwrap().timestamp().as_millisecond();
    (ms(from), ms(to))
}

/// A simulated day that ends then, counted with days of a zone, and asked for in
/// many.
async fn is_exact(reporting: &str, end: &str) {
    let (place, end) = (Place::new(), ms(end));
    let settings = [("reporting_zone", reporting)];
    let service = Clocked::start(&place.data(), end, &settings).await;
    let day = Simulation::new(&Options::new(31, end).with_events(2_000));
    let zone = TimeZone::get(reporting).unwrap();
    let truth = day.truth(&zone).unwrap();
    let (_, positions) = Load::start(&service.url, day).finish().await;
    for position in &positions {
        reached(&service.url, position).await;
    }
    let mut client = ThroughputServiceClient::new(channel(&service.url).await);
    let question = Question {
        from_ms: end - 3 * DAY_MS,
        to_ms: end + 10 * DAY_MS,
        at_least: String::new(),
    };
    let all = answers::everything(&mut client, &zone, &question).await;
    crate::site::assert_same(&truth, &all.unwrap());
    for name in [
        reporting,
        "Asia/Kathmandu",
        "Asia/Shanghai",
        "America/New_York",
        "Europe/Lisbon",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
    ] {
        let zone = TimeZone::get(name).unwrap();
        for (asked, grain) in [
            (pb::Grain::Hour, Grain::Hour),
            (pb::Grain::Day, Grain::Day),
            (pb::Grain::Week, Grain::Week),
            (pb::Grain::Month, Grain::Month),
        ] {
            let interval = aligned(grain, &zone, end);
            let rows = answers::rows(&mut client, asked, name, interval, "").await;
            let mut answered = Truth::default();
            answered.add_cells(grain, &rows.unwrap());
            let meant = Truth {
                cells: truth
                    .rolled_up(grain, &zone, Split::FULL, interval)
                    .unwrap(),
                ..Truth::default()
            };
            let differences = diff(&meant, &answered);
            let first = differences.first().map(ToString::to_string);
            assert!(differences.is_empty(), "{name} {grain:?}: {first:?}");
            assert!(!answered.cells.is_empty());
        }
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leap_day_is_a_day() {
    is_exact("Asia/Shanghai", "2028-03-01T02:00:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_ends_in_the_middle_of_a_day_elsewhere() {
    is_exact("Asia/Shanghai", "2027-01-01T06:00:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_may_begin_at_a_quarter_to_the_hour() {
    is_exact("Asia/Kathmandu", "2027-02-28T20:00:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_go_forward() {
    // On 14 March in New York, where days are counted.
    is_exact("America/New_York", "2027-03-14T20:00:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_go_back_by_half_an_hour() {
    // On 4 April on Lord Howe.
    is_exact("Australia/Lord_Howe", "2027-04-04T10:00:00Z").await;
}
