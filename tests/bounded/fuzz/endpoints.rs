//! Every method of every service, with a valid request of each.

mod questions;

use crate::place::arrivals;
use prost::Message;
use quaymeter::pb;
use quaymeter::pb::stream_events_request::Message as Say;
use questions::Question;
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

/// A method.
pub struct Endpoint {
    pub path: &'static str,
    /// The messages of a valid request.
    pub messages: Vec<Vec<u8>>,
}

fn one(path: &'static str, message: Vec<u8>) -> Endpoint {
    let messages = vec![message];
    Endpoint { path, messages }
}

fn rows(questions: Vec<Question>) -> Vec<Endpoint> {
    let rows = questions.into_iter();
    rows.map(|(path, message)| one(path, message)).collect()
}

/// All of them, and what is no method.
pub fn all() -> Vec<Endpoint> {
    let mut all = served();
    all.push(one("/quaymeter.v1.NoService/Nothing", publish()));
    all.push(one("/", Vec::new()));
    all
}

/// Every method that is served. First come those that read the log: what is sent to the
/// others makes it longer, and each of their calls dearer.
pub fn served() -> Vec<Endpoint> {
    let mut all = rows(questions::explained());
    all.push(one("/quaymeter.v1.AdminService/Backup", backup()));
    all.push(one("/quaymeter.v1.IngestService/PublishEvents", publish()));
    all.push(Endpoint {
        path: "/quaymeter.v1.IngestService/StreamEvents",
        messages: stream(),
    });
    all.extend(rows(questions::counted()));
    all.extend(health());
    all.extend(reflection());
    all
}

fn health() -> [Endpoint; 2] {
    let health = HealthCheckRequest {
        service: "quaymeter.v1.IngestService".into(),
    };
    let paths = [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    ];
    paths.map(|path| one(path, health.encode_to_vec()))
}

fn reflection() -> [Endpoint; 2] {
    let symbol = MessageRequest::FileContainingSymbol("quaymeter.v1.Event".into());
    let reflection = ServerReflectionRequest {
        host: "localhost".into(),
        message_request: Some(symbol),
    };
    let paths = [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];
    paths.map(|path| one(path, reflection.encode_to_vec()))
}

fn backup() -> Vec<u8> {
    pb::BackupRequest::default().encode_to_vec()
}

fn publish() -> Vec<u8> {
    let request = pb::PublishEventsRequest {
        source: "fuzz".into(),
        // Beyond those of the neighbour.
        events: arrivals(95_000..95_003),
        backfill: true,
        strict: true,
    };
    request.encode_to_vec()
}

fn stream() -> Vec<Vec<u8>> {
    let open = pb::StreamOpen {
        client_id: "fuzz".into(),
        source: "fuzz".into(),
        ..Default::default()
    };
    let batch = |sequence| pb::StreamBatch {
        sequence,
        events: arrivals(95_000..95_002),
    };
    let request = |message| {
        let message = Some(message);
        pb::StreamEventsRequest { message }.encode_to_vec()
    };
    let batches = [Say::Batch(batch(1)), Say::Batch(batch(2))];
    let messages = std::iter::once(Say::Open(open)).chain(batches);
    messages.map(request).collect()
}
