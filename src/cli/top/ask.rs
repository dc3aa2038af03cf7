//! The questions of one round, and a connection that is made anew when it fails.

use super::state::{Choice, Reading};
use crate::client::reach::{Line, Reach};
use crate::event::Millis;
use crate::pb::throughput_service_client::ThroughputServiceClient;
use crate::pb::{self, DurationKind, Grain, Role};
use crate::query::{ask, grain};
use jiff::tz::TimeZone;
use std::time::Duration;
use tonic::{Request, Status};

/// A round that takes longer has failed.
const ROUND_AT_MOST: Duration = Duration::from_secs(10);

/// The first pause after a failure; it doubles with each …
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(15);

type Client = ThroughputServiceClient<Line>;

/// Asks a service.
pub struct Asker {
    reach: Reach,
    client: Option<Client>,
    limit: u32,
    failures: u32,
}

/// Why a round failed, and when to try again.
pub struct Failed {
    /// In words.
    pub why: String,
    /// How long to wait.
    pub pause: Duration,
}

impl Asker {
    /// Of a service, for so many leaders.
    pub fn new(reach: Reach, limit: u32) -> Self {
        Self {
            reach,
            client: None,
            limit,
            failures: 0,
        }
    }

    /// One round of questions, one after the other.
    pub async fn round(&mut self, choice: Choice) -> Result<Reading, Failed> {
        let asked = tokio::time::timeout(ROUND_AT_MOST, self.ask(choice)).await;
        let late = || Err(format!("it took longer than {} s", ROUND_AT_MOST.as_secs()));
        let why = match asked.unwrap_or_else(|_| late()) {
            Ok(reading) => {
                self.failures = 0;
                return Ok(reading);
            }
            Err(why) => why,
        };
        // The next one may have another address behind the same name.
        self.client = None;
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(8));
        self.failures += 1;
        Err(Failed {
            why,
            pause: pause.min(PAUSE_MAX),
        })
    }

    async fn ask(&mut self, choice: Choice) -> Result<Reading, String> {
        let client = match &mut self.client {
            Some(client) => client,
            None => {
                let line = self.reach.connect().await;
                let line = line.map_err(|cause| cause.to_string())?;
                self.client.insert(Client::new(line))
            }
        };
        questions(client, choice, self.limit)
            .await
            .map_err(|status| format!("{:?}: {}", status.code(), status.message()))
    }
}

async fn questions(client: &mut Client, choice: Choice, limit: u32) -> Result<Reading, Status> {
    let status = pb::GetStatusRequest::default();
    let status = client.get_status(timed(status)).await?.into_inner();
    let (from, to) = today(&status);
    let (from, to) = (Some(ask::message(from)), Some(ask::message(to)));
    let leaders = pb::ListTopEnterprisesRequest {
        role: choice.role.into(),
        measure: choice.measure.into(),
        from,
        to,
        limit,
        ..Default::default()
    };
    let leaders = client.list_top_enterprises(timed(leaders)).await?;
    let terminals = pb::GetThroughputRequest {
        filter: Some(pb::Filter {
            roles: vec![Role::Terminal.into()],
            ..Default::default()
        }),
        from,
        to,
        grain: Grain::Total.into(),
        ..Default::default()
    };
    let terminals = client.get_throughput(timed(terminals)).await?;
    let rows = terminals.into_inner().rows.into_iter();
    let durations = rows
        .filter_map(|row| row.figures)
        .flat_map(|all| all.durations);
    let mut turns = durations.filter(|one| one.kind() == DurationKind::TruckTurn);
    Ok(Reading {
        choice,
        leaders: leaders.into_inner().enterprises,
        turns: turns.next(),
        status,
    })
}

/// The service need not go on after we have given up. The client holds a question
/// to this too, but the round is to fail first, in our words.
fn timed<T>(request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.set_timeout(ROUND_AT_MOST + Duration::from_secs(1));
    request
}

/// Today in the reporting zone, by the service's clock: whole days, which are
/// answered from day cells.
fn today(status: &pb::GetStatusResponse) -> (Millis, Millis) {
    let now = super::state::millis(status.now);
    let now = now.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond());
    let zone = TimeZone::get(&status.reporting_zone).unwrap_or(TimeZone::UTC);
    let from = grain::floor(Grain::Day, &zone, now).unwrap_or(now);
    let to = grain::ceil(Grain::Day, &zone, now + 1).unwrap_or(now);
    (from, to)
}
