//! The pods of the release: what they may do, and whether all that they name is there.

use crate::authority::{Authority, write_secret};
use crate::tools::{all_values, one, rendered};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A file of callers.
const CALLERS: &str = "";

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// A pod of the service or of the hook.
pub struct Pod {
    pub name: String,
    pub template: Value,
    /// The files of its ConfigMap.
    config: BTreeMap<String, String>,
}

/// Of all that is rendered, the service's first.
pub fn pods(objects: &[Value]) -> Vec<Pod> {
    let of = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let pod = |object: &Value| {
        let template = object["spec"]["template"].clone();
        let config = named(&template["spec"]["volumes"], "config")["configMap"]["name"].clone();
        let config = of("ConfigMap").find(|map| map["metadata"]["name"] == config);
        let config = config.expect("the ConfigMap is rendered")["data"].clone();
        Pod {
            name: object["metadata"]["name"].as_str().unwrap().into(),
            template,
            config: serde_json::from_value(config).unwrap(),
        }
    };
    of("StatefulSet").chain(of("Job")).map(pod).collect()
}

/// The entry of a list that has this name.
fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let mut entries = list.as_array().into_iter().flatten();
    entries
        .find(|entry| entry["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {list}"))
}

impl Pod {
    pub fn container(&self) -> &Value {
        &self.template["spec"]["containers"][0]
    }

    pub fn arguments(&self) -> Vec<&str> {
        let arguments = self.container()["args"].as_array().unwrap();
        arguments
            .iter()
            .map(|argument| argument.as_str().unwrap())
            .collect()
    }

    /// Its files in a folder, with the folder before each path in them.
    pub fn laid_out(&self) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let file = |path: &str, content: &str| {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        file(
            "etc/quaymeter/registry/registry.csv",
            "id,name_zh,name_en,roles\n",
        );
        file(
            "etc/quaymeter/secret/pseudonyms.key",
            &format!("1 = {}\n", "5a".repeat(32)),
        );
        let made = place.path().join("made");
        fs::create_dir_all(&made).unwrap();
        let server = Authority::new(&made, "ca").server("tls");
        let [ca, cert] = [made.join("ca.pem"), server.cert].map(|path| text(&path));
        for (path, content) in [("tls/tls.crt", &cert), ("client-ca/ca.crt", &ca)] {
            file(&format!("etc/quaymeter/{path}"), content);
        }
        let key = place.path().join("etc/quaymeter/tls/tls.key");
        write_secret(&key, &text(&server.key));
        for name in ["callers.toml", "who.toml"] {
            file(&format!("etc/quaymeter/callers/{name}"), CALLERS);
        }
        for (name, content) in &self.config {
            file(
                &format!("etc/quaymeter/config/{name}"),
                &moved(content, place.path()),
            );
        }
        place
    }

    /// Its variables, with something for what only a cluster knows.
    pub fn environment(&self, place: &Path) -> Vec<(String, String)> {
        let variables = self.container()["env"].as_array().unwrap();
        let value = |variable: &Value| match &variable["value"] {
            Value::String(value) => value.clone(),
            _ if variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name" => {
                format!("{}-0", self.name)
            }
            _ => "secret".into(),
        };
        let named = |variable: &Value| variable["name"].as_str().unwrap().to_owned();
        variables
            .iter()
            .map(|variable| (named(variable), moved(&value(variable), place)))
            .collect()
    }
}

/// A text whose paths are below a folder.
pub fn moved(text: &str, place: &Path) -> String {
    let below = |path: &str| format!("{}{path}", place.display());
    ["/etc/quaymeter/", "/run/quaymeter/"]
        .into_iter()
        .fold(text.into(), |text: String, path| {
            text.replace(path, &below(path))
        })
}

/// A test of every pod of all values.
fn each_pod(test: impl Fn(&str, &[Value], &Pod)) {
    for (name, values) in all_values() {
        let objects = rendered(&values);
        for pod in pods(&objects) {
            test(&name, &objects, &pod);
        }
    }
}

fn containers(pod: &Pod) -> Vec<&Value> {
    let spec = &pod.template["spec"];
    let lists = [&spec["initContainers"], &spec["containers"]];
    lists
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
        .collect()
}

#[test]
fn no_container_can_do_more_than_write_to_its_volumes() {
    let confined = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    each_pod(|name, _, pod| {
        let spec = &pod.template["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false, "{name}");
        assert_eq!(spec["enableServiceLinks"], false, "{name}");
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_ne!(spec["securityContext"]["runAsUser"], 0, "{name}");
        assert_eq!(
            spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
            "{name}"
        );
        for container in containers(pod) {
            assert_eq!(
                container["securityContext"], confined,
                "{name}: {}",
                container["name"]
            );
        }
    });
}

#[test]
fn every_mount_has_a_volume_and_every_volume_a_mount() {
    each_pod(|name, objects, pod| {
        let spec = &pod.template["spec"];
        let set = objects
            .iter()
            .find(|object| object["kind"] == "StatefulSet")
            .unwrap();
        let claims = match pod.arguments()[0] {
            "serve" => set["spec"]["volumeClaimTemplates"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
            _ => Vec::new(),
        };
        let claimed = claims.iter().map(|claim| claim["metadata"]["name"].clone());
        let volumes = spec["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|volume| volume["name"].clone());
        let mut have: Vec<String> = claimed
            .chain(volumes)
            .map(|name| name.to_string())
            .collect();
        let mounts = containers(pod)
            .into_iter()
            .filter_map(|container| container["volumeMounts"].as_array());
        let mut want: Vec<String> = mounts
            .flatten()
            .map(|mount| mount["name"].to_string())
            .collect();
        want.sort();
        want.dedup();
        have.sort();
        assert_eq!(have, want, "{name}, {}", pod.name);
    });
}

/// Whether a selector chooses a pod.
fn chooses(selector: &Value, pod: &Pod) -> bool {
    let labels = &pod.template["metadata"]["labels"];
    let wanted = selector.as_object().expect("a selector");
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
}

#[test]
fn all_that_select_choose_the_pods_of_the_service_and_not_the_hooks() {
    each_pod(|name, objects, pod| {
        let serves = pod.arguments() == ["serve"];
        for object in objects {
            let spec = &object["spec"];
            let selector = match object["kind"].as_str().unwrap() {
                "Service" => &spec["selector"],
                "StatefulSet" | "PodDisruptionBudget" => &spec["selector"]["matchLabels"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                _ => continue,
            };
            assert_eq!(chooses(selector, pod), serves, "{name}: {object}");
        }
    });
}

#[test]
fn ports_are_named_alike_everywhere() {
    each_pod(|name, objects, pod| {
        if pod.arguments() != ["serve"] {
            return;
        }
        let ports = pod.container()["ports"].as_array().unwrap();
        let health = named(&pod.container()["ports"], "health");
        let known = |port: &Value| ports.iter().any(|known| known["name"] == *port);
        for service in objects.iter().filter(|object| object["kind"] == "Service") {
            let targets = service["spec"]["ports"].as_array().unwrap();
            assert!(
                targets.iter().all(|port| known(&port["targetPort"])),
                "{name}: {service}"
            );
        }
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let port = &pod.container()[probe]["grpc"]["port"];
            assert_eq!(*port, health["containerPort"], "{name}: {probe}");
        }
        for monitor in objects
            .iter()
            .filter(|object| object["kind"] == "ServiceMonitor")
        {
            let headless = one(objects, "Service", "-headless");
            assert!(monitored(monitor, headless), "{name}: {monitor}");
        }
    });
}

/// Whether a monitor finds a Service and the port that it asks.
fn monitored(monitor: &Value, service: &Value) -> bool {
    let labels = &service["metadata"]["labels"];
    let wanted = monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap();
    let port = &monitor["spec"]["endpoints"][0]["port"];
    let ports = service["spec"]["ports"].as_array().unwrap();
    wanted.iter().all(|(name, value)| labels[name] == *value)
        && ports.iter().any(|known| known["name"] == *port)
}

#[test]
fn an_instance_on_kafka_is_called_what_its_pod_is_called() {
    let objects = rendered(
        "mode: kafka\nconfig: {kafka: {brokers: 'a:9092'}}\npseudonymKey: {secret: {name: k}}",
    );
    let pods = pods(&objects);
    let instance = named(&pods[0].container()["env"], "QUAYMETER_KAFKA_INSTANCE");
    assert_eq!(
        instance["valueFrom"]["fieldRef"]["fieldPath"],
        "metadata.name"
    );
}

#[test]
fn scalers_scale_the_pods_and_nobody_else_says_how_many_there_are() {
    for kind in ["ScaledObject", "HorizontalPodAutoscaler"] {
        let scaled = all_values().into_values().map(|values| rendered(&values));
        let mut scaled = scaled
            .filter(|objects| objects.iter().any(|object| object["kind"] == kind))
            .peekable();
        assert!(scaled.peek().is_some(), "no values have a {kind}");
        for objects in scaled {
            let set = one(&objects, "StatefulSet", "");
            let target = &one(&objects, kind, "")["spec"]["scaleTargetRef"];
            assert_eq!(target["name"], set["metadata"]["name"]);
            assert_eq!(target["kind"], "StatefulSet");
            assert_eq!(set["spec"].get("replicas"), None);
        }
    }
}
