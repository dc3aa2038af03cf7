//! A real Prometheus that scrapes what a test runs. The tests with Kafka share it.

use crate::place::{DEADLINE, until, until_every};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A tool that scripts/install-tools has put there.
pub fn tool(name: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let path = tools.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `make tools`",
        path.display()
    );
    path
}

/// Asks Prometheus until it is so. What it knows changes once a second.
pub async fn until_known(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_every(Duration::from_millis(100), what, holds).await;
}

/// It ends, and what it holds goes, when it is dropped.
pub struct Prometheus {
    child: Child,
    http: String,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes these addresses each second, and evaluates these rule files as often.
    pub async fn start(targets: &[&str], rules: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for (at, text) in rules.iter().enumerate() {
            names.push(format!("rules-{at}.yaml"));
            std::fs::write(dir.path().join(&names[at]), text).unwrap();
        }
        let settings = serde_json::json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": names,
            "scrape_configs": [{ "job_name": "quaymeter", "static_configs": [{ "targets": targets }] }],
        });
        let file = dir.path().join("prometheus.yml");
        // JSON is YAML.
        std::fs::write(&file, settings.to_string()).unwrap();
        let mut child = Command::new(tool("prometheus/prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let http = listening(&mut child);
        let started = Self {
            child,
            http,
            _dir: dir,
        };
        // It listens before it answers.
        until("Prometheus is ready", async || {
            started.page("/-/ready").starts_with("HTTP/1.0 200")
        })
        .await;
        started
    }

    /// What an expression comes to now: a value for each series.
    ///
    /// # Errors
    /// What Prometheus has to say against it.
    pub fn ask(&self, expr: &str) -> Result<Vec<f64>, String> {
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(expr)));
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let series = results(&answer);
        Ok(series
            .filter_map(|one| one["value"][1].as_str()?.parse().ok())
            .collect())
    }

    /// The alerts that fired at any time within so many seconds.
    pub fn fired(&self, seconds: u32) -> BTreeSet<String> {
        let expr = format!(
            "count by (alertname) (max_over_time(ALERTS{{alertstate=\"firing\"}}[{seconds}s]))"
        );
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(&expr)));
        results(&answer)
            .map(|one| one["metric"]["alertname"].to_string().replace('"', ""))
            .collect()
    }

    /// A page as JSON.
    fn get(&self, path: &str) -> Value {
        let answer = self.page(path);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// A page with its head. By HTTP/1.0, so that it comes in one piece.
    fn page(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(&self.http).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(socket, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where it says that it listens.
fn listening(child: &mut Child) -> String {
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (tell, told) = mpsc::channel();
    // Reads on to the end, so that it never writes into a closed pipe.
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // The test may have ended; then nobody wants the line.
            let _ = tell.send(line);
        }
    });
    let mut said = String::new();
    loop {
        let line = told.recv_timeout(DEADLINE);
        let line =
            line.unwrap_or_else(|error| panic!("Prometheus does not listen: {error}: {said}"));
        if line.contains("msg=\"Listening on\"") {
            let address = line.split_once("address=").expect("an address").1;
            return address.trim().to_owned();
        }
        said += &(line + "\n");
    }
}

/// The series of an answer.
fn results(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["data"]["result"].as_array().into_iter().flatten()
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
