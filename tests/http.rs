//! The HTTP side port over a real socket, and what it says of the metrics.

#[path = "http/enterprises.rs"]
mod enterprises;

use enterprises::{today, totals};
use quaymeter::auth::caller::Caller;
use quaymeter::config::{self, Config, Sources};
use quaymeter::meter::cell::Totals;
use quaymeter::metrics::Metrics;
use quaymeter::metrics::enterprise::{Enterprise, InRole};
use quaymeter::pb::{Reason, Role};
use quaymeter::server::door::Door;
use quaymeter::server::http::{self, Gate, Side};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

struct Port {
    metrics: Metrics,
    totals: Vec<(String, Role, Totals)>,
}

impl Side for Port {
    fn metrics(&self) -> Vec<String> {
        let mut told = self.metrics.enterprises();
        for of in self.totals.chunk_by(|one, other| one.0 == other.0) {
            let role = |(_, role, totals): &'_ (String, Role, Totals)| (*role, totals.clone());
            let roles: Vec<_> = of.iter().map(role).collect();
            let roles = roles.iter().map(|(role, totals)| InRole {
                role: *role,
                totals,
                today: today(),
            });
            if let Some(told) = &mut told {
                told.add(&Enterprise {
                    id: &of[0].0,
                    names: ["甲\"公司\"", "A & Co"],
                    roles: roles.collect(),
                });
            }
        }
        self.metrics.render(told, &[])
    }
}

fn settings() -> config::Metrics {
    Config::resolve(Sources::default()).unwrap().metrics
}

fn port(settings: &config::Metrics, totals: Vec<(String, Role, Totals)>) -> Arc<Port> {
    let metrics = Metrics::new(settings).unwrap();
    Arc::new(Port { metrics, totals })
}

impl Port {
    fn text(&self) -> String {
        self.metrics().concat()
    }
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn start(side: Arc<Port>) -> Running {
    start_behind(http::open_gate(), side).await
}

async fn start_behind(gate: Gate, side: Arc<Port>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move { drop(stopped.await) };
    let ended = tokio::spawn(http::run(Door::plain(listener), gate, side, shutdown));
    Running {
        address,
        stop,
        ended,
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(DEADLINE, work).await.expect("within the deadline")
}

/// Head and body of the answer to one request on a connection of its own.
async fn ask(address: SocketAddr, line: &str) -> (String, String) {
    let request = format!("{line} HTTP/1.1\r\nHost: port\r\nConnection: close\r\n\r\n");
    let answer = within(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let answer = answer.await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn status(address: SocketAddr, line: &str) -> u16 {
    let (head, _) = ask(address, line).await;
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn only_get_and_head_of_known_paths_are_answered() {
    let running = start(port(&settings(), vec![])).await;
    for path in ["/", "/metrics/", "/metric", "/healthz"] {
        assert_eq!(
            status(running.address, &format!("GET {path}")).await,
            404,
            "{path}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(
            status(running.address, &format!("{method} /metrics")).await,
            405,
            "{method}"
        );
    }
    let (head, body) = ask(running.address, "HEAD /metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn the_gate_says_who_may_have_the_metrics() {
    let gate: Gate = Arc::new(|asked| match asked.headers.get("authorization") {
        None => Err(::http::StatusCode::UNAUTHORIZED),
        Some(token) if token == "Bearer theirs" => Err(::http::StatusCode::FORBIDDEN),
        Some(_) => Ok(Caller::anyone()),
    });
    let running = start_behind(gate, port(&settings(), vec![])).await;
    let ask_with = async |token: &str| {
        let line = format!("GET /metrics HTTP/1.1{token}\r\nX-Rest:");
        ask(running.address, &line).await
    };
    let (head, body) = ask_with("").await;
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert!(
        head.to_lowercase().contains("www-authenticate: bearer"),
        "{head}"
    );
    assert_eq!(body, "");
    let (head, body) = ask_with("\r\nAuthorization: Bearer theirs").await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert_eq!(body, "");
    let (head, body) = ask_with("\r\nAuthorization: Bearer ours").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(body.contains("quaymeter_build_info"), "{body}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let running = start(port(&settings(), vec![])).await;
    let line = format!("GET /metrics?{}", "x".repeat(64 << 10));
    let request = format!("{line} HTTP/1.1\r\nHost: port\r\n\r\n");
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // The server may close before all of it is written.
    let _ = within(stream.write_all(request.as_bytes())).await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(
        !answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn a_stop_ends_the_port_though_a_client_hangs() {
    let running = start(port(&settings(), vec![])).await;
    assert_eq!(status(running.address, "HEAD /metrics").await, 200);
    let mut hanging = TcpStream::connect(running.address).await.unwrap();
    hanging
        .write_all(b"GET /metrics HTTP/1.1\r\n")
        .await
        .unwrap();
    running.stop.send(()).unwrap();
    within(running.ended).await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn metrics_are_of_the_prometheus_text_format() {
    let side = port(&settings(), vec![("ygt:a".into(), Role::Fleet, totals())]);
    let running = start(Arc::clone(&side)).await;
    side.metrics.reason(Reason::TooOld).unwrap().increment(3);
    side.metrics.batches.with(["PublishEvents"]).increment(1);
    side.metrics.log_fsync_seconds.record(0.0004);
    side.metrics
        .request("PublishEvents", tonic::Code::InvalidArgument, 0.002);
    let (head, body) = ask(running.address, "GET /metrics").await;
    assert!(
        head.to_lowercase()
            .contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    // Without a length the body would be chunked, and lines would be cut.
    assert!(head.to_lowercase().contains("content-length: "), "{head}");
    let families = parse(&body);
    for (line, expected) in [
        ("quaymeter_events_refused_total{reason=\"too_old\"}", 3.0),
        (
            "quaymeter_events_warned_total{reason=\"missing_mass\"}",
            0.0,
        ),
        (
            "quaymeter_grpc_requests_total{method=\"PublishEvents\",code=\"InvalidArgument\"}",
            1.0,
        ),
        ("quaymeter_log_fsync_seconds_bucket{le=\"0.00025\"}", 0.0),
        ("quaymeter_log_fsync_seconds_bucket{le=\"0.0005\"}", 1.0),
        ("quaymeter_log_fsync_seconds_count", 1.0),
        (
            "quaymeter_grpc_request_seconds_count{method=\"PublishEvents\"}",
            1.0,
        ),
        (
            concat!(
                "quaymeter_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"}"
            ),
            1.0,
        ),
        ("quaymeter_events_accepted_total", 0.0),
    ] {
        assert_eq!(
            families.samples.get(line),
            Some(&expected),
            "{line} in\n{body}"
        );
    }
    assert!(families.samples["process_resident_memory_bytes"] > 1e6);
}

#[test]
fn names_follow_the_naming_rules() {
    let side = port(&settings(), vec![("ygt:a".into(), Role::Fleet, totals())]);
    side.metrics.query_seconds.record(0.1);
    let units = [
        "ms",
        "millis",
        "milliseconds",
        "minutes",
        "hours",
        "kb",
        "kib",
        "mb",
        "milli",
    ];
    for (name, (kind, help)) in parse(&side.text()).families {
        let ours = name.starts_with("quaymeter_") || name.starts_with("process_");
        assert!(ours, "{name}");
        assert_eq!(
            name.ends_with("_total"),
            kind == "counter",
            "{name} is a {kind}"
        );
        assert!(
            !name.split('_').any(|word| units.contains(&word)),
            "{name} is in no base unit"
        );
        assert!(
            !["_count", "_sum", "_bucket", "_info_total"]
                .iter()
                .any(|s| name.ends_with(s))
        );
        assert!(help.len() > 5, "{name} has no help");
        assert!(
            ["counter", "gauge", "histogram"].contains(&kind.as_str()),
            "{name} is a {kind}"
        );
    }
}

struct Parsed {
    /// Type and help by name.
    families: BTreeMap<String, (String, String)>,
    samples: BTreeMap<String, f64>,
}

/// Reads line by line: help, then type, then samples of that family only, no
/// family twice, no sample twice.
fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed {
        families: BTreeMap::new(),
        samples: BTreeMap::new(),
    };
    let mut help = None;
    let mut family = (String::new(), String::new());
    assert!(text.ends_with('\n'));
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert_eq!(help, None, "{line}");
            help = Some(rest.split_once(' ').unwrap());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let (of, help) = help
                .take()
                .unwrap_or_else(|| panic!("no help before {line}"));
            assert_eq!(of, name);
            family = (name.to_owned(), kind.to_owned());
            let before = parsed
                .families
                .insert(name.to_owned(), (kind.to_owned(), help.to_owned()));
            assert_eq!(before, None, "{name} twice");
        } else {
            assert_eq!(help, None, "{line}");
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let suffix = name
                .strip_prefix(&family.0)
                .unwrap_or_else(|| panic!("{line}"));
            let suffixes: &[&str] = match family.1.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line} under {}", family.0);
            labels(series);
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(
                parsed.samples.insert(series.to_owned(), value),
                None,
                "{series} twice"
            );
        }
    }
    parsed
}

/// Every label is `name="value"`, names in lower case.
fn labels(series: &str) {
    let Some((_, rest)) = series.split_once('{') else {
        return;
    };
    let mut rest = rest.strip_suffix('}').unwrap();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap();
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{series}"
        );
        let mut escaped = false;
        let end = value.find(|c| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        });
        rest = &value[end.unwrap() + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}
