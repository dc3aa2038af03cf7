//! Totals per enterprise, written as text straight from the state. They belong
//! to state that moves between instances, and the recorder can neither drop a
//! series nor render tens of thousands of them as fast.

use super::{label, strip};
use crate::meter::cell::Totals;
use crate::meter::figure::{Figure, Meaning};
use crate::pb::{DurationKind, Fullness, Movement, Role};
use rustc_hash::FxHashMap;
use std::fmt::Write as _;

/// One enterprise's running totals in one role.
#[derive(Clone, Copy, Debug)]
pub struct EnterpriseTotal<'a> {
    /// Its id.
    pub enterprise: &'a str,
    /// The role.
    pub role: Role,
    /// All that was ever added and taken back, classifier ACTUAL.
    pub totals: &'a Totals,
}

/// A counter and its twin of what was taken back.
struct Family {
    /// Its name but for `_total`.
    name: &'static str,
    help: &'static str,
    /// How many of the counted unit make one of the exported unit.
    scale: u16,
}

const BOXES: usize = 0;
const TEU: usize = 1;
const MASS: usize = 2;
const TRUCKS: usize = 3;
const STEPS: usize = 4;
const SERVICES: usize = 5;
const TURNS: usize = 6;
const TURN_SECONDS: usize = 7;

const FAMILIES: [Family; 8] = [
    family("quaymeter_enterprise_boxes", "Containers", 1),
    family("quaymeter_enterprise_teu", "TEU", 1000),
    family(
        "quaymeter_enterprise_gross_mass_kilograms",
        "Gross mass of containers, tare included",
        1,
    ),
    family(
        "quaymeter_enterprise_truck_passages",
        "Truck passages through gates",
        1,
    ),
    family(
        "quaymeter_enterprise_steps",
        "Steps of dispatch orders, appointments, vessel calls and shipments",
        1,
    ),
    family("quaymeter_enterprise_services", "Steps of port services", 1),
    family(
        "quaymeter_enterprise_truck_turns",
        "Completed truck turns",
        1,
    ),
    family(
        "quaymeter_enterprise_truck_turn_seconds",
        "Time of completed truck turns",
        1000,
    ),
];

const fn family(name: &'static str, help: &'static str, scale: u16) -> Family {
    Family { name, help, scale }
}

/// The samples of one family and of its twin.
#[derive(Default)]
struct Samples {
    added: String,
    taken_back: String,
}

/// The totals of the first `most` enterprises as text, and how many were left
/// out.
pub fn render<'a>(
    totals: impl Iterator<Item = EnterpriseTotal<'a>>,
    most: usize,
) -> (String, usize) {
    let mut samples: [Samples; FAMILIES.len()] = Default::default();
    let mut tails = Tails::default();
    let mut owner = String::new();
    let mut enterprises = 0;
    let mut last = None;
    for total in totals {
        if last != Some(total.enterprise) {
            last = Some(total.enterprise);
            enterprises += 1;
        }
        if enterprises <= most {
            owner.clear();
            write_owner(&mut owner, &total);
            write_totals(&mut samples, &mut tails, &owner, total.totals);
        }
    }
    let mut text = String::new();
    for (family, samples) in FAMILIES.iter().zip(samples) {
        write_family(&mut text, family, &samples);
    }
    (text, enterprises.saturating_sub(most))
}

fn write_family(text: &mut String, family: &Family, samples: &Samples) {
    if samples.added.is_empty() {
        return;
    }
    let Family { name, help, .. } = family;
    let mut write = |name: &str, help: &str, samples: &str| {
        *text += &format!("# HELP {name} {help}.\n# TYPE {name} counter\n");
        *text += samples;
        text.push('\n');
    };
    write(
        &format!("{name}_total"),
        &format!("{help}, ever added"),
        &samples.added,
    );
    let taken_back = format!("{help}, ever taken back by corrections");
    write(
        &format!("{name}_taken_back_total"),
        &taken_back,
        &samples.taken_back,
    );
}

/// The labels that all samples of one total begin with.
fn write_owner(labels: &mut String, total: &EnterpriseTotal<'_>) {
    labels.push_str("{enterprise=\"");
    for c in total.enterprise.chars() {
        match c {
            '\n' => labels.push_str("\\n"),
            '"' | '\\' => labels.extend(['\\', c]),
            c => labels.push(c),
        }
    }
    *labels += "\",role=\"";
    *labels += &label(total.role.as_str_name(), "ROLE_");
    labels.push('"');
}

/// Of each figure met so far: its family, and what follows the owner's labels
/// up to the value. The same few dozen come with every enterprise.
type Tails = FxHashMap<Figure, Option<(usize, String)>>;

fn tail(figure: Figure) -> Option<(usize, String)> {
    let (family, labels) = series(figure.meaning()?)?;
    let mut text = String::new();
    for (name, value) in labels.iter().flatten() {
        text += &format!(",{name}=\"{}\"", value.to_ascii_lowercase());
    }
    Some((family, text + "} "))
}

/// Both counters of every figure that was ever added: a missing twin would make
/// `added - taken_back` empty instead of the same.
fn write_totals(
    samples: &mut [Samples; FAMILIES.len()],
    tails: &mut Tails,
    owner: &str,
    totals: &Totals,
) {
    for (figure, added) in totals.added.iter() {
        let tail = tails.entry(figure).or_insert_with(|| tail(figure));
        let Some((at, tail)) = tail.as_ref() else {
            continue;
        };
        let family = &FAMILIES[*at];
        let write = |text: &mut String, suffix: &str, value: i64| {
            text.push_str(family.name);
            text.push_str(suffix);
            text.push_str(owner);
            text.push_str(tail);
            write_value(text, value, family.scale);
        };
        write(&mut samples[*at].added, "_total", added);
        write(
            &mut samples[*at].taken_back,
            "_taken_back_total",
            totals.taken_back.get(figure),
        );
    }
}

/// The value in the exported unit, exactly.
fn write_value(text: &mut String, value: i64, scale: u16) {
    // Writing to a string does not fail.
    let _ = match scale {
        1000 => {
            let (whole, rest) = (value.unsigned_abs() / 1000, value.unsigned_abs() % 1000);
            let sign = if value < 0 { "-" } else { "" };
            writeln!(text, "{sign}{whole}.{rest:03}")
        }
        _ => writeln!(text, "{value}"),
    };
}

/// Names, and values in upper case.
type Labels = [Option<(&'static str, &'static str)>; 2];

/// In which family a figure is exported, and with which labels; none for what
/// is not.
fn series(meaning: Meaning) -> Option<(usize, Labels)> {
    let boxed = |movement: Movement, fullness: Fullness| {
        let movement = strip(movement.as_str_name(), "MOVEMENT_");
        let fullness = strip(fullness.as_str_name(), "FULLNESS_");
        [Some(("movement", movement)), Some(("fullness", fullness))]
    };
    let step = |kind, name, prefix| {
        (
            STEPS,
            [Some(("kind", kind)), Some(("step", strip(name, prefix)))],
        )
    };
    Some(match meaning {
        Meaning::Boxes(movement, fullness) => (BOXES, boxed(movement, fullness)),
        Meaning::TeuMilli(movement, fullness) => (TEU, boxed(movement, fullness)),
        Meaning::MassKg(movement, fullness) => (MASS, boxed(movement, fullness)),
        Meaning::TrucksIn => (TRUCKS, [Some(("direction", "in")), None]),
        Meaning::TrucksOut => (TRUCKS, [Some(("direction", "out")), None]),
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
            (
                SERVICES,
                [Some(("service", service)), Some(("step", stage))],
            )
        }
        Meaning::DurationCount(DurationKind::TruckTurn) => (TURNS, [None; 2]),
        Meaning::DurationSumMs(DurationKind::TruckTurn) => (TURN_SECONDS, [None; 2]),
        Meaning::DurationCount(_) | Meaning::DurationSumMs(_) | Meaning::DurationBucket(..) => {
            return None;
        }
    })
}
