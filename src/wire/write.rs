//! The event → its canonical bytes, written without an intermediate message:
//! every event is encoded once on its way in.

use crate::event::{
    AppointmentStep, Container, Detail, DispatchStep, Event, GateMove, Millis, Party, PortService,
    QuayMove, ShipmentStep, Statement, VesselCall, YardMove,
};

const VARINT: u64 = 0;
const DELIMITED: u64 = 2;

/// Appends the canonical bytes of an event. Defaults are left out, as proto3
/// wants it; a message that is present is written even if it is empty.
pub(super) fn event(event: &Event, bytes: &mut Vec<u8>) {
    let mut out = Writer(bytes);
    out.string(1, &event.event_id);
    out.number(2, event.revision.unsigned_abs());
    match &event.statement {
        None => {
            out.number(3, 1);
            out.string(6, &event.facility);
        }
        Some(statement) => out.statement(statement, &event.facility),
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, tag: u64, value: u64) {
        if value != 0 {
            self.varint(tag << 3 | VARINT);
            self.varint(value);
        }
    }

    /// A value of a closed list; none of them is negative.
    fn choice(&mut self, tag: u64, value: impl Into<i32>) {
        self.number(tag, u64::from(value.into().unsigned_abs()));
    }

    fn string(&mut self, tag: u64, value: &str) {
        if !value.is_empty() {
            self.varint(tag << 3 | DELIMITED);
            self.varint(value.len() as u64);
            self.0.extend_from_slice(value.as_bytes());
        }
    }

    /// A message inside. Most are shorter than 128 bytes, so one byte is left
    /// for the length, and the rare longer one is moved.
    fn message(&mut self, tag: u64, write: impl FnOnce(&mut Writer<'_>)) {
        self.varint(tag << 3 | DELIMITED);
        let at = self.0.len();
        self.0.push(0);
        write(&mut Writer(&mut *self.0));
        let mut length = self.0.len() - at - 1;
        let mut place = at;
        while length >= 0x80 {
            self.0[place] = length as u8 | 0x80;
            place += 1;
            self.0.insert(place, 0);
            length >>= 7;
        }
        self.0[place] = length as u8;
    }

    fn instant(&mut self, tag: u64, at: Millis) {
        self.message(tag, |out| {
            out.number(1, at.div_euclid(1000).unsigned_abs());
            out.number(2, at.rem_euclid(1000).unsigned_abs() * 1_000_000);
        });
    }

    fn statement(&mut self, statement: &Statement, facility: &str) {
        self.choice(4, statement.classifier);
        self.instant(5, statement.occurred_at);
        self.string(6, facility);
        for Party { role, enterprise } in &statement.parties {
            self.message(7, |out| {
                out.choice(1, *role);
                out.string(2, enterprise);
            });
        }
        match &statement.detail {
            Detail::GateMove(detail) => self.message(10, |out| out.gate_move(detail)),
            Detail::QuayMove(detail) => self.message(11, |out| out.quay_move(detail)),
            Detail::YardMove(detail) => self.message(12, |out| out.yard_move(detail)),
            Detail::DispatchStep(detail) => self.message(13, |out| out.dispatch_step(detail)),
            Detail::AppointmentStep(detail) => self.message(14, |out| out.appointment_step(detail)),
            Detail::VesselCall(detail) => self.message(15, |out| out.vessel_call(detail)),
            Detail::PortService(detail) => self.message(16, |out| out.port_service(detail)),
            Detail::ShipmentStep(detail) => self.message(17, |out| out.shipment_step(detail)),
        }
    }

    fn container(&mut self, tag: u64, container: &Container) {
        self.message(tag, |out| {
            out.string(1, &container.number);
            out.string(2, &container.size_type);
            out.choice(3, container.fullness);
            out.number(4, u64::from(container.gross_mass_kg));
        });
    }

    fn gate_move(&mut self, detail: &GateMove) {
        self.choice(1, detail.direction);
        for container in &detail.containers {
            self.container(2, container);
        }
        self.string(3, &detail.tractor);
        self.string(4, &detail.trailer);
        self.string(5, &detail.driver);
        self.string(6, &detail.visit_ref);
        self.string(7, &detail.tractor_before);
    }

    fn quay_move(&mut self, detail: &QuayMove) {
        self.choice(1, detail.direction);
        self.container(2, &detail.container);
        self.string(3, &detail.call_id);
        self.string(4, &detail.vessel_imo);
        self.string(5, &detail.call_sign);
        self.string(6, &detail.voyage);
        self.number(7, u64::from(detail.restow));
    }

    fn yard_move(&mut self, detail: &YardMove) {
        self.choice(1, detail.activity);
        self.container(2, &detail.container);
    }

    fn dispatch_step(&mut self, detail: &DispatchStep) {
        self.string(1, &detail.order_id);
        self.choice(2, detail.stage);
        self.string(3, &detail.tractor);
        self.string(4, &detail.driver);
    }

    fn appointment_step(&mut self, detail: &AppointmentStep) {
        self.string(1, &detail.appointment_id);
        self.choice(2, detail.stage);
        self.instant(3, detail.slot_start);
        self.instant(4, detail.slot_end);
    }

    fn vessel_call(&mut self, detail: &VesselCall) {
        self.choice(1, detail.stage);
        self.string(2, &detail.call_id);
        self.string(3, &detail.vessel_imo);
        self.string(4, &detail.call_sign);
    }

    fn port_service(&mut self, detail: &PortService) {
        self.choice(1, detail.service);
        self.choice(2, detail.stage);
        self.string(3, &detail.order_id);
        self.string(4, &detail.call_id);
    }

    fn shipment_step(&mut self, detail: &ShipmentStep) {
        self.choice(1, detail.stage);
        self.string(2, &detail.document_ref);
    }
}
