//! `quaymeter topics` and Kafka's settings, with no broker at all.

use crate::place::{Place, text};
use crate::service::quaymeter;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// The status, what was printed, and what was told beside it.
fn told(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = quaymeter();
    command.args(arguments).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let (out, err) = text(&output);
    (output.status.code(), out, err)
}

/// An address at which nobody listens, and that nobody else takes meanwhile.
fn nobody() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Another address of loopback is another place to listen at.
    (listener, format!("127.0.0.2:{}", address.port()))
}

#[test]
fn the_plan_needs_no_broker() {
    let flags = [
        "topics",
        "plan",
        "--kafka-prefix",
        "nb",
        "--kafka-partitions",
        "5",
    ];
    let (status, out, err) = told(&flags, &[]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let has = |words: &[&str]| {
        let mut lines = out
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.any(|line| line == words)
    };
    for name in ["nb.events", "nb.cells", "nb.dead-letter"] {
        assert!(has(&[name, "partitions", "5"]), "{out}");
        assert!(has(&[name, "replicas", "at", "least", "3"]), "{out}");
    }
    assert!(has(&["nb.cells", "cleanup.policy", "compact"]), "{out}");
}

#[test]
fn the_plan_as_json_is_a_topic_a_line() {
    let (status, out, _) = told(&["topics", "plan", "--format", "json"], &[]);
    let topics: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((status, topics.len()), (Some(0), 3));
    let retention = &topics[0]["settings"]["retention.ms"];
    assert_eq!(retention["at_least"], 1097 * 86_400_000_i64);
}

#[test]
fn brokers_that_do_not_answer_are_named_soon() {
    let (_taken, address) = nobody();
    let begun = Instant::now();
    for what in ["check", "create"] {
        let (status, out, err) = told(&["topics", what, "--brokers", &address], &[]);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        let expected = format!("quaymeter: reach Kafka at {address}: no answer in ");
        assert!(err.starts_with(&expected), "{err}");
        assert!(err.contains("Connection refused"), "{err}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{begun:?}");
}

#[test]
fn a_broker_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let (status, _, err) = told(&["topics", "check", "--brokers", &address], &[]);
    assert_eq!(status, Some(1), "{err}");
    let expected = format!("quaymeter: reach Kafka at {address}: no answer in ");
    assert!(err.starts_with(&expected), "{err}");
    assert!(err.contains("timed out"), "{err}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{begun:?}");
}

#[test]
fn kafka_needs_brokers() {
    for command in ["serve", "check-config"] {
        let (status, _, err) = told(&[command, "--log", "kafka"], &[]);
        assert_eq!(status, Some(1));
        let expected = "--log-kind: kafka.brokers: found nothing, expected host:port, or several \
                        with commas between, because log.kind is kafka";
        assert!(err.contains(expected), "{command}: {err}");
    }
    let (status, _, err) = told(&["topics", "check"], &[]);
    assert_eq!(status, Some(1));
    assert!(err.contains("kafka.brokers is not set"), "{err}");
    let flags = [
        "check-config",
        "--log",
        "kafka",
        "--brokers",
        "a:9092,b:9092",
    ];
    assert_eq!(told(&flags, &[]).0, Some(0));
}

#[test]
fn properties_are_judged_with_all_settings_and_no_value_is_told() {
    let place = Place::new();
    let file = place.path("client.properties");
    std::fs::write(
        &file,
        "acks = secret-1\nsecret-2\n# fine\nsasl.password = secret-3\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let environment = [
        ("QUAYMETER_KAFKA_PROPERTY_GROUP_ID", "secret-4"),
        ("QUAYMETER_KAFKA_PROPERTY_SASL_USERNAME", "secret-5"),
    ];
    let flags = [
        "--kafka-properties",
        file,
        "--brokers",
        "a:b",
        "--kafka-min-insync",
        "4",
    ];
    for command in [&["check-config"][..], &["serve"], &["topics", "plan"]] {
        let (status, out, err) = told(&[command, &flags].concat(), &environment);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        let instead = "found a property that is not free, expected";
        for expected in [
            &format!("{file}:1: acks: {instead} nothing: that all is counted exactly once"),
            &format!("{file}:2: a line: found no property, expected key = value"),
            &format!(
                "QUAYMETER_KAFKA_PROPERTY_GROUP_ID: group.id: {instead} the setting kafka.prefix"
            ),
            "--kafka-brokers: kafka.brokers: found \"a:b\", expected host:port",
            "kafka.replication = 3 and kafka.min_insync = 4, expected kafka.replication ≥ kafka.min_insync",
        ] {
            assert!(err.contains(expected), "no {expected:?} in\n{err}");
        }
        assert!(!err.contains("secret"), "{err}");
    }
}

#[test]
fn properties_that_librdkafka_refuses_are_named_before_a_broker_is_asked() {
    let environment = [
        ("QUAYMETER_KAFKA_PROPERTY_SASL_PASSWORT", "secret-1"),
        ("QUAYMETER_KAFKA_PROPERTY_SECURITY_PROTOCOL", "secret-2"),
    ];
    for command in [&["topics", "check"][..], &["check-config"]] {
        let (status, _, err) = told(&[command, &["--brokers", "a:1"]].concat(), &environment);
        assert_eq!(status, Some(1));
        for expected in [
            "sasl.passwort: librdkafka knows no such property",
            "security.protocol: librdkafka does not take its value",
        ] {
            assert!(err.contains(expected), "{err}");
        }
        assert!(!err.contains("secret"), "{err}");
    }
}

#[test]
fn a_dump_of_the_configuration_has_no_property_in_it() {
    let environment = [("QUAYMETER_KAFKA_PROPERTY_SASL_PASSWORD", "hunter-1")];
    let flags = [
        "serve",
        "--log",
        "kafka",
        "--brokers",
        "a:1",
        "--dump-config",
    ];
    let (status, out, err) = told(&flags, &environment);
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.contains("kind = \"kafka\"") && out.contains("brokers = \"a:1\""),
        "{out}"
    );
    // What explains a setting may name a property.
    let mut settings = out.lines().filter(|line| !line.starts_with('#'));
    assert!(!settings.any(|line| line.contains("sasl")), "{out}");
    assert!(!out.contains("hunter"), "{out}");
}
