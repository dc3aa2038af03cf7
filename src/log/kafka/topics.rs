//! The topics: what they must be, as data, and what about those that are there
//! is otherwise. Who asks a broker is [`admin`].

pub mod admin;
mod difference;

pub use difference::{Difference, Found, differences};

use crate::config::{Config, Name};
use crate::wire::PLANNED_AHEAD_MS;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

const DAY_MS: i64 = 86_400_000;

/// Records may be as large as this, compressed: events, dead letters.
const EVENT_BYTES: i64 = 1 << 20;

/// The same of cells, whose largest are chunks of the ledger's journal.
const CELL_BYTES: i64 = 4 << 20;

/// For how long an older value of a cell stays beside its latest, so that a
/// reader that is a little behind meets no gaps.
const COMPACTION_LAG_MS: i64 = 3_600_000;

/// For how long a removed cell can be read as removed. A view that was away for
/// longer must start anew.
const TOMBSTONE_MS: i64 = 7 * DAY_MS;

/// For how long somebody may ask what was wrong with a record.
const DEAD_LETTER_DAYS: i32 = 365;

/// The topics' names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// The event log: a record an event, by facility.
    pub events: String,
    /// Absolute values of cells, and all other state; the latest of each key.
    pub cells: String,
    /// Records of the event log that are no events of ours.
    pub dead_letter: String,
}

impl Topics {
    /// Those with this prefix.
    pub fn of(prefix: &Name) -> Self {
        Self {
            events: format!("{prefix}.events"),
            cells: format!("{prefix}.cells"),
            dead_letter: format!("{prefix}.dead-letter"),
        }
    }
}

/// What a topic's setting must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Required {
    /// This.
    Exactly(&'static str),
    /// This number or a greater one; -1, which means that there is no bound, is
    /// the greatest.
    AtLeast(i64),
}

impl Required {
    /// Whether this value will do.
    pub fn allows(&self, found: &str) -> bool {
        match self {
            Self::Exactly(value) => found == *value,
            Self::AtLeast(least) => found
                .parse::<i64>()
                .is_ok_and(|found| found >= *least || found == -1),
        }
    }

    /// The value that a new topic gets.
    pub fn value(&self) -> String {
        match self {
            Self::Exactly(value) => (*value).into(),
            Self::AtLeast(least) => least.to_string(),
        }
    }
}

impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(value) => f.write_str(value),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

/// What one topic must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// Its partitions, neither more nor fewer.
    pub partitions: i32,
    /// Replicas of each, at least.
    pub replication: i32,
    /// Its settings, by Kafka's names; whatever is not here is free.
    pub settings: BTreeMap<&'static str, Required>,
}

/// What all topics must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Their names.
    pub names: Topics,
    /// Each of them: events, cells, dead letters.
    pub topics: Vec<TopicPlan>,
}

impl Plan {
    /// As configured. All topics have as many partitions, because what is
    /// counted of a partition of events goes to the one of the same number.
    pub fn of(config: &Config) -> Self {
        let names = Topics::of(&config.kafka.prefix);
        let topic = |name: &str, settings: Vec<(&'static str, Required)>| TopicPlan {
            name: name.into(),
            partitions: config.kafka.partitions,
            replication: config.kafka.replication,
            settings: settings
                .into_iter()
                .chain(common(config.kafka.min_insync))
                .collect(),
        };
        let topics = vec![
            topic(&names.events, kept(event_ms(config))),
            topic(&names.cells, compacted()),
            topic(&names.dead_letter, kept(ms(DEAD_LETTER_DAYS))),
        ];
        Self { names, topics }
    }
}

/// How long events are kept: as in the embedded log, by days that are over. What
/// may still be corrected must be there, and a plan may be of a day far ahead.
fn event_ms(config: &Config) -> i64 {
    let days = match config.log_days {
        0 => config.day_days,
        days => days,
    };
    ms(days).max(ms(config.horizon_days) + PLANNED_AHEAD_MS)
}

/// So many whole days, wherever in a day the first begins.
fn ms(days: i32) -> i64 {
    (i64::from(days) + 1) * DAY_MS
}

fn common(min_insync: i32) -> [(&'static str, Required); 2] {
    [
        ("min.insync.replicas", Required::AtLeast(min_insync.into())),
        // Retention goes by when a record was sent, also in a copy of a topic.
        ("message.timestamp.type", Required::Exactly("CreateTime")),
    ]
}

/// Kept for a time, whatever their size: a bound of bytes would remove what may
/// still be corrected.
fn kept(retention_ms: i64) -> Vec<(&'static str, Required)> {
    vec![
        ("cleanup.policy", Required::Exactly("delete")),
        ("max.message.bytes", Required::AtLeast(EVENT_BYTES)),
        ("retention.bytes", Required::Exactly("-1")),
        ("retention.ms", Required::AtLeast(retention_ms)),
    ]
}

/// The latest of each key, for good.
fn compacted() -> Vec<(&'static str, Required)> {
    vec![
        ("cleanup.policy", Required::Exactly("compact")),
        ("delete.retention.ms", Required::AtLeast(TOMBSTONE_MS)),
        ("max.message.bytes", Required::AtLeast(CELL_BYTES)),
        (
            "min.compaction.lag.ms",
            Required::AtLeast(COMPACTION_LAG_MS),
        ),
    ]
}

#[cfg(test)]
mod tests;
