//! The runbook says what to do about each alert, with commands that there are.

use crate::known::Known;
use crate::{assert_none, read, rules};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// In both languages; alerts link to the first.
const FILES: [&str; 2] = ["docs/runbook.md", "docs/runbook.zh-CN.md"];

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let alerts = rules::alerts();
    let raised: BTreeSet<&str> = alerts.iter().map(|rule| &*rule.name).collect();
    for file in FILES {
        let text = read(file);
        let headings = text.lines().filter_map(|line| line.strip_prefix("### "));
        assert_eq!(headings.collect::<BTreeSet<_>>(), raised, "{file}");
        // Also those that it names elsewhere.
        let named: BTreeSet<_> = words(&text, "Quaymeter").collect();
        assert_eq!(named, raised, "{file}");
    }
    for rule in &alerts {
        // The anchor that a heading is given.
        let anchor = format!("{}#{}", FILES[0], rule.name.to_lowercase());
        assert_eq!(rule.more["runbook_url"], anchor);
    }
}

#[test]
fn alerts_say_how_bad_it_is_how_long_it_has_been_and_what_it_is() {
    let mut faults = Vec::new();
    for rule in rules::alerts() {
        let severities = ["critical", "warning", "info"];
        let mut require = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{}: {what}", rule.name));
            }
        };
        let get = |key: &str| rule.more.get(key).map(String::as_str).unwrap_or_default();
        require(severities.contains(&get("severity")), "no severity");
        require(!get("for").is_empty(), "no `for`");
        require(!get("summary").is_empty(), "no summary");
        require(
            get("description").contains("$labels.job"),
            "no job in the description",
        );
    }
    assert_none(&faults);
}

#[test]
fn the_runbook_names_metrics_that_there_are() {
    let known = Known::exported();
    let text = FILES.map(read).concat();
    let faults: BTreeSet<_> = words(&text, "quaymeter_")
        // A histogram has no series of its own name.
        .filter(|word| !known.has(word) && !known.has(&format!("{word}_count")))
        .map(str::to_owned)
        .collect();
    assert_none(&faults.into_iter().collect::<Vec<_>>());
}

/// The words that begin so.
fn words<'a>(text: &'a str, begin: &str) -> impl Iterator<Item = &'a str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(move |word| word.starts_with(begin))
}

/// Commands, and the flags that are given to them.
fn commands() -> BTreeMap<Vec<String>, BTreeSet<String>> {
    let text = FILES.map(read).concat();
    let mut found: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        inside ^= line.starts_with("```");
        let Some(command) = line.strip_prefix("quaymeter ").filter(|_| inside) else {
            continue;
        };
        let command = command.split('#').next().unwrap_or_default();
        let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let words = command.split_whitespace().map(str::to_owned);
        let names = command.split_whitespace();
        let names = names.take_while(|word| is_name(word) && !word.starts_with('-'));
        let names = names.map(str::to_owned).collect();
        let flags = words.filter(|word| word.starts_with("--"));
        found.entry(names).or_default().extend(flags);
    }
    found
}

#[test]
fn the_runbooks_commands_are_ours() {
    let commands = commands();
    assert!(commands.len() > 5, "{commands:?}");
    let mut faults = Vec::new();
    for (names, flags) in commands {
        let mut help = Command::new(env!("CARGO_BIN_EXE_quaymeter"));
        let output = help.args(&names).arg("--help").output().expect("help");
        let told = String::from_utf8_lossy(&output.stdout);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let known: BTreeSet<&str> = told.split(|c| !is_part(c)).collect();
        if !output.status.success() {
            faults.push(format!("{names:?}: no such command"));
        }
        let strange = flags
            .into_iter()
            .filter(|flag| !known.contains(flag.as_str()));
        faults.extend(strange.map(|flag| format!("{names:?}: no {flag}")));
    }
    assert_none(&faults);
}
