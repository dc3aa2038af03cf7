//! What was measured: the table for people, and one flat object for programs.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One figure that a service of this kind is judged by.
struct Key {
    name: &'static str,
    unit: &'static str,
    /// What must be reached, and what would be excellent; parts of the floor if
    /// `of_floor`.
    reach: f64,
    stretch: f64,
    of_floor: bool,
    /// Of these, the one that allows least is the floor.
    floors: &'static [&'static str],
}

const fn key(
    name: &'static str,
    unit: &'static str,
    (reach, stretch): (f64, f64),
    floors: &'static [&'static str],
) -> Key {
    Key {
        name,
        unit,
        reach,
        stretch,
        of_floor: false,
        floors,
    }
}

/// One that is held against what was measured in the same run.
const fn part(
    name: &'static str,
    unit: &'static str,
    goals: (f64, f64),
    floors: &'static [&'static str],
) -> Key {
    Key {
        of_floor: true,
        ..key(name, unit, goals, floors)
    }
}

#[rustfmt::skip]
const KEYS: [Key; 28] = [
    key("embedded.events_per_s", "events/s", (400e3, 1e6), &["floor.events_per_s", "floor.append_events_per_s", "floor.count_events_per_s"]),
    key("embedded.unary_events_per_s", "events/s", (200e3, 500e3), &["floor.unary_events_per_s", "floor.count_events_per_s"]),
    key("embedded.single_events_per_s", "events/s", (50e3, 200e3), &["floor.single_events_per_s"]),
    key("embedded.ack_p99_ms", "ms", (20.0, 5.0), &["floor.ack_p99_ms", "floor.fsync_p99_ms"]),
    key("embedded.fresh_p99_ms", "ms", (100.0, 25.0), &["floor.call_p99_ms", "floor.fsync_p99_ms"]),
    key("embedded.query_p99_ms", "ms", (5.0, 1.0), &["floor.call_p99_ms"]),
    key("embedded.top_p99_ms", "ms", (20.0, 5.0), &["floor.call_p99_ms"]),
    key("embedded.fair_p99_ms", "ms", (10.0, 5.0), &["floor.fsync_p99_ms"]),
    key("embedded.fair_flood_p99_ms", "ms", (20.0, 10.0), &["floor.fsync_p99_ms"]),
    key("embedded.fair_ratio", "×", (2.0, 1.5), &[]),
    key("embedded.fair_quota_p99_ms", "ms", (10.0, 5.0), &["floor.fsync_p99_ms"]),
    key("embedded.fair_quota_ratio", "×", (2.0, 1.5), &[]),
    key("embedded.fair_hostile_p99_ms", "ms", (10.0, 5.0), &["floor.fsync_p99_ms"]),
    key("embedded.fair_hostile_ratio", "×", (2.0, 1.5), &[]),
    key("embedded.restart_10m_s", "s", (10.0, 2.0), &[]),
    key("embedded.rss_14m_mib", "MiB", (1_500.0, 600.0), &[]),
    key("embedded.bytes_per_event", "bytes", (300.0, 120.0), &["floor.bytes_per_event"]),
    key("embedded.scrape_ms", "ms", (100.0, 30.0), &[]),
    key("embedded.scraped_ack_p99_ms", "ms", (20.0, 5.0), &["floor.ack_p99_ms"]),
    key("streams.idle_kib", "KiB", (12.0, 8.0), &["floor.idle_kib"]),
    key("streams.round_s", "s", (2.0, 0.5), &["floor.round_s"]),
    part("kafka.ingest_per_s", "events/s", (0.6, 0.8), &["kafka.raw_produce_per_s"]),
    part("kafka.worker_per_s", "events/s", (0.25, 0.4), &["kafka.raw_consume_per_s"]),
    key("kafka.fresh_p50_ms", "ms", (200.0, 100.0), &[]),
    key("kafka.fresh_p99_ms", "ms", (500.0, 200.0), &[]),
    key("kafka.restore_1m_s", "s", (10.0, 5.0), &[]),
    key("kafka.worker_per_peer", "×", (5.0, 10.0), &[]),
    key("kafka.rss_per_peer", "×", (0.25, 0.1), &[]),
];

impl Key {
    fn more_is_better(&self) -> bool {
        self.stretch > self.reach
    }
}

/// Every key that can be asked for.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// What was measured so far.
#[derive(Default)]
pub struct Report {
    samples: BTreeMap<String, Vec<f64>>,
    facts: BTreeMap<String, Value>,
}

impl Report {
    /// One measurement of a key.
    pub fn add(&mut self, key: &str, value: f64) {
        eprintln!("  {key} = {}", shown(value));
        self.samples.entry(key.into()).or_default().push(value);
    }

    /// What was seen beside a measurement: `<key>.<name>`.
    pub fn note(&mut self, key: &str, name: &str, value: f64) {
        self.add(&format!("{key}.{name}"), value);
    }

    /// Something about the run as a whole.
    pub fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.into(), value.into());
    }

    /// One flat object: medians under the keys, `.min` and `.max` beside them.
    pub fn json(&self) -> Map<String, Value> {
        let mut flat: Map<String, Value> = self.facts.clone().into_iter().collect();
        for (key, samples) in &self.samples {
            let (least, median, most) = spread(samples);
            flat.insert(key.clone(), median.into());
            flat.insert(format!("{key}.min"), least.into());
            flat.insert(format!("{key}.max"), most.into());
        }
        flat
    }

    /// The table, and what is not in it.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([
            "key", "median", "min", "max", "unit", "reach", "stretch", "", "floor", "of floor",
        ]);
        let mut missing = String::new();
        for key in &KEYS {
            let Some(samples) = self.samples.get(key.name) else {
                missing += &format!("NOT MEASURED: {}\n", key.name);
                continue;
            };
            table.add_row(self.row(key, samples));
        }
        for (name, samples) in self.samples.iter().filter(|(name, _)| is_floor(name)) {
            let (least, median, most) = spread(samples);
            let figures = [least, median, most].map(shown);
            let [least, median, most] = figures;
            table.add_row([name.clone(), median, least, most]);
        }
        for column in [1, 2, 3, 5, 6, 8, 9] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{table}\n{missing}")
    }

    fn row(&self, key: &Key, samples: &[f64]) -> Vec<String> {
        let (least, median, most) = spread(samples);
        let floor = self.floor(key);
        let scale = if key.of_floor {
            floor.unwrap_or(f64::NAN)
        } else {
            1.0
        };
        let (reach, stretch) = (key.reach * scale, key.stretch * scale);
        let within = |goal: f64| {
            if key.more_is_better() {
                median >= goal
            } else {
                median <= goal
            }
        };
        let verdict = match (within(stretch), within(reach)) {
            (true, _) => "stretch",
            (_, true) => "reached",
            _ => "MISSED",
        };
        let share = floor.map(|floor| {
            if key.more_is_better() {
                format!("{:.0} %", 100.0 * median / floor)
            } else {
                format!("{:.1} ×", median / floor)
            }
        });
        vec![
            key.name.into(),
            shown(median),
            shown(least),
            shown(most),
            key.unit.into(),
            shown(reach),
            shown(stretch),
            verdict.into(),
            floor.map_or_else(String::new, shown),
            share.unwrap_or_default(),
        ]
    }

    /// The floor that allows least.
    fn floor(&self, key: &Key) -> Option<f64> {
        let medians = key.floors.iter().filter_map(|name| self.samples.get(*name));
        let medians = medians.map(|samples| spread(samples).1);
        if key.more_is_better() {
            medians.min_by(f64::total_cmp)
        } else {
            medians.max_by(f64::total_cmp)
        }
    }
}

/// What has no goal of its own.
fn is_floor(name: &str) -> bool {
    let beside = ["floor.", "kafka.raw_", "peer."];
    beside.iter().any(|of| name.starts_with(of)) || BESIDE.contains(&name)
}

const BESIDE: [&str; 2] = ["kafka.worker_rss_mib", "kafka.catch_up_per_s"];

/// Least, median and most.
fn spread(samples: &[f64]) -> (f64, f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) && middle > 0 {
        f64::midpoint(at(middle - 1), at(middle))
    } else {
        at(middle)
    };
    (at(0), median, at(sorted.len().saturating_sub(1)))
}

fn shown(value: f64) -> String {
    match value.abs() {
        _ if value >= 1_000.0 => {
            let digits = format!("{value:.0}");
            let groups: Vec<&str> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .filter_map(|group| std::str::from_utf8(group).ok())
                .collect();
            groups.join(",")
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
