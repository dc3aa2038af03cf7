//! Single parts of the release that depend on values.

use crate::pods::pods;
use crate::tools::{one, rendered};
use serde_json::{Value, json};

const KAFKA: &str = "mode: kafka
pseudonymKey: {secret: {name: keys}}
kafka: {topics: {create: true}}
networkPolicy: {enabled: true}
config: {kafka: {brokers: 'a:9092,b:9093, c:9092'}}";

#[test]
fn nothing_goes_out_but_to_names_and_brokers() {
    let ports = |values: &str| {
        let objects = rendered(values);
        let rules = one(&objects, "NetworkPolicy", "")["spec"]["egress"].clone();
        let rules: Vec<Value> = serde_json::from_value(rules).unwrap();
        let ports = rules.iter().filter_map(|rule| rule["ports"].as_array());
        ports
            .flatten()
            .map(|port| port["port"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ports(KAFKA), [53, 53, 9092, 9093]);
    assert_eq!(ports("networkPolicy: {enabled: true}"), Vec::<Value>::new());
}

#[test]
fn topics_are_made_before_pods_and_with_a_configuration_that_is_there() {
    let objects = rendered(KAFKA);
    let weight = |kind| {
        let object = one(&objects, kind, "-topics");
        let notes = &object["metadata"]["annotations"];
        assert_eq!(notes["helm.sh/hook"], "pre-install,pre-upgrade");
        notes["helm.sh/hook-weight"]
            .as_str()
            .unwrap()
            .parse::<i32>()
            .unwrap()
    };
    assert!(weight("ConfigMap") < weight("Job"));
    let [service, hook] = &pods(&objects)[..] else {
        panic!("a pod of the service and one of the hook");
    };
    assert_eq!(hook.arguments(), ["topics", "create"]);
    let volume = |name: &str| json!({"name": "config", "configMap": {"name": name}});
    assert_eq!(
        service.template["spec"]["volumes"][0],
        volume(&service.name)
    );
    assert_eq!(
        hook.template["spec"]["volumes"],
        json!([volume(&hook.name)])
    );
}

#[test]
fn a_copy_goes_with_its_pod_and_a_log_never() {
    let policy = |values: &str| {
        let objects = rendered(values);
        one(&objects, "StatefulSet", "")["spec"]["persistentVolumeClaimRetentionPolicy"].clone()
    };
    let both = |what: &str| json!({"whenDeleted": what, "whenScaled": what});
    assert_eq!(policy("mode: embedded"), both("Retain"));
    assert_eq!(policy(KAFKA), both("Delete"));
}

#[test]
fn what_is_added_is_there() {
    let objects = rendered(
        "extraManifests:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a-map}}
  - '{apiVersion: v1, kind: ConfigMap, metadata: {name: \"{{ .Release.Namespace }}-text\"}}'
extraEnv: [{name: RUST_BACKTRACE, value: '1'}]
extraVolumes: [{name: more, emptyDir: {}}]
extraVolumeMounts: [{name: more, mountPath: /more}]
commonLabels: {team: port}",
    );
    one(&objects, "ConfigMap", "a-map");
    one(&objects, "ConfigMap", "port-text");
    let pod = &pods(&objects)[0];
    let last = |list: &Value| list.as_array().unwrap().last().unwrap()["name"].clone();
    assert_eq!(last(&pod.container()["env"]), "RUST_BACKTRACE");
    assert_eq!(last(&pod.container()["volumeMounts"]), "more");
    assert_eq!(last(&pod.template["spec"]["volumes"]), "more");
    assert_eq!(pod.template["metadata"]["labels"]["team"], "port");
}

/// A selector of its own stays; where there is none the pods would not be told from
/// others.
#[test]
fn pods_are_spread_by_their_own_selector() {
    let objects = rendered(
        "topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule}
  - {maxSkew: 1, topologyKey: b, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {c: d}}}",
    );
    let pod = &pods(&objects)[0];
    let spread = &pod.template["spec"]["topologySpreadConstraints"];
    let selector = |at: usize| spread[at]["labelSelector"]["matchLabels"].clone();
    let set = one(&objects, "StatefulSet", "");
    assert_eq!(selector(0), set["spec"]["selector"]["matchLabels"]);
    assert_eq!(selector(1), json!({"c": "d"}));
}

const PROTECTED: &str = "tls: {enabled: true, secret: server}
auth: {existingSecret: callers}
serviceMonitor: {enabled: true}";

#[test]
fn with_tls_the_service_and_its_scrapes_speak_it() {
    let objects = rendered(PROTECTED);
    let endpoint = &one(&objects, "ServiceMonitor", "")["spec"]["endpoints"][0];
    assert_eq!(endpoint["scheme"], "https");
    let name = one(&objects, "Service", "meter")["metadata"]["name"].clone();
    let expected = json!({
        "ca": {"secret": {"name": "server", "key": "ca.crt"}},
        "serverName": format!("{}.port.svc", name.as_str().unwrap()),
    });
    assert_eq!(endpoint["tlsConfig"], expected);
    for service in objects.iter().filter(|object| object["kind"] == "Service") {
        assert_eq!(service["spec"]["ports"][0]["appProtocol"], "https");
    }
    let plain = rendered("insecureIKnow: true\nserviceMonitor: {enabled: true}");
    let endpoint = &one(&plain, "ServiceMonitor", "")["spec"]["endpoints"][0];
    assert_eq!(
        (endpoint.get("scheme"), endpoint.get("tlsConfig")),
        (None, None)
    );
}

/// A copy would not be renewed when its Secret is.
#[test]
fn the_certificate_is_mounted_as_it_is() {
    let objects = rendered(PROTECTED);
    let pod = &pods(&objects)[0];
    assert_eq!(pod.template["spec"].get("initContainers"), None);
    let volumes = pod.template["spec"]["volumes"].as_array().unwrap();
    let tls = volumes.iter().find(|volume| volume["name"] == "tls");
    let secret = json!({"secretName": "server", "defaultMode": 0o440});
    assert_eq!(tls.unwrap()["secret"], secret);
}

#[test]
fn keys_of_callers_are_copied_for_the_pods_user_alone() {
    let objects = rendered("insecureIKnow: true\nauth: {existingSecret: callers, keysKey: api}");
    let pod = &pods(&objects)[0];
    let copied = &pod.template["spec"]["initContainers"][0]["command"];
    let expected = json!([
        "install",
        "-m",
        "0600",
        "/etc/quaymeter/callers/api",
        "/run/quaymeter/callers.keys"
    ]);
    assert_eq!(*copied, expected);
}
