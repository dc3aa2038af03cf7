//! Reads tables of TOML field by field: what is wrong is noted with its path, and
//! reading goes on.

use std::fmt;
use toml::{Table, Value};

/// Faults that are told, at most.
const FAULTS_MAX: usize = 100;

/// Characters of a found value that are shown.
const FOUND_CHARS_MAX: usize = 80;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `callers[0].publish.facilities[2]`.
    pub path: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, found, expected) = (&self.path, &self.found, &self.expected);
        write!(f, "{path}: found {found}, expected {expected}")
    }
}

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Faults(pub Vec<Fault>);

impl Faults {
    /// Notes one.
    pub fn add(&mut self, path: &str, found: impl Into<String>, expected: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            let found: String = found.into();
            self.0.push(Fault {
                path: path.into(),
                found: found.chars().take(FOUND_CHARS_MAX).collect(),
                expected: expected.into(),
            });
        }
    }

    /// Notes that the text is no TOML.
    pub fn syntax(&mut self, text: &str, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.as_bytes().iter().take(at);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        let found = error.message().replace('\n', " ");
        self.add(&format!("line {line}"), found, "TOML");
    }
}

/// A table whose fields are taken one by one; what is left at the end is unknown.
pub(super) struct Fields {
    at: String,
    rest: Table,
    known: Vec<&'static str>,
}

impl Fields {
    /// A table at this path; the root's is empty.
    pub fn new(at: impl Into<String>, rest: Table) -> Self {
        Self {
            at: at.into(),
            rest,
            known: Vec::new(),
        }
    }

    /// The path of one of its fields.
    pub fn path(&self, name: &str) -> String {
        match self.at.is_empty() {
            true => name.into(),
            false => format!("{}.{name}", self.at),
        }
    }

    /// A field's value, if it is there.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.rest.remove(name)
    }

    /// A text that must be there.
    pub fn text(
        &mut self,
        name: &'static str,
        expected: &str,
        faults: &mut Faults,
    ) -> Option<String> {
        let path = self.path(name);
        let Some(value) = self.take(name) else {
            faults.add(&path, "nothing", expected);
            return None;
        };
        text(&path, value, expected, faults)
    }

    /// Texts; none if there is no such field.
    pub fn texts(
        &mut self,
        name: &'static str,
        expected: &str,
        faults: &mut Faults,
    ) -> Vec<(String, String)> {
        let path = self.path(name);
        let value = self.take(name);
        value.map_or_else(Vec::new, |value| texts(&path, value, expected, faults))
    }

    /// A number within bounds; the default if there is no such field.
    pub fn number(
        &mut self,
        name: &'static str,
        within: std::ops::RangeInclusive<i64>,
        faults: &mut Faults,
    ) -> Option<i64> {
        let path = self.path(name);
        let value = self.take(name)?;
        let number = value.as_integer().filter(|number| within.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", within.start(), within.end());
            faults.add(&path, value.to_string(), expected);
        }
        number
    }

    /// Yes or no; no if there is no such field.
    pub fn flag(&mut self, name: &'static str, faults: &mut Faults) -> bool {
        let path = self.path(name);
        let Some(value) = self.take(name) else {
            return false;
        };
        value.as_bool().unwrap_or_else(|| {
            faults.add(&path, value.to_string(), "true or false");
            false
        })
    }

    /// A table; none if there is no such field.
    pub fn table(&mut self, name: &'static str, faults: &mut Faults) -> Option<Self> {
        let path = self.path(name);
        match self.take(name)? {
            Value::Table(table) => Some(Self::new(path, table)),
            other => {
                faults.add(&path, other.to_string(), "a table");
                None
            }
        }
    }

    /// Tables; none if there is no such field.
    pub fn tables(&mut self, name: &'static str, faults: &mut Faults) -> Vec<Self> {
        let path = self.path(name);
        let value = self.take(name);
        value.map_or_else(Vec::new, |value| tables(&path, value, faults))
    }

    /// What is left was not to be here.
    pub fn end(self, faults: &mut Faults) {
        for name in self.rest.keys() {
            let near = |known: &&&str| strsim::damerau_levenshtein(name, known) <= 2;
            let expected = match self.known.iter().find(near) {
                Some(known) => format!("a known name; did you mean {known}?"),
                None => format!("one of {}", self.known.join(", ")),
            };
            faults.add(&self.path(name), "an unknown name", expected);
        }
    }
}

/// A text at a path.
pub(super) fn text(
    path: &str,
    value: Value,
    expected: &str,
    faults: &mut Faults,
) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        other => {
            faults.add(path, other.to_string(), expected);
            None
        }
    }
}

/// A list of texts, each with its path.
pub(super) fn texts(
    path: &str,
    value: Value,
    expected: &str,
    faults: &mut Faults,
) -> Vec<(String, String)> {
    let Value::Array(list) = value else {
        faults.add(path, value.to_string(), format!("a list of {expected}"));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (at, value) in list.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        if let Some(text) = text(&path, value, expected, faults) {
            found.push((path, text));
        }
    }
    found
}

/// A list of tables.
pub(super) fn tables(path: &str, value: Value, faults: &mut Faults) -> Vec<Fields> {
    let Value::Array(list) = value else {
        faults.add(path, value.to_string(), "a list of tables");
        return Vec::new();
    };
    let mut found = Vec::new();
    for (at, value) in list.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        match value {
            Value::Table(table) => found.push(Fields::new(path, table)),
            other => faults.add(&path, other.to_string(), "a table"),
        }
    }
    found
}
