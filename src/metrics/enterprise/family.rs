//! In which family a figure is exported, and with which labels.

use crate::config::exported::Figures;
use crate::meter::figure::Meaning;
use crate::metrics::strip;
use crate::pb::{Fullness, Movement};

/// What is exported of enterprises under one name.
pub struct Family {
    /// Its name but for `_total`.
    pub name: &'static str,
    /// What it counts, in words.
    pub help: &'static str,
    /// Its labels after those of its owner.
    pub labels: &'static [&'static str],
    /// How many of the counted unit make one of the exported unit.
    pub scale: u16,
    /// The setting's word by which it is chosen.
    pub figure: Figures,
}

const BOXES: usize = 0;
const TEU: usize = 1;
const MASS: usize = 2;
const TRUCKS: usize = 3;
const STEPS: usize = 4;
const SERVICES: usize = 5;

/// Families of counters, each of which has a twin of what was taken back.
pub const FAMILIES: [Family; 6] = [
    Family {
        name: "quaymeter_enterprise_boxes",
        help: "Containers",
        labels: &["movement", "fullness"],
        scale: 1,
        figure: Figures::BOXES,
    },
    Family {
        name: "quaymeter_enterprise_teu",
        help: "TEU",
        labels: &["movement", "fullness"],
        scale: 1000,
        figure: Figures::TEU,
    },
    Family {
        name: "quaymeter_enterprise_gross_mass_tonnes",
        help: "Gross mass of containers in tonnes, tare included",
        labels: &["movement", "fullness"],
        scale: 1000,
        figure: Figures::GROSS_MASS,
    },
    Family {
        name: "quaymeter_enterprise_truck_passages",
        help: "Truck passages through gates",
        labels: &["direction"],
        scale: 1,
        figure: Figures::TRUCK_PASSAGES,
    },
    Family {
        name: "quaymeter_enterprise_steps",
        help: "Steps of dispatch orders, appointments, vessel calls and shipments",
        labels: &["kind", "step"],
        scale: 1,
        figure: Figures::STEPS,
    },
    Family {
        name: "quaymeter_enterprise_services",
        help: "Steps of port services",
        labels: &["service", "step"],
        scale: 1,
        figure: Figures::SERVICES,
    },
];

/// Values of a family's labels, in upper case, in their order.
pub type Values = [Option<&'static str>; 2];

/// The family of a figure and the values of its labels; none for what is in no family of
/// counters.
pub fn family(meaning: Meaning) -> Option<(usize, Values)> {
    let boxed = |movement: Movement, fullness: Fullness| {
        let movement = strip(movement.as_str_name(), "MOVEMENT_");
        [
            Some(movement),
            Some(strip(fullness.as_str_name(), "FULLNESS_")),
        ]
    };
    let step = |kind, name, prefix| (STEPS, [Some(kind), Some(strip(name, prefix))]);
    Some(match meaning {
        Meaning::Boxes(movement, fullness) => (BOXES, boxed(movement, fullness)),
        Meaning::TeuMilli(movement, fullness) => (TEU, boxed(movement, fullness)),
        Meaning::MassKg(movement, fullness) => (MASS, boxed(movement, fullness)),
        Meaning::TrucksIn => (TRUCKS, [Some("in"), None]),
        Meaning::TrucksOut => (TRUCKS, [Some("out"), None]),
        Meaning::Dispatch(stage) => step("dispatch", stage.as_str_name(), "DISPATCH_STAGE_"),
        Meaning::Appointment(stage) => {
            step("appointment", stage.as_str_name(), "APPOINTMENT_STAGE_")
        }
        Meaning::VesselCall(stage) => {
            step("vessel_call", stage.as_str_name(), "VESSEL_CALL_STAGE_")
        }
        Meaning::Shipment(stage) => step("shipment", stage.as_str_name(), "SHIPMENT_STAGE_"),
        Meaning::Service(kind, stage) => {
            let service = strip(kind.as_str_name(), "SERVICE_KIND_");
            let stage = strip(stage.as_str_name(), "SERVICE_STAGE_");
            (SERVICES, [Some(service), Some(stage)])
        }
        Meaning::DurationCount(_) | Meaning::DurationSumMs(_) | Meaning::DurationBucket(..) => {
            return None;
        }
    })
}
