//! Every public sample event of DCSA, through the real publisher into the real
//! service: it lands where a person says, or is refused as a person says.

use crate::place::{Place, assert_same, counted, fixture, queries, shanghai, text};
use crate::service::quaymeter;
use jiff::Timestamp;
use quaymeter::answers;
use quaymeter::pb::{self, Classifier, Role};
use quaymeter::truth::{Figures, Grain, Key, Truth};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// From expected.tsv: what becomes of one event.
#[derive(Clone, Debug)]
struct Row {
    file: String,
    event_id: String,
    index: u64,
    stage: String,
    outcome: Vec<String>,
}

/// The rows that hold with these options: what they change replaces the rest.
fn rows(options: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(fixture("dcsa/expected.tsv")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<String> = line.split('\t').map(String::from).collect();
        let row = Row {
            file: columns[1].clone(),
            event_id: columns[2].clone(),
            index: columns[3].parse().unwrap(),
            stage: columns[4].clone(),
            outcome: columns[5..].to_vec(),
        };
        // The defaults stand first in the file.
        if columns[0] == "default" || columns[0] == options {
            rows.insert((row.file.clone(), row.index), row);
        }
    }
    rows.into_values().collect()
}

/// What is refused: index, event id, by whom, reason, field.
type Refusals = BTreeSet<(u64, String, String, String, String)>;

fn meant_refusals(rows: &[Row], file: &str) -> Refusals {
    let refused = rows
        .iter()
        .filter(|row| row.file == file && row.stage != "cell");
    let refusal = |row: &Row| {
        let (reason, field) = (row.outcome[1].clone(), row.outcome[2].clone());
        (
            row.index,
            row.event_id.clone(),
            row.stage.clone(),
            reason,
            field,
        )
    };
    refused.map(refusal).collect()
}

fn written_refusals(rejects: &Path, file: &Path) -> Refusals {
    let text = std::fs::read_to_string(rejects).unwrap();
    let refusals: Vec<_> = text.lines().map(|line| refusal(line, file)).collect();
    let distinct: Refusals = refusals.iter().cloned().collect();
    assert_eq!(distinct.len(), refusals.len(), "each is told once");
    distinct
}

fn refusal(line: &str, file: &Path) -> (u64, String, String, String, String) {
    let told: Value = serde_json::from_str(line).unwrap();
    let word = |key: &str| told[key].as_str().unwrap().to_owned();
    assert_eq!(word("file"), file.display().to_string());
    let (index, id) = (told["index"].as_u64().unwrap(), word("event_id"));
    assert!(told["event"].to_string().contains(&id), "the event as read");
    (index, id, word("refused_by"), word("reason"), word("field"))
}

/// The cells that are meant, of one grain.
fn meant_cells(rows: &[Row], grain: Grain, from_ms: i64) -> Truth {
    let mut truth = Truth::default();
    for row in rows.iter().filter(|row| row.stage == "cell") {
        let [facility, enterprise, role, classifier, start, figures] = &row.outcome[..] else {
            panic!("{row:?}");
        };
        let quarter: Timestamp = start.parse().unwrap();
        let day = quarter.to_zoned(shanghai()).start_of_day().unwrap();
        let start_ms = match grain {
            Grain::Day => day.timestamp().as_millisecond(),
            _ => quarter.as_millisecond(),
        };
        if start_ms < from_ms {
            continue;
        }
        let key = Key {
            grain,
            facility: facility.as_str().into(),
            enterprise: enterprise.as_str().into(),
            role: Role::from_str_name(&format!("ROLE_{role}")).unwrap(),
            classifier: Classifier::from_str_name(&format!("CLASSIFIER_{classifier}")).unwrap(),
            start_ms,
        };
        let cell: &mut Figures = truth.cells.entry(key).or_default();
        for figure in figures.split(';') {
            let (name, value) = figure.split_once('=').unwrap();
            cell.add(name.parse().unwrap(), value.parse().unwrap());
        }
    }
    truth
}

/// All cells of a grain that there are.
async fn dumped(url: &str, grain: pb::Grain, as_grain: Grain) -> Truth {
    let request = pb::DumpCellsRequest {
        grain: grain.into(),
        ..Default::default()
    };
    let mut parts = queries(url)
        .await
        .dump_cells(request)
        .await
        .unwrap()
        .into_inner();
    let mut truth = Truth::default();
    while let Some(part) = parts.message().await.unwrap() {
        truth.add_cells(as_grain, &part.cells);
    }
    truth
}

/// All day cells as questions answer them, ten years at a time.
async fn answered_days(url: &str) -> Truth {
    let mut client = queries(url).await;
    let mut truth = Truth::default();
    let start = |year: i16| {
        let day = jiff::civil::date(year, 1, 1).to_zoned(shanghai()).unwrap();
        day.timestamp().as_millisecond()
    };
    for years in [2000, 2010, 2020, 2030].windows(2) {
        let interval = (start(years[0]), start(years[1]));
        let zone = "Asia/Shanghai";
        let rows = answers::rows(&mut client, pb::Grain::Day, zone, interval, "").await;
        truth.add_cells(Grain::Day, &rows.unwrap());
    }
    truth
}

async fn every_event_is_where_it_is_meant(options: &str, flags: &[&str]) {
    // Ten years of quarter-hours are the most that can be kept; the oldest
    // events enter day cells only.
    let service_settings = ["--day-days", "36600", "--quarter-days", "3660"];
    let quarters_from: Timestamp = "2017-01-01T00:00:00Z".parse().unwrap();
    let place = Place::new();
    let service = place.serve(&service_settings);
    let rows = rows(options);
    let files: BTreeSet<&str> = rows.iter().map(|row| row.file.as_str()).collect();
    assert_eq!(files.len(), 6);
    for file in files {
        let (path, rejects) = (fixture("dcsa").join(file), place.path("rejects.ndjson"));
        let mut publish = quaymeter();
        publish.args(["publish", "--source", "carrier", "--backfill", "--to"]);
        publish.arg(&service.grpc).arg("--rejects").arg(&rejects);
        let output = publish.args(flags).arg(&path).output().unwrap();
        let meant = meant_refusals(&rows, file);
        assert_eq!(written_refusals(&rejects, &path), meant, "{file}");
        let status = if meant.is_empty() { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(status), "{file}");
        let accepted = rows.iter().filter(|row| row.file == file).count() - meant.len();
        let (summary, told) = text(&output);
        assert!(
            summary.starts_with(&format!("{accepted} events accepted"))
                && summary.contains(&format!(", {} refused", meant.len())),
            "{file}: {summary}{told}"
        );
    }
    let accepted = rows.iter().filter(|row| row.stage == "cell").count();
    counted(&service.grpc, accepted).await;
    let days = meant_cells(&rows, Grain::Day, i64::MIN);
    assert_same(
        &days,
        &dumped(&service.grpc, pb::Grain::Day, Grain::Day).await,
    );
    assert_same(&days, &answered_days(&service.grpc).await);
    let quarters = meant_cells(&rows, Grain::Quarter, quarters_from.as_millisecond());
    assert!(quarters.cells.len() >= 8 && quarters.cells.len() < days.cells.len() + 4);
    let dumped = dumped(&service.grpc, pb::Grain::Quarter, Grain::Quarter).await;
    assert_same(&quarters, &dumped);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_lands_where_a_person_says() {
    every_event_is_where_it_is_meant("default", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_lands_where_a_person_says_with_a_facility_and_a_party_to_fall_back_on() {
    let flags = ["--facility", "CNNBO/TEST", "--party", "CARRIER=smdg:COS"];
    every_event_is_where_it_is_meant("fallback", &flags).await;
}
