//! Where each version of DCSA Track & Trace puts a field: 2.2 flat, 3.0 in
//! groups, the reference implementation and 3.0.0-Beta-1 in `metadata` and
//! `payload`. The shape of an event tells its version, so each is read by trying
//! all places.

use crate::ndjson::{Reason, Refusal};
use serde_json::Value;
use std::borrow::Cow;

/// A field: its name in a refusal, and its places as JSON pointers.
pub(super) struct Field {
    pub name: &'static str,
    places: &'static [&'static str],
}

impl Field {
    const fn new(name: &'static str, places: &'static [&'static str]) -> Self {
        Self { name, places }
    }
}

/// Declares the fields of an event.
macro_rules! fields {
    ($($constant:ident $name:literal: $($place:literal)+;)+) => {
        $(pub(super) const $constant: Field = Field::new($name, &[$($place),+]);)+
    };
}

fields! {
    EVENT_ID "eventID": "/eventID" "/metadata/eventID";
    UPDATED "eventUpdatedDateTime": "/eventUpdatedDateTime" "/metadata/eventUpdatedDateTime";
    CREATED "eventCreatedDateTime": "/eventCreatedDateTime" "/metadata/eventCreatedDateTime";
    RETRACTED "isRetracted": "/isRetracted" "/metadata/isRetracted";
    RETRACTED_ID "retractedEventID": "/retractedEventID" "/metadata/retractedEventID";
    EVENT_TYPE "eventType": "/eventType" "/metadata/eventType"
        "/eventClassification/eventTypeCode" "/eventClassification/eventType";
    CLASSIFIER "eventClassifierCode": "/eventClassifierCode" "/payload/eventClassifierCode"
        "/eventClassification/eventClassifierCode" "/eventClassification/eventClassifier";
    HAPPENED "eventDateTime": "/eventDateTime" "/payload/eventDateTime";
    EQUIPMENT_TYPE "equipmentEventTypeCode": "/equipmentEventTypeCode"
        "/payload/equipmentEventTypeCode" "/eventClassification/equipmentEventTypeCode"
        "/eventClassification/equipmentEventType";
    TRANSPORT_TYPE "transportEventTypeCode": "/transportEventTypeCode"
        "/payload/transportEventTypeCode" "/eventClassification/transportEventTypeCode"
        "/eventClassification/transportEventType";
    SHIPMENT_TYPE "shipmentEventTypeCode": "/shipmentEventTypeCode"
        "/payload/shipmentEventTypeCode" "/eventClassification/shipmentEventTypeCode"
        "/eventClassification/shipmentEventType";
    DOCUMENT_TYPE "documentTypeCode": "/documentTypeCode" "/payload/documentTypeCode"
        "/shipmentDetails/documentReference/typeCode" "/shipmentDetails/documentReference/type";
    DOCUMENT "documentReference": "/documentID" "/documentReference"
        "/payload/documentReference" "/payload/documentID"
        "/shipmentDetails/documentReference/reference";
    EQUIPMENT "equipmentReference": "/equipmentReference" "/payload/equipmentReference"
        "/equipmentDetails/equipmentReference";
    SIZE_TYPE "ISOEquipmentCode": "/ISOEquipmentCode" "/payload/ISOEquipmentCode"
        "/payload/isoequipmentCode" "/equipmentDetails/ISOEquipmentCode";
    EMPTY "emptyIndicatorCode": "/emptyIndicatorCode" "/payload/emptyIndicatorCode"
        "/equipmentDetails/emptyIndicatorCode" "/equipmentDetails/emptyIndicator";
    MODE "transportCall.modeOfTransport": "/transportCall/modeOfTransport"
        "/payload/transportCall/modeOfTransport"
        "/transportDetails/transportCall/modeOfTransport";
    CALL_ID "transportCall.transportCallID": "/transportCall/transportCallID"
        "/payload/transportCall/transportCallID"
        "/transportDetails/transportCall/transportCallID"
        "/transportCall/transportCallReference" "/payload/transportCall/transportCallReference"
        "/transportDetails/transportCall/transportCallReference";
    IMO "transportCall.vessel.vesselIMONumber": "/transportCall/vessel/vesselIMONumber"
        "/payload/transportCall/vessel/vesselIMONumber"
        "/transportDetails/transportCall/vesselTransport/vesselIMONumber";
    CALL_SIGN "transportCall.vessel.vesselCallSign":
        "/transportCall/vessel/vesselCallSignNumber" "/transportCall/vessel/callSign"
        "/payload/transportCall/vessel/callSign"
        "/payload/transportCall/vessel/vesselCallSignNumber"
        "/transportDetails/transportCall/vesselTransport/vesselCallSign";
}

/// The places where an event may say where it happened, the best first. Beta-1
/// calls an event's own location `location`, with its facility type beside it.
pub(super) const PLACES: [&str; 10] = [
    "/eventLocation",
    "/payload/eventLocation",
    "/payload/location",
    "/payload",
    "/transportCall/location",
    "/payload/transportCall/location",
    "/transportDetails/transportCall/location",
    "/transportCall",
    "/payload/transportCall",
    "/transportDetails/transportCall",
];

/// The places of a vessel's operator: its code and the list that it is from.
pub(super) const OPERATORS: [(&str, &str); 3] = [
    (
        "/transportCall/vessel/vesselOperatorCarrierCode",
        "/transportCall/vessel/vesselOperatorCarrierCodeListProvider",
    ),
    (
        "/transportCall/vessel/operatorCarrierCode",
        "/transportCall/vessel/operatorCarrierCodeListProvider",
    ),
    (
        "/payload/transportCall/vessel/operatorCarrierCode",
        "/payload/transportCall/vessel/operatorCarrierCodeListProvider",
    ),
];

/// What a value is, and nothing of what is in it: where it does not belong, it may be anything.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The text at a pointer; a number is taken as it is written, empty text as
/// none.
pub(super) fn at<'a>(event: &'a Value, pointer: &str) -> Option<Cow<'a, str>> {
    match event.pointer(pointer)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// A field's text.
pub(super) fn text<'a>(event: &'a Value, field: &Field) -> Option<Cow<'a, str>> {
    field.places.iter().find_map(|place| at(event, place))
}

/// The text of a field that must be there.
pub(super) fn required<'a>(event: &'a Value, field: &Field) -> Result<Cow<'a, str>, Refusal> {
    let missing = || Refusal::new(Reason::Missing, field.name, "nothing", "a value");
    text(event, field).ok_or_else(missing)
}

/// An instant of a field, in milliseconds; what is finer is cut off.
pub(super) fn instant_ms(event: &Value, field: &Field) -> Result<Option<i64>, Refusal> {
    let Some(text) = text(event, field) else {
        return Ok(None);
    };
    let instant = text.parse::<jiff::Timestamp>().map_err(|_| {
        let expected = "a date and time with an offset, such as 2026-01-20T14:15:00+08:00";
        Refusal::new(Reason::Malformed, field.name, &text, expected)
    })?;
    Ok(Some(instant.as_millisecond()))
}

/// Whether a flag is set; absent means no.
pub(super) fn flag(event: &Value, field: &Field) -> Result<bool, Refusal> {
    for place in field.places {
        match event.pointer(place) {
            None | Some(Value::Null) => {}
            Some(Value::Bool(set)) => return Ok(*set),
            Some(other) => {
                return Err(Refusal::new(
                    Reason::Malformed,
                    field.name,
                    kind(other),
                    "true or false",
                ));
            }
        }
    }
    Ok(false)
}
