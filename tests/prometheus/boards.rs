//! The dashboards as Grafana reads them.

use serde_json::Value;
use std::path::Path;

/// A dashboard by its file's name.
pub struct Board {
    pub file: String,
    pub json: Value,
}

pub const FOLDER: &str = "helm/quaymeter/dashboards";

/// All of them.
pub fn all() -> Vec<Board> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let entries = std::fs::read_dir(folder).expect("dashboards");
    let mut boards: Vec<_> = entries
        .map(|entry| {
            let file = entry
                .expect("a file")
                .file_name()
                .into_string()
                .expect("a name");
            let text = crate::read(&format!("{FOLDER}/{file}"));
            let json = serde_json::from_str(&text).expect("JSON");
            Board { file, json }
        })
        .collect();
    boards.sort_by(|a, b| a.file.cmp(&b.file));
    boards
}

/// An expression, and where it stands.
pub struct Query {
    pub place: String,
    pub expr: String,
    pub legend: String,
}

impl Board {
    /// Its panels, but for rows.
    pub fn panels(&self) -> impl Iterator<Item = &Value> {
        let panels = items(&self.json["panels"]);
        panels.filter(|panel| panel["type"] != "row")
    }

    pub fn variables(&self) -> impl Iterator<Item = &Value> {
        items(&self.json["templating"]["list"])
    }

    /// What its panels ask.
    pub fn queries(&self) -> Vec<Query> {
        let of = |panel: &Value| -> Vec<Query> {
            let targets = items(&panel["targets"]);
            let query = |target: &Value| Query {
                place: format!("{}: {}", self.file, text(&panel["title"])),
                expr: text(&target["expr"]).to_owned(),
                legend: text(&target["legendFormat"]).to_owned(),
            };
            targets.map(query).collect()
        };
        self.panels().flat_map(of).collect()
    }

    /// What its variables ask, as expressions of PromQL: the metric of `label_values`
    /// summed by the label.
    pub fn asked_by_variables(&self) -> Vec<Query> {
        let asked = self.variables().filter(|one| one["type"] == "query");
        asked
            .map(|one| Query {
                place: format!("{}: ${}", self.file, text(&one["name"])),
                expr: asked_for(text(&one["query"]["query"])),
                legend: String::new(),
            })
            .collect()
    }
}

fn asked_for(query: &str) -> String {
    let inner = |function: &str| query.strip_prefix(function)?.strip_suffix(')');
    if let Some(values) = inner("label_values(") {
        let (metric, label) = values.rsplit_once(',').expect("a metric and a label");
        return format!("count by ({}) ({metric})", label.trim());
    }
    inner("query_result(")
        .expect("a query of a variable")
        .to_owned()
}

/// The expression with a value for each variable, so that Prometheus can read it. A
/// variable that is not in the list stays, and is found.
pub fn filled(expr: &str, values: &[(&str, &str)]) -> String {
    let mut filled = expr.to_owned();
    for (name, value) in values {
        filled = filled.replace(&format!("${name}"), value);
    }
    filled
}

pub fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
