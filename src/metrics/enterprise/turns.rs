//! Truck turns as a histogram of Prometheus. Its bounds are some of those by which turns
//! are counted, so that every count is exact.

use super::pages::Pages;
use super::text;
use crate::meter::figure::{Figure, Figures, Meaning};
use crate::meter::histogram::{self, upper_ms};
use crate::pb::DurationKind;

/// Truck turns.
pub const NAME: &str = "quaymeter_enterprise_truck_turn_seconds";
/// Those that were taken back.
pub const TAKEN_BACK: &str = "quaymeter_enterprise_truck_turn_taken_back_seconds";

/// Bounds in eighths of a doubling of a second: 8 minutes to 9 hours, in steps of a half
/// where most turns are. Each takes two lines of every owner that has turns.
const BOUNDS: [i32; 10] = [72, 80, 84, 88, 92, 96, 100, 104, 112, 120];

const KIND: DurationKind = DurationKind::TruckTurn;

/// How many lines one histogram has.
pub const LINES: usize = BOUNDS.len() + 3;

/// The text up to each bucket's value, but for name and owner.
pub struct Buckets([String; BOUNDS.len()]);

impl Default for Buckets {
    fn default() -> Self {
        Self(BOUNDS.map(|bound| {
            let mut text = String::from(",le=\"");
            let ms = upper_ms(bound) as i64;
            let mut seconds = String::new();
            text::value(&mut seconds, ms, 1000);
            let seconds = seconds.trim_end().trim_end_matches('0');
            text += seconds.trim_end_matches('.');
            text + "\"} "
        }))
    }
}

impl Buckets {
    /// Adds the lines of one owner's histogram.
    pub fn write(&self, text: &mut Pages, name: &str, owner: &str, figures: &Figures) {
        let turns = figures
            .iter()
            .filter_map(|(figure, count)| match figure.meaning() {
                Some(Meaning::DurationBucket(KIND, index)) => Some((index, count)),
                _ => None,
            });
        let mut turns = turns.peekable();
        let mut below = 0;
        let mut line = |suffix: &str, tail: &str, of: i64, scale| {
            let text = text.line();
            text.push_str(name);
            text.push_str(suffix);
            text.push_str(owner);
            text.push_str(tail);
            text::value(text, of, scale);
        };
        for (bound, tail) in BOUNDS.iter().zip(&self.0) {
            while let Some((_, count)) = turns.next_if(|(index, _)| index <= bound) {
                below += count;
            }
            line("_bucket", tail, below, 1);
        }
        let count = figures.get(Figure::of(Meaning::DurationCount(KIND)));
        let sum = figures.get(Figure::of(Meaning::DurationSumMs(KIND)));
        line("_bucket", ",le=\"+Inf\"} ", count, 1);
        line("_sum", "} ", sum, 1000);
        line("_count", "} ", count, 1);
    }
}

/// Whether any turn was ever counted.
pub fn any(figures: &Figures) -> bool {
    figures.get(Figure::of(Meaning::DurationCount(KIND))) != 0
}

const _: () = assert!(BOUNDS[0] > histogram::LOWEST);
