//! A valid message of each method, in the protos' own JSON.

use prost::Message;
use quaymeter::pb;

const EVENTS: &str = r#"[
 {"eventId":"g1","revision":"1","occurredAt":"2026-11-23T02:00:00Z","classifier":"CLASSIFIER_ACTUAL","facility":"CNNBO/BLCT2",
  "parties":[{"role":"ROLE_FLEET","enterprise":"ygt:F1"}],
  "gateMove":{"direction":"GATE_DIRECTION_IN","tractorPlate":"浙B12345","trailerPlate":"浙B1234挂","driverRef":"d-7",
   "containers":[{"number":"CSQU3054383","sizeType":"45G1","fullness":"FULLNESS_LADEN","grossMassKg":24000}]}},
 {"eventId":"q1","occurredAt":"2026-11-23T01:00:00.5Z","facility":"CNNBO/BLCT2","parties":[{"role":"ROLE_CARRIER","enterprise":"smdg:COS"}],
  "quayMove":{"direction":"QUAY_DIRECTION_LOAD","callId":"call-1","vesselImo":"9074729","container":{"number":"CSQU3054383","fullness":"FULLNESS_EMPTY"}}},
 {"eventId":"y1","occurredAt":"2026-11-23T01:00:00Z","facility":"CNNBO/Y1","parties":[{"role":"ROLE_YARD","enterprise":"uscc:91350100M000100Y43"}],
  "yardMove":{"activity":"YARD_ACTIVITY_STUFF","container":{"number":"CSQU3054383"}}},
 {"eventId":"o1","occurredAt":"2026-11-23T01:00:00Z","facility":"CNNBO/BLCT2","parties":[{"role":"ROLE_SHIPPER","enterprise":"ygt:S"}],
  "dispatchStep":{"orderId":"o","stage":"DISPATCH_STAGE_ORDERED"}},
 {"eventId":"a1","occurredAt":"2026-11-23T01:00:00Z","facility":"CNNBO/BLCT2","parties":[{"role":"ROLE_FLEET","enterprise":"ygt:F1"}],
  "appointmentStep":{"appointmentId":"a","stage":"APPOINTMENT_STAGE_CONFIRMED","slotStart":"2026-11-23T02:00:00Z","slotEnd":"2026-11-23T03:00:00Z"}},
 {"eventId":"v1","occurredAt":"2026-11-23T01:00:00Z","facility":"CNNBO/BLCT2","parties":[{"role":"ROLE_CARRIER","enterprise":"smdg:COS"}],
  "vesselCall":{"stage":"VESSEL_CALL_STAGE_BERTHED","callId":"call-1","vesselImo":"9074729"}},
 {"eventId":"s1","occurredAt":"2026-11-23T01:00:00Z","facility":"CNNBO/BLCT2","parties":[{"role":"ROLE_AGENT","enterprise":"ygt:A"}],
  "portService":{"service":"SERVICE_KIND_PILOTAGE","stage":"SERVICE_STAGE_STARTED","orderId":"p"}},
 {"eventId":"b1","occurredAt":"2026-11-23T01:00:00Z","facility":"CNNBO/BLCT2","parties":[{"role":"ROLE_FORWARDER","enterprise":"ygt:W"}],
  "shipmentStep":{"stage":"SHIPMENT_STAGE_BOOKED","documentRef":"B/L 1"}},
 {"eventId":"g1","revision":"2","retracted":true,"facility":"CNNBO/BLCT2"}
]"#;

const QUESTION: &str = r#"{"from":"2026-11-22T16:00:00Z","to":"2026-11-23T16:00:00Z","grain":"GRAIN_HOUR","zone":"Asia/Shanghai","pageSize":2,
 "groupBy":["DIMENSION_ENTERPRISE","DIMENSION_FACILITY"],
 "filter":{"enterprises":["ygt:F1"],"facilities":["CNNBO/BLCT2"],"roles":["ROLE_FLEET"]}}"#;

const SPAN: &str = r#""from":"2026-11-22T16:00:00Z","to":"2026-11-23T16:00:00Z""#;

/// One event of each kind, and a retraction.
pub fn events() -> Vec<pb::Event> {
    serde_json::from_str(EVENTS).unwrap()
}

fn of<T: Message + serde::de::DeserializeOwned>(json: &str) -> Vec<u8> {
    let message: T = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    message.encode_to_vec()
}

/// Valid messages of a method.
pub fn valid(path: &str) -> Vec<Vec<u8>> {
    let batch = |of: &[pb::Event]| pb::StreamBatch {
        sequence: 1,
        events: of.to_vec(),
    };
    match path.rsplit('/').next().unwrap_or_default() {
        "PublishEvents" => {
            let events = events();
            let requests = events.into_iter().map(|event| pb::PublishEventsRequest {
                source: "tos".into(),
                events: vec![event],
                ..Default::default()
            });
            requests.map(|request| request.encode_to_vec()).collect()
        }
        "StreamEvents" => {
            use pb::stream_events_request::Message::{Batch, Open};
            let open = pb::StreamOpen {
                client_id: "c".into(),
                source: "tos".into(),
                ..Default::default()
            };
            let said = [Open(open), Batch(batch(&events()[..2]))];
            let said = said.map(|message| pb::StreamEventsRequest {
                message: Some(message),
            });
            said.iter().map(Message::encode_to_vec).collect()
        }
        "GetThroughput" => vec![of::<pb::GetThroughputRequest>(QUESTION)],
        "WatchThroughput" => {
            let json = format!(r#"{{"query":{QUESTION},"interval":"0.1s"}}"#);
            vec![of::<pb::WatchThroughputRequest>(&json)]
        }
        "ListTopEnterprises" => {
            let json = format!(
                r#"{{{SPAN},"role":"ROLE_CARRIER","measure":"MEASURE_TRUCK_PASSAGES","limit":3}}"#
            );
            vec![of::<pb::ListTopEnterprisesRequest>(&json)]
        }
        "ListEnterprises" => {
            let json = r#"{"contains":"f1","pageSize":1,"role":"ROLE_FLEET"}"#;
            vec![of::<pb::ListEnterprisesRequest>(json)]
        }
        "ListVesselCalls" => {
            let json = format!(r#"{{{SPAN},"facilities":["CNNBO"],"pageSize":1}}"#);
            vec![of::<pb::ListVesselCallsRequest>(&json)]
        }
        "ListNoShows" => vec![of::<pb::ListNoShowsRequest>(&format!("{{{SPAN}}}"))],
        "DumpCells" => vec![of::<pb::DumpCellsRequest>(r#"{"grain":"GRAIN_DAY"}"#)],
        "GetStatus" => vec![of::<pb::GetStatusRequest>(r#"{"atLeast":"x"}"#)],
        "LookupEvent" => {
            let json = r#"{"facility":"CNNBO/BLCT2","source":"tos","eventId":"g1"}"#;
            vec![of::<pb::LookupEventRequest>(json)]
        }
        "ListCellEvents" => {
            let json = format!(
                r#"{{{SPAN},"facility":"CNNBO/BLCT2","enterprise":"ygt:F1","role":"ROLE_FLEET"}}"#
            );
            vec![of::<pb::ListCellEventsRequest>(&json)]
        }
        _ => Vec::new(),
    }
}

/// Whether these bytes are a message of the method.
pub fn decodes(path: &str, bytes: &[u8]) -> bool {
    match path.rsplit('/').next().unwrap_or_default() {
        "PublishEvents" => pb::PublishEventsRequest::decode(bytes).is_ok(),
        "StreamEvents" => pb::StreamEventsRequest::decode(bytes).is_ok(),
        "GetThroughput" => pb::GetThroughputRequest::decode(bytes).is_ok(),
        "WatchThroughput" => pb::WatchThroughputRequest::decode(bytes).is_ok(),
        "ListTopEnterprises" => pb::ListTopEnterprisesRequest::decode(bytes).is_ok(),
        "ListEnterprises" => pb::ListEnterprisesRequest::decode(bytes).is_ok(),
        "ListVesselCalls" => pb::ListVesselCallsRequest::decode(bytes).is_ok(),
        "ListNoShows" => pb::ListNoShowsRequest::decode(bytes).is_ok(),
        "DumpCells" => pb::DumpCellsRequest::decode(bytes).is_ok(),
        "GetStatus" => pb::GetStatusRequest::decode(bytes).is_ok(),
        "LookupEvent" => pb::LookupEventRequest::decode(bytes).is_ok(),
        "ListCellEvents" => pb::ListCellEventsRequest::decode(bytes).is_ok(),
        "Backup" => pb::BackupRequest::decode(bytes).is_ok(),
        other => panic!("{other} is new: how is its request judged?"),
    }
}
