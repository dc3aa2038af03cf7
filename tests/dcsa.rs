//! DCSA Track & Trace: every public sample event lands where a person says, and
//! the rules of the mapping hold one by one.

#[path = "dcsa/samples.rs"]
mod samples;

use quaymeter::dcsa::{Fallback, Mapper, document};
use quaymeter::ndjson::{Reason, Refusal};
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, Event, Party, Role};
use serde_json::{Value, json};

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
