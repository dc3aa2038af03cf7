//! What is noted in the audit trail of a place, as the command shows it.

use crate::place::{Place, text};
use crate::service::quaymeter;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::process::Output;

/// A command on the trail.
pub fn trail(place: &Place, arguments: &[&str]) -> Output {
    let mut command = quaymeter();
    command.arg("trail").args(arguments);
    command.arg("--data-dir").arg(place.data());
    command.output().unwrap()
}

/// The records that it shows, of the service's chain unless it is told another, in their
/// order.
pub fn records(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let all = [&["show", "--json", "--last", "0"], arguments].concat();
    let shown = trail(place, &all);
    let (out, err) = text(&shown);
    assert!(shown.status.success(), "{err}");
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Those of a chain that tell of a change of one thing.
pub fn changed(place: &Place, chain: &str, of: &str) -> Vec<Value> {
    let mut all = records(place, &["--chain", chain, "--kind", "changed"]);
    all.retain(|record| record["of"] == of);
    all
}

/// What each of them has in a field; nothing where it has none.
pub fn each<'a>(records: &'a [Value], field: &str) -> Vec<&'a str> {
    let texts = records.iter().map(|record| record[field].as_str());
    texts.map(Option::unwrap_or_default).collect()
}

/// The hash of a file's content, as records have it.
pub fn sha256(content: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(content))
}
