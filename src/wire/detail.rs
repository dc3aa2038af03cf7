//! The protobuf message → the event, by kind.

use super::read::{Reader, choice, required, text};
use crate::event::fault::{Fault, Path, excerpt};
use crate::event::{
    AppointmentStep, Container, Detail, DispatchStep, Fullness, GateMove, PortService, QuayMove,
    ShipmentStep, VesselCall, YardMove, container,
};
use crate::pb::{self, Reason, event::Detail as Sent};
use compact_str::{CompactString, ToCompactString, format_compact};
use smallvec::SmallVec;

const CONTAINERS_MAX: usize = 4;
const MASS_KG_MAX: u32 = 999_999;

/// Which length follows from a size and type code does not depend on what a
/// 45-foot container counts; any number serves to ask.
const ANY_TEU_MILLI: u32 = 2250;

impl Reader<'_> {
    pub(super) fn detail(&mut self, detail: Sent) -> Result<Detail, Fault> {
        Ok(match detail {
            Sent::GateMove(sent) => Detail::GateMove(self.gate_move(sent)?),
            Sent::QuayMove(sent) => Detail::QuayMove(self.quay_move(sent)?),
            Sent::YardMove(sent) => Detail::YardMove(self.yard_move(sent)?),
            Sent::DispatchStep(sent) => Detail::DispatchStep(self.dispatch_step(sent)?),
            Sent::AppointmentStep(sent) => Detail::AppointmentStep(self.appointment_step(sent)?),
            Sent::VesselCall(sent) => Detail::VesselCall(self.vessel_call(sent)?),
            Sent::PortService(sent) => Detail::PortService(port_service(sent)?),
            Sent::ShipmentStep(sent) => Detail::ShipmentStep(shipment_step(sent)?),
        })
    }

    fn gate_move(&mut self, sent: pb::GateMove) -> Result<GateMove, Fault> {
        let direction = choice(sent.direction, "gate_move.direction", "IN or OUT")?;
        let containers = self.containers(sent.containers)?;
        let [tractor, before] = self.plates(sent.tractor_plate, "gate_move.tractor_plate")?;
        let tractor_before = self.before(sent.tractor_plate_before, &tractor, before)?;
        let trailer = self.plate(sent.trailer_plate, "gate_move.trailer_plate")?;
        let driver = self.driver(sent.driver_ref, "gate_move.driver_ref")?;
        let visit_ref = text(sent.visit_ref, "gate_move.visit_ref", 64)?;
        if tractor.is_empty() && containers.is_empty() {
            let expected = "a tractor or a container";
            let found = "neither".into();
            return Err(Fault::new(
                Reason::NoTruckNorContainer,
                "gate_move",
                found,
                expected,
            ));
        }
        Ok(GateMove {
            direction,
            containers,
            tractor,
            tractor_before,
            trailer,
            driver,
            visit_ref,
        })
    }

    fn containers(&mut self, sent: Vec<pb::Container>) -> Result<SmallVec<[Container; 2]>, Fault> {
        let path = Path::from("gate_move.containers");
        if sent.len() > CONTAINERS_MAX {
            let found = format_compact!("{} containers", sent.len());
            return Err(Fault::new(
                Reason::TooMany,
                path,
                found,
                "0 to 4 containers",
            ));
        }
        let mut containers = SmallVec::<[Container; 2]>::with_capacity(sent.len());
        for (i, sent) in sent.into_iter().enumerate() {
            let path = path.at(i);
            let container = self.container(sent, path)?;
            if containers
                .iter()
                .any(|other| other.number == container.number)
            {
                let (path, expected) = (path.field("number"), "distinct numbers");
                let found = container.number;
                return Err(Fault::new(
                    Reason::DuplicateContainer,
                    path,
                    found,
                    expected,
                ));
            }
            containers.push(container);
        }
        Ok(containers)
    }

    /// The one container that a move needs.
    fn the_container(
        &mut self,
        sent: Option<pb::Container>,
        path: &'static str,
    ) -> Result<Container, Fault> {
        let sent = sent.ok_or_else(|| Fault::missing(path, "a container"))?;
        self.container(sent, path.into())
    }

    fn container(&mut self, sent: pb::Container, path: Path) -> Result<Container, Fault> {
        let number = self.container_number(&sent.number, path.field("number"))?;
        let size_type = self.size_type(sent.size_type, path.field("size_type"))?;
        let fullness = match sent.fullness {
            0 => Fullness::Unknown,
            value => choice(value, path.field("fullness"), "a fullness")?,
        };
        let gross_mass_kg = self.mass(sent.gross_mass_kg, path.field("gross_mass_kg"))?;
        Ok(Container {
            number,
            size_type,
            fullness,
            gross_mass_kg,
        })
    }

    fn container_number(&mut self, sent: &str, path: Path) -> Result<CompactString, Fault> {
        let expected = "4 letters and 7 digits";
        if sent.is_empty() {
            return Err(Fault::missing(path, expected));
        }
        let Some(number) = container::normalise_number(sent) else {
            return Err(Fault::new(
                Reason::ContainerNumber,
                path,
                excerpt(sent),
                expected,
            ));
        };
        let fault = |reason, expected| Fault::new(reason, path, number.clone(), expected);
        self.warn_unless(
            || container::has_check_digit(&number),
            || {
                fault(
                    Reason::ContainerCheckDigit,
                    "a right check digit (ISO 6346)",
                )
            },
        );
        self.warn_unless(
            || container::has_category(&number),
            || {
                fault(
                    Reason::ContainerCategory,
                    "U, J or Z as the fourth letter (ISO 6346)",
                )
            },
        );
        Ok(number)
    }

    /// Absent, it counts no TEU: that is as odd as a code nobody knows.
    fn size_type(&mut self, sent: String, path: Path) -> Result<CompactString, Fault> {
        let mut code = text(sent, path, 10)?;
        code.make_ascii_uppercase();
        self.warn_unless(
            || container::is_size_type(&code),
            || {
                let expected = match container::teu_milli(&code, ANY_TEU_MILLI) {
                    Some(_) => "a size and type code of ISO 6346; its first character counts",
                    None => "a size and type code of ISO 6346; it counts 0 TEU",
                };
                Fault::new(Reason::UnknownSizeType, path, excerpt(&code), expected)
            },
        );
        Ok(code)
    }

    /// In kg; 0 if absent.
    fn mass(&mut self, sent: Option<u32>, path: Path) -> Result<u32, Fault> {
        let expected = "1 to 999,999 kg";
        match sent {
            Some(kg @ 1..=MASS_KG_MAX) => Ok(kg),
            Some(kg) => Err(Fault::new(
                Reason::OutOfRange,
                path,
                kg.to_compact_string(),
                expected,
            )),
            None => {
                let fault = || Fault::new(Reason::MissingMass, path, "nothing".into(), expected);
                self.warn_unless(|| false, fault);
                Ok(0)
            }
        }
    }

    fn quay_move(&mut self, sent: pb::QuayMove) -> Result<QuayMove, Fault> {
        let direction = choice(sent.direction, "quay_move.direction", "LOAD or DISCHARGE")?;
        let container = self.the_container(sent.container, "quay_move.container")?;
        let call_id = required(sent.call_id, "quay_move.call_id", 64)?;
        let paths = ["quay_move.vessel_imo", "quay_move.call_sign"];
        let [vessel_imo, call_sign] = self.vessel(&sent.vessel_imo, sent.call_sign, paths)?;
        let voyage = text(sent.voyage, "quay_move.voyage", 32)?;
        let restow = sent.restow;
        Ok(QuayMove {
            direction,
            container,
            call_id,
            vessel_imo,
            call_sign,
            voyage,
            restow,
        })
    }

    fn yard_move(&mut self, sent: pb::YardMove) -> Result<YardMove, Fault> {
        let activity = choice(sent.activity, "yard_move.activity", "an activity")?;
        let container = self.the_container(sent.container, "yard_move.container")?;
        Ok(YardMove {
            activity,
            container,
        })
    }

    fn dispatch_step(&mut self, sent: pb::DispatchStep) -> Result<DispatchStep, Fault> {
        let order_id = required(sent.order_id, "dispatch_step.order_id", 64)?;
        let stage = choice(sent.stage, "dispatch_step.stage", "a stage")?;
        let tractor = self.plate(sent.tractor_plate, "dispatch_step.tractor_plate")?;
        let driver = self.driver(sent.driver_ref, "dispatch_step.driver_ref")?;
        Ok(DispatchStep {
            order_id,
            stage,
            tractor,
            driver,
        })
    }

    fn appointment_step(&mut self, sent: pb::AppointmentStep) -> Result<AppointmentStep, Fault> {
        let appointment_id = required(sent.appointment_id, "appointment_step.appointment_id", 64)?;
        let stage = choice(sent.stage, "appointment_step.stage", "a stage")?;
        let (slot_start, slot_end) = self.slot(sent.slot_start, sent.slot_end)?;
        Ok(AppointmentStep {
            appointment_id,
            stage,
            slot_start,
            slot_end,
        })
    }

    fn vessel_call(&mut self, sent: pb::VesselCall) -> Result<VesselCall, Fault> {
        self.allowed().vessel_call()?;
        let stage = choice(sent.stage, "vessel_call.stage", "a stage")?;
        let call_id = required(sent.call_id, "vessel_call.call_id", 64)?;
        let paths = ["vessel_call.vessel_imo", "vessel_call.call_sign"];
        let [vessel_imo, call_sign] = self.vessel(&sent.vessel_imo, sent.call_sign, paths)?;
        Ok(VesselCall {
            stage,
            call_id,
            vessel_imo,
            call_sign,
        })
    }
}

fn port_service(sent: pb::PortService) -> Result<PortService, Fault> {
    let service = choice(sent.service, "port_service.service", "a service")?;
    let stage = choice(sent.stage, "port_service.stage", "a stage")?;
    let order_id = required(sent.order_id, "port_service.order_id", 64)?;
    let call_id = text(sent.call_id, "port_service.call_id", 64)?;
    Ok(PortService {
        service,
        stage,
        order_id,
        call_id,
    })
}

fn shipment_step(sent: pb::ShipmentStep) -> Result<ShipmentStep, Fault> {
    let stage = choice(sent.stage, "shipment_step.stage", "a stage")?;
    let document_ref = text(sent.document_ref, "shipment_step.document_ref", 64)?;
    Ok(ShipmentStep {
        stage,
        document_ref,
    })
}
