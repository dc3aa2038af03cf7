//! What is otherwise than planned, decided without asking anybody.

use super::{Plan, TopicPlan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A topic as a broker tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// The replicas of the partition that has fewest.
    pub replication: i32,
    /// All of its settings, also those that are the broker's defaults.
    pub settings: BTreeMap<String, String>,
}

/// One thing that is not as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The topic's name.
    pub topic: String,
    /// The setting's, by Kafka's own names; `topic` if there is no topic.
    pub setting: String,
    /// What was found.
    pub found: String,
    /// What is wanted.
    pub wanted: String,
    /// What to do about it, and why it is not done by a command.
    pub advice: &'static str,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            setting,
            found,
            wanted,
            advice,
        } = self;
        write!(
            f,
            "{topic}: {setting}: found {found}, wanted {wanted}: {advice}"
        )
    }
}

impl Difference {
    /// Whether there is no such topic.
    pub fn is_of_existence(&self) -> bool {
        self.setting == TOPIC
    }

    /// Whether it is a number of partitions. Nothing mends that, and a topic that
    /// is made beside such a one would only be another to remove.
    pub fn is_of_partitions(&self) -> bool {
        self.setting == PARTITIONS
    }
}

const TOPIC: &str = "topic";
const PARTITIONS: &str = "partitions";

const MISSING: &str = "`quaymeter topics create` makes it";
const ALTER: &str = "alter the topic; quaymeter alters none";
const REPLICAS: &str = "reassign its partitions to more brokers, or set kafka.replication";
const FEWER: &str = "set kafka.partitions to what there is. Adding partitions is refused: a facility's \
     later events would go to another partition than its earlier ones and be counted without them. \
     For more of them, make new topics, under another kafka.prefix, and copy the events into them with \
     `quaymeter topics migrate`";
const MORE: &str = "if it was made with so many, set kafka.partitions to that; for fewer, copy the events into \
     new topics, under another kafka.prefix, with `quaymeter topics migrate`. If partitions were added \
     later, facilities have moved: their later events are in other partitions than their earlier ones \
     and would be counted without them; `topics migrate` leaves out what is not in its facility's \
     partition, so send the events anew into new topics";
const UNEQUAL: &str = "what is counted of a partition of events is kept in the partition of cells of the \
     same number, so both must have as many: use new topics, under another kafka.prefix";

/// All that is otherwise, in the plan's order; topics that are not planned are
/// passed over.
pub fn differences(plan: &Plan, found: &[Found]) -> Vec<Difference> {
    let of = |name: &str| found.iter().find(|topic| topic.name == name);
    let mut all = Vec::new();
    for planned in &plan.topics {
        match of(&planned.name) {
            Some(topic) => compare(planned, topic, &mut all),
            None => all.push(difference(planned, TOPIC, "none", "one", MISSING)),
        }
    }
    if let (Some(events), Some(cells)) = (of(&plan.names.events), of(&plan.names.cells))
        && events.partitions != cells.partitions
    {
        all.push(Difference {
            topic: cells.name.clone(),
            setting: PARTITIONS.into(),
            found: cells.partitions.to_string(),
            wanted: format!("{}, as {} has", events.partitions, events.name),
            advice: UNEQUAL,
        });
    }
    all
}

fn compare(planned: &TopicPlan, found: &Found, all: &mut Vec<Difference>) {
    if found.partitions != planned.partitions {
        let advice = if found.partitions < planned.partitions {
            FEWER
        } else {
            MORE
        };
        let (found, wanted) = (found.partitions, planned.partitions);
        all.push(difference(planned, PARTITIONS, found, wanted, advice));
    }
    if found.replication < planned.replication {
        let wanted = format!("at least {}", planned.replication);
        let found = found.replication;
        all.push(difference(planned, "replicas", found, wanted, REPLICAS));
    }
    for (&setting, required) in &planned.settings {
        let value = found.settings.get(setting).map(String::as_str);
        if !value.is_some_and(|value| required.allows(value)) {
            let value = value.unwrap_or("nothing");
            all.push(difference(planned, setting, value, required, ALTER));
        }
    }
}

fn difference(
    planned: &TopicPlan,
    setting: &str,
    found: impl fmt::Display,
    wanted: impl fmt::Display,
    advice: &'static str,
) -> Difference {
    Difference {
        topic: planned.name.clone(),
        setting: setting.into(),
        found: found.to_string(),
        wanted: wanted.to_string(),
        advice,
    }
}
