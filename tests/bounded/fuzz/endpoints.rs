//! Every method of every service, with a valid request of each.

use crate::everything::everything;
use crate::place::{arrivals, recently};
use prost::Message;
use quaymeter::answers::instant;
use quaymeter::pb;
use quaymeter::pb::stream_events_request::Message as Say;
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

macro_rules! path {
    ($method:literal) => {
        concat!("/quaymeter.v1.ThroughputService/", $method)
    };
}

/// A method.
pub struct Endpoint {
    pub path: &'static str,
    /// The messages of a valid request.
    pub messages: Vec<Vec<u8>>,
}

/// All of them, and one that does not exist.
pub fn all() -> Vec<Endpoint> {
    let one = |path, message: Vec<u8>| Endpoint {
        path,
        messages: vec![message],
    };
    let mut all = vec![
        one("/quaymeter.v1.IngestService/PublishEvents", publish()),
        Endpoint {
            path: "/quaymeter.v1.IngestService/StreamEvents",
            messages: stream(),
        },
        one("/quaymeter.v1.NoService/Nothing", publish()),
        one("/", Vec::new()),
    ];
    all.extend(questions().map(|(path, message)| one(path, message)));
    let health = HealthCheckRequest {
        service: "quaymeter.v1.IngestService".into(),
    };
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    ] {
        all.push(one(path, health.encode_to_vec()));
    }
    let symbol = MessageRequest::FileContainingSymbol("quaymeter.v1.Event".into());
    let reflection = ServerReflectionRequest {
        host: "localhost".into(),
        message_request: Some(symbol),
    };
    for path in [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        all.push(one(path, reflection.encode_to_vec()));
    }
    all
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

/// Methods of the `ThroughputService` by name.
fn questions() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let mut throughput = everything();
    throughput.page_size = 10;
    throughput.zone = "Asia/Shanghai".into();
    throughput.filter = Some(pb::Filter {
        enterprises: vec!["ygt:F1".into()],
        facilities: vec!["CNNBO/BLCT2".into(), "CNNBO".into()],
        roles: vec![pb::Role::Fleet.into()],
        ..Default::default()
    });
    let watch = pb::WatchThroughputRequest {
        query: Some(throughput.clone()),
        ..Default::default()
    };
    let dump = pb::DumpCellsRequest {
        grain: pb::Grain::Day.into(),
        ..Default::default()
    };
    let status = pb::GetStatusRequest {
        at_least: "nonsense".into(),
    };
    let others = [
        (path!("GetThroughput"), throughput.encode_to_vec()),
        (path!("WatchThroughput"), watch.encode_to_vec()),
        (path!("DumpCells"), dump.encode_to_vec()),
        (path!("GetStatus"), status.encode_to_vec()),
    ];
    lists().into_iter().chain(others)
}

fn lists() -> [(&'static str, Vec<u8>); 4] {
    let hour = 3_600_000;
    let (from, to) = (Some(instant(recently())), Some(instant(recently() + hour)));
    let top = pb::ListTopEnterprisesRequest {
        role: pb::Role::Fleet.into(),
        measure: pb::Measure::TruckPassages.into(),
        from,
        to,
        limit: 3,
        ..Default::default()
    };
    let enterprises = pb::ListEnterprisesRequest {
        contains: "甬".into(),
        page_size: 3,
        ..Default::default()
    };
    let calls = pb::ListVesselCallsRequest {
        from,
        to,
        ..Default::default()
    };
    let shows = pb::ListNoShowsRequest {
        from,
        to,
        ..Default::default()
    };
    [
        (path!("ListTopEnterprises"), top.encode_to_vec()),
        (path!("ListEnterprises"), enterprises.encode_to_vec()),
        (path!("ListVesselCalls"), calls.encode_to_vec()),
        (path!("ListNoShows"), shows.encode_to_vec()),
    ]
}
