//! Figures by stable names, such as `boxes.gate_in.laden`, `dispatch.offered`
//! or `truck_turn.bucket.57`.

use crate::pb::{
    self, AppointmentStage, DispatchStage, DurationKind, Fullness, Movement, ServiceKind,
    ServiceStage, ShipmentStage, VesselCallStage,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// One figure. Its [`Display`](fmt::Display) is its stable name, which
/// [`FromStr`] reads back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// `boxes.gate_in.laden`: containers.
    Boxes(Movement, Fullness),
    /// `teu_milli.gate_in.laden`: TEU in thousandths.
    TeuMilli(Movement, Fullness),
    /// `mass_kg.gate_in.laden`: gross mass in kg.
    MassKg(Movement, Fullness),
    /// `trucks.in`: truck passages in.
    TrucksIn,
    /// `trucks.out`: truck passages out.
    TrucksOut,
    /// `dispatch.offered`: dispatch steps.
    Dispatch(DispatchStage),
    /// `appointment.confirmed`: appointment steps.
    Appointment(AppointmentStage),
    /// `vessel_call.berthed`: vessel-call steps.
    VesselCall(VesselCallStage),
    /// `service.pilotage.started`: service steps.
    Service(ServiceKind, ServiceStage),
    /// `shipment.booked`: shipment steps.
    Shipment(ShipmentStage),
    /// `truck_turn.count`: how many durations.
    Count(DurationKind),
    /// `truck_turn.sum_ms`: their sum in milliseconds.
    SumMs(DurationKind),
    /// `truck_turn.bucket.57`, and `truck_turn.bucket.zero` for none: how many
    /// durations in one bucket.
    Bucket(DurationKind, Option<i32>),
}

/// Not the name of a figure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown figure {0:?}")]
pub struct UnknownFigure(pub String);

/// A proto enum's value as a name's part: `MOVEMENT_GATE_IN` is `gate_in`.
macro_rules! part {
    ($value:expr, $prefix:literal) => {
        $value
            .as_str_name()
            .trim_start_matches($prefix)
            .to_ascii_lowercase()
    };
}

/// The proto enum's value that a name's part stands for.
macro_rules! value {
    ($kind:ty, $part:expr, $prefix:literal) => {
        <$kind>::from_str_name(&format!("{}{}", $prefix, $part.to_ascii_uppercase()))?
    };
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Boxes(m, e) => write!(f, "boxes.{}.{}", movement(m), fullness(e)),
            Self::TeuMilli(m, e) => write!(f, "teu_milli.{}.{}", movement(m), fullness(e)),
            Self::MassKg(m, e) => write!(f, "mass_kg.{}.{}", movement(m), fullness(e)),
            Self::TrucksIn => f.write_str("trucks.in"),
            Self::TrucksOut => f.write_str("trucks.out"),
            Self::Dispatch(s) => write!(f, "dispatch.{}", part!(s, "DISPATCH_STAGE_")),
            Self::Appointment(s) => write!(f, "appointment.{}", part!(s, "APPOINTMENT_STAGE_")),
            Self::VesselCall(s) => write!(f, "vessel_call.{}", part!(s, "VESSEL_CALL_STAGE_")),
            Self::Service(k, s) => {
                let (kind, stage) = (part!(k, "SERVICE_KIND_"), part!(s, "SERVICE_STAGE_"));
                write!(f, "service.{kind}.{stage}")
            }
            Self::Shipment(s) => write!(f, "shipment.{}", part!(s, "SHIPMENT_STAGE_")),
            Self::Count(k) => write!(f, "{}.count", duration(k)),
            Self::SumMs(k) => write!(f, "{}.sum_ms", duration(k)),
            Self::Bucket(k, Some(index)) => write!(f, "{}.bucket.{index}", duration(k)),
            Self::Bucket(k, None) => write!(f, "{}.bucket.zero", duration(k)),
        }
    }
}

fn movement(movement: Movement) -> String {
    part!(movement, "MOVEMENT_")
}

fn fullness(fullness: Fullness) -> String {
    part!(fullness, "FULLNESS_")
}

fn duration(kind: DurationKind) -> String {
    part!(kind, "DURATION_KIND_")
}

impl FromStr for Figure {
    type Err = UnknownFigure;

    fn from_str(name: &str) -> Result<Self, UnknownFigure> {
        let parts: Vec<&str> = name.split('.').collect();
        parse(&parts).ok_or_else(|| UnknownFigure(name.into()))
    }
}

fn parse(parts: &[&str]) -> Option<Figure> {
    let boxes = |m: &str, e: &str| {
        Some((
            value!(Movement, m, "MOVEMENT_"),
            value!(Fullness, e, "FULLNESS_"),
        ))
    };
    Some(match *parts {
        ["boxes", m, e] => boxes(m, e).map(|(m, e)| Figure::Boxes(m, e))?,
        ["teu_milli", m, e] => boxes(m, e).map(|(m, e)| Figure::TeuMilli(m, e))?,
        ["mass_kg", m, e] => boxes(m, e).map(|(m, e)| Figure::MassKg(m, e))?,
        ["trucks", "in"] => Figure::TrucksIn,
        ["trucks", "out"] => Figure::TrucksOut,
        ["dispatch", s] => Figure::Dispatch(value!(DispatchStage, s, "DISPATCH_STAGE_")),
        ["appointment", s] => {
            Figure::Appointment(value!(AppointmentStage, s, "APPOINTMENT_STAGE_"))
        }
        ["vessel_call", s] => Figure::VesselCall(value!(VesselCallStage, s, "VESSEL_CALL_STAGE_")),
        ["service", k, s] => Figure::Service(
            value!(ServiceKind, k, "SERVICE_KIND_"),
            value!(ServiceStage, s, "SERVICE_STAGE_"),
        ),
        ["shipment", s] => Figure::Shipment(value!(ShipmentStage, s, "SHIPMENT_STAGE_")),
        [k, "count"] => Figure::Count(value!(DurationKind, k, "DURATION_KIND_")),
        [k, "sum_ms"] => Figure::SumMs(value!(DurationKind, k, "DURATION_KIND_")),
        [k, "bucket", "zero"] => Figure::Bucket(value!(DurationKind, k, "DURATION_KIND_"), None),
        [k, "bucket", index] => {
            let index = index.parse().ok()?;
            Figure::Bucket(value!(DurationKind, k, "DURATION_KIND_"), Some(index))
        }
        _ => return None,
    })
}

/// Figures, ascending, none of them zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(Vec<(Figure, i64)>);

impl Figures {
    /// Adds to one figure.
    pub fn add(&mut self, figure: Figure, value: i64) {
        match self.0.binary_search_by_key(&figure, |&(f, _)| f) {
            Ok(at) if self.0[at].1 + value == 0 => {
                self.0.remove(at);
            }
            Ok(at) => self.0[at].1 += value,
            Err(at) if value != 0 => self.0.insert(at, (figure, value)),
            Err(_) => {}
        }
    }

    /// Adds all of another list.
    pub fn merge(&mut self, other: &Figures) {
        for (figure, value) in other.iter() {
            self.add(figure, value);
        }
    }

    /// One figure; 0 if it is not there.
    pub fn get(&self, figure: Figure) -> i64 {
        let at = self.0.binary_search_by_key(&figure, |&(f, _)| f);
        at.map_or(0, |at| self.0[at].1)
    }

    /// The figures that are not zero, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Figure, i64)> + '_ {
        self.0.iter().copied()
    }

    /// The figures that are not zero, by name.
    pub fn by_name(&self) -> BTreeMap<String, i64> {
        self.iter()
            .map(|(figure, value)| (figure.to_string(), value))
            .collect()
    }

    /// Whether all figures are zero.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back the room that was kept for more.
    pub(crate) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.iter()
                .map(|(figure, value)| (figure.to_string(), value)),
        )
    }
}

impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut figures = Self::default();
        for (name, value) in BTreeMap::<String, i64>::deserialize(deserializer)? {
            figures.add(name.parse().map_err(D::Error::custom)?, value);
        }
        Ok(figures)
    }
}

/// The figures of an answer that add up: everything but the percentiles.
pub fn flatten(figures: &pb::Figures) -> Figures {
    let mut flat = Figures::default();
    for row in &figures.boxes {
        flat.add(Figure::Boxes(row.movement(), row.fullness()), row.boxes);
        flat.add(
            Figure::TeuMilli(row.movement(), row.fullness()),
            row.teu_milli,
        );
        flat.add(
            Figure::MassKg(row.movement(), row.fullness()),
            row.gross_mass_kg,
        );
    }
    flat.add(Figure::TrucksIn, figures.trucks_in);
    flat.add(Figure::TrucksOut, figures.trucks_out);
    for row in &figures.dispatch {
        flat.add(Figure::Dispatch(row.stage()), row.count);
    }
    for row in &figures.appointments {
        flat.add(Figure::Appointment(row.stage()), row.count);
    }
    for row in &figures.vessel_calls {
        flat.add(Figure::VesselCall(row.stage()), row.count);
    }
    for row in &figures.services {
        flat.add(Figure::Service(row.service(), row.stage()), row.count);
    }
    for row in &figures.shipments {
        flat.add(Figure::Shipment(row.stage()), row.count);
    }
    for row in &figures.durations {
        flat.add(Figure::Count(row.kind()), row.count);
        flat.add(Figure::SumMs(row.kind()), row.sum_ms);
        for bucket in &row.buckets {
            flat.add(Figure::Bucket(row.kind(), bucket.index), bucket.count);
        }
    }
    flat
}
