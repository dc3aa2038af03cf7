//! librdkafka's properties, which are passed on as they are: how brokers are
//! spoken to, and whatever else somebody must tune. Their values may be secrets,
//! so nothing here ever tells one.

use std::collections::BTreeMap;
use std::fmt;

/// Begins the variables that are properties: what follows is a property's name,
/// in capitals and with `_` for `.`.
pub const VARIABLE_PREFIX: &str = "QUAYMETER_KAFKA_PROPERTY_";

/// More than the longest name that librdkafka knows.
const NAME_CHARS_MAX: usize = 64;

/// A shorter value is a number or a switch: it tells nothing by itself, and
/// would be found in every text.
const HIDDEN_BYTES_MIN: usize = 4;

/// Properties whose values are words of the protocol, known to everybody.
const PUBLIC: [&str; 3] = ["sasl.mechanism", "sasl.mechanisms", "security.protocol"];

const BROKERS: &str = "the setting kafka.brokers instead";
const PREFIX: &str = "the setting kafka.prefix instead";
const INSTANCE: &str = "the settings kafka.prefix and kafka.instance instead";
const EXACTLY_ONCE: &str = "nothing: that all is counted exactly once depends on it";
const BY_COMMAND: &str = "nothing: topics are made by `quaymeter topics create` alone";

/// The properties that are not to be had, with what there is instead.
pub const FIXED: &[(&str, &str)] = &[
    ("acks", EXACTLY_ONCE),
    ("allow.auto.create.topics", BY_COMMAND),
    ("auto.commit.enable", EXACTLY_ONCE),
    ("auto.offset.reset", EXACTLY_ONCE),
    ("bootstrap.servers", BROKERS),
    ("delivery.report.only.error", EXACTLY_ONCE),
    ("enable.auto.commit", EXACTLY_ONCE),
    ("enable.auto.offset.store", EXACTLY_ONCE),
    ("enable.gapless.guarantee", EXACTLY_ONCE),
    ("enable.idempotence", EXACTLY_ONCE),
    ("enable.partition.eof", EXACTLY_ONCE),
    ("group.id", PREFIX),
    ("group.instance.id", INSTANCE),
    ("group.protocol", EXACTLY_ONCE),
    ("group.protocol.type", EXACTLY_ONCE),
    ("group.remote.assignor", EXACTLY_ONCE),
    ("isolation.level", EXACTLY_ONCE),
    ("metadata.broker.list", BROKERS),
    ("partition.assignment.strategy", EXACTLY_ONCE),
    ("partitioner", EXACTLY_ONCE),
    ("request.required.acks", EXACTLY_ONCE),
    ("transaction.timeout.ms", EXACTLY_ONCE),
    ("transactional.id", INSTANCE),
];

/// What was found and what was expected, neither of them a value.
type Refusal = (&'static str, &'static str);

/// Properties by name. Neither `Debug` nor anything else prints a value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

/// One line that is no property.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// The property's name, if it may be told.
    pub name: String,
    pub found: &'static str,
    pub expected: &'static str,
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Properties {
    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A text of somebody else's, without the values that it may repeat.
    pub fn hide(&self, text: &str) -> String {
        let tells = |(name, value): &(&str, &str)| {
            value.len() >= HIDDEN_BYTES_MIN && !PUBLIC.contains(name)
        };
        let mut values: Vec<&str> = self.iter().filter(tells).map(|(_, value)| value).collect();
        // One may be part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values
            .into_iter()
            .fold(text.into(), |text, value| text.replace(value, "(hidden)"))
    }

    /// Sets one.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        if !is_name(name) {
            return Err(("no name of a property", NAME_EXPECTED));
        }
        if let Some((_, instead)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
            return Err(("a property that is not free", instead));
        }
        self.0.insert(name.into(), value.into());
        Ok(())
    }

    /// Sets those of a file; what is wrong with the others.
    pub(super) fn read(&mut self, text: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err((name, (found, expected))) = self.read_line(line) {
                faults.push(Fault {
                    line: at + 1,
                    name: name.into(),
                    found,
                    expected,
                });
            }
        }
        faults
    }

    fn read_line<'a>(&mut self, line: &'a str) -> Result<(), (&'a str, Refusal)> {
        // Without a proper name the line may be part of a secret.
        let (name, value) = match line.split_once('=') {
            Some((name, value)) if is_name(name.trim()) => (name.trim(), value.trim()),
            _ => return Err(("a line", ("no property", LINE_EXPECTED))),
        };
        if self.0.contains_key(name) {
            return Err((name, ("a property that was set before", "each once")));
        }
        self.set(name, value).map_err(|refusal| (name, refusal))
    }

    /// Takes those of another, which win.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

const NAME_EXPECTED: &str = "small letters, digits, '.' and '_'";
const LINE_EXPECTED: &str = "key = value, with small letters, digits, '.' and '_' in the key";

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.chars().all(allowed)
}

#[cfg(test)]
mod tests;
