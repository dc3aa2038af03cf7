//! DCSA Track & Trace: every public sample event lands where a person says, and
//! the rules of the mapping hold one by one.

use quaymeter::dcsa::{Fallback, Mapper, document};
use quaymeter::ndjson::{Reason, Refusal};
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, Event, Party, Role};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const FILES: [&str; 6] = [
    "tnt-220-response.json",
    "tnt-300-request-equipment.json",
    "tnt-300-request-shipment.json",
    "tnt-300-request-transport.json",
    "tnt-300-response.json",
    "tnt-ref-impl-events.json",
];

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/dcsa/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a fixture")
}

fn party(role: Role, enterprise: &str) -> Party {
    Party {
        role: role.into(),
        enterprise: enterprise.into(),
    }
}

/// `--facility CNNBO/TEST --party CARRIER=smdg:COS`.
fn fallback() -> Fallback {
    let parties = vec![party(Role::Carrier, "smdg:COS")];
    Fallback {
        facility: Some("CNNBO/TEST".into()),
        parties,
    }
}

/// Expected outcomes by (options, file, event id, index).
type Key = (String, String, String, String);

fn expected() -> BTreeMap<Key, Vec<String>> {
    let text = String::from_utf8(fixture("expected.tsv")).expect("UTF-8");
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let mut columns = line.split('\t').map(String::from);
        let mut next = || columns.next().expect("four columns of key");
        let key = (next(), next(), next(), next());
        (key, columns.collect())
    })
    .collect()
}

/// A short name in the form of the expected file: `ROLE_CARRIER` → `CARRIER`.
fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .expect("the enum's prefix")
        .to_string()
}

/// TEU of the size codes that the samples have.
fn teu_milli(size_type: &str) -> i64 {
    match (size_type.len(), size_type.as_bytes().first()) {
        (4, Some(b'2')) => 1000,
        (4, Some(b'4')) => 2000,
        other => panic!("no sample has the size code {size_type} ({other:?})"),
    }
}

fn boxes(movement: &str, container: &pb::Container) -> String {
    let full = short(container.fullness().as_str_name(), "FULLNESS_").to_lowercase();
    let teu = teu_milli(&container.size_type);
    format!("boxes.{movement}.{full}=1;teu_milli.{movement}.{full}={teu}")
}

fn figures(detail: &Detail) -> String {
    match detail {
        Detail::GateMove(gate) => {
            assert!(gate.tractor_plate.is_empty(), "no tractor, no passage");
            let direction = short(gate.direction().as_str_name(), "GATE_DIRECTION_");
            boxes(
                &format!("gate_{}", direction.to_lowercase()),
                &gate.containers[0],
            )
        }
        Detail::QuayMove(quay) => {
            assert!(!quay.call_id.is_empty() && !quay.vessel_imo.is_empty());
            let movement = match quay.direction() {
                pb::QuayDirection::Load => "loaded",
                _ => "discharged",
            };
            boxes(movement, quay.container.as_ref().expect("a container"))
        }
        Detail::VesselCall(call) => {
            assert!(!call.call_id.is_empty() && !call.vessel_imo.is_empty());
            let stage = short(call.stage().as_str_name(), "VESSEL_CALL_STAGE_");
            format!("vessel_call.{}=1", stage.to_lowercase())
        }
        Detail::ShipmentStep(step) => {
            assert!(!step.document_ref.is_empty());
            let stage = short(step.stage().as_str_name(), "SHIPMENT_STAGE_");
            format!("shipment.{}=1", stage.to_lowercase())
        }
        other => panic!("no sample is {other:?}"),
    }
}

fn quarter(event: &Event) -> String {
    let at = event.occurred_at.as_ref().expect("an instant").seconds;
    jiff::Timestamp::from_second(at - at.rem_euclid(900))
        .expect("in range")
        .to_string()
}

/// The outcome as the expected file tells it, without the stage.
fn outcome(mapped: &Result<Event, Refusal>) -> Vec<String> {
    match mapped {
        Err(refusal) => {
            vec![
                "REFUSED".into(),
                refusal.reason.to_string(),
                refusal.field.clone(),
            ]
        }
        Ok(event) => {
            let [party] = event.parties.as_slice() else {
                panic!("one party: {event:?}")
            };
            vec![
                event.facility.clone(),
                party.enterprise.clone(),
                short(party.role().as_str_name(), "ROLE_"),
                short(event.classifier().as_str_name(), "CLASSIFIER_"),
                quarter(event),
                figures(event.detail.as_ref().expect("a detail")),
            ]
        }
    }
}

fn is_container_number(number: &str) -> bool {
    let (letters, digits) = number.split_at(4.min(number.len()));
    letters.bytes().all(|b| b.is_ascii_uppercase())
        && digits.len() == 7
        && digits.bytes().all(|b| b.is_ascii_digit())
}

#[test]
fn every_sample_event_lands_where_a_person_says() {
    let expected = expected();
    let mut met = 0;
    for (options, fallback) in [("default", Fallback::default()), ("fallback", fallback())] {
        for file in FILES {
            let mut mapper = Mapper::new(fallback.clone());
            let mut events = Vec::new();
            document::each(&fixture(file), |event| events.push(event)).expect("JSON");
            events.iter().for_each(|event| mapper.note(event));
            for (index, event) in events.iter().enumerate() {
                let id = quaymeter::dcsa::event_id(event).expect("an id");
                let key = |options: &str| {
                    (
                        options.to_string(),
                        file.to_string(),
                        id.clone(),
                        index.to_string(),
                    )
                };
                let own = expected.get(&key(options)).inspect(|_| met += 1);
                let row = own.or_else(|| expected.get(&key("default")));
                let row = row.unwrap_or_else(|| panic!("no row for {file}[{index}] {id}"));
                check(
                    row,
                    &mapper.map(event),
                    &format!("{options} {file}[{index}] {id}"),
                );
            }
        }
    }
    assert_eq!(met, expected.len(), "each row is about an event");
}

fn check(row: &[String], mapped: &Result<Event, Refusal>, which: &str) {
    match row[0].as_str() {
        "service" => {
            // The service's verdict is checked where there is a service.
            let event = mapped.as_ref().unwrap_or_else(|r| panic!("{which}: {r}"));
            let Some(Detail::QuayMove(quay)) = &event.detail else {
                panic!("{which}")
            };
            let number = &quay.container.as_ref().expect("a container").number;
            assert_eq!(row[2], "CONTAINER_NUMBER", "{which}");
            assert!(!is_container_number(number), "{which}: {number}");
        }
        "cell" => assert_eq!(row[1..], outcome(mapped), "{which}"),
        _ => assert_eq!(row[1..], outcome(mapped)[..], "{which}: {mapped:?}"),
    }
}

/// A gate-in that says everything, to be changed by each test.
fn gate_in() -> Value {
    json!({
        "eventID": "g1",
        "eventCreatedDateTime": "2026-01-20T14:20:00.123987Z",
        "eventType": "EQUIPMENT",
        "eventClassifierCode": "ACT",
        "eventDateTime": "2026-01-20T22:15:00.5009+08:00",
        "equipmentEventTypeCode": "GTIN",
        "equipmentReference": "APZU4812090",
        "ISOEquipmentCode": "22G1",
        "eventLocation": { "UNLocationCode": "CNNBO", "facilityCode": "BLCT2" },
        "transportCall": {
            "transportCallID": "call-1",
            "modeOfTransport": "TRUCK",
            "vessel": {
                "vesselOperatorCarrierCode": "COS",
                "vesselOperatorCarrierCodeListProvider": "SMDG"
            }
        }
    })
}

fn map(event: &Value) -> Result<Event, Refusal> {
    Mapper::new(Fallback::default()).map(event)
}

fn mapped(event: &Value) -> Event {
    map(event).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn refused(event: &Value) -> (Reason, String) {
    let refusal = map(event).expect_err("a refusal");
    (refusal.reason, refusal.field)
}

#[test]
fn instants_are_cut_to_milliseconds_and_the_creation_is_the_revision() {
    let event = mapped(&gate_in());
    let at = event.occurred_at.expect("an instant");
    assert_eq!((at.seconds, at.nanos), (1_768_918_500, 500_000_000));
    assert_eq!(event.revision, 1_768_918_800_123);
    let Some(Detail::GateMove(gate)) = event.detail else {
        panic!("a gate move")
    };
    assert_eq!(gate.containers[0].fullness(), pb::Fullness::Unknown);
}

#[test]
fn an_update_is_the_revision_before_the_creation() {
    let mut event = gate_in();
    event["eventUpdatedDateTime"] = json!("2026-01-20T14:20:01Z");
    assert_eq!(mapped(&event).revision, 1_768_918_801_000);
}

#[test]
fn an_instant_without_an_offset_is_malformed() {
    let mut event = gate_in();
    event["eventDateTime"] = json!("2026-01-20T22:15:00");
    assert_eq!(refused(&event), (Reason::Malformed, "eventDateTime".into()));
    event
        .as_object_mut()
        .expect("an object")
        .remove("eventDateTime");
    assert_eq!(refused(&event), (Reason::Missing, "eventDateTime".into()));
}

#[test]
fn an_event_without_an_id_is_refused_and_so_is_what_is_no_object() {
    let mut event = gate_in();
    event["eventID"] = json!("");
    assert_eq!(refused(&event), (Reason::Missing, "eventID".into()));
    assert_eq!(refused(&json!(7)), (Reason::Malformed, "event".into()));
}

#[test]
fn a_facility_is_the_first_place_and_its_code_goes_before_its_type() {
    let with = |location: Value, call_location: Value, call: Value| {
        let mut event = gate_in();
        event["eventLocation"] = location;
        event["transportCall"]["location"] = call_location;
        for (key, value) in call.as_object().expect("an object") {
            event["transportCall"][key] = value.clone();
        }
        map(&event).map(|event| event.facility)
    };
    let none = || json!({});
    let port =
        || json!({"UNLocationCode": "CNNBO", "facilityCode": "blct2", "facilityTypeCode": "POTE"});
    assert_eq!(with(none(), none(), port()), Ok("CNNBO/BLCT2".into()));
    assert_eq!(
        with(none(), json!({"UNLocationCode": "CNNBO"}), port()),
        Ok("CNNBO/BLCT2".into())
    );
    let typed = || json!({"facilityTypeCode": "POTE"});
    assert_eq!(
        with(none(), json!({"UNLocationCode": "USNYC"}), typed()),
        Ok("USNYC/POTE".into())
    );
    let depot = || json!({"UNLocationCode": "CNNBO", "facilityTypeCode": "DEPO"});
    assert_eq!(with(depot(), none(), none()), Ok("CNNBO/DEPO".into()));
    assert_eq!(
        with(depot(), none(), port()),
        Ok("CNNBO/DEPO".into()),
        "a depot is no terminal"
    );
    let elsewhere = || json!({"UNLocationCode": "SGSIN", "facilityTypeCode": "DEPO"});
    assert_eq!(with(elsewhere(), none(), port()), Ok("SGSIN/DEPO".into()));
    let bare = with(json!({"UNLocationCode": "CNNBO"}), none(), none()).expect_err("no facility");
    assert_eq!(bare.reason, Reason::NoFacility);
}

#[test]
fn parties_are_the_operator_and_the_originators_each_role_once() {
    let mut event = gate_in();
    event["eventRouting"] = json!({ "originatingParties": [
        {"partyCode": "COSCO", "codeListProvider": "ZZZ", "partyFunction": "CA"},
        {"partyCode": "BLCT2", "codeListProvider": "BIC", "partyFunction": "TR"},
        {"partyCode": "X", "codeListProvider": "SMDG", "partyFunction": "MS"},
        {"partyCode": "FFWD", "codeListProvider": "NMFTA", "partyFunction": "DDS"}
    ]});
    let parties = [
        party(Role::Carrier, "smdg:COS"),
        party(Role::Terminal, "ygt:BLCT2"),
        party(Role::Forwarder, "nmfta:FFWD"),
    ];
    assert_eq!(mapped(&event).parties, parties);
}

#[test]
fn a_party_comes_from_the_options_only_if_the_event_names_none() {
    let mut event = gate_in();
    let mapper = Mapper::new(fallback());
    let enterprise = |event: &Value| mapper.map(event).expect("mapped").parties[0].clone();
    assert_eq!(enterprise(&event).enterprise, "smdg:COS");
    event["transportCall"]["vessel"]["vesselOperatorCarrierCode"] = json!("MSK");
    assert_eq!(enterprise(&event).enterprise, "smdg:MSK");
    event["transportCall"]["vessel"] = json!({});
    assert_eq!(enterprise(&event), party(Role::Carrier, "smdg:COS"));
    assert_eq!(
        refused(&event),
        (Reason::NoParty, "originatingParty".into())
    );
}

#[test]
fn the_words_of_version_3_mean_what_the_codes_mean() {
    let event = mapped(&json!({
        "eventRouting": {"originatingParties": [
            {"partyCode": "COS", "codeListProvider": "SMDG", "partyFunction": "CA"}]},
        "eventID": "w1",
        "eventDateTime": "2026-01-20T14:15:00Z",
        "eventUpdatedDateTime": "2026-01-20T14:20:00Z",
        "eventLocation": {"UNLocationCode": "CNNBO", "facilityType": "PORT_TERMINAL"},
        "eventClassification": {"eventType": "EQUIPMENT", "eventClassifier": "PLANNED",
            "equipmentEventType": "DISCHARGED"},
        "equipmentDetails": {"equipmentReference": "APZU4812090", "ISOEquipmentCode": "45G1",
            "emptyIndicator": "LADEN"},
        "transportDetails": {"transportCall": {"transportCallReference": "tc-1",
            "modeOfTransport": "BARGE", "vesselTransport": {"vesselCallSign": "ABCD"}}}
    }));
    assert_eq!(
        (event.facility.as_str(), event.classifier()),
        ("CNNBO/POTE", pb::Classifier::Planned)
    );
    let Some(Detail::QuayMove(quay)) = event.detail else {
        panic!("a quay move")
    };
    assert_eq!(quay.direction(), pb::QuayDirection::Discharge);
    assert_eq!(
        (quay.call_id.as_str(), quay.call_sign.as_str()),
        ("tc-1", "ABCD")
    );
    assert_eq!(
        quay.container.expect("a container").fullness(),
        pb::Fullness::Laden
    );
}

#[test]
fn a_quay_move_needs_a_call_and_a_vessel() {
    let mut event = gate_in();
    event["equipmentEventTypeCode"] = json!("LOAD");
    assert_eq!(
        refused(&event),
        (Reason::Unsupported, "transportCall.modeOfTransport".into())
    );
    event["transportCall"]["modeOfTransport"] = json!("VESSEL");
    assert_eq!(refused(&event).1, "transportCall.vessel.vesselIMONumber");
    event["transportCall"]["vessel"]["vesselIMONumber"] = json!(9_321_483);
    let Some(Detail::QuayMove(quay)) = mapped(&event).detail else {
        panic!("a quay move")
    };
    assert_eq!(quay.vessel_imo, "9321483");
    event["transportCall"]["transportCallID"] = Value::Null;
    assert_eq!(
        refused(&event),
        (Reason::Missing, "transportCall.transportCallID".into())
    );
    event["transportCall"]["transportCallReference"] = json!("ref");
    assert_eq!(mapped(&event).event_id, "g1");
}

#[test]
fn each_shipment_step_has_its_event_and_document() {
    let step = |code: &str, document: &str| {
        let mut event = gate_in();
        event["eventType"] = json!("SHIPMENT");
        event["shipmentEventTypeCode"] = json!(code);
        event["documentTypeCode"] = json!(document);
        event["documentID"] = json!("D1");
        match map(&event).map(|event| event.detail) {
            Ok(Some(Detail::ShipmentStep(step))) => step.stage().as_str_name().to_string(),
            Err(refusal) => refusal.found,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(step("CONF", "BKG"), "SHIPMENT_STAGE_BOOKED");
    assert_eq!(step("APPR", "BKG"), "SHIPMENT_STAGE_BOOKED");
    assert_eq!(step("RELS", "CRO"), "SHIPMENT_STAGE_RELEASED");
    assert_eq!(
        step("RELEASED", "DELIVERY_ORDER"),
        "SHIPMENT_STAGE_RELEASED"
    );
    assert_eq!(step("HOLD", "CUC"), "SHIPMENT_STAGE_HELD");
    assert_eq!(step("CMPL", "CUC"), "SHIPMENT_STAGE_CUSTOMS_CLEARED");
    assert_eq!(step("RELS", "CUC"), "SHIPMENT_STAGE_CUSTOMS_CLEARED");
    assert_eq!(step("SUBM", "VGM"), "SHIPMENT_STAGE_VGM_DECLARED");
    assert_eq!(step("RELS", "BKG"), "RELS of BKG");
    assert_eq!(step("CANC", "BKG"), "CANC of BKG");
}

#[test]
fn a_retracted_event_needs_no_more_than_id_revision_and_facility() {
    let retraction = json!({
        "eventID": "g1",
        "isRetracted": true,
        "eventUpdatedDateTime": "2026-01-21T00:00:00Z",
        "eventLocation": {"UNLocationCode": "CNNBO", "facilityCode": "BLCT2"}
    });
    let event = mapped(&retraction);
    assert!(event.retracted && event.detail.is_none() && event.occurred_at.is_none());
    assert_eq!(
        (event.event_id.as_str(), event.facility.as_str()),
        ("g1", "CNNBO/BLCT2")
    );
    assert_eq!(event.revision, 1_768_953_600_000);
    let mut undated = retraction;
    undated["eventUpdatedDateTime"] = Value::Null;
    assert_eq!(
        refused(&undated),
        (Reason::Missing, "eventCreatedDateTime".into())
    );
}

#[test]
fn a_beta_retraction_voids_the_other_event_where_that_was_seen() {
    let retraction = json!({"metadata": {
        "eventID": "r1", "retractedEventID": "g1", "eventType": "TRANSPORT",
        "eventCreatedDateTime": "2022-09-20T07:41:00+08:30"
    }});
    let mut mapper = Mapper::new(fallback());
    assert_eq!(
        mapper.map(&retraction).expect("mapped").facility,
        "CNNBO/TEST"
    );
    assert_eq!(
        refused(&retraction),
        (Reason::NoFacility, "eventLocation".into())
    );
    mapper.note(&gate_in());
    let event = mapper.map(&retraction).expect("mapped");
    assert_eq!(
        (event.event_id.as_str(), event.facility.as_str()),
        ("g1", "CNNBO/BLCT2")
    );
    assert_eq!((event.retracted, event.revision), (true, 1_663_629_060_000));
}

#[test]
fn a_document_may_be_an_array_an_object_with_events_or_one_event() {
    let ids = |document: &str| {
        let mut ids = Vec::new();
        let read = document::each(document.as_bytes(), |event| {
            ids.push(quaymeter::dcsa::event_id(&event).unwrap_or_default());
        });
        read.map(|()| ids.join(" ")).map_err(|error| error.line())
    };
    assert_eq!(
        ids(r#"[{"eventID":"a"},{"eventID":"b"}]"#),
        Ok("a b".into())
    );
    assert_eq!(
        ids(r#"{"x":[1],"events":[{"eventID":"a"}],"y":2}"#),
        Ok("a".into())
    );
    assert_eq!(
        ids("\u{feff}{\"metadata\":{\"eventID\":\"a\"}}\n"),
        Ok("a".into())
    );
    assert_eq!(ids("[{\"eventID\":\"a\"},\n{\"eventID\":"), Err(2));
    assert_eq!(ids("[] []"), Err(1));
    assert_eq!(ids("\"text\""), Err(1));
}
