//! The program, started as in a pod, answers what Kubernetes and Prometheus ask of it, and
//! stops in the time that it is given.

use crate::pods::{Pod, moved, pods};
use crate::tools::{one, quaymeter, rendered};
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Killed if a test ends before it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The status of an answer by the side port.
fn status(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).unwrap_or_default().into()
}

/// What a probe by gRPC is told.
fn serves(address: &str, service: &str) -> bool {
    let asked = async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = HealthClient::new(endpoint.connect().await.unwrap());
        let service = service.into();
        let told = client.check(HealthCheckRequest { service }).await.unwrap();
        told.into_inner().status() == ServingStatus::Serving
    };
    tokio::runtime::Runtime::new().unwrap().block_on(asked)
}

/// Does what the init container does: it makes a key, of a file such as a Secret's, that
/// the program takes.
fn prepare(pod: &Pod, place: &Path) {
    let secret = place.join("etc/quaymeter/secret/pseudonyms.key");
    fs::set_permissions(secret, Permissions::from_mode(0o440)).unwrap();
    fs::create_dir_all(place.join("run/quaymeter")).unwrap();
    let command = &pod.template["spec"]["initContainers"][0]["command"];
    let words: Vec<String> = serde_json::from_value(command.clone()).unwrap();
    let words: Vec<String> = words.iter().map(|word| moved(word, place)).collect();
    let done = Command::new(&words[0]).args(&words[1..]).status();
    assert!(done.unwrap().success(), "{words:?}");
}

#[test]
fn the_probes_and_the_scrape_are_answered_and_a_stop_is_in_time() {
    let objects =
        rendered("{serviceMonitor: {enabled: true}, pseudonymKey: {secret: {name: keys}}}");
    let pod = &pods(&objects)[0];
    let place = pod.laid_out();
    prepare(pod, place.path());
    let mut program = quaymeter();
    program
        .args(pod.arguments())
        .envs(pod.environment(place.path()));
    // What the pod has to itself, and a test has not.
    program.envs([
        ("QUAYMETER_LISTEN", "127.0.0.1:0"),
        ("QUAYMETER_HTTP_LISTEN", "127.0.0.1:0"),
        ("QUAYMETER_HEALTH_LISTEN", "127.0.0.1:0"),
    ]);
    program.env("QUAYMETER_DATA_DIR", place.path().join("volume/data"));
    let child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut running = Running(child.expect("it starts"));
    let mut line = String::new();
    let stdout = running.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = |port: &str| {
        let mut words = line.split_whitespace();
        let found = words.find_map(|word| word.strip_prefix(port));
        found.expect("it tells its addresses").to_owned()
    };
    let (side, health) = (address("http="), address("health="));
    let container = pod.container();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let asked = &container[probe]["grpc"]["service"];
        assert!(
            serves(&health, asked.as_str().unwrap_or_default()),
            "{probe}"
        );
    }
    let monitor = &one(&objects, "ServiceMonitor", "")["spec"]["endpoints"][0];
    assert_eq!(status(&side, monitor["path"].as_str().unwrap()), "200");
    let grace = pod.template["spec"]["terminationGracePeriodSeconds"]
        .as_u64()
        .unwrap();
    let asked = Instant::now();
    let stop = Command::new("kill")
        .args(["-TERM", &running.0.id().to_string()])
        .status();
    assert!(stop.unwrap().success());
    assert!(running.0.wait().unwrap().success());
    assert!(
        asked.elapsed() < Duration::from_secs(grace),
        "{:?}",
        asked.elapsed()
    );
}
