//! Where what was answered is not what was true.

use super::{Call, CallKey, Key, Slot, SlotKey, Truth};
use jiff::Timestamp;
use std::{collections::BTreeMap, fmt};

/// One figure that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub place: Place,
    /// The figure's name.
    pub figure: String,
    /// What is true.
    pub truth: i64,
    /// What was answered.
    pub answered: i64,
}

/// What a figure belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A cell.
    Cell(Key),
    /// A vessel call.
    Call(CallKey),
    /// An appointment slot.
    Slot(SlotKey),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            figure,
            truth,
            answered,
        } = self;
        write!(f, "{place}: {figure} is {truth}, answered {answered}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell(key) => {
                let grain = format!("{:?}", key.grain).to_lowercase();
                let (role, classifier) = (key.role.as_str_name(), key.classifier.as_str_name());
                let Key {
                    facility,
                    enterprise,
                    start_ms,
                    ..
                } = key;
                let start = instant(*start_ms);
                write!(
                    f,
                    "{grain} {start} {facility} {enterprise} {role} {classifier}"
                )
            }
            Self::Call(CallKey {
                facility,
                call_id,
                classifier,
            }) => {
                write!(f, "call {facility} {call_id} {}", classifier.as_str_name())
            }
            Self::Slot(key) => {
                let (start, end) = (instant(key.slot_start_ms), instant(key.slot_end_ms));
                let (role, classifier) = (key.role.as_str_name(), key.classifier.as_str_name());
                let SlotKey {
                    facility,
                    enterprise,
                    ..
                } = key;
                write!(
                    f,
                    "slot {start}/{end} {facility} {enterprise} {role} {classifier}"
                )
            }
        }
    }
}

fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |t| t.to_string())
}

/// Every figure that differs, over the union of both sides' cells, calls and
/// slots; what one side lacks is zero there.
pub fn diff(truth: &Truth, answered: &Truth) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&truth.cells, &answered.cells, |key, left, right| {
        let (left, right) = (left.by_name(), right.by_name());
        found.extend(unequal(&left, &right, &Place::Cell(key.clone())));
    });
    compare(&truth.calls, &answered.calls, |key, left, right| {
        found.extend(unequal(
            &call(left),
            &call(right),
            &Place::Call(key.clone()),
        ));
    });
    compare(&truth.slots, &answered.slots, |key, left, right| {
        found.extend(unequal(
            &slot(left),
            &slot(right),
            &Place::Slot(key.clone()),
        ));
    });
    found
}

/// Calls `report` for each key of the union whose values are not equal.
fn compare<K: Ord, V: PartialEq + Default>(
    left: &BTreeMap<K, V>,
    right: &BTreeMap<K, V>,
    mut report: impl FnMut(&K, &V, &V),
) {
    let nothing = V::default();
    for (key, value) in left {
        let other = right.get(key).unwrap_or(&nothing);
        if value != other {
            report(key, value, other);
        }
    }
    for (key, value) in right {
        if !left.contains_key(key) && *value != nothing {
            report(key, &nothing, value);
        }
    }
}

fn unequal(
    left: &BTreeMap<String, i64>,
    right: &BTreeMap<String, i64>,
    place: &Place,
) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(left, right, |figure, &truth, &answered| {
        let (place, figure) = (place.clone(), figure.clone());
        found.push(Difference {
            place,
            figure,
            truth,
            answered,
        });
    });
    found
}

fn call(call: &Call) -> BTreeMap<String, i64> {
    named([
        ("loaded", call.loaded),
        ("discharged", call.discharged),
        ("restowed", call.restowed),
        ("berth_stays", call.berth_stays),
        ("berth_stay_ms", call.berth_stay_ms),
    ])
}

fn slot(slot: &Slot) -> BTreeMap<String, i64> {
    named([
        ("confirmed", slot.confirmed),
        ("changed", slot.changed),
        ("cancelled", slot.cancelled),
        ("used", slot.used),
    ])
}

fn named<const N: usize>(figures: [(&str, i64); N]) -> BTreeMap<String, i64> {
    figures
        .map(|(name, value)| (name.to_string(), value))
        .into()
}
