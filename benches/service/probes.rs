//! Timed beside a paced load: single events until they are visible, questions
//! about one enterprise, and leaders.

use crate::corpus::{Corpus, DAY_MS};
use crate::paced::Paced;
use anyhow::ensure;
use quaymeter::answers::{Client, instant};
use quaymeter::pb;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tonic::{Code, Response, Status};

const FRESH_EVERY: Duration = Duration::from_millis(20);
const ASK_EVERY: Duration = Duration::from_millis(10);
const LEADERS_EVERY: Duration = Duration::from_millis(100);

const QUARTER_MS: i64 = 900_000;
const PROBE: &str = "ygt:probe";

/// Before a call that was refused for want of room is tried again. Its time goes
/// on meanwhile.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// What can be asked about.
pub struct Asking {
    enterprises: Arc<[String]>,
    start_ms: i64,
    days: i64,
}

impl Asking {
    /// So many days of a corpus.
    pub fn of(corpus: &Corpus, days: usize) -> Self {
        Self {
            enterprises: corpus.enterprises().into(),
            start_ms: corpus.start_ms(),
            days: days as i64,
        }
    }
}

/// Does something at fixed instants until the load is over; how long each took
/// from when it was due.
async fn every<F>(
    period: Duration,
    paced: &Paced,
    mut each: impl FnMut(i64) -> F,
) -> anyhow::Result<Vec<Duration>>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut number = 0;
    while !paced.is_over() {
        let due = paced.started + period * number;
        tokio::time::sleep_until(due.into()).await;
        let work = each(i64::from(number));
        running.spawn(async move {
            work.await?;
            Ok::<_, anyhow::Error>(due.elapsed())
        });
        number += 1;
    }
    running.join_all().await.into_iter().collect()
}

/// Calls until there is room for it.
async fn patiently<A, F>(mut call: impl FnMut() -> F) -> Result<A, Status>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    loop {
        match call().await {
            Err(status) if status.code() == Code::ResourceExhausted => {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            answered => return answered.map(Response::into_inner),
        }
    }
}

/// A truck passes a gate: from when it was due to be told, until an answer
/// counts it. The question names the acknowledgement's position, so it waits
/// within the service.
pub async fn fresh(url: &str, paced: &Paced) -> anyhow::Result<Vec<Duration>> {
    let now = jiff::Timestamp::now().as_millisecond();
    let at = now - now.rem_euclid(QUARTER_MS);
    let publisher = IngestServiceClient::connect(url.to_owned()).await?;
    let client = Client::connect(url.to_owned()).await?;
    every(FRESH_EVERY, paced, |number| {
        let (publisher, client) = (publisher.clone(), client.clone());
        async move {
            let told = passage(number, at);
            let publish = || {
                let (mut publisher, told) = (publisher.clone(), told.clone());
                async move { publisher.publish_events(told).await }
            };
            let answer = patiently(publish).await?;
            ensure!(answer.accepted == 1, "refused: {:?}", answer.results);
            let request = pb::GetThroughputRequest {
                at_least: answer.position,
                ..hours(PROBE, (at, at + QUARTER_MS), pb::Grain::Quarter)
            };
            let rows = ask(&client, &request).await?.rows;
            let seen = rows.iter().filter_map(|row| row.figures.as_ref());
            let seen: i64 = seen.map(|figures| figures.trucks_in).sum();
            ensure!(seen > 0, "a probe was acknowledged and is not visible");
            Ok(())
        }
    })
    .await
}

async fn ask(
    client: &Client,
    request: &pb::GetThroughputRequest,
) -> Result<pb::GetThroughputResponse, Status> {
    patiently(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.get_throughput(request).await }
    })
    .await
}

fn passage(number: i64, at: i64) -> pb::PublishEventsRequest {
    let event = pb::Event {
        event_id: format!("probe-{number}"),
        occurred_at: Some(instant(at)),
        facility: "CNNBO/PROBE".into(),
        parties: vec![pb::Party {
            role: pb::Role::Fleet.into(),
            enterprise: PROBE.into(),
        }],
        detail: Some(pb::event::Detail::GateMove(pb::GateMove {
            direction: pb::GateDirection::In.into(),
            tractor_plate: format!("浙B{:05}", number % 100_000),
            ..pb::GateMove::default()
        })),
        ..pb::Event::default()
    };
    pb::PublishEventsRequest {
        source: "probe".into(),
        events: vec![event],
        ..pb::PublishEventsRequest::default()
    }
}

fn hours(enterprise: &str, (from, to): (i64, i64), grain: pb::Grain) -> pb::GetThroughputRequest {
    pb::GetThroughputRequest {
        filter: Some(pb::Filter {
            enterprises: vec![enterprise.to_owned()],
            ..pb::Filter::default()
        }),
        from: Some(instant(from)),
        to: Some(instant(to)),
        grain: grain.into(),
        ..pb::GetThroughputRequest::default()
    }
}

/// One enterprise, one day, by hour: each time another of both.
pub async fn questions(url: &str, asking: &Asking, paced: &Paced) -> anyhow::Result<Vec<Duration>> {
    let client = Client::connect(url.to_owned()).await?;
    let enterprises = &asking.enterprises;
    every(ASK_EVERY, paced, |number| {
        // Steps that share no factor with what they walk through.
        let enterprise = &enterprises[number as usize * 1_009 % enterprises.len()];
        let from = asking.start_ms + number * 7_919 % asking.days * DAY_MS;
        let request = hours(enterprise, (from, from + DAY_MS), pb::Grain::Hour);
        let client = client.clone();
        async move {
            ask(&client, &request).await?;
            Ok(())
        }
    })
    .await
}

/// The first ten of a role over the month: each time another role.
pub async fn leaders(url: &str, asking: &Asking, paced: &Paced) -> anyhow::Result<Vec<Duration>> {
    const ASKED: [(pb::Role, pb::Measure); 4] = [
        (pb::Role::Forwarder, pb::Measure::DispatchAccepted),
        (pb::Role::Terminal, pb::Measure::ThroughputBoxes),
        (pb::Role::Fleet, pb::Measure::TruckPassages),
        (pb::Role::Carrier, pb::Measure::ThroughputTeuMilli),
    ];
    let client = Client::connect(url.to_owned()).await?;
    let (from, to) = (
        asking.start_ms,
        asking.start_ms + asking.days.min(30) * DAY_MS,
    );
    every(LEADERS_EVERY, paced, |number| {
        let (role, measure) = ASKED[number as usize % ASKED.len()];
        let request = pb::ListTopEnterprisesRequest {
            role: role.into(),
            measure: measure.into(),
            from: Some(instant(from)),
            to: Some(instant(to)),
            limit: 10,
            ..pb::ListTopEnterprisesRequest::default()
        };
        let client = client.clone();
        async move {
            let ask = || {
                let (mut client, request) = (client.clone(), request.clone());
                async move { client.list_top_enterprises(request).await }
            };
            let leaders = patiently(ask).await?;
            let found = leaders.enterprises.len();
            ensure!(found == 10, "{found} leaders of {role:?} by {measure:?}");
            Ok(())
        }
    })
    .await
}

/// For floors: from when a bare call was due to its answer.
pub async fn bare_calls(url: &str, paced: &Paced) -> anyhow::Result<Vec<Duration>> {
    let publisher = IngestServiceClient::connect(url.to_owned()).await?;
    every(ASK_EVERY, paced, |number| {
        let mut publisher = publisher.clone();
        async move {
            publisher.publish_events(passage(number, 0)).await?;
            Ok(())
        }
    })
    .await
}
