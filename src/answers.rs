//! Asks a service for everything it counted in an interval, page by page, in
//! the form in which truths are compared.

mod spool;

pub use spool::{Error as SpoolError, InPartition, Reach, Spool, position};

use crate::pb;
use crate::pb::throughput_service_client::ThroughputServiceClient;
use crate::truth::{Grain, Truth};
use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use pbjson_types::Timestamp as Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::StdError;
use tonic::transport::Channel;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service's answer.
    #[error("ask for everything: {:?}: {}", .0.code(), .0.message())]
    Status(#[from] Box<Status>),
    /// An instant that no calendar has.
    #[error("days of the interval")]
    Days(#[from] jiff::Error),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// A client of the query service.
pub type Client<C = Channel> = ThroughputServiceClient<C>;

/// What a client's questions go over.
pub trait Carrier:
    GrpcService<Body, Error: Into<StdError>, ResponseBody = Self::Answers, Future: Send> + Send
{
    /// The bodies of answers.
    type Answers: http_body::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static;
}

impl<C, A> Carrier for C
where
    C: GrpcService<Body, ResponseBody = A> + Send,
    C::Error: Into<StdError>,
    C::Future: Send,
    A: http_body::Body<Data = Bytes> + Send + 'static,
    A::Error: Into<StdError> + Send,
{
    type Answers = A;
}

const PAGE_ROWS: u32 = 5_000;

/// Every classifier, so that nothing is left out.
const CLASSIFIERS: [pb::Classifier; 3] = [
    pb::Classifier::Actual,
    pb::Classifier::Estimated,
    pb::Classifier::Planned,
];

/// More than any slot lasts.
const SLOT_MS_MAX: i64 = 402 * 86_400_000;

/// A question for everything: an interval, and a position that the answers must
/// include.
#[derive(Clone, Debug)]
pub struct Question {
    /// From when, in ms since 1970-01-01T00:00Z; taken down to a day's start.
    pub from_ms: i64,
    /// Until when; taken up to a day's end.
    pub to_ms: i64,
    /// A position, or empty.
    pub at_least: String,
}

/// The protobuf form of an instant in ms.
pub fn instant(ms: i64) -> Instant {
    let nanos = (ms.rem_euclid(1000) * 1_000_000) as i32;
    Instant {
        seconds: ms.div_euclid(1000),
        nanos,
    }
}

/// The interval, widened to whole days of a zone.
///
/// # Errors
/// An instant that no calendar has.
pub fn days(question: &Question, zone: &TimeZone) -> Result<(i64, i64), jiff::Error> {
    let at = |ms| Ok::<_, jiff::Error>(Timestamp::from_millisecond(ms)?.to_zoned(zone.clone()));
    let from = at(question.from_ms)?.start_of_day()?;
    let to = at(question.to_ms)?
        .start_of_day()?
        .checked_add(jiff::Span::new().try_days(1)?)?;
    Ok((
        from.timestamp().as_millisecond(),
        to.timestamp().as_millisecond(),
    ))
}

/// All rows of one grain in one zone, split by enterprise and facility.
///
/// # Errors
/// The service's.
pub async fn rows<C: Carrier>(
    client: &mut Client<C>,
    grain: pb::Grain,
    zone: &str,
    (from_ms, to_ms): (i64, i64),
    at_least: &str,
) -> Result<Vec<pb::ThroughputRow>, Status> {
    let mut request = pb::GetThroughputRequest {
        filter: Some(pb::Filter {
            classifiers: CLASSIFIERS.map(Into::into).to_vec(),
            ..Default::default()
        }),
        from: Some(instant(from_ms)),
        to: Some(instant(to_ms)),
        grain: grain.into(),
        zone: zone.into(),
        group_by: vec![
            pb::Dimension::Enterprise.into(),
            pb::Dimension::Facility.into(),
        ],
        at_least: at_least.into(),
        page_size: PAGE_ROWS,
        page_token: String::new(),
    };
    let mut rows = Vec::new();
    loop {
        let answer = client.get_throughput(request.clone()).await?.into_inner();
        rows.extend(answer.rows);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() {
            return Ok(rows);
        }
    }
}

/// Everything: quarter-hour cells, day cells of the reporting zone, vessel
/// calls and ended slots.
///
/// # Errors
/// The service's.
pub async fn everything<C: Carrier>(
    client: &mut Client<C>,
    zone: &TimeZone,
    question: &Question,
) -> Result<Truth, Error> {
    let mut truth = Truth::default();
    let name = zone.iana_name().unwrap_or("UTC");
    let interval = days(question, zone)?;
    for (asked, grain) in [
        (pb::Grain::Quarter, Grain::Quarter),
        (pb::Grain::Day, Grain::Day),
    ] {
        truth.add_cells(
            grain,
            &rows(client, asked, name, interval, &question.at_least).await?,
        );
    }
    for classifier in CLASSIFIERS {
        calls(client, classifier, interval, &question.at_least, &mut truth).await?;
    }
    slots(client, interval, &question.at_least, &mut truth).await?;
    Ok(truth)
}

async fn calls<C: Carrier>(
    client: &mut Client<C>,
    classifier: pb::Classifier,
    (from_ms, to_ms): (i64, i64),
    at_least: &str,
    truth: &mut Truth,
) -> Result<(), Status> {
    let mut request = pb::ListVesselCallsRequest {
        from: Some(instant(from_ms)),
        to: Some(instant(to_ms)),
        classifier: classifier.into(),
        at_least: at_least.into(),
        page_size: PAGE_ROWS,
        ..Default::default()
    };
    loop {
        let answer = client
            .list_vessel_calls(request.clone())
            .await?
            .into_inner();
        truth.add_calls(&answer.calls);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() {
            return Ok(());
        }
    }
}

async fn slots<C: Carrier>(
    client: &mut Client<C>,
    (from_ms, to_ms): (i64, i64),
    at_least: &str,
    truth: &mut Truth,
) -> Result<(), Status> {
    let mut request = pb::ListNoShowsRequest {
        filter: Some(pb::Filter {
            classifiers: CLASSIFIERS.map(Into::into).to_vec(),
            ..Default::default()
        }),
        from: Some(instant(from_ms)),
        to: Some(instant(to_ms)),
        // Whenever they end: no slot lies further ahead.
        ended_by: Some(instant(to_ms + SLOT_MS_MAX)),
        at_least: at_least.into(),
        page_size: PAGE_ROWS,
        page_token: String::new(),
    };
    loop {
        let answer = client.list_no_shows(request.clone()).await?.into_inner();
        truth.add_slots(&answer.rows);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() {
            return Ok(());
        }
    }
}
