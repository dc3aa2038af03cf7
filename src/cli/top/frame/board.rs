//! The leaders, and what was refused.

use super::super::super::digits::{grouped, span};
use super::super::state::{Choice, Reading, millis};
use super::lines::padded;
use crate::pb::{self, Measure, Role};
use ratatui::style::Stylize as _;
use ratatui::text::{Line, Span};
use std::cmp::Reverse;
use unicode_width::UnicodeWidthStr as _;

/// Columns of a rank and the blank after it.
const RANK: usize = 4;

/// Columns of an enterprise's id, at most: those of a 统一社会信用代码.
const ID: usize = 23;

/// Columns of a name; with fewer than the least there is none.
const NAME: std::ops::RangeInclusive<usize> = 6..=40;

/// Columns of a bar; with fewer than the least there is none.
const BAR: std::ops::RangeInclusive<usize> = 8..=40;

/// A title and the lines below it.
pub struct Block {
    pub title: String,
    pub lines: Vec<Line<'static>>,
}

impl Block {
    pub fn height(&self) -> u16 {
        u16::try_from(self.lines.len() + 1).unwrap_or(u16::MAX)
    }
}

/// Who has the most of what is chosen.
pub fn leaders(choice: Choice, reading: &Reading, width: u16) -> Block {
    let title = title(choice.role, choice.measure);
    let lines = if reading.choice != choice {
        // Not asked yet: nothing may stand under another's name.
        vec![Line::from("…")]
    } else if reading.leaders.is_empty() {
        vec![Line::from("nothing yet")]
    } else {
        table(reading, usize::from(width))
    };
    Block { title, lines }
}

/// A leader in words.
struct Row<'a> {
    rank: u32,
    id: &'a str,
    name: &'a str,
    value: String,
    /// Of the first one's value.
    part: f64,
}

fn table(reading: &Reading, width: usize) -> Vec<Line<'static>> {
    let most = reading.leaders.iter().map(|leader| leader.value).max();
    let rows = reading.leaders.iter().map(|leader| {
        let enterprise = leader.enterprise.as_ref();
        let names = enterprise.map_or(["", ""], |one| [&one.name_zh, &one.name_en]);
        Row {
            rank: leader.rank,
            id: enterprise.map_or("", |one| &one.id),
            name: names
                .into_iter()
                .find(|name| !name.is_empty())
                .unwrap_or(""),
            value: shown(leader.value, reading.choice.measure),
            part: leader.value as f64 / most.unwrap_or(1).max(1) as f64,
        }
    });
    let mut rows: Vec<_> = rows.collect();
    let columns = Columns::of(&mut rows, width);
    rows.iter().map(|row| columns.line(row)).collect()
}

/// How wide each column is; 0 is none.
struct Columns {
    id: usize,
    name: usize,
    value: usize,
    bar: usize,
}

impl Columns {
    /// The value first, then the id, the name, the bar, as far as there is room.
    /// Without room for both, a name takes its id's place.
    fn of(rows: &mut [Row<'_>], width: usize) -> Self {
        let value = widest(rows, |row| &row.value);
        let left = width.saturating_sub(RANK + 2 + value);
        let id = widest(rows, |row| row.id).min(ID);
        let name = widest(rows, |row| row.name);
        let (id, name) = if left >= id + 2 + name.min(*NAME.start()) {
            (id, name.min(left - id - 2).min(*NAME.end()))
        } else {
            for row in rows.iter_mut().filter(|row| !row.name.is_empty()) {
                row.id = std::mem::take(&mut row.name);
            }
            (widest(rows, |row| row.id).min(left), 0)
        };
        let used = if name > 0 { id + 2 + name } else { id };
        let bar = left.saturating_sub(used + 2).min(*BAR.end());
        let bar = if bar < *BAR.start() { 0 } else { bar };
        Self {
            id,
            name,
            value,
            bar,
        }
    }

    fn line(&self, row: &Row<'_>) -> Line<'static> {
        let mut spans = vec![Span::raw(format!("{:>3} ", row.rank))];
        spans.push(Span::raw(padded(row.id, self.id)));
        if self.name > 0 {
            spans.push(Span::raw(format!("  {}", padded(row.name, self.name))));
        }
        let value = format!("  {:>width$}", row.value, width = self.value);
        spans.push(Span::raw(value).bold());
        if self.bar > 0 {
            let filled = (row.part * self.bar as f64).round() as usize;
            let bar = "█".repeat(filled.min(self.bar));
            spans.push(Span::raw(format!("  {bar}")).blue());
        }
        Line::from(spans)
    }
}

fn widest<'a>(rows: &'a [Row<'_>], of: fn(&'a Row<'_>) -> &'a str) -> usize {
    let widths = rows.iter().map(|row| of(row).width());
    widths.max().unwrap_or(0)
}

/// Thousandths as what they are thousandths of.
fn shown(value: i64, measure: Measure) -> String {
    match measure {
        Measure::ThroughputTeuMilli
        | Measure::GateTeuMilli
        | Measure::ThroughputMassKg
        | Measure::GateMassKg => grouped(&format!("{:.1}", value as f64 / 1000.0)),
        _ => grouped(&value.to_string()),
    }
}

/// Whose what is ranked.
fn title(role: Role, measure: Measure) -> String {
    let role = role.as_str_name();
    let role = role.strip_prefix("ROLE_").unwrap_or(role);
    let role = role.to_lowercase().replace('_', " ");
    let measure = match measure {
        Measure::Unspecified => "nothing",
        Measure::ThroughputBoxes => "boxes over the quay",
        Measure::ThroughputTeuMilli => "TEU over the quay",
        Measure::ThroughputMassKg => "tonnes over the quay",
        Measure::GateBoxes => "boxes through gates",
        Measure::GateTeuMilli => "TEU through gates",
        Measure::GateMassKg => "tonnes through gates",
        Measure::TruckPassages => "truck passages",
        Measure::TruckTurns => "truck turns",
        Measure::DispatchAccepted => "dispatch orders accepted",
        Measure::VesselArrivals => "vessel arrivals",
        Measure::ServicesCompleted => "services completed",
    };
    format!("{role}s by {measure}, today")
}

/// How many were refused, by reason, the most frequent first.
pub fn refusals(status: &pb::GetStatusResponse) -> Block {
    let up = millis(status.now).zip(millis(status.started_at));
    let title = match up {
        Some((now, since)) => format!("refused in {}", span(now - since)),
        None => "refused".to_owned(),
    };
    let mut reasons: Vec<_> = status
        .intake
        .iter()
        .flat_map(|intake| &intake.refused)
        .map(|reason| (reason.count, reason.reason().as_str_name()))
        .collect();
    reasons.sort_by_key(|&(count, name)| (Reverse(count), name));
    let count = |count: i64| grouped(&count.to_string());
    let width = reasons.first().map_or(0, |first| count(first.0).len());
    let mut lines: Vec<_> = reasons
        .iter()
        .map(|&(times, name)| {
            let name = name.strip_prefix("REASON_").unwrap_or(name);
            let name = name.to_lowercase().replace('_', " ");
            let times = format!("{:>width$}  ", count(times), width = width.max(RANK - 1));
            Line::from(vec![Span::raw(times).bold(), Span::raw(name)])
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::from("nothing"));
    }
    Block { title, lines }
}
