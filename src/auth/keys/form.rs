//! The text of a key file. What is wrong with one is told by line, never by what
//! stands there.

use super::{Entry, KEYS_MAX, Keys};
use crate::auth::key::is_id;
use crate::auth::pepper::{Digest, Pepper};
use crate::event::enterprise::is_name;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

const HEADER: &str = "\
# quaymeter: API keys, as keyed hashes. Written by `quaymeter keys`, read again when it
# changes. Nobody else may read it; without it every key is worthless.
";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    pepper: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    caller: String,
    hash: String,
    created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Timestamp>,
}

/// Reads one; what is wrong with it, if anything.
pub fn read(text: &str) -> Result<Keys, String> {
    let form: Form = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = 1 + text
            .as_bytes()
            .iter()
            .take(at)
            .filter(|b| **b == b'\n')
            .count();
        format!("line {line} is not as `quaymeter keys` writes it")
    })?;
    let pepper = Pepper::parse(&form.pepper).ok_or("pepper: expected 64 hex digits")?;
    if form.keys.len() > KEYS_MAX {
        return Err(format!("more than {KEYS_MAX} keys"));
    }
    let mut entries = BTreeMap::new();
    for (at, line) in form.keys.into_iter().enumerate() {
        let wrong =
            |field: &str, expected: &str| format!("keys[{at}].{field}: expected {expected}");
        if !is_id(&line.id) {
            return Err(wrong("id", "12 hex digits in lower case"));
        }
        if !is_name(&line.caller) {
            return Err(wrong("caller", "1 to 64 characters A-Z a-z 0-9 . _ : -"));
        }
        let digest = Digest::parse(&line.hash);
        let entry = Entry {
            caller: line.caller,
            digest: digest.ok_or_else(|| wrong("hash", "64 hex digits"))?,
            created: line.created,
            expires: line.expires,
            revoked: line.revoked,
        };
        if entries.insert(line.id, entry).is_some() {
            return Err(wrong("id", "an id that no key before it has"));
        }
    }
    Ok(Keys { pepper, entries })
}

/// Writes one.
pub fn write(keys: &Keys) -> io::Result<String> {
    let line = |(id, entry): (&str, &Entry)| Line {
        id: id.into(),
        caller: entry.caller.clone(),
        hash: entry.digest.hex(),
        created: entry.created,
        expires: entry.expires,
        revoked: entry.revoked,
    };
    let form = Form {
        pepper: keys.pepper.hex(),
        keys: keys.iter().map(line).collect(),
    };
    let text = toml::to_string(&form).map_err(io::Error::other)?;
    Ok(format!("{HEADER}{text}"))
}
