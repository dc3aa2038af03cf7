//! The real binary on real sockets.

use std::fs::{File, metadata};
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Far more than anything here takes: reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(120);

pub struct Service {
    child: Child,
    told: mpsc::Receiver<String>,
    /// For example `http://127.0.0.1:40123`.
    pub grpc: String,
    /// For example `127.0.0.1:40124`.
    pub http: String,
    /// The same, of the port that tells health.
    pub health: String,
}

/// The binary under test.
pub fn quaymeter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quaymeter"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUAYMETER_")) {
        command.env_remove(name);
    }
    command
}

/// Where a process writes its errors from now on, if that is a file.
fn errors(child: &Child) -> Option<File> {
    let path = format!("/proc/{}/fd/2", child.id());
    // To open a pipe would take from whoever reads it.
    let is_file = metadata(&path).is_ok_and(|of| of.is_file());
    let mut file = is_file.then(|| File::open(path).ok()).flatten()?;
    file.seek(SeekFrom::End(0)).ok()?;
    Some(file)
}

/// What it has written there.
fn said(errors: Option<File>) -> String {
    let Some(mut file) = errors else {
        return "what it said is among what the tests say".into();
    };
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes);
    format!("it said ({read:?}): {}", String::from_utf8_lossy(&bytes))
}

impl Service {
    /// Starts it on free ports and waits until it says that it listens.
    pub fn start(dir: &Path, settings: &[&str]) -> Self {
        let mut command = quaymeter();
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--http-listen",
                "127.0.0.1:0",
                "--health-listen",
                "127.0.0.1:0",
            ])
            .arg("--data-dir")
            .arg(dir)
            .args(settings);
        Self::of(command)
    }

    /// Starts what a `serve` command says and waits until it says that it listens.
    pub fn of(command: Command) -> Self {
        let started = Self::start_or_end(command);
        started.unwrap_or_else(|(status, said)| {
            panic!("the service ended before it listened: {status}; {said}")
        })
    }

    /// The same of one that may end instead: then how, and what it said.
    pub fn start_or_end(mut command: Command) -> Result<Self, (ExitStatus, String)> {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stderr = errors(&child);
        let stdout = child.stdout.take().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The test may have ended; then nobody wants the line.
                let _ = tell.send(line);
            }
        });
        let line = match told.recv_timeout(DEADLINE) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err((child.wait().unwrap(), said(stderr)));
            }
            Err(error @ mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let (status, said) = (child.wait(), said(stderr));
                panic!("the service did not listen: {error}; {status:?}; {said}");
            }
        };
        let word = |key: &str| {
            let found = line
                .split_whitespace()
                .find_map(|word| word.strip_prefix(key));
            found
                .unwrap_or_else(|| panic!("no {key} in {line:?}"))
                .to_owned()
        };
        let grpc = format!("http://{}", word("grpc="));
        let (http, health) = (word("http="), word("health="));
        Ok(Self {
            child,
            told,
            grpc,
            http,
            health,
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end, which closes its standard output.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        let left = || deadline.saturating_duration_since(Instant::now());
        while self.told.recv_timeout(left()).is_ok() {}
        assert!(!left().is_zero(), "the service did not end");
        self.child.wait().unwrap()
    }

    /// Stops it in good order.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert!(self.ended().success());
    }

    /// Kills it without a warning.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
