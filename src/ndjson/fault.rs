//! Why a line is no event, without a word of the line: a plate or a driver's reference may
//! stand anywhere in it, where it does not belong too. What serde says repeats values, so a
//! line that it refused is read once more with an error that never takes one ([`Fault`]);
//! and this one knows the field.

use super::node::Node;
use super::{Reason, Refusal};
use crate::pb;
use serde::Deserialize as _;
use serde::de::{self, Expected, Unexpected};
use serde_json::error::Category;
use std::fmt;

/// What a line is to be.
const EVENT: &str = "an event in the proto's JSON form";

/// What a number is to be. pbjson does not say, and of numbers alone.
pub(super) const NUMBER: &str = "a whole number that the field can hold";

/// What an instant is to be.
const INSTANT: &str = "a date and time with an offset, such as 2026-01-20T14:15:00+08:00";

impl Refusal {
    /// A refusal of text that is no JSON, or not the JSON that was wanted. Of what serde says
    /// only that is told which is the same whatever the text.
    pub fn no_json(error: &serde_json::Error, wanted: &str) -> Self {
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        let (found, expected) = match error.classify() {
            Category::Eof => ("the end", format!("{wanted} ({said})")),
            Category::Syntax => ("no JSON", format!("{wanted} ({said})")),
            Category::Data | Category::Io => ("other JSON", wanted.to_owned()),
        };
        Self::new(Reason::Malformed, &place(error), found, &expected)
    }
}

fn place(error: &serde_json::Error) -> String {
    match (error.line(), error.column()) {
        (0 | 1, column) => format!("column {column}"),
        (line, column) => format!("line {line}, column {column}"),
    }
}

/// The refusal of a line that serde refused at a column.
pub(super) fn refusal(text: &[u8], column: usize) -> Refusal {
    let line = match serde_json::from_slice::<Node>(text) {
        Ok(line) => line,
        Err(error) => return Refusal::no_json(&error, EVENT),
    };
    // It ends where the first reading did: both go in the line's order.
    let fault = pb::Event::deserialize(&line).err().unwrap_or_default();
    let fault = fault.at(&line, EVENT);
    let field = match fault.field.as_str() {
        "" => "line",
        field => field,
    };
    let found = format!("{} at column {column}", fault.found);
    Refusal::new(Reason::Malformed, field, &found, &fault.expected)
}

/// What keeps JSON from being an event. Whoever makes one has the value; it takes none.
#[derive(Debug, Default, thiserror::Error)]
#[error("{field}: found {found}, expected {expected}")]
pub(super) struct Fault {
    /// The path by names that the proto has; empty at the top.
    field: String,
    found: &'static str,
    expected: String,
}

impl Fault {
    /// Of this value, and this was expected, if nothing was told before.
    pub fn at(mut self, value: &Node, expected: &str) -> Self {
        if self.found.is_empty() {
            self.found = value.kind();
        }
        self.expecting(expected)
    }

    /// This was expected, in our words, if nothing was told before.
    pub fn expecting(mut self, expected: &str) -> Self {
        if self.expected.is_empty() {
            self.expected = match expected {
                "a date string" => INSTANT.into(),
                message if message.starts_with("struct ") => "an object".into(),
                other => other.strip_prefix("expected ").unwrap_or(other).into(),
            };
        }
        self
    }

    /// The same, told from outside of a field or of a place in a list.
    pub fn within(mut self, part: &str) -> Self {
        let is_whole = self.field.is_empty() || self.field.starts_with('[');
        let dot = if is_whole { "" } else { "." };
        self.field = format!("{part}{dot}{}", self.field);
        self
    }
}

impl de::Error for Fault {
    /// Words that somebody makes may have the value in them.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::default()
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::default().expecting(&expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::default().expecting(&expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::default().expecting(&expected.to_string())
    }

    fn unknown_variant(_: &str, names: &'static [&'static str]) -> Self {
        Self::default().expecting(&format!("one of: {}", names.join(", ")))
    }

    fn unknown_field(_: &str, names: &'static [&'static str]) -> Self {
        // Of the two forms of a name the one that is usual in JSON.
        let usual = names.iter().copied().filter(|name| !name.contains('_'));
        let expected = format!("one of: {}", usual.collect::<Vec<_>>().join(", "));
        Self {
            found: "a field of another name",
            ..Self::default().expecting(&expected)
        }
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self {
            field: name.into(),
            found: "a second one",
            ..Self::default().expecting("each field once, and one kind of event")
        }
    }
}

#[cfg(test)]
mod tests;
