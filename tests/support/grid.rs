//! Questions of every method, and what a service answers to them, as texts that can be
//! compared: of a token no more than its length is told.

#[path = "grid/whole.rs"]
pub mod whole;

use pbjson_types::Timestamp;
use prost::Message;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{self, Dimension, Grain, Measure, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// What a caller shows, if anything.
#[derive(Clone, Default)]
pub struct Shown(pub Option<MetadataValue<Ascii>>);

impl Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(shown) = &self.0 {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", shown.clone());
        }
        Ok(request)
    }
}

pub type Client = ThroughputServiceClient<InterceptedService<Channel, Shown>>;

pub async fn client(url: &str, shown: Shown) -> Client {
    let channel = Channel::from_shared(url.to_owned()).unwrap();
    let channel = channel.connect().await.unwrap();
    ThroughputServiceClient::with_interceptor(channel, shown)
}

/// What the grid is laid over.
pub struct Grid {
    /// Where a day of the reporting zone begins, in ms; the grid is of that day and the
    /// one before.
    pub day: i64,
    /// Groups of enterprises to ask for.
    pub enterprises: Vec<Vec<&'static str>>,
    /// Groups of facilities to ask for.
    pub facilities: Vec<Vec<&'static str>>,
    /// Texts to look for in names.
    pub contains: Vec<&'static str>,
}

/// A method, a question and its answers, page by page.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: &'static str,
    pub question: String,
    pub answers: Vec<String>,
}

const DAY: i64 = 86_400_000;
const QUARTER: i64 = 900_000;

/// Pages that are gone through.
const PAGES_MAX: usize = 6;

pub fn at(ms: i64) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: ms / 1000,
        nanos: 0,
    })
}

fn length(token: &mut String) {
    *token = format!("{} characters", token.len());
}

/// An answer whose tokens are replaced by their lengths, with its size.
pub fn masked<T: Message + Debug>(mut answer: T, tokens: impl FnOnce(&mut T)) -> String {
    let size = answer.encoded_len();
    tokens(&mut answer);
    format!("{size} bytes: {answer:?}")
}

pub fn fresh(freshness: &mut Option<pb::Freshness>) {
    if let Some(freshness) = freshness {
        length(&mut freshness.position);
    }
}

/// A refusal with all its details, whose metadata is in no order.
pub fn refused(status: &Status) -> String {
    let (code, message, size) = (status.code(), status.message(), status.details().len());
    let details = status.get_error_details();
    let info = details.error_info().map(|info| {
        let metadata: BTreeMap<_, _> = info.metadata.iter().collect();
        format!("{} of {} {metadata:?}", info.reason, info.domain)
    });
    let (bad, retry) = (details.bad_request(), details.retry_info());
    format!("{code:?}: {message}, {size} bytes: {info:?} {bad:?} {retry:?}")
}

/// Asks page by page with a method of the client.
macro_rules! pages {
    ($client:expr, $method:ident, $question:expr) => {{
        let mut question = $question;
        let told = format!("{question:?}");
        let mut answers = Vec::new();
        for _ in 0..PAGES_MAX {
            match $client.$method(question.clone()).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    question.page_token = answer.next_page_token.clone();
                    answers.push(masked(answer, |answer| {
                        length(&mut answer.next_page_token);
                        fresh(&mut answer.freshness);
                    }));
                }
                Err(status) => {
                    answers.push(refused(&status));
                    question.page_token.clear();
                }
            }
            if question.page_token.is_empty() {
                break;
            }
        }
        Asked {
            method: stringify!($method),
            question: told,
            answers,
        }
    }};
}

impl Grid {
    /// Asks everything.
    pub async fn ask(&self, client: &mut Client) -> Vec<Asked> {
        let mut asked = Vec::new();
        self.throughput(client, &mut asked).await;
        self.top(client, &mut asked).await;
        self.enterprises(client, &mut asked).await;
        self.no_shows(client, &mut asked).await;
        self.calls(client, &mut asked).await;
        self.status(client, &mut asked).await;
        self.operated(client, &mut asked).await;
        asked
    }

    fn filters(&self) -> Vec<pb::Filter> {
        let mut filters = Vec::new();
        for enterprises in &self.enterprises {
            filters.push(pb::Filter {
                enterprises: enterprises.iter().map(|&id| id.into()).collect(),
                ..Default::default()
            });
        }
        for facilities in &self.facilities {
            filters.push(pb::Filter {
                facilities: facilities.iter().map(|&name| name.into()).collect(),
                ..Default::default()
            });
        }
        for role in [Role::Carrier, Role::Fleet, Role::Terminal] {
            filters.push(pb::Filter {
                roles: vec![role.into()],
                classifiers: vec![1, 2, 3],
                ..Default::default()
            });
        }
        filters
    }

    /// From, to, and the grains in which that is asked.
    fn windows(&self) -> Vec<((i64, i64), Vec<Grain>)> {
        let all = vec![
            Grain::Quarter,
            Grain::Hour,
            Grain::Day,
            Grain::Total,
            Grain::Week,
        ];
        vec![
            ((self.day - DAY, self.day + DAY), all.clone()),
            (
                (self.day, self.day + QUARTER),
                vec![Grain::Quarter, Grain::Total],
            ),
            // At the edge of what is kept, and beyond it.
            (
                (self.day - 46 * DAY, self.day),
                vec![Grain::Quarter, Grain::Day],
            ),
            (
                (self.day - 1100 * DAY, self.day),
                vec![Grain::Day, Grain::Total],
            ),
            ((self.day - 3_600 * DAY, self.day), all),
        ]
    }

    async fn throughput(&self, client: &mut Client, asked: &mut Vec<Asked>) {
        let by = |by: &[Dimension]| by.iter().map(|&by| by.into()).collect::<Vec<i32>>();
        let (enterprise, facility) = (Dimension::Enterprise, Dimension::Facility);
        let groups = [
            by(&[]),
            by(&[enterprise]),
            by(&[facility]),
            by(&[enterprise, facility]),
        ];
        for filter in self.filters() {
            for ((from, to), grains) in self.windows() {
                for grain in grains {
                    for (at_group, group_by) in groups.iter().enumerate() {
                        let question = pb::GetThroughputRequest {
                            filter: Some(filter.clone()),
                            from: at(from),
                            to: at(to),
                            grain: grain.into(),
                            group_by: group_by.clone(),
                            page_size: [0, 1, 2, 3][at_group],
                            ..Default::default()
                        };
                        asked.push(pages!(client, get_throughput, question));
                    }
                }
            }
        }
    }

    async fn top(&self, client: &mut Client, asked: &mut Vec<Asked>) {
        for role in (1..9).filter_map(|role| Role::try_from(role).ok()) {
            for measure in (1..12).filter_map(|of| Measure::try_from(of).ok()) {
                for (limit, facilities) in (0..3).zip(&self.facilities) {
                    let question = pb::ListTopEnterprisesRequest {
                        role: role.into(),
                        measure: measure.into(),
                        from: at(self.day - DAY),
                        to: at(self.day + DAY - QUARTER * i64::from(limit % 2)),
                        limit,
                        facilities: facilities.iter().map(|&name| name.into()).collect(),
                        ..Default::default()
                    };
                    let told = format!("{question:?}");
                    let answer = match client.list_top_enterprises(question).await {
                        Ok(answer) => masked(answer.into_inner(), |of| fresh(&mut of.freshness)),
                        Err(status) => refused(&status),
                    };
                    asked.push(Asked {
                        method: "list_top_enterprises",
                        question: told,
                        answers: vec![answer],
                    });
                }
            }
        }
    }

    async fn enterprises(&self, client: &mut Client, asked: &mut Vec<Asked>) {
        for role in 0..9 {
            for &contains in &self.contains {
                for page_size in [0, 1] {
                    let question = pb::ListEnterprisesRequest {
                        role,
                        contains: contains.into(),
                        page_size,
                        ..Default::default()
                    };
                    asked.push(pages!(client, list_enterprises, question));
                }
            }
        }
    }

    async fn no_shows(&self, client: &mut Client, asked: &mut Vec<Asked>) {
        for filter in self.filters() {
            for page_size in [0, 1] {
                let question = pb::ListNoShowsRequest {
                    filter: Some(filter.clone()),
                    from: at(self.day - 40 * DAY),
                    to: at(self.day + 3 * DAY),
                    ended_by: at(self.day + 9 * DAY),
                    page_size,
                    ..Default::default()
                };
                asked.push(pages!(client, list_no_shows, question));
            }
        }
    }

    async fn calls(&self, client: &mut Client, asked: &mut Vec<Asked>) {
        for facilities in &self.facilities {
            for (call_id, days) in [("", 1), ("C1", 1), ("C2", 1000), ("", 1100)] {
                let question = pb::ListVesselCallsRequest {
                    from: at(self.day - days * DAY),
                    to: at(self.day + DAY),
                    facilities: facilities.iter().map(|&name| name.into()).collect(),
                    call_id: call_id.into(),
                    page_size: 2,
                    ..Default::default()
                };
                asked.push(pages!(client, list_vessel_calls, question));
            }
        }
    }

    async fn status(&self, client: &mut Client, asked: &mut Vec<Asked>) {
        for at_least in ["", "forged", "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            let question = pb::GetStatusRequest {
                at_least: at_least.into(),
            };
            let told = format!("{question:?}");
            let answer = match client.get_status(question).await {
                Ok(answer) => {
                    // The clock is no token, but it is nobody's secret either.
                    let mut answer = answer.into_inner();
                    answer.now = None;
                    masked(answer, |of| fresh(&mut of.freshness))
                }
                Err(status) => refused(&status),
            };
            asked.push(Asked {
                method: "get_status",
                question: told,
                answers: vec![answer],
            });
        }
    }

    /// What only those may ask who run the service.
    async fn operated(&self, client: &mut Client, asked: &mut Vec<Asked>) {
        let mut push = |method, question: String, refusal: Option<Status>| {
            let answer = refusal.map_or_else(|| "answered".to_owned(), |status| refused(&status));
            asked.push(Asked {
                method,
                question,
                answers: vec![answer],
            });
        };
        let dump = pb::DumpCellsRequest {
            grain: Grain::Day.into(),
            ..Default::default()
        };
        let told = format!("{dump:?}");
        push("dump_cells", told, client.dump_cells(dump).await.err());
        let facility = self.facilities.iter().flatten().next();
        let facility: String = facility.copied().unwrap_or_default().into();
        for source in ["tos", "nobody"] {
            let event = pb::LookupEventRequest {
                facility: facility.clone(),
                source: source.into(),
                event_id: "1".into(),
                ..Default::default()
            };
            let told = format!("{event:?}");
            push("lookup_event", told, client.lookup_event(event).await.err());
        }
        for &id in self.enterprises.iter().flatten() {
            let cell = pb::ListCellEventsRequest {
                facility: facility.clone(),
                enterprise: id.into(),
                role: Role::Carrier.into(),
                from: at(self.day),
                to: at(self.day + DAY),
                ..Default::default()
            };
            let told = format!("{cell:?}");
            let answer = client.list_cell_events(cell).await;
            push("list_cell_events", told, answer.err());
        }
    }
}

/// Whether two services answered the same to the same questions.
#[track_caller]
pub fn assert_equal(one: &[Asked], other: &[Asked]) {
    assert_eq!(one.len(), other.len());
    let different: Vec<_> = one.iter().zip(other).filter(|(a, b)| a != b).collect();
    let shown: Vec<_> = different.iter().take(3).collect();
    assert!(
        different.is_empty(),
        "{} of {} differ: {shown:#?}",
        different.len(),
        one.len()
    );
}

/// The methods to whose questions two services answered differently.
pub fn differing(one: &[Asked], other: &[Asked]) -> BTreeSet<&'static str> {
    let pairs = one.iter().zip(other);
    pairs
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a.method)
        .collect()
}
