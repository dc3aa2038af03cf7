//! The rule files, as far as they are written here: a small part of YAML.

use std::collections::BTreeMap;

/// An alert, or a recording rule.
pub struct Rule {
    pub name: String,
    pub expr: String,
    /// All else by its key: `for`, `severity`, `summary`, `description`, `runbook_url`.
    pub more: BTreeMap<String, String>,
}

pub const ALERTS: &str = "helm/quaymeter/alerts/alerts.yaml";
pub const RECORDING: &str = "helm/quaymeter/alerts/recording.yaml";

pub fn alerts() -> Vec<Rule> {
    rules(&crate::read(ALERTS), "alert")
}

pub fn recording() -> Vec<Rule> {
    rules(&crate::read(RECORDING), "record")
}

/// The rules of one kind in a file's text.
fn rules(text: &str, kind: &str) -> Vec<Rule> {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let begin = format!("- {kind}: ");
    let starts: Vec<_> = (0..lines.len())
        .filter(|&at| lines[at].trim_start().starts_with("- ") && !lines[at].contains("- name: "))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    let found: Vec<_> = starts
        .iter()
        .zip(ends)
        .filter_map(|(&start, end)| {
            let name = lines[start].trim_start().strip_prefix(&begin)?.to_owned();
            let mut more = fields(&lines[start + 1..end]);
            let expr = more.remove("expr").expect("an expression");
            Some(Rule { name, expr, more })
        })
        .collect();
    assert!(found.len() > 5, "{} rules of kind {kind}", found.len());
    found
}

/// Keys and their values, on the same line or below it; those of `labels` and
/// `annotations` among the others.
fn fields(lines: &[&str]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut block: Option<(String, usize)> = None;
    for line in lines {
        let indent = line.len() - line.trim_start().len();
        if let Some((key, outer)) = &block {
            if line.trim().is_empty() || indent > *outer {
                let value: &mut String = fields.get_mut(key).expect("its block");
                *value = format!("{value} {}", line.trim()).trim().to_owned();
                continue;
            }
            block = None;
        }
        let Some((key, value)) = line.trim().split_once(':') else {
            continue;
        };
        match value.trim() {
            "" => {}
            "|" | ">-" => {
                block = Some((key.into(), indent));
                fields.insert(key.into(), String::new());
            }
            value => {
                fields.insert(key.into(), value.into());
            }
        }
    }
    fields
}

#[test]
fn rules_are_read() {
    let alerts = alerts();
    let disk = alerts
        .iter()
        .find(|rule| rule.name == "QuaymeterDiskFullSoon");
    let disk = disk.expect("the alert of full disks");
    assert!(
        disk.expr
            .starts_with("min by (namespace, job, instance) (predict_linear(")
    );
    assert!(disk.expr.ends_with("< 0.4"));
    assert_eq!(disk.more["for"], "30m");
    assert_eq!(disk.more["severity"], "warning");
    assert!(disk.more["description"].starts_with("At the rate of"));
    let last = alerts.last().expect("alerts");
    assert!(last.more["runbook_url"].ends_with("#quaymeterseriesomitted"));
}
