//! What each method asks of its caller, by the specification, and of whom it answers: a
//! row for each method there is.

use crate::declared::declared;
use crate::methods::Outcome;
use crate::place::{DAY_MS, QUARTER_MS, event, recently};
use prost::Message;
use quaymeter::answers::instant;
use quaymeter::pb::event::Detail;
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::{self, AppointmentStage, Dimension, Event, Grain, Role};
use std::collections::BTreeSet;

/// One method's row.
pub struct Rule {
    pub path: &'static str,
    /// One of these rights, that he is known (`""`), or nothing at all.
    asks: Option<&'static [&'static str]>,
    pub of: Whose,
}

/// Of whom a method answers.
pub enum Whose {
    /// Of nobody in particular, or of those whom the caller may see: no enterprise can be
    /// named. What such answers hold is asked in `unseen.rs`.
    Unnamed,
    /// Of everybody at once, so only who may see all is answered.
    Everybody,
    /// Of the enterprise that is named, and of no other.
    Named(Question),
}

/// How to ask about an enterprise.
pub struct Question {
    /// What is said, message by message. Each of them is answered.
    pub say: fn(&str) -> Vec<Vec<u8>>,
    /// Whether an answer, the last, has anything about it; and all that it tells but for
    /// tokens and the state that it is of.
    pub hear: fn(&[u8]) -> (bool, String),
}

const KNOWN: Option<&[&str]> = Some(&[""]);
const PUBLISH: Option<&[&str]> = Some(&["publish"]);
const READ: Option<&[&str]> = Some(&["read"]);
const READ_OR_OPERATE: Option<&[&str]> = Some(&["read", "operate"]);
const OPERATE: Option<&[&str]> = Some(&["operate"]);

/// All rows. Publishing comes last: it makes enterprises known.
pub const RULES: &[Rule] = &[
    unnamed("/grpc.health.v1.Health/Check", None),
    unnamed("/grpc.health.v1.Health/Watch", None),
    unnamed(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        KNOWN,
    ),
    unnamed(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        KNOWN,
    ),
    unnamed("/quaymeter.v1.AdminService/Backup", OPERATE),
    unnamed("/quaymeter.v1.ThroughputService/DumpCells", OPERATE),
    unnamed("/quaymeter.v1.ThroughputService/LookupEvent", OPERATE),
    unnamed("/quaymeter.v1.ThroughputService/ListTopEnterprises", READ),
    unnamed("/quaymeter.v1.ThroughputService/GetStatus", READ_OR_OPERATE),
    Rule {
        path: "/quaymeter.v1.ThroughputService/ListVesselCalls",
        asks: READ,
        of: Whose::Everybody,
    },
    named(
        "/quaymeter.v1.ThroughputService/GetThroughput",
        READ,
        |id| vec![figures(id).encode_to_vec()],
        |answer| {
            let answer: pb::GetThroughputResponse = read(answer);
            told(&answer.rows, &answer.next_page_token)
        },
    ),
    named(
        "/quaymeter.v1.ThroughputService/WatchThroughput",
        READ_OR_OPERATE,
        |id| {
            let query = Some(figures(id));
            let watch = pb::WatchThroughputRequest {
                query,
                ..Default::default()
            };
            vec![watch.encode_to_vec()]
        },
        |answer| {
            let answer: pb::WatchThroughputResponse = read(answer);
            told(&answer.rows, &(answer.snapshot, answer.removed))
        },
    ),
    named(
        "/quaymeter.v1.ThroughputService/ListNoShows",
        READ,
        |id| {
            let pb::GetThroughputRequest {
                filter, from, to, ..
            } = figures(id);
            let slots = pb::ListNoShowsRequest {
                filter,
                from,
                to,
                ..Default::default()
            };
            vec![slots.encode_to_vec()]
        },
        |answer| {
            let answer: pb::ListNoShowsResponse = read(answer);
            told(&answer.rows, &answer.next_page_token)
        },
    ),
    named(
        "/quaymeter.v1.ThroughputService/ListEnterprises",
        READ,
        |id| {
            let contains = id.to_owned();
            let list = pb::ListEnterprisesRequest {
                contains,
                ..Default::default()
            };
            vec![list.encode_to_vec()]
        },
        |answer| {
            let answer: pb::ListEnterprisesResponse = read(answer);
            told(&answer.enterprises, &answer.next_page_token)
        },
    ),
    named(
        "/quaymeter.v1.ThroughputService/ListCellEvents",
        OPERATE,
        |id| {
            let pb::GetThroughputRequest { from, to, .. } = figures(id);
            let (facility, enterprise) = ("CNNBO/BLCT2".into(), id.into());
            let role = Role::Fleet.into();
            let cell = pb::ListCellEventsRequest {
                facility,
                enterprise,
                role,
                from,
                to,
                ..Default::default()
            };
            vec![cell.encode_to_vec()]
        },
        |answer| {
            let answer: pb::ListCellEventsResponse = read(answer);
            told(&answer.events, &(answer.events_total, answer.figures))
        },
    ),
    named(
        "/quaymeter.v1.IngestService/PublishEvents",
        PUBLISH,
        |id| {
            let events = vec![booked(id)];
            let batch = pb::PublishEventsRequest {
                events,
                ..Default::default()
            };
            vec![batch.encode_to_vec()]
        },
        |answer| {
            let answer: pb::PublishEventsResponse = read(answer);
            let accepted = vec![(); answer.accepted as usize];
            told(&accepted, &(answer.refused, answer.results))
        },
    ),
    named(
        "/quaymeter.v1.IngestService/StreamEvents",
        PUBLISH,
        |id| {
            let client_id = "c".to_owned();
            let open = Say::Open(pb::StreamOpen {
                client_id,
                ..Default::default()
            });
            let (sequence, events) = (1, vec![booked(id)]);
            let batch = Say::Batch(pb::StreamBatch { sequence, events });
            let say = |message| pb::StreamEventsRequest {
                message: Some(message),
            };
            [open, batch]
                .map(|message| say(message).encode_to_vec())
                .into()
        },
        |answer| {
            let answer: pb::StreamEventsResponse = read(answer);
            let Some(Hear::Ack(ack)) = answer.message else {
                panic!("{answer:?}")
            };
            let accepted = vec![(); ack.accepted as usize];
            told(&accepted, &(ack.refused, ack.results))
        },
    ),
];

const fn unnamed(path: &'static str, asks: Option<&'static [&'static str]>) -> Rule {
    let of = Whose::Unnamed;
    Rule { path, asks, of }
}

const fn named(
    path: &'static str,
    asks: Option<&'static [&'static str]>,
    say: fn(&str) -> Vec<Vec<u8>>,
    hear: fn(&[u8]) -> (bool, String),
) -> Rule {
    let of = Whose::Named(Question { say, hear });
    Rule { path, asks, of }
}

impl Rule {
    /// Whether a caller is let in who is known by his only right, or not known.
    pub fn outcome(&self, right: Option<&str>) -> Outcome {
        match (self.asks, right) {
            (None, _) => Outcome::In,
            (Some(_), None) => Outcome::Unknown,
            (Some([""]), Some(_)) => Outcome::In,
            (Some(rights), Some(his)) if rights.contains(&his) => Outcome::In,
            (Some(rights), Some(_)) => Outcome::Lacks(rights[0].into()),
        }
    }
}

/// A truck of an enterprise was booked for a slot that is over.
pub fn booked(id: &str) -> Event {
    let (from, to) = (instant(recently()), instant(recently() + QUARTER_MS));
    let step = pb::AppointmentStep {
        appointment_id: id.into(),
        stage: AppointmentStage::Confirmed.into(),
        slot_start: Some(from),
        slot_end: Some(to),
    };
    let mut booked = event(id, recently(), Detail::AppointmentStep(step));
    booked.parties[0].enterprise = id.into();
    booked
}

fn figures(id: &str) -> pb::GetThroughputRequest {
    let enterprises = vec![id.to_owned()];
    pb::GetThroughputRequest {
        filter: Some(pb::Filter {
            enterprises,
            ..Default::default()
        }),
        from: Some(instant(recently() - DAY_MS)),
        to: Some(instant(recently() + DAY_MS)),
        grain: Grain::Total.into(),
        group_by: vec![Dimension::Enterprise.into()],
        ..Default::default()
    }
}

fn read<T: Message + Default>(answer: &[u8]) -> T {
    T::decode(answer).unwrap()
}

fn told<T: std::fmt::Debug>(rows: &[T], more: &impl std::fmt::Debug) -> (bool, String) {
    (!rows.is_empty(), format!("{rows:?} {more:?}"))
}

#[test]
fn every_method_has_one_row_and_every_row_a_method() {
    let rows: BTreeSet<_> = RULES.iter().map(|rule| rule.path.to_owned()).collect();
    assert_eq!(rows.len(), RULES.len());
    assert_eq!(rows, declared().into_iter().collect());
}
