//! The cells, summed once everything is known.

use super::told::{Name, Texts};
use super::{DAY_MS, Day, Rules};
use crate::event::{Classifier, Millis, Role};
use crate::pb::DurationKind;
use crate::truth::{Call, CallKey, Figure, Figures, Grain, Key, QUARTER_MS, Slot, SlotKey, Truth};
use compact_str::CompactString;
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Which vessel call, on which day, under which vessel's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallCell {
    /// The reporter's id of the call.
    pub call_id: CompactString,
    /// The vessel: an IMO number, else a call sign.
    pub vessel: CompactString,
    /// The classifier.
    pub classifier: Classifier,
    /// The day of the reporting zone.
    pub day: Day,
}

/// All that one facility's records come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Quarter-hour and day cells.
    pub cells: BTreeMap<Key, Figures>,
    /// Vessel calls by day.
    pub calls: BTreeMap<CallCell, Figures>,
    /// Appointment slots.
    pub slots: BTreeMap<SlotKey, Figures>,
    /// Of ACTUAL figures, whatever is kept: what was ever added less what was
    /// ever taken back.
    pub totals: BTreeMap<(CompactString, Role), Figures>,
    /// Identities that are known.
    pub identities: i64,
    /// Lives that have ended.
    pub forgotten: i64,
}

/// What counts at one instant, for some parties.
pub(super) struct Item<'a> {
    pub classifier: Classifier,
    pub at: Millis,
    pub slot_end: Option<Millis>,
    pub call: Option<(Name, Name)>,
    pub parties: &'a [(Role, Name)],
    pub figures: &'a [(Figure, i64)],
}

type Owner = (Name, Role, Classifier);

/// A sum under way, of one facility.
pub(super) struct Sum<'a> {
    rules: &'a Rules,
    texts: &'a Texts,
    oldest_quarter_ms: Millis,
    oldest_day: Day,
    cells: FxHashMap<(Owner, Grain, Millis), Figures>,
    calls: FxHashMap<(Name, Name, Classifier, Day), Figures>,
    slots: FxHashMap<(Owner, Millis, Millis), Figures>,
    totals: FxHashMap<(Name, Role), Figures>,
    days: FxHashMap<Millis, (Day, Millis)>,
}

impl<'a> Sum<'a> {
    pub fn new(rules: &'a Rules, texts: &'a Texts, clock: Day) -> Self {
        let oldest = i64::from(clock.saturating_sub(rules.quarter_days));
        Self {
            rules,
            texts,
            oldest_quarter_ms: oldest * DAY_MS,
            oldest_day: clock.saturating_sub(rules.day_days),
            cells: FxHashMap::default(),
            calls: FxHashMap::default(),
            slots: FxHashMap::default(),
            totals: FxHashMap::default(),
            days: FxHashMap::default(),
        }
    }

    /// Where an item counts: its quarter-hour if that is kept, and its day with
    /// the day's start if that is kept.
    pub fn place(&mut self, at: Millis) -> (Option<Millis>, Option<(Day, Millis)>) {
        let quarter = at - at.rem_euclid(QUARTER_MS);
        let zone = &self.rules.zone;
        let day = *self
            .days
            .entry(quarter)
            .or_insert_with(|| local_day(quarter, zone));
        (
            Some(quarter).filter(|&quarter| quarter >= self.oldest_quarter_ms),
            Some(day).filter(|&(day, _)| day >= self.oldest_day),
        )
    }

    pub fn add(&mut self, item: &Item<'_>) {
        let (quarter, day) = self.place(item.at);
        for &(role, enterprise) in item.parties {
            let owner = (enterprise, role, item.classifier);
            if let Some(start) = quarter {
                let cell = self.cells.entry((owner, Grain::Quarter, start));
                add(cell.or_default(), item.figures);
            }
            if let Some((_, start)) = day {
                let cell = self.cells.entry((owner, Grain::Day, start));
                add(cell.or_default(), item.figures);
            }
            if let (Some(end), Some(_)) = (item.slot_end, quarter) {
                let slot = self.slots.entry((owner, item.at, end));
                add(slot.or_default(), item.figures);
            }
            if item.classifier == Classifier::Actual {
                let total = self.totals.entry((enterprise, role));
                add(total.or_default(), item.figures);
            }
        }
        if let (Some((call, vessel)), Some((day, _))) = (item.call, day) {
            let call = self.calls.entry((call, vessel, item.classifier, day));
            add(call.or_default(), item.figures);
        }
    }

    pub fn counted(self, facility: &CompactString) -> Counted {
        let text = |name| self.texts.text(name).clone();
        let full = |figures: &Figures| !figures.is_empty();
        let cell = |(((enterprise, role, classifier), grain, start_ms), figures)| {
            let (facility, enterprise) = (facility.clone(), text(enterprise));
            let key = Key {
                grain,
                facility,
                enterprise,
                role,
                classifier,
                start_ms,
            };
            (key, figures)
        };
        let call = |((call, vessel, classifier, day), figures)| {
            let (call_id, vessel) = (text(call), text(vessel));
            let key = CallCell {
                call_id,
                vessel,
                classifier,
                day,
            };
            (key, figures)
        };
        let slot = |(((enterprise, role, classifier), start, end), figures)| {
            let (facility, enterprise) = (facility.clone(), text(enterprise));
            let key = SlotKey {
                slot_start_ms: start,
                slot_end_ms: end,
                facility,
                enterprise,
                role,
                classifier,
            };
            (key, figures)
        };
        let total = |((enterprise, role), figures)| ((text(enterprise), role), figures);
        let (cells, calls) = (self.cells.into_iter(), self.calls.into_iter());
        let (slots, totals) = (self.slots.into_iter(), self.totals.into_iter());
        Counted {
            cells: cells.map(cell).filter(|(_, f)| full(f)).collect(),
            calls: calls.map(call).filter(|(_, f)| full(f)).collect(),
            slots: slots.map(slot).filter(|(_, f)| full(f)).collect(),
            totals: totals.map(total).filter(|(_, f)| full(f)).collect(),
            identities: 0,
            forgotten: 0,
        }
    }
}

impl Counted {
    /// In the form of answers: calls whatever the day and vessel, slots with the
    /// four steps that no-shows are of.
    pub fn truth(&self, facility: &CompactString) -> Truth {
        let mut truth = Truth {
            cells: self.cells.clone(),
            ..Truth::default()
        };
        for (cell, figures) in &self.calls {
            let key = CallKey {
                facility: facility.clone(),
                call_id: cell.call_id.clone(),
                classifier: cell.classifier,
            };
            add_call(truth.calls.entry(key).or_default(), figures);
        }
        for (key, figures) in &self.slots {
            truth.slots.insert(key.clone(), slot(figures));
        }
        truth
    }
}

fn add_call(call: &mut Call, figures: &Figures) {
    use crate::pb::Movement;
    for (figure, value) in figures.iter() {
        match figure {
            Figure::Boxes(Movement::Loaded, _) => call.loaded += value,
            Figure::Boxes(Movement::Discharged, _) => call.discharged += value,
            Figure::Boxes(Movement::Restowed, _) => call.restowed += value,
            Figure::Count(DurationKind::BerthStay) => call.berth_stays += value,
            Figure::SumMs(DurationKind::BerthStay) => call.berth_stay_ms += value,
            _ => {}
        }
    }
}

fn slot(figures: &Figures) -> Slot {
    use crate::event::AppointmentStage::{Cancelled, Changed, Confirmed, Used};
    let steps = |stage| figures.get(Figure::Appointment(stage));
    Slot {
        confirmed: steps(Confirmed),
        changed: steps(Changed),
        cancelled: steps(Cancelled),
        used: steps(Used),
    }
}

fn add(to: &mut Figures, figures: &[(Figure, i64)]) {
    for &(figure, value) in figures {
        to.add(figure, value);
    }
}

/// The day of a zone in which an instant lies, and when that day starts.
fn local_day(at: Millis, zone: &jiff::tz::TimeZone) -> (Day, Millis) {
    let start = crate::truth::start_of(Grain::Day, zone, at).unwrap_or(at);
    let offset = Timestamp::from_millisecond(start)
        .map_or(0, |start| i64::from(zone.to_offset(start).seconds()));
    let day = (start + offset * 1000).div_euclid(DAY_MS) as Day;
    (day, start)
}

/// The figures of one duration.
pub(super) fn duration(kind: DurationKind, lasted_ms: i64) -> [(Figure, i64); 3] {
    [
        (Figure::Count(kind), 1),
        (Figure::SumMs(kind), lasted_ms),
        (Figure::Bucket(kind, bucket(lasted_ms)), 1),
    ]
}

/// The least i with a duration of at most 2^(i/8) seconds; none for zero. Found
/// by whole numbers: d ≤ 2^(i/8) s where d^8 ≤ 1000^8 · 2^i, d in ms.
pub fn bucket(lasted_ms: i64) -> Option<i32> {
    if lasted_ms <= 0 {
        return None;
    }
    let near = (8.0 * (lasted_ms as f64 / 1000.0).log2()).round() as i32;
    (near - 1..=near + 1).find(|&index| power_8(lasted_ms) <= bound_8(index))
}

/// Bits that make room for negative indices, of which there are 80.
const HEADROOM: usize = 96;

/// d^8 as mantissa and exponent is not exact; this is: 512 bits in limbs.
type Wide = [u64; 8];

fn power_8(ms: i64) -> Wide {
    let mut wide = shifted(HEADROOM);
    for _ in 0..8 {
        wide = times(wide, ms.unsigned_abs());
    }
    reversed(wide)
}

fn bound_8(index: i32) -> Wide {
    let mut wide = shifted((HEADROOM as i32 + index).max(0) as usize);
    for _ in 0..8 {
        wide = times(wide, 1000);
    }
    reversed(wide)
}

fn shifted(bits: usize) -> Wide {
    let mut wide = [0; 8];
    if let Some(limb) = wide.get_mut(bits / 64) {
        *limb = 1 << (bits % 64);
    }
    wide
}

/// The lowest limb first.
fn times(mut wide: Wide, by: u64) -> Wide {
    let mut carry = 0u128;
    for limb in &mut wide {
        carry += u128::from(*limb) * u128::from(by);
        *limb = carry as u64;
        carry >>= 64;
    }
    wide
}

/// The highest limb first, so that arrays compare as numbers.
fn reversed(mut wide: Wide) -> Wide {
    wide.reverse();
    wide
}
