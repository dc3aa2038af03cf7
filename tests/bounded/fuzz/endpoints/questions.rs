//! Every question, with a valid message of each.

use crate::everything::everything;
use crate::place::recently;
use prost::Message;
use quaymeter::answers::instant;
use quaymeter::pb;

macro_rules! path {
    ($method:literal) => {
        concat!("/quaymeter.v1.ThroughputService/", $method)
    };
}

/// The path of a method, and its message.
pub type Question = (&'static str, Vec<u8>);

/// Those that are answered from the log: about what the neighbour sends.
pub fn explained() -> Vec<Question> {
    let (facility, from) = ("CNNBO/BLCT2", recently());
    let event = pb::LookupEventRequest {
        facility: facility.into(),
        source: "neighbour".into(),
        event_id: "in-0".into(),
        ..Default::default()
    };
    let cell = pb::ListCellEventsRequest {
        facility: facility.into(),
        enterprise: "ygt:F1".into(),
        role: pb::Role::Fleet.into(),
        from: Some(instant(from)),
        to: Some(instant(from + 3_600_000)),
        ..Default::default()
    };
    vec![
        (path!("LookupEvent"), event.encode_to_vec()),
        (path!("ListCellEvents"), cell.encode_to_vec()),
    ]
}

/// Those that are answered from what is counted.
pub fn counted() -> Vec<Question> {
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
    let mut questions = vec![
        (path!("GetThroughput"), throughput.encode_to_vec()),
        (path!("WatchThroughput"), watch.encode_to_vec()),
        (path!("DumpCells"), dump.encode_to_vec()),
        (path!("GetStatus"), status.encode_to_vec()),
    ];
    questions.extend(lists());
    questions
}

fn lists() -> [Question; 4] {
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
