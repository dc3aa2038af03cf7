//! Every figure that is counted, as a small number: a cell is a sparse list of
//! (figure, value), and adding, taking back and rolling up are additions.

use super::histogram;
use crate::event::{
    AppointmentStage, DispatchStage, Fullness, ServiceKind, ServiceStage, ShipmentStage,
    VesselCallStage,
};
use crate::pb::{DurationKind, Movement};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// One figure. The numbers are stored: they are never given to another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Figure(u16);

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Containers.
    Boxes(Movement, Fullness),
    /// TEU in thousandths.
    TeuMilli(Movement, Fullness),
    /// Gross mass in kg.
    MassKg(Movement, Fullness),
    /// Truck passages in.
    TrucksIn,
    /// Truck passages out.
    TrucksOut,
    /// Dispatch steps.
    Dispatch(DispatchStage),
    /// Appointment steps.
    Appointment(AppointmentStage),
    /// Vessel-call steps.
    VesselCall(VesselCallStage),
    /// Shipment steps.
    Shipment(ShipmentStage),
    /// Service steps.
    Service(ServiceKind, ServiceStage),
    /// How many durations.
    DurationCount(DurationKind),
    /// Sum of durations in ms.
    DurationSumMs(DurationKind),
    /// Durations in one bucket of [`histogram`].
    DurationBucket(DurationKind, i32),
}

const FULLNESS: u16 = 3;
const TRUCKS: u16 = 128;
const DISPATCH: u16 = 144;
const APPOINTMENT: u16 = 160;
const VESSEL_CALL: u16 = 176;
const SHIPMENT: u16 = 192;
const SERVICE: u16 = 256;
const DURATION: u16 = 1024;
const DURATION_SPAN: u16 = 1024;
const BUCKET: u16 = 3;

impl Figure {
    /// As it is stored.
    pub(super) fn number(self) -> u16 {
        self.0
    }

    /// From its number as it is stored.
    pub(super) fn numbered(number: u16) -> Self {
        Self(number)
    }

    /// The figure with this meaning.
    pub fn of(meaning: Meaning) -> Self {
        let n = |value: i32| value as u16;
        Self(match meaning {
            Meaning::Boxes(movement, fullness) => boxed(movement, fullness, 0),
            Meaning::TeuMilli(movement, fullness) => boxed(movement, fullness, 1),
            Meaning::MassKg(movement, fullness) => boxed(movement, fullness, 2),
            Meaning::TrucksIn => TRUCKS,
            Meaning::TrucksOut => TRUCKS + 1,
            Meaning::Dispatch(stage) => DISPATCH + n(stage.into()),
            Meaning::Appointment(stage) => APPOINTMENT + n(stage.into()),
            Meaning::VesselCall(stage) => VESSEL_CALL + n(stage.into()),
            Meaning::Shipment(stage) => SHIPMENT + n(stage.into()),
            Meaning::Service(kind, stage) => SERVICE + n(kind.into()) * 8 + n(stage.into()),
            Meaning::DurationCount(kind) => duration(kind),
            Meaning::DurationSumMs(kind) => duration(kind) + 1,
            Meaning::DurationBucket(kind, histogram::ZERO) => duration(kind) + 2,
            Meaning::DurationBucket(kind, index) => {
                duration(kind) + BUCKET + n(index - histogram::LOWEST)
            }
        })
    }

    /// What it counts; none for a number that has no meaning.
    pub fn meaning(self) -> Option<Meaning> {
        let n = self.0;
        let step = i32::from(n % 16);
        Some(match n {
            0..TRUCKS => {
                let movement = Movement::try_from(i32::from(n / 3 / FULLNESS) + 1).ok()?;
                let fullness = Fullness::try_from(i32::from(n / 3 % FULLNESS) + 1).ok()?;
                match n % 3 {
                    0 => Meaning::Boxes(movement, fullness),
                    1 => Meaning::TeuMilli(movement, fullness),
                    _ => Meaning::MassKg(movement, fullness),
                }
            }
            TRUCKS => Meaning::TrucksIn,
            129 => Meaning::TrucksOut,
            DISPATCH..APPOINTMENT => Meaning::Dispatch(step.try_into().ok()?),
            APPOINTMENT..VESSEL_CALL => Meaning::Appointment(step.try_into().ok()?),
            VESSEL_CALL..SHIPMENT => Meaning::VesselCall(step.try_into().ok()?),
            SHIPMENT..208 => Meaning::Shipment(step.try_into().ok()?),
            SERVICE..DURATION => {
                let kind = ServiceKind::try_from(i32::from((n - SERVICE) / 8)).ok()?;
                Meaning::Service(kind, i32::from(n % 8).try_into().ok()?)
            }
            DURATION.. => {
                let kind = DurationKind::try_from(i32::from(n / DURATION_SPAN)).ok()?;
                match n % DURATION_SPAN {
                    0 => Meaning::DurationCount(kind),
                    1 => Meaning::DurationSumMs(kind),
                    2 => Meaning::DurationBucket(kind, histogram::ZERO),
                    at => Meaning::DurationBucket(kind, i32::from(at - BUCKET) + histogram::LOWEST),
                }
            }
            _ => return None,
        })
    }
}

fn boxed(movement: Movement, fullness: Fullness, measure: u16) -> u16 {
    let (movement, fullness) = (i32::from(movement) as u16, i32::from(fullness) as u16);
    ((movement - 1) * FULLNESS + fullness - 1) * 3 + measure
}

fn duration(kind: DurationKind) -> u16 {
    i32::from(kind) as u16 * DURATION_SPAN
}

/// Values that a list holds in place: boxes, TEU and mass, which is what most
/// quarter-hours have. Figures take less room.
const INLINE: usize = 3;
const INLINE_FIGURES: usize = 8;

/// A sparse list of figures, by ascending figure, none of them zero. Figures and
/// values are apart: to find one in a long list takes few cache lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    figures: SmallVec<[Figure; INLINE_FIGURES]>,
    values: SmallVec<[i64; INLINE]>,
}

impl Figures {
    /// Adds to one figure; a figure that becomes zero is dropped. Wraps on
    /// overflow, so that taking back stays exact whatever came between.
    pub fn add(&mut self, figure: Figure, value: i64) {
        match self.at(figure) {
            Ok(at) => {
                self.values[at] = self.values[at].wrapping_add(value);
                if self.values[at] == 0 {
                    self.figures.remove(at);
                    self.values.remove(at);
                }
            }
            Err(at) if value != 0 => {
                self.figures.insert(at, figure);
                self.values.insert(at, value);
            }
            Err(_) => {}
        }
    }

    /// Makes all figures zero; the room is kept.
    pub fn clear(&mut self) {
        self.figures.clear();
        self.values.clear();
    }

    /// Adds all of another list.
    pub fn merge(&mut self, other: &Figures) {
        self.add_all(other.iter());
    }

    /// Adds to many figures.
    pub fn add_all(&mut self, figures: impl Iterator<Item = (Figure, i64)>) {
        for (figure, value) in figures {
            self.add(figure, value);
        }
    }

    /// What these are more than others, figure by figure: mostly few.
    pub fn less(&self, others: &Figures) -> Figures {
        let mut more = Self::default();
        let mut others = others.iter().peekable();
        for (figure, value) in self.iter() {
            while let Some((other, value)) = others.next_if(|of| of.0 < figure) {
                more.add(other, value.wrapping_neg());
            }
            let other = others.next_if(|of| of.0 == figure);
            more.add(figure, value.wrapping_sub(other.map_or(0, |of| of.1)));
        }
        more.add_all(others.map(|(figure, value)| (figure, value.wrapping_neg())));
        more
    }

    /// One figure; 0 if it is not there.
    pub fn get(&self, figure: Figure) -> i64 {
        self.at(figure).map_or(0, |at| self.values[at])
    }

    /// Where a figure is, or where it would be.
    fn at(&self, figure: Figure) -> Result<usize, usize> {
        match self.figures.last() {
            Some(&last) if last < figure => Err(self.figures.len()),
            None => Err(0),
            _ => self.figures.binary_search(&figure),
        }
    }

    /// Whether all figures are zero.
    pub fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    /// The figures that are not zero, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Figure, i64)> + '_ {
        let figures = self.figures.iter().copied();
        figures.zip(self.values.iter().copied())
    }
}

/// What they add up to.
impl FromIterator<(Figure, i64)> for Figures {
    fn from_iter<I: IntoIterator<Item = (Figure, i64)>>(figures: I) -> Self {
        let mut sum = Self::default();
        sum.add_all(figures.into_iter());
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some() -> impl Strategy<Value = Figures> {
        let values = prop::collection::vec((0..12u16, prop_oneof![-2..3i64, any::<i64>()]), 0..20);
        values.prop_map(|all| {
            let each = all.into_iter();
            each.map(|(n, value)| (Figure(n), value)).collect()
        })
    }

    proptest! {
        #[test]
        fn the_rest_and_what_is_taken_away_are_the_whole(one in some(), other in some()) {
            let less = one.less(&other);
            prop_assert!(less.iter().all(|(_, value)| value != 0));
            let mut sum = other.clone();
            sum.merge(&less);
            prop_assert_eq!(sum, one);
        }
    }
}
