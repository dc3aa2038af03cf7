//! The plan, and what is told of topics that are otherwise.

use super::*;
use crate::config::Sources;

fn plan(flags: &[(&'static str, &str)]) -> Plan {
    let flags = flags.iter().map(|&(name, value)| (name, value.into()));
    let sources = Sources {
        flags: flags.collect(),
        ..Sources::default()
    };
    Plan::of(&Config::resolve(sources).unwrap())
}

/// Topics that are just as planned.
fn made(plan: &Plan) -> Vec<Found> {
    let made = |topic: &TopicPlan| Found {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication: topic.replication,
        settings: topic
            .settings
            .iter()
            .map(|(&name, required)| (name.into(), required.value()))
            .collect(),
    };
    plan.topics.iter().map(made).collect()
}

fn told(plan: &Plan, found: &[Found]) -> Vec<String> {
    let told = |one: &Difference| {
        let text = one.to_string();
        text[..text.len() - one.advice.len() - 2].into()
    };
    differences(plan, found).iter().map(told).collect()
}

fn wanted(topic: &TopicPlan) -> Vec<String> {
    let wanted = topic.settings.iter();
    wanted
        .map(|(name, required)| format!("{name} {required}"))
        .collect()
}

#[test]
fn the_plan_follows_from_the_settings() {
    let plan = plan(&[
        ("kafka.prefix", "nb"),
        ("kafka.partitions", "4"),
        ("kafka.replication", "5"),
        ("kafka.min_insync", "3"),
    ]);
    let [events, cells, dead] = &plan.topics[..] else {
        panic!("{plan:?}");
    };
    let names = [&events.name, &cells.name, &dead.name];
    assert_eq!(names, ["nb.events", "nb.cells", "nb.dead-letter"]);
    for topic in &plan.topics {
        assert_eq!((topic.partitions, topic.replication), (4, 5));
    }
    assert_eq!(
        wanted(events),
        [
            "cleanup.policy delete",
            "max.message.bytes at least 1048576",
            "message.timestamp.type CreateTime",
            "min.insync.replicas at least 3",
            "retention.bytes -1",
            "retention.ms at least 94780800000",
        ]
    );
    assert_eq!(
        wanted(cells),
        [
            "cleanup.policy compact",
            "delete.retention.ms at least 604800000",
            "max.message.bytes at least 4194304",
            "message.timestamp.type CreateTime",
            "min.compaction.lag.ms at least 3600000",
            "min.insync.replicas at least 3",
        ]
    );
    assert_eq!(
        dead.settings["retention.ms"],
        Required::AtLeast(366 * DAY_MS)
    );
}

#[test]
fn events_are_kept_as_long_as_asked_and_as_corrections_need() {
    let days = |flags: &[(&'static str, &str)]| match plan(flags).topics[0].settings["retention.ms"]
    {
        Required::AtLeast(ms) => ms / DAY_MS,
        Required::Exactly(_) => 0,
    };
    assert_eq!(days(&[]), 1096 + 1);
    assert_eq!(days(&[("day_days", "2000")]), 2000 + 1);
    assert_eq!(days(&[("log_days", "500")]), 500 + 1);
    // A plan for a day 400 days ahead is known until a horizon after it.
    assert_eq!(days(&[("log_days", "40")]), 400 + 35 + 1);
    assert_eq!(
        days(&[("log_days", "40"), ("horizon_days", "40")]),
        400 + 40 + 1
    );
}

#[test]
fn a_value_is_exact_or_at_least_a_number() {
    let table: [(Required, &[&str], &[&str]); 3] = [
        (
            Required::Exactly("delete"),
            &["delete"],
            &["compact", "compact,delete", ""],
        ),
        (
            Required::AtLeast(7),
            &["7", "8", "-1", "9223372036854775807"],
            &["6", "-2", "", "x", "7.5"],
        ),
        (Required::Exactly("-1"), &["-1"], &["0", "1"]),
    ];
    for (required, good, bad) in table {
        assert!(
            good.iter().all(|value| required.allows(value)),
            "{required}"
        );
        assert!(
            !bad.iter().any(|value| required.allows(value)),
            "{required}"
        );
        assert!(required.allows(&required.value()));
    }
}

#[test]
fn topics_as_planned_do_not_differ() {
    let plan = plan(&[]);
    let mut found = made(&plan);
    assert_eq!(told(&plan, &found), [""; 0]);
    // Better than wanted, or not asked about.
    found[0].replication += 1;
    found[0].settings.insert("retention.ms".into(), "-1".into());
    found[1]
        .settings
        .insert("compression.type".into(), "zstd".into());
    found.push(Found::default());
    assert_eq!(told(&plan, &found), [""; 0]);
}

#[test]
fn each_setting_that_differs_is_named() {
    let plan = plan(&[]);
    for (at, topic) in plan.topics.iter().enumerate() {
        for (setting, required) in &topic.settings {
            let mut found = made(&plan);
            found[at].settings.insert((*setting).into(), "0".into());
            let expected = format!("{}: {setting}: found 0, wanted {required}", topic.name);
            assert_eq!(told(&plan, &found), [expected]);
            found[at].settings.remove(*setting);
            let expected = format!(
                "{}: {setting}: found nothing, wanted {required}",
                topic.name
            );
            assert_eq!(told(&plan, &found), [expected]);
        }
    }
}

#[test]
fn missing_topics_and_replicas_are_named() {
    let plan = plan(&[]);
    let mut found = made(&plan);
    found.remove(1);
    found[0].replication = 2;
    let expected = [
        "quaymeter.events: replicas: found 2, wanted at least 3",
        "quaymeter.cells: topic: found none, wanted one",
    ];
    assert_eq!(told(&plan, &found), expected);
    assert_eq!(differences(&plan, &[]).len(), 3);
}

#[test]
fn another_number_of_partitions_is_refused_and_says_why() {
    let plan = plan(&[]);
    for (count, word) in [
        (6, "Adding partitions is refused"),
        (24, "facilities have moved"),
    ] {
        let mut found = made(&plan);
        for topic in &mut found {
            topic.partitions = count;
        }
        let all = differences(&plan, &found);
        assert_eq!(all.len(), 3);
        for difference in all {
            assert!(difference.is_of_partitions());
            assert!(difference.advice.contains(word), "{difference}");
            for named in ["new topics", "`quaymeter topics migrate`"] {
                assert!(difference.advice.contains(named), "{difference}");
            }
        }
    }
}

#[test]
fn events_and_cells_of_different_numbers_are_refused_whatever_the_plan() {
    let plan = plan(&[("kafka.partitions", "3")]);
    let mut found = made(&plan);
    found[1].partitions = 4;
    let expected = [
        "quaymeter.cells: partitions: found 4, wanted 3",
        "quaymeter.cells: partitions: found 4, wanted 3, as quaymeter.events has",
    ];
    assert_eq!(told(&plan, &found), expected);
}
