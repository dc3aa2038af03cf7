//! A state as a frame, of whatever size: what matters most is told first, and
//! what has no room is left out. Pure.

mod board;
mod lines;

use super::state::{State, millis};
use crate::pb;
use board::{Block, leaders, refusals};
use lines::{Field, flow, put};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use unicode_width::UnicodeWidthStr as _;

use super::super::digits::{bytes, grouped, span};

/// From this width on what was refused stands beside the leaders.
const BESIDE_COLUMNS: u16 = 110;

/// Below this height there is no line for the keys.
const KEYS_ROWS: u16 = 8;

/// Rows that the leaders keep, however many figures there are above them.
const LEADERS_ROWS: u16 = 3;

/// All keys, or the most important ones.
const KEYS: [&str; 2] = [
    "q quit  ←→ role  ↑↓ measure  p pause  ? help",
    "q quit  ? help",
];

const HELP: [&str; 10] = [
    "q, Esc, Ctrl-C   quit",
    "← →, 1–8         another role",
    "↑ ↓              another measure",
    "p                pause, and go on",
    "?                this help, and back",
    "",
    "Rates are of the last ten seconds. Lag: events that are durable and not in",
    "the answers yet. To replay: events since the last checkpoint. Complete: up",
    "to there all sources that are active have told. Truck turns: how long trucks",
    "were in a terminal, by the median and by nine of ten.",
];

/// Draws all of it over whatever was there.
pub fn draw(state: &State, now: u64, buffer: &mut Buffer) {
    buffer.reset();
    let mut rest = buffer.area;
    let width = rest.width;
    put(buffer, &mut rest, &header(state, width));
    if let Some(banner) = banner(state, now) {
        put(buffer, &mut rest, &banner);
    }
    if rest.height >= KEYS_ROWS {
        let mut last = Rect {
            y: rest.bottom() - 1,
            height: 1,
            ..rest
        };
        rest.height -= 1;
        put(buffer, &mut last, &keys(state, width));
    }
    if state.help {
        help(buffer, rest);
    } else {
        body(state, buffer, rest);
    }
}

/// Draws what is known, without what only helps a person at a terminal.
pub fn draw_plain(state: &State, now: u64, buffer: &mut Buffer) {
    let mut rest = buffer.area;
    let width = rest.width;
    put(buffer, &mut rest, &header(state, width));
    if let Some(banner) = banner(state, now) {
        put(buffer, &mut rest, &banner);
    }
    body(state, buffer, rest);
}

/// What is drawn, as text: no blanks at the end of a line, no empty lines at the
/// end.
pub fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in buffer.area.rows() {
        let mut after_wide = false;
        for column in row.columns() {
            // A wide character's second half is not written.
            if !std::mem::take(&mut after_wide) {
                let symbol = buffer[(column.x, column.y)].symbol();
                after_wide = symbol.width() > 1;
                text.push_str(symbol);
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text.truncate(text.trim_end_matches('\n').len());
    text.push('\n');
    text
}

fn body(state: &State, buffer: &mut Buffer, mut rest: Rect) {
    let Some((_, reading)) = &state.reading else {
        if state.fault.is_none() {
            put(buffer, &mut rest, &Line::from("asking …"));
        }
        return;
    };
    for group in &groups(state, &reading.status, reading.turns.as_ref()) {
        for line in &flow(group, rest.width) {
            if rest.height > LEADERS_ROWS {
                put(buffer, &mut rest, line);
            }
        }
    }
    blocks(state, buffer, rest);
}

/// Who, where, since when; what has no room to the right goes first.
fn header(state: &State, width: u16) -> Line<'static> {
    let status = state.reading.as_ref().map(|(_, reading)| &reading.status);
    let version = status.map_or("", |status| &*status.version);
    let up = status.and_then(|status| Some(millis(status.now)? - millis(status.started_at)?));
    let up = up.map_or_else(String::new, |up| format!("up {}", span(up)));
    let left = format!("quaymeter {version}  {}", state.server);
    lines::apart(&left, &up, width).style(Style::new().bold())
}

/// That what is shown is old, and why.
fn banner(state: &State, now: u64) -> Option<Line<'static>> {
    let age = state.stale_ms(now)?;
    let mut text = format!("no answer for {}", span(age as i64));
    if let Some(fault) = &state.fault {
        let again = span(fault.again_at.saturating_sub(now).div_ceil(1000) as i64 * 1000);
        text += &format!(", again in {again}: {}", fault.why);
    }
    Some(Line::from(text).style(Style::new().red().add_modifier(Modifier::BOLD)))
}

fn keys(state: &State, width: u16) -> Line<'static> {
    let [all, few] = KEYS;
    let keys = if all.width() <= usize::from(width) {
        all
    } else {
        few
    };
    let paused = if state.paused { "PAUSED" } else { "" };
    let mut line = lines::apart(keys, paused, width);
    for span in &mut line.spans {
        span.style = if span.content == "PAUSED" {
            Style::new().yellow().bold()
        } else {
            Style::new().dim()
        };
    }
    line
}

fn help(buffer: &mut Buffer, mut rest: Rect) {
    for text in HELP {
        put(buffer, &mut rest, &Line::from(text));
    }
}

/// The figures that belong together, the most important first.
fn groups(
    state: &State,
    status: &pb::GetStatusResponse,
    turns: Option<&pb::DurationFigure>,
) -> [Vec<Field>; 4] {
    [
        rates(state),
        progress(status),
        truck_turns(turns),
        kept(status),
    ]
}

fn rates(state: &State) -> Vec<Field> {
    let rates = state.rates();
    let rate = |label, of: fn(&super::state::Counts<f64>) -> f64, bad: bool| {
        let value = rates.as_ref().map(of);
        let text = match value {
            Some(value) if value <= 0.0 => "0/s".into(),
            Some(value) if value < 9.95 => format!("{value:.1}/s"),
            Some(value) => grouped(&format!("{value:.0}")) + "/s",
            None => "–".into(),
        };
        let field = Field::new(label, text);
        if bad && value.is_some_and(|value| value > 0.0) {
            field.styled(Style::new().red())
        } else {
            field
        }
    };
    vec![
        rate("accepted", |rates| rates.accepted, false),
        rate("refused", |rates| rates.refused, true),
        rate("warned", |rates| rates.warned, false),
        rate("duplicates", |rates| rates.duplicates, false),
    ]
}

fn progress(status: &pb::GetStatusResponse) -> Vec<Field> {
    let none = pb::Freshness::default();
    let freshness = status.freshness.as_ref().unwrap_or(&none);
    let ago = |at| {
        let ago = millis(status.now).zip(millis(at)).map(|(now, at)| now - at);
        ago.map_or_else(|| "–".into(), |ago| format!("{} ago", span(ago)))
    };
    let offsets = |more: fn(&pb::Progress) -> i64| {
        let more = status.progress.as_ref().map(more);
        more.map_or_else(|| "–".into(), |more| grouped(&more.max(0).to_string()))
    };
    vec![
        Field::new("lag", offsets(|at| at.log_end - at.applied) + " events"),
        Field::new("to replay", offsets(|at| at.applied - at.checkpoint)),
        Field::new("newest", ago(freshness.appended_at)),
        Field::new("complete", ago(freshness.complete_through)),
    ]
}

fn truck_turns(turns: Option<&pb::DurationFigure>) -> Vec<Field> {
    let minutes = |of: fn(&pb::DurationFigure) -> f64| {
        let seconds = turns.filter(|turns| turns.count > 0).map(of);
        seconds.map_or_else(
            || "–".into(),
            |seconds| format!("{:.0} min", seconds / 60.0),
        )
    };
    let count = turns.map_or(0, |turns| turns.count);
    vec![
        Field::new("turn p50", minutes(|turns| turns.p50_s)),
        Field::new("turn p90", minutes(|turns| turns.p90_s)),
        Field::new("truck turns today", grouped(&count.to_string())),
    ]
}

fn kept(status: &pb::GetStatusResponse) -> Vec<Field> {
    let count = |count: i64| grouped(&count.to_string());
    let streams = status.intake.as_ref().map(|intake| intake.streams);
    let streams = streams.map_or_else(|| "–".into(), |streams| streams.to_string());
    let memory = match status.resident_bytes {
        0 => "–".into(),
        held => bytes(held),
    };
    vec![
        Field::new("events", count(status.events)),
        Field::new("streams", streams),
        Field::new("memory", memory),
        Field::new("identities", count(status.identities)),
    ]
}

/// The leaders and what was refused, beside each other or one below the other.
fn blocks(state: &State, buffer: &mut Buffer, rest: Rect) {
    let Some((_, reading)) = &state.reading else {
        return;
    };
    let refused = refusals(&reading.status);
    if rest.width >= BESIDE_COLUMNS {
        let left = Rect {
            width: rest.width * 3 / 5,
            ..rest
        };
        let right = Rect {
            x: left.right() + 2,
            width: rest.width - left.width - 2,
            ..rest
        };
        show(&leaders(state.choice, reading, left.width), buffer, left);
        show(&refused, buffer, right);
        return;
    }
    let leaders = leaders(state.choice, reading, rest.width);
    let most = (rest.height / 3).min(refused.height());
    // A title alone tells nothing.
    let most = if most < 2 { 0 } else { most };
    let kept = rest.height - most;
    let above = Rect {
        height: kept.min(leaders.height()),
        ..rest
    };
    show(&leaders, buffer, above);
    if most > 0 {
        let below = Rect {
            y: above.bottom(),
            height: rest.height - above.height,
            ..rest
        };
        show(&refused, buffer, below);
    }
}

fn show(block: &Block, buffer: &mut Buffer, mut rest: Rect) {
    let title = lines::rule(&block.title, rest.width);
    put(buffer, &mut rest, &title);
    for line in &block.lines {
        put(buffer, &mut rest, line);
    }
}
