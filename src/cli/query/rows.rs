//! The columns of each kind of answer.

use super::output::Cell;
use crate::pb::{self, Measure, Movement};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A proto enum's name without its prefix, in lower case.
pub fn name(full: &str, prefix: &str) -> String {
    full.strip_prefix(prefix).unwrap_or(full).to_lowercase()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

fn role(role: pb::Role) -> Cell {
    Cell::Text(name(role.as_str_name(), "ROLE_"))
}

fn classifier(classifier: pb::Classifier) -> Cell {
    Cell::Text(name(classifier.as_str_name(), "CLASSIFIER_"))
}

/// The instant in the zone, with its offset.
pub fn local(at: Option<pbjson_types::Timestamp>, zone: &TimeZone) -> Cell {
    let at = at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
    let shown = |at: Timestamp| {
        at.to_zoned(zone.clone())
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string()
    };
    Cell::Text(at.map_or_else(String::new, shown))
}

const KEYS: [&str; 5] = ["start", "facility", "enterprise", "role", "classifier"];

fn keys(row: &pb::ThroughputRow, zone: &TimeZone) -> Vec<Cell> {
    vec![
        local(row.start, zone),
        all_if_empty(&row.facility),
        all_if_empty(&row.enterprise),
        role(row.role()),
        classifier(row.classifier()),
    ]
}

fn all_if_empty(name: &str) -> Cell {
    text(if name.is_empty() { "all" } else { name })
}

/// Columns of figures.
pub fn throughput_columns() -> Vec<&'static str> {
    let figures = [
        "loaded",
        "discharged",
        "restowed",
        "quay TEU",
        "quay t",
        "gate in",
        "gate out",
        "gate TEU",
        "gate t",
        "trucks in",
        "trucks out",
        "accepted",
        "services",
    ];
    [&KEYS[..], &figures].concat()
}

/// A row of figures.
pub fn throughput(row: &pb::ThroughputRow, zone: &TimeZone) -> Vec<Cell> {
    let none = pb::Figures::default();
    let figures = row.figures.as_ref().unwrap_or(&none);
    let sum = |movements: &[Movement], of: fn(&pb::BoxFigure) -> i64| -> i64 {
        figures
            .boxes
            .iter()
            .filter(|b| movements.contains(&b.movement()))
            .map(of)
            .sum()
    };
    let boxes = |movement| Cell::Count(sum(&[movement], |figure| figure.boxes));
    let teu = |movements: &[Movement]| Cell::Milli(sum(movements, |figure| figure.teu_milli));
    let mass = |movements: &[Movement]| Cell::Milli(sum(movements, |figure| figure.gross_mass_kg));
    let accepted = figures
        .dispatch
        .iter()
        .filter(|d| d.stage() == pb::DispatchStage::Accepted);
    let completed = figures
        .services
        .iter()
        .filter(|s| s.stage() == pb::ServiceStage::Completed);
    let quay = [Movement::Loaded, Movement::Discharged];
    let gate = [Movement::GateIn, Movement::GateOut];
    let mut cells = keys(row, zone);
    cells.extend([
        boxes(Movement::Loaded),
        boxes(Movement::Discharged),
        boxes(Movement::Restowed),
        teu(&quay),
        mass(&quay),
        boxes(Movement::GateIn),
        boxes(Movement::GateOut),
        teu(&gate),
        mass(&gate),
        Cell::Count(figures.trucks_in),
        Cell::Count(figures.trucks_out),
        Cell::Count(accepted.map(|d| d.count).sum()),
        Cell::Count(completed.map(|s| s.count).sum()),
    ]);
    cells
}

/// Columns of durations, in minutes.
pub fn duration_columns() -> Vec<&'static str> {
    let figures = [
        "duration", "count", "mean min", "p50 min", "p90 min", "p95 min", "p99 min",
    ];
    [&KEYS[..], &figures].concat()
}

/// One row per kind of duration.
pub fn durations(row: &pb::ThroughputRow, zone: &TimeZone) -> Vec<Vec<Cell>> {
    let of = |duration: &pb::DurationFigure| {
        let minutes = |seconds: f64| Cell::Number(Some(seconds / 60.0));
        let mean = duration.sum_ms as f64 / 1000.0 / duration.count.max(1) as f64;
        let mut cells = keys(row, zone);
        cells.push(Cell::Text(name(
            duration.kind().as_str_name(),
            "DURATION_KIND_",
        )));
        cells.push(Cell::Count(duration.count));
        let seconds = [
            mean,
            duration.p50_s,
            duration.p90_s,
            duration.p95_s,
            duration.p99_s,
        ];
        cells.extend(seconds.map(minutes));
        cells
    };
    row.figures
        .iter()
        .flat_map(|figures| &figures.durations)
        .map(of)
        .collect()
}

/// Columns of leaders.
pub fn top_columns(measure: Measure) -> Vec<&'static str> {
    let unit = match measure {
        Measure::ThroughputTeuMilli | Measure::GateTeuMilli => "TEU",
        Measure::ThroughputMassKg | Measure::GateMassKg => "t",
        Measure::ThroughputBoxes | Measure::GateBoxes => "boxes",
        _ => "count",
    };
    vec!["rank", "enterprise", "name", unit]
}

/// A leader.
pub fn top(row: &pb::RankedEnterprise, measure: Measure) -> Vec<Cell> {
    let none = pb::Enterprise::default();
    let enterprise = row.enterprise.as_ref().unwrap_or(&none);
    let thousandths = matches!(
        measure,
        Measure::ThroughputTeuMilli
            | Measure::GateTeuMilli
            | Measure::ThroughputMassKg
            | Measure::GateMassKg
    );
    let value = if thousandths {
        Cell::Milli(row.value)
    } else {
        Cell::Count(row.value)
    };
    let names = [&*enterprise.name_zh, &enterprise.name_en];
    let name = names
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_default();
    vec![
        Cell::Count(row.rank.into()),
        text(&enterprise.id),
        text(name),
        value,
    ]
}

/// Columns of enterprises.
pub fn enterprise_columns() -> Vec<&'static str> {
    vec!["enterprise", "name_zh", "name_en", "roles"]
}

/// An enterprise.
pub fn enterprise(row: &pb::Enterprise) -> Vec<Cell> {
    let roles: Vec<_> = row
        .roles()
        .map(|role| name(role.as_str_name(), "ROLE_"))
        .collect();
    vec![
        text(&row.id),
        text(&row.name_zh),
        text(&row.name_en),
        Cell::Text(roles.join(" ")),
    ]
}

/// Columns of vessel calls.
pub fn call_columns() -> Vec<&'static str> {
    let keys = ["facility", "call", "vessel", "classifier"];
    let figures = [
        "loaded",
        "discharged",
        "restowed",
        "stays",
        "berth h",
        "moves/berth h",
    ];
    [&keys[..], &figures].concat()
}

/// A vessel call.
pub fn call(row: &pb::VesselCallRow) -> Vec<Cell> {
    let hours = (row.berth_stays > 0).then_some(row.berth_stay_ms as f64 / 3_600_000.0);
    vec![
        text(&row.facility),
        text(&row.call_id),
        text(&row.vessel),
        classifier(row.classifier()),
        Cell::Count(row.loaded),
        Cell::Count(row.discharged),
        Cell::Count(row.restowed),
        Cell::Count(row.berth_stays),
        Cell::Number(hours),
        Cell::Number(row.moves_per_berth_hour),
    ]
}

/// Columns of no-shows.
pub fn no_show_columns() -> Vec<&'static str> {
    let keys = [
        "slot start",
        "slot end",
        "facility",
        "enterprise",
        "role",
        "classifier",
    ];
    [
        &keys[..],
        &["confirmed", "changed", "cancelled", "used", "no-shows"],
    ]
    .concat()
}

/// A slot.
pub fn no_show(row: &pb::NoShowRow, zone: &TimeZone) -> Vec<Cell> {
    let counts = [
        row.confirmed,
        row.changed,
        row.cancelled,
        row.used,
        row.no_shows,
    ];
    let mut cells = vec![
        local(row.slot_start, zone),
        local(row.slot_end, zone),
        text(&row.facility),
        text(&row.enterprise),
        role(row.role()),
        classifier(row.classifier()),
    ];
    cells.extend(counts.map(Cell::Count));
    cells
}

/// The status, a line per figure.
pub fn status(status: &pb::GetStatusResponse, zone: &TimeZone) -> Vec<Vec<Cell>> {
    let kept = counted(status, zone);
    let mut lines: Vec<_> = kept
        .into_iter()
        .map(|(name, value)| vec![text(name), value])
        .collect();
    lines.extend(intake(status));
    lines
}

/// What a running service was sent, and what follows its log.
fn intake(status: &pb::GetStatusResponse) -> Vec<Vec<Cell>> {
    let mut lines = Vec::new();
    let mut line = |name: &str, count: i64| lines.push(vec![text(name), Cell::Count(count)]);
    if let Some(intake) = &status.intake {
        line("accepted", intake.accepted);
        for (what, reasons) in [("refused", &intake.refused), ("warned", &intake.warned)] {
            for count in reasons {
                let reason = name(count.reason().as_str_name(), "REASON_");
                line(&format!("{what}: {reason}"), count.count);
            }
        }
        line("streams", intake.streams.into());
    }
    if let Some(progress) = status.progress {
        line("log end", progress.log_end);
        line("applied", progress.applied);
        line("checkpoint", progress.checkpoint);
    }
    lines
}

fn counted(status: &pb::GetStatusResponse, zone: &TimeZone) -> Vec<(&'static str, Cell)> {
    let none = pb::Freshness::default();
    let freshness = status.freshness.as_ref().unwrap_or(&none);
    [
        ("version", text(&status.version)),
        ("reporting zone", text(&status.reporting_zone)),
        ("horizon d", Cell::Count(status.horizon_days.into())),
        ("events", Cell::Count(status.events)),
        ("duplicates", Cell::Count(status.duplicates)),
        ("revisions", Cell::Count(status.revisions)),
        ("retractions", Cell::Count(status.retractions)),
        ("superseded", Cell::Count(status.superseded)),
        ("conflicts", Cell::Count(status.conflicts)),
        (
            "re-paired durations",
            Cell::Count(status.repaired_durations),
        ),
        ("identities", Cell::Count(status.identities)),
        ("forgotten", Cell::Count(status.forgotten)),
        ("quarter cells", Cell::Count(status.quarter_cells)),
        ("day cells", Cell::Count(status.day_cells)),
        ("appended at", local(freshness.appended_at, zone)),
        ("complete through", local(freshness.complete_through, zone)),
        ("position", text(&freshness.position)),
        ("started at", local(status.started_at, zone)),
        ("resident bytes", Cell::Count(status.resident_bytes)),
    ]
    .into()
}
