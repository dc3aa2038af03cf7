//! Events as a reporter would send them, each accepted without a warning.

use crate::event::Millis;
use crate::event::fault::Fault;
use crate::pb::{self, event::Detail};
use crate::pseudonym::Pseudonyms;
use crate::wire::{Accepted, Judge, accept};
use pbjson_types::Timestamp;
use std::sync::LazyLock;

pub(super) const DAY_MS: i64 = 86_400_000;
pub(super) const NOW: Millis = 1_764_000_000_000;
pub(super) const HORIZON_MS: i64 = 35 * DAY_MS;
pub(super) const RETENTION_MS: i64 = 1096 * DAY_MS;

static PSEUDONYMS: LazyLock<Pseudonyms> = LazyLock::new(|| Pseudonyms::with_key(1, &[7; 32]));

pub(super) fn judge() -> Judge<'static> {
    Judge {
        now: NOW,
        horizon_ms: HORIZON_MS,
        day_retention_ms: RETENTION_MS,
        backfill: false,
        strict: false,
        pseudonyms: &PSEUDONYMS,
    }
}

pub(super) fn take(event: pb::Event) -> Result<Accepted, Fault> {
    accept(event, &judge())
}

pub(super) fn instant(at: Millis) -> Option<Timestamp> {
    let nanos = (at.rem_euclid(1000) * 1_000_000) as i32;
    Some(Timestamp {
        seconds: at.div_euclid(1000),
        nanos,
    })
}

pub(super) fn party(role: pb::Role, enterprise: &str) -> pb::Party {
    pb::Party {
        role: role.into(),
        enterprise: enterprise.into(),
    }
}

pub(super) fn container(number: &str) -> pb::Container {
    pb::Container {
        number: number.into(),
        size_type: "22G1".into(),
        fullness: pb::Fullness::Laden.into(),
        gross_mass_kg: Some(24_000),
    }
}

pub(super) fn event(detail: Detail) -> pb::Event {
    pb::Event {
        event_id: "e-1".into(),
        revision: 3,
        retracted: false,
        classifier: 0,
        occurred_at: instant(NOW - 1),
        facility: "CNNBO/BLCT2".into(),
        parties: vec![
            party(pb::Role::Fleet, "ygt:F7"),
            party(pb::Role::Carrier, "smdg:COS"),
            party(pb::Role::Terminal, "uscc:91110000600037341L"),
        ],
        detail: Some(detail),
    }
}

pub(super) fn gate_move() -> pb::GateMove {
    pb::GateMove {
        direction: pb::GateDirection::In.into(),
        containers: vec![container("CSQU3054383"), container("TCNU7200794")],
        tractor_plate: "浙B12345".into(),
        trailer_plate: "浙BA123挂".into(),
        driver_ref: "driver 7".into(),
        visit_ref: "v-1".into(),
        tractor_plate_before: String::new(),
    }
}

pub(super) fn quay_move() -> pb::QuayMove {
    pb::QuayMove {
        direction: pb::QuayDirection::Load.into(),
        container: Some(container("CSQU3054383")),
        call_id: "call-1".into(),
        vessel_imo: "9319466".into(),
        call_sign: "BQXY".into(),
        voyage: "012W".into(),
        restow: true,
    }
}

pub(super) fn yard_move() -> pb::YardMove {
    let container = Some(container("CSQU3054383"));
    pb::YardMove {
        activity: pb::YardActivity::Stuff.into(),
        container,
    }
}

pub(super) fn dispatch_step() -> pb::DispatchStep {
    pb::DispatchStep {
        order_id: "o-1".into(),
        stage: pb::DispatchStage::Offered.into(),
        tractor_plate: "浙B12345".into(),
        driver_ref: "driver 7".into(),
    }
}

pub(super) fn appointment_step() -> pb::AppointmentStep {
    pb::AppointmentStep {
        appointment_id: "a-1".into(),
        stage: pb::AppointmentStage::Confirmed.into(),
        slot_start: instant(NOW + 3_600_000),
        slot_end: instant(NOW + 7_200_000),
    }
}

pub(super) fn vessel_call() -> pb::VesselCall {
    pb::VesselCall {
        stage: pb::VesselCallStage::Berthed.into(),
        call_id: "call-1".into(),
        vessel_imo: "9319466".into(),
        call_sign: String::new(),
    }
}

pub(super) fn port_service() -> pb::PortService {
    pb::PortService {
        service: pb::ServiceKind::Pilotage.into(),
        stage: pb::ServiceStage::Started.into(),
        order_id: "s-1".into(),
        call_id: "call-1".into(),
    }
}

pub(super) fn shipment_step() -> pb::ShipmentStep {
    let stage = pb::ShipmentStage::Released.into();
    pb::ShipmentStep {
        stage,
        document_ref: "BL-1".into(),
    }
}

/// One event of each kind.
pub(super) fn all() -> Vec<pb::Event> {
    [
        Detail::GateMove(gate_move()),
        Detail::QuayMove(quay_move()),
        Detail::YardMove(yard_move()),
        Detail::DispatchStep(dispatch_step()),
        Detail::AppointmentStep(appointment_step()),
        Detail::VesselCall(vessel_call()),
        Detail::PortService(port_service()),
        Detail::ShipmentStep(shipment_step()),
    ]
    .map(event)
    .into()
}
