//! What every dashboard has.

use crate::boards::{self, Board, items, text};
use crate::{assert_none, promql};
use std::collections::BTreeSet;

const UIDS: [(&str, &str); 3] = [
    ("integrator-quality", "quaymeter-quality"),
    ("pipeline-health", "quaymeter-pipeline"),
    ("port-throughput", "quaymeter-throughput"),
];

/// Links to dashboards hold their uid, so none may change.
#[test]
fn uids_are_stable() {
    let expected: Vec<_> = UIDS
        .iter()
        .flat_map(|(file, uid)| {
            let english = (format!("{file}.json"), (*uid).to_owned());
            [english, (format!("{file}.zh.json"), format!("{uid}-zh"))]
        })
        .collect();
    let found: Vec<_> = boards::all()
        .into_iter()
        .map(|board| (board.file, text(&board.json["uid"]).to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn panels_have_units_descriptions_and_the_readers_data_source() {
    let mut faults = Vec::new();
    for board in boards::all() {
        let mut ids = BTreeSet::new();
        for panel in board.panels() {
            let mut require = |holds: bool, what: &str| {
                if !holds {
                    faults.push(format!("{}: {}: {what}", board.file, panel["title"]));
                }
            };
            require(ids.insert(panel["id"].as_u64()), "its id is another's");
            require(!text(&panel["description"]).is_empty(), "no description");
            require(
                !text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(),
                "no unit",
            );
            require(items(&panel["targets"]).count() > 0, "asks nothing");
            let mut sources = items(&panel["targets"]).map(|target| &target["datasource"]["uid"]);
            require(
                sources.all(|uid| uid == "${datasource}"),
                "another data source",
            );
        }
    }
    assert_none(&faults);
}

/// The resolution is the reader's: a fixed range would skip samples, or smooth them.
#[test]
fn ranges_follow_the_resolution() {
    let mut faults = Vec::new();
    for board in boards::all() {
        for query in board.queries() {
            let uses = promql::uses(&query.expr);
            let mut fixed = uses.ranges;
            fixed.retain(|range| range != "$__rate_interval" && range != "$__range");
            if !fixed.is_empty() {
                faults.push(format!("{}: {fixed:?}", query.place));
            }
        }
    }
    assert_none(&faults);
}

/// A variable that nothing uses is a question that leads nowhere.
#[test]
fn every_variable_is_used_and_every_use_is_of_a_variable() {
    for board in boards::all() {
        let declared: BTreeSet<String> = board
            .variables()
            .map(|variable| text(&variable["name"]).to_owned())
            .collect();
        assert!(declared.contains("job"), "{}", board.file);
        let mut used = BTreeSet::from(["datasource".to_owned()]);
        for query in board.queries().iter().chain(&board.asked_by_variables()) {
            used.extend(variables(&query.expr));
        }
        used.retain(|name| !name.starts_with("__") && name != "1");
        assert_eq!(used, declared, "{}", board.file);
    }
}

/// Names behind a `$`.
fn variables(expr: &str) -> Vec<String> {
    let names = expr.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    names.collect()
}

/// A legend names labels that the answer has.
#[test]
fn legends_name_labels_that_are_kept() {
    let mut faults = Vec::new();
    for query in boards::all().iter().flat_map(Board::queries) {
        let uses = promql::uses(&query.expr);
        for part in query.legend.split("{{").skip(1) {
            let label = part.split("}}").next().unwrap_or_default();
            if !uses.kept.contains(label) {
                faults.push(format!("{}: {{{{{label}}}}}", query.place));
            }
        }
    }
    assert_none(&faults);
}
