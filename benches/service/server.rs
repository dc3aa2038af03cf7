//! A server as a child process: the real binary, or the bare one of the floors.

use anyhow::{Context as _, bail};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Reached only when something hangs.
const START_WITHIN: Duration = Duration::from_secs(300);
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(300);
const STOP_WITHIN: Duration = Duration::from_secs(300);

/// On any free ports.
const LISTENING: [&str; 6] = [
    "--listen",
    "127.0.0.1:0",
    "--http-listen",
    "127.0.0.1:0",
    "--health-listen",
    "127.0.0.1:0",
];

/// All days of load lie within the horizon, however fast they are sent; the work
/// of an event does not depend on it.
pub const SHAPING: [&str; 4] = ["--horizon-days", "400", "--quarter-days", "420"];

/// The real binary, with none of this process's settings.
pub fn quaymeter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quaymeter"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUAYMETER_")) {
        command.env_remove(name);
    }
    command
}

/// A running server.
pub struct Server {
    child: Child,
    /// For example `http://127.0.0.1:40123`.
    pub url: String,
    http: String,
    health: String,
    log: PathBuf,
}

impl Server {
    /// The real binary on a data directory.
    pub fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_with(data, &[])
    }

    /// The same, with more settings.
    pub fn start_with(data: &Path, more: &[String]) -> anyhow::Result<Self> {
        let mut command = quaymeter();
        command
            .arg("serve")
            .args(LISTENING)
            .args(SHAPING)
            .args(more);
        // Its drain must be able to end with a last checkpoint.
        command.args(["--drain-deadline-ms", "60000", "--data-dir"]);
        command.arg(data);
        Self::spawn(command, &data.with_extension("log"))
    }

    /// This binary once more, as the bare server.
    pub fn start_bare(log: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(crate::bare::FLAG);
        Self::spawn(command, log)
    }

    /// This binary once more, as a service whose clock is set: see [`crate::clocked`].
    pub fn start_clocked(data: &Path, now: i64) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let now = now.to_string();
        command.args([crate::clocked::FLAG, &now]).arg(data);
        Self::spawn(command, &data.with_extension("log"))
    }

    /// Sets its clock, in ms since 1970-01-01T00:00Z.
    pub fn set_clock(&mut self, now: i64) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("no standard input")?;
        writeln!(input, "{now}").context("set the clock")
    }

    fn spawn(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let stderr = File::create(log).with_context(|| format!("create {}", log.display()))?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut child = command.spawn().context("start a server")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Only the first line is waited for.
                let _ = tell.send(line);
            }
        });
        let mut server = Self {
            child,
            url: String::new(),
            http: String::new(),
            health: String::new(),
            log: log.into(),
        };
        let line = told.recv_timeout(START_WITHIN);
        let line = line.map_err(|_| server.failed("it did not start"))?;
        let word = |key: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(key))
        };
        let grpc = word("grpc=").with_context(|| format!("no address in {line:?}"))?;
        server.url = format!("http://{grpc}");
        server.http = word("http=").unwrap_or_default().to_owned();
        server.health = word("health=").unwrap_or_default().to_owned();
        Ok(server)
    }

    fn failed(&self, what: &str) -> anyhow::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        anyhow::anyhow!("the server: {what}; it said last: {last:#?}")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address of its side port.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// What a path of the HTTP side port answers: status line, head and body.
    pub fn get(&self, path: &str) -> anyhow::Result<String> {
        get(&self.http, path)
    }

    /// A metric without labels.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.get("/metrics")?;
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.with_context(|| format!("no metric {name}"))?;
        Ok(value.trim().parse()?)
    }

    /// Waits until it says that it is ready.
    pub fn ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        while Instant::now() < deadline {
            if get(&self.health, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(self.failed("it is not ready"))
    }

    /// Waits until a checkpoint holds so many records.
    pub fn checkpointed(&self, records: f64) -> anyhow::Result<()> {
        let deadline = Instant::now() + CHECKPOINT_WITHIN;
        while self.metric("quaymeter_checkpoint_offset")? < records {
            if Instant::now() > deadline {
                bail!(self.failed("no checkpoint in time"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops it in good order, and waits for its end.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status()?;
        let deadline = Instant::now() + STOP_WITHIN;
        while told.success() && Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.failed(&format!("it ended with {status}"))),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        bail!(self.failed("it did not stop"))
    }

    /// Kills it without a warning.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// What a path of a side port answers: status line, head and body.
pub fn get(host: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(host).context("connect to the side port")?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
