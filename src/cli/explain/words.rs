//! Events, figures and times for people.

use crate::pb::{self, event::Detail};
use crate::truth::{Figure, flatten};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A proto enum's name without its prefix, as words.
pub fn name(full: &str, prefix: &str) -> String {
    let short = full.strip_prefix(prefix).unwrap_or(full);
    short.to_lowercase().replace('_', " ")
}

/// An instant in a zone, to the second.
pub fn at(at: Option<pbjson_types::Timestamp>, zone: &TimeZone) -> String {
    let at = at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
    let shown = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z");
    at.map_or_else(|| "never".into(), |at| shown(at).to_string())
}

/// A duration: `1h 34m 12s`.
pub fn lasted(ms: i64) -> String {
    format!("{:#}", SignedDuration::from_millis(ms))
}

/// Figures by name, but for the buckets of durations.
pub fn figures(figures: Option<&pb::Figures>) -> String {
    let flat = figures.map(flatten).unwrap_or_default();
    let shown = flat
        .iter()
        .filter(|(figure, _)| !matches!(figure, Figure::Bucket(..)));
    let shown: Vec<_> = shown
        .map(|(figure, value)| format!("{figure} {value}"))
        .collect();
    if shown.is_empty() {
        "nothing".into()
    } else {
        shown.join(", ")
    }
}

/// An identity within its facility.
pub fn identity(identity: Option<&pb::EventIdentity>) -> String {
    identity.map_or_else(String::new, |of| format!("{} {}", of.source, of.event_id))
}

/// What an event says, on one line.
pub fn event(event: &pb::Event, zone: &TimeZone) -> String {
    let when = at(event.occurred_at, zone);
    let classifier = name(event.classifier().as_str_name(), "CLASSIFIER_");
    let what = event.detail.as_ref().map_or_else(String::new, detail);
    format!("{classifier}: {what} at {when}")
}

fn detail(detail: &Detail) -> String {
    match detail {
        Detail::GateMove(gate) => {
            let direction = name(gate.direction().as_str_name(), "GATE_DIRECTION_");
            let boxes = gate.containers.iter().map(container);
            let tractor = Some(format!("tractor {}", gate.tractor_plate));
            let tractor = tractor.filter(|_| !gate.tractor_plate.is_empty());
            let carried: Vec<_> = tractor.into_iter().chain(boxes).collect();
            format!("gate {direction}, {}", carried.join(", "))
        }
        Detail::QuayMove(quay) => {
            let direction = name(quay.direction().as_str_name(), "QUAY_DIRECTION_");
            let restow = if quay.restow { ", a restow" } else { "" };
            let moved = quay.container.as_ref().map_or_else(String::new, container);
            format!("{direction} of {moved} in call {}{restow}", quay.call_id)
        }
        Detail::YardMove(yard) => {
            let activity = name(yard.activity().as_str_name(), "YARD_ACTIVITY_");
            let moved = yard.container.as_ref().map_or_else(String::new, container);
            format!("yard {activity} of {moved}")
        }
        Detail::DispatchStep(step) => {
            let stage = name(step.stage().as_str_name(), "DISPATCH_STAGE_");
            format!("dispatch order {} {stage}", step.order_id)
        }
        Detail::AppointmentStep(step) => {
            let stage = name(step.stage().as_str_name(), "APPOINTMENT_STAGE_");
            format!("appointment {} {stage}", step.appointment_id)
        }
        Detail::VesselCall(call) => {
            let stage = name(call.stage().as_str_name(), "VESSEL_CALL_STAGE_");
            format!("vessel call {} {stage}", call.call_id)
        }
        Detail::PortService(service) => {
            let kind = name(service.service().as_str_name(), "SERVICE_KIND_");
            let stage = name(service.stage().as_str_name(), "SERVICE_STAGE_");
            format!("{kind} {} {stage}", service.order_id)
        }
        Detail::ShipmentStep(step) => {
            let stage = name(step.stage().as_str_name(), "SHIPMENT_STAGE_");
            format!("shipment {} {stage}", step.document_ref)
        }
    }
}

fn container(container: &pb::Container) -> String {
    let fullness = name(container.fullness().as_str_name(), "FULLNESS_");
    let mass = container.gross_mass_kg.unwrap_or_default();
    let pb::Container {
        number, size_type, ..
    } = container;
    format!("{number} ({size_type} {fullness}, {mass} kg)")
}
