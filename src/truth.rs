//! True figures, to hold answers against: the cells, vessel calls and slots
//! that a simulation meant, or that a service answered, in one form that knows
//! nothing of the meter.

mod diff;
mod figure;
mod file;
mod rollup;

pub use diff::{Difference, Place, diff};
pub use figure::{Figure, Figures, UnknownFigure, flatten};
pub use file::Error;
pub use rollup::{Split, start_of};

use crate::pb;
use compact_str::CompactString;
use pbjson_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Milliseconds in a quarter-hour.
pub const QUARTER_MS: i64 = 900_000;

/// How long a cell's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// 15 minutes.
    Quarter,
    /// An hour of a zone.
    Hour,
    /// A day of a zone.
    Day,
    /// A week of a zone, from Monday.
    Week,
    /// A month of a zone.
    Month,
}

/// Which cell. The order is that of a dump: facility, enterprise, role,
/// classifier, start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The grain.
    pub grain: Grain,
    /// The facility; empty where a roll-up does not split by it.
    pub facility: CompactString,
    /// The enterprise's id; empty where a roll-up does not split by it.
    pub enterprise: CompactString,
    /// Its role.
    pub role: pb::Role,
    /// The classifier.
    pub classifier: pb::Classifier,
    /// When the cell's time starts: milliseconds since 1970-01-01T00:00:00Z.
    pub start_ms: i64,
}

/// Which vessel call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// Where.
    pub facility: CompactString,
    /// The reporter's id of the call.
    pub call_id: CompactString,
    /// The classifier.
    pub classifier: pb::Classifier,
}

/// A vessel call's figures; each event counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Boxes loaded, without restows.
    pub loaded: i64,
    /// Boxes discharged, without restows.
    pub discharged: i64,
    /// Boxes restowed.
    pub restowed: i64,
    /// Paired berth stays.
    pub berth_stays: i64,
    /// Their sum in milliseconds.
    pub berth_stay_ms: i64,
}

/// Which appointment slot, of whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    /// When it starts, in milliseconds.
    pub slot_start_ms: i64,
    /// When it ends, in milliseconds.
    pub slot_end_ms: i64,
    /// Where.
    pub facility: CompactString,
    /// Whose.
    pub enterprise: CompactString,
    /// In which role.
    pub role: pb::Role,
    /// The classifier.
    pub classifier: pb::Classifier,
}

/// A slot's figures. No-shows are confirmed − changed − cancelled − used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Appointments confirmed.
    pub confirmed: i64,
    /// Given up for another slot.
    pub changed: i64,
    /// Cancelled.
    pub cancelled: i64,
    /// Used.
    pub used: i64,
}

/// All that was counted. What is not there is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Quarter-hour and day cells.
    pub cells: BTreeMap<Key, Figures>,
    /// Vessel calls.
    pub calls: BTreeMap<CallKey, Call>,
    /// Appointment slots.
    pub slots: BTreeMap<SlotKey, Slot>,
}

impl Truth {
    /// Takes answered rows in as cells of this grain; rows of the same cell add
    /// up.
    pub fn add_cells<'a>(
        &mut self,
        grain: Grain,
        rows: impl IntoIterator<Item = &'a pb::ThroughputRow>,
    ) {
        for row in rows {
            let key = Key {
                grain,
                facility: row.facility.as_str().into(),
                enterprise: row.enterprise.as_str().into(),
                role: row.role(),
                classifier: row.classifier(),
                start_ms: millis(row.start.as_ref()),
            };
            if let Some(figures) = &row.figures {
                self.cells.entry(key).or_default().merge(&flatten(figures));
            }
        }
    }

    /// Takes answered vessel calls in; rows of the same call add up.
    pub fn add_calls<'a>(&mut self, rows: impl IntoIterator<Item = &'a pb::VesselCallRow>) {
        for row in rows {
            let key = CallKey {
                facility: row.facility.as_str().into(),
                call_id: row.call_id.as_str().into(),
                classifier: row.classifier(),
            };
            let call = self.calls.entry(key).or_default();
            call.loaded += row.loaded;
            call.discharged += row.discharged;
            call.restowed += row.restowed;
            call.berth_stays += row.berth_stays;
            call.berth_stay_ms += row.berth_stay_ms;
        }
    }

    /// Takes answered slots in; rows of the same slot add up.
    pub fn add_slots<'a>(&mut self, rows: impl IntoIterator<Item = &'a pb::NoShowRow>) {
        for row in rows {
            let key = SlotKey {
                slot_start_ms: millis(row.slot_start.as_ref()),
                slot_end_ms: millis(row.slot_end.as_ref()),
                facility: row.facility.as_str().into(),
                enterprise: row.enterprise.as_str().into(),
                role: row.role(),
                classifier: row.classifier(),
            };
            let slot = self.slots.entry(key).or_default();
            slot.confirmed += row.confirmed;
            slot.changed += row.changed;
            slot.cancelled += row.cancelled;
            slot.used += row.used;
        }
    }

    /// How many cells there are of one grain.
    pub fn count(&self, grain: Grain) -> usize {
        self.cells.keys().filter(|key| key.grain == grain).count()
    }
}

fn millis(instant: Option<&Timestamp>) -> i64 {
    instant.map_or(0, |t| t.seconds * 1000 + i64::from(t.nanos) / 1_000_000)
}
