//! What an event was: DCSA's codes, or the words that 3.0.0 spells out, as one
//! of our kinds.

use super::shape::{self, Field, required, text};
use crate::ndjson::{Reason, Refusal};
use crate::pb;
use crate::pb::event::Detail;
use serde_json::Value;

fn unsupported(field: &Field, found: &str, expected: &str) -> Refusal {
    Refusal::new(Reason::Unsupported, field.name, found, expected)
}

/// Whether it happened, is expected or is planned.
pub(super) fn classifier(event: &Value) -> Result<pb::Classifier, Refusal> {
    let code = required(event, &shape::CLASSIFIER)?;
    Ok(match &*code {
        "ACT" | "ACTUAL" => pb::Classifier::Actual,
        "EST" | "ESTIMATED" => pb::Classifier::Estimated,
        "PLN" | "PLANNED" => pb::Classifier::Planned,
        _ => return Err(unsupported(&shape::CLASSIFIER, &code, "ACT, EST or PLN")),
    })
}

/// What happened.
pub(super) fn detail(event: &Value) -> Result<Detail, Refusal> {
    let kind = required(event, &shape::EVENT_TYPE)?;
    match &*kind {
        "EQUIPMENT" => equipment(event),
        "TRANSPORT" => transport(event),
        "SHIPMENT" => shipment(event),
        _ => Err(unsupported(
            &shape::EVENT_TYPE,
            &kind,
            "EQUIPMENT, TRANSPORT or SHIPMENT",
        )),
    }
}

fn equipment(event: &Value) -> Result<Detail, Refusal> {
    let code = required(event, &shape::EQUIPMENT_TYPE)?;
    Ok(match &*code {
        "GTIN" | "GATED_IN" => gate(event, pb::GateDirection::In)?,
        "GTOT" | "GATED_OUT" => gate(event, pb::GateDirection::Out)?,
        "LOAD" | "LOADED" => quay(event, &code, pb::QuayDirection::Load)?,
        "DISC" | "DISCHARGED" => quay(event, &code, pb::QuayDirection::Discharge)?,
        "STUF" | "STUFFED" => yard(event, pb::YardActivity::Stuff)?,
        "STRP" | "STRIPPED" => yard(event, pb::YardActivity::Strip)?,
        "PICK" | "PICKED_UP" => yard(event, pb::YardActivity::Pick)?,
        "DROP" | "DROPPED_OFF" => yard(event, pb::YardActivity::Drop)?,
        "INSP" | "INSPECTED" => yard(event, pb::YardActivity::Inspect)?,
        "RSEA" | "RESEALED" => yard(event, pb::YardActivity::Reseal)?,
        "RMVD" | "REMOVED" => yard(event, pb::YardActivity::Remove)?,
        _ => {
            let expected = "GTIN, GTOT, LOAD, DISC, STUF, STRP, PICK, DROP, INSP, RSEA or RMVD";
            return Err(unsupported(&shape::EQUIPMENT_TYPE, &code, expected));
        }
    })
}

fn gate(event: &Value, direction: pb::GateDirection) -> Result<Detail, Refusal> {
    Ok(Detail::GateMove(pb::GateMove {
        direction: direction.into(),
        containers: vec![container(event)?],
        ..Default::default()
    }))
}

fn yard(event: &Value, activity: pb::YardActivity) -> Result<Detail, Refusal> {
    let container = Some(container(event)?);
    Ok(Detail::YardMove(pb::YardMove {
        activity: activity.into(),
        container,
    }))
}

fn quay(event: &Value, code: &str, direction: pb::QuayDirection) -> Result<Detail, Refusal> {
    by_water(event, code)?;
    let call = Call::of(event)?;
    Ok(Detail::QuayMove(pb::QuayMove {
        direction: direction.into(),
        container: Some(container(event)?),
        call_id: call.id,
        vessel_imo: call.imo,
        call_sign: call.sign,
        ..Default::default()
    }))
}

fn transport(event: &Value) -> Result<Detail, Refusal> {
    let code = required(event, &shape::TRANSPORT_TYPE)?;
    let stage = match &*code {
        "ARRI" | "ARRIVED" => pb::VesselCallStage::Arrived,
        "DEPA" | "DEPARTED" => pb::VesselCallStage::Departed,
        _ => return Err(unsupported(&shape::TRANSPORT_TYPE, &code, "ARRI or DEPA")),
    };
    by_water(event, &code)?;
    let call = Call::of(event)?;
    Ok(Detail::VesselCall(pb::VesselCall {
        stage: stage.into(),
        call_id: call.id,
        vessel_imo: call.imo,
        call_sign: call.sign,
    }))
}

fn shipment(event: &Value) -> Result<Detail, Refusal> {
    let code = required(event, &shape::SHIPMENT_TYPE)?;
    let document = text(event, &shape::DOCUMENT_TYPE).unwrap_or("no document".into());
    let stage = match (&*code, &*document) {
        ("CONF" | "CONFIRMED" | "APPR" | "APPROVED", "BKG" | "BOOKING") => {
            pb::ShipmentStage::Booked
        }
        ("RELS" | "RELEASED", "CRO" | "CONTAINER_RELEASE_ORDER" | "DEO" | "DELIVERY_ORDER") => {
            pb::ShipmentStage::Released
        }
        ("HOLD" | "ON_HOLD", _) => pb::ShipmentStage::Held,
        ("RELS" | "RELEASED" | "CMPL" | "COMPLETED", "CUC" | "CUSTOMS_CLEARANCE") => {
            pb::ShipmentStage::CustomsCleared
        }
        (_, "VGM" | "VERIFIED_GROSS_MASS") => pb::ShipmentStage::VgmDeclared,
        _ => {
            let found = format!("{code} of {document}");
            let expected = "CONF or APPR of BKG, RELS of CRO or DEO, RELS or CMPL of CUC, HOLD, \
                            or any of VGM";
            return Err(unsupported(&shape::SHIPMENT_TYPE, &found, expected));
        }
    };
    let document_ref = text(event, &shape::DOCUMENT).unwrap_or_default().into();
    Ok(Detail::ShipmentStep(pb::ShipmentStep {
        stage: stage.into(),
        document_ref,
    }))
}

/// Refuses what did not go by vessel or barge.
fn by_water(event: &Value, code: &str) -> Result<(), Refusal> {
    let mode = text(event, &shape::MODE);
    match mode.as_deref() {
        Some("VESSEL" | "BARGE") => Ok(()),
        Some(mode) => Err(unsupported(
            &shape::MODE,
            &format!("{code} by {mode}"),
            "VESSEL or BARGE",
        )),
        None => {
            let found = format!("{code} without a mode of transport");
            Err(unsupported(&shape::MODE, &found, "VESSEL or BARGE"))
        }
    }
}

fn container(event: &Value) -> Result<pb::Container, Refusal> {
    let empty = text(event, &shape::EMPTY);
    let fullness = match empty.as_deref() {
        None => pb::Fullness::Unknown,
        Some("EMPTY") => pb::Fullness::Empty,
        Some("LADEN") => pb::Fullness::Laden,
        Some(found) => {
            let field = shape::EMPTY.name;
            return Err(Refusal::new(
                Reason::Malformed,
                field,
                found,
                "EMPTY or LADEN",
            ));
        }
    };
    Ok(pb::Container {
        number: required(event, &shape::EQUIPMENT)?.into(),
        size_type: text(event, &shape::SIZE_TYPE).unwrap_or_default().into(),
        fullness: fullness.into(),
        gross_mass_kg: None,
    })
}

/// A vessel's call.
struct Call {
    id: String,
    imo: String,
    sign: String,
}

impl Call {
    fn of(event: &Value) -> Result<Self, Refusal> {
        let imo: String = text(event, &shape::IMO).unwrap_or_default().into();
        let sign: String = text(event, &shape::CALL_SIGN).unwrap_or_default().into();
        let id = required(event, &shape::CALL_ID)?.into();
        if imo.is_empty() && sign.is_empty() {
            let expected = "an IMO number or a call sign";
            return Err(Refusal::new(
                Reason::Missing,
                shape::IMO.name,
                "nothing",
                expected,
            ));
        }
        Ok(Self { id, imo, sign })
    }
}
