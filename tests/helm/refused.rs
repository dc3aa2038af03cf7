//! What cannot work is refused before anything is installed.

use crate::tools::{chart, root, template};
use std::fs;

/// In each, the word that the refusal must name.
fn refused(base: &str, table: &[(&str, &str)]) {
    assert_eq!(template(&chart(), base).err(), None, "{base}");
    for (values, named) in table {
        let values = format!("{base}\n{values}\n");
        let why = template(&chart(), &values).expect_err(&values);
        assert!(why.contains(named), "{values}:\n{why}");
    }
}

const KAFKA: &str = "mode: kafka
config: {kafka: {brokers: 'a:9092'}}
pseudonymKey: {secret: {name: keys}}";

#[test]
fn a_value_that_is_none_is_refused_by_name() {
    refused(
        "",
        &[
            ("moed: kafka", "moed"),
            ("mode: kafak", "/mode"),
            ("replicas: 0", "/replicas"),
            ("replicas: two", "/replicas"),
            ("image: {name: a}", "name"),
            ("image: {digest: 'sha256:1'}", "/image/digest"),
            ("config: {lissen: '0.0.0.0:1'}", "lissen"),
            ("config: {listen: '0.0.0.0:1'}", "listen"),
            ("config: {kafka: {instance: a}}", "instance"),
            ("config: {log: {kind: kafka}}", "kind"),
            ("config: {horizon_days: 401}", "/config/horizon_days"),
            ("config: {strict: 'yes'}", "/config/strict"),
            ("config: {kafka: {brokers: 'a'}}", "/config/kafka/brokers"),
            ("kafka: {tls: {enable: true}}", "enable"),
            (
                "kafka: {sasl: {mechanism: GSSAPI}}",
                "/kafka/sasl/mechanism",
            ),
            ("kafka: {properties: {'linger ms': 1}}", "linger ms"),
            (
                "kafka: {properties: {a: \"b\\nc = d\"}}",
                "/kafka/properties/a",
            ),
            ("kafka: {secretProperties: [{property: a}]}", "secret"),
            ("persistence: {size: 1GB}", "/persistence/size"),
            (
                "persistence: {accessModes: [ReadWriteMany]}",
                "/persistence/accessModes",
            ),
            ("service: {port: 70700}", "/service/port"),
            (
                "podDisruptionBudget: {maxUnavailable: 101%}",
                "/podDisruptionBudget/maxUnavailable",
            ),
            ("autoscaling: {keda: {lag: 1}}", "lag"),
            ("livenessProbe: {httpGet: {path: /}}", "httpGet"),
            ("extraEnv: {A: b}", "/extraEnv"),
            (
                "terminationGracePeriodSeconds: 1m",
                "/terminationGracePeriodSeconds",
            ),
        ],
    );
}

#[test]
fn a_property_on_which_exactly_once_depends_is_refused() {
    let source = fs::read_to_string(root().join("src/config/properties.rs")).unwrap();
    let fixed = source
        .lines()
        .filter_map(|line| line.strip_prefix("    (\"")?.split('"').next());
    let fixed: Vec<(String, String)> = fixed
        .map(|name| {
            let values = format!("kafka: {{properties: {{{name}: x}}}}");
            (values, format!("invalid propertyName '{name}'"))
        })
        .collect();
    assert!(fixed.len() > 20, "{fixed:?}");
    let table: Vec<(&str, &str)> = fixed
        .iter()
        .map(|(values, said)| (&**values, &**said))
        .collect();
    refused(KAFKA, &table);
}

#[test]
fn an_embedded_log_has_one_pod_and_a_volume() {
    refused(
        "mode: embedded",
        &[
            ("replicas: 2", "replicas: "),
            ("persistence: {enabled: false}", "persistence.enabled: "),
            (
                "podDisruptionBudget: {enabled: true}",
                "podDisruptionBudget.enabled: ",
            ),
            (
                "autoscaling: {hpa: {enabled: true}}",
                "autoscaling: an embedded",
            ),
            (
                "autoscaling: {keda: {enabled: true}}",
                "autoscaling: an embedded",
            ),
            ("kafka: {topics: {create: true}}", "kafka.topics.create: "),
            (
                "kafka: {properties: {linger.ms: 1}}",
                "kafka, config.kafka: ",
            ),
            ("config: {kafka: {brokers: 'a:1'}}", "kafka, config.kafka: "),
            (
                "persistence: {enabled: false, existingClaim: a}",
                "persistence.existingClaim: ",
            ),
        ],
    );
}

#[test]
fn kafka_needs_brokers_a_common_key_and_whole_secrets() {
    refused(
        "",
        &[
            (
                "mode: kafka\npseudonymKey: {secret: {name: keys}}",
                "config.kafka.brokers: ",
            ),
            (
                "mode: kafka\nconfig: {kafka: {brokers: 'a:1'}}",
                "pseudonymKey.secret.name: ",
            ),
        ],
    );
    refused(
        KAFKA,
        &[
            (
                "persistence: {existingClaim: a}",
                "persistence.existingClaim: ",
            ),
            ("kafka: {tls: {caSecret: {name: a}}}", "kafka.tls: "),
            ("kafka: {tls: {certificateSecret: a}}", "kafka.tls: "),
            (
                "kafka: {sasl: {mechanism: PLAIN}}",
                "kafka.sasl.secret.name: ",
            ),
            (
                "kafka: {sasl: {secret: {name: a}}}",
                "kafka.sasl.mechanism: ",
            ),
            (
                "kafka: {tls: {enabled: true}, properties: {security.protocol: ssl}}",
                "security.protocol is said twice",
            ),
            (
                "kafka: {properties: {a.b: c}, secretProperties: [{property: a.b, secret: s, key: k}]}",
                "a.b is said twice",
            ),
        ],
    );
    let few = KAFKA.replace("'a:9092'", "'a:9092', replication: 1");
    let why = template(&chart(), &few).expect_err("one replica, of which two have each record");
    assert!(why.contains("config.kafka.min_insync: "), "{why}");
}

#[test]
fn no_pods_without_partitions_and_no_scalers_against_each_other() {
    refused(
        KAFKA,
        &[
            ("replicas: 13", "replicas: pods beyond the 12 partitions"),
            (
                "autoscaling: {maxReplicas: 13, keda: {enabled: true}}",
                "autoscaling.maxReplicas: ",
            ),
            (
                "autoscaling: {minReplicas: 7, hpa: {enabled: true}}",
                "autoscaling.minReplicas: ",
            ),
            (
                "autoscaling: {hpa: {enabled: true}, keda: {enabled: true}}",
                "autoscaling: hpa and keda",
            ),
            (
                "autoscaling: {hpa: {enabled: true, targetCPUUtilizationPercentage: 0}}",
                "autoscaling.hpa: ",
            ),
            (
                "autoscaling: {hpa: {enabled: true}}\nresources: {requests: {cpu: ''}}",
                "autoscaling.hpa.targetCPU",
            ),
        ],
    );
}

#[test]
fn a_budget_lets_nodes_be_drained() {
    let three = format!("{KAFKA}\nreplicas: 3");
    refused(
        &three,
        &[
            (
                "podDisruptionBudget: {enabled: true, minAvailable: 1, maxUnavailable: 1}",
                "exclude each other",
            ),
            (
                "podDisruptionBudget: {enabled: true, maxUnavailable: 0}",
                "podDisruptionBudget.maxUnavailable: ",
            ),
            (
                "podDisruptionBudget: {enabled: true, maxUnavailable: 0%}",
                "podDisruptionBudget.maxUnavailable: ",
            ),
            (
                "podDisruptionBudget: {enabled: true, minAvailable: 3}",
                "podDisruptionBudget.minAvailable: ",
            ),
            (
                "podDisruptionBudget: {enabled: true, minAvailable: 100%}",
                "podDisruptionBudget.minAvailable: ",
            ),
        ],
    );
}

#[test]
fn a_stop_has_time_to_drain() {
    refused(
        "",
        &[
            ("terminationGracePeriodSeconds: 29", "must be at least 30"),
            ("config: {drain_deadline_ms: 25001}", "must be at least 61"),
            ("preStopSleepSeconds: 36", "must be at least 61"),
            (
                "extraEnv: [{name: QUAYMETER_LISTEN, value: '0.0.0.0:1'}]",
                "extraEnv: QUAYMETER_LISTEN would win",
            ),
            (
                "service: {loadBalancerClass: a}",
                "service.loadBalancerClass: ",
            ),
        ],
    );
    for good in [
        "terminationGracePeriodSeconds: 30",
        "config: {drain_deadline_ms: 25000}",
        "preStopSleepSeconds: 35",
    ] {
        assert_eq!(template(&chart(), good).err(), None, "{good}");
    }
}

#[test]
fn pods_that_anyone_may_use_are_meant_or_refused() {
    let protected = "tls: {enabled: true, secret: a}\nauth: {existingSecret: b}";
    for good in [protected, "insecureIKnow: true"] {
        assert_eq!(template(&chart(), good).err(), None, "{good}");
    }
    for bad in [
        "insecureIKnow: false",
        "insecureIKnow: false\ntls: {enabled: true, secret: a}",
        "auth: {existingSecret: b}",
    ] {
        let why = template(&chart(), bad).expect_err(bad);
        assert!(why.contains("tls.enabled, auth.existingSecret: "), "{why}");
    }
    refused(
        "auth: {existingSecret: b}\ninsecureIKnow: true",
        &[
            ("tls: {enabled: true}", "tls.secret: "),
            ("tls: {secret: a}", "tls: Secrets are named"),
            ("tls: {clients: required}", "tls: Secrets are named"),
            (
                "tls: {enabled: true, secret: a, clients: optional}",
                "tls.clientCA.secret: ",
            ),
            (
                "tls: {enabled: true, secret: a, clientCA: {secret: b}}",
                "tls.clients: ",
            ),
            (
                "tls: {enabled: true, secret: a, clients: all}",
                "/tls/clients",
            ),
            ("config: {tls: {cert: a}}", "tls"),
            ("config: {insecure_i_know: true}", "insecure_i_know"),
        ],
    );
    refused(
        "insecureIKnow: true",
        &[("auth: {keysKey: a}", "auth.keysKey: ")],
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let why = template(&chart(), "replicas: 2\nterminationGracePeriodSeconds: 1").unwrap_err();
    assert!(
        why.contains("replicas: ") && why.contains("terminationGracePeriodSeconds: "),
        "{why}"
    );
}
