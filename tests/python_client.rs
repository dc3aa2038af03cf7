//! A client in another language, generated from the protos alone, finds the
//! service as the protos describe it.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running service with a data directory of its own; dropping it ends it.
struct Service {
    process: Child,
    folder: tempfile::TempDir,
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("stderr")).expect("a log file");
        let process = Command::new(env!("CARGO_BIN_EXE_quaymeter"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--http-listen", "127.0.0.1:0"])
            .args(["--health-listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the service starts");
        Self { process, folder }
    }

    /// Where it serves gRPC, once it says so.
    fn address(&mut self) -> String {
        let output = self.process.stdout.take().expect("a piped stdout");
        let (sender, receiver) = mpsc::channel();
        // Reads on to the end, so that the service never writes into a closed pipe.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let line = receiver
            .recv_timeout(READY_WITHIN)
            .unwrap_or_else(|_| panic!("not ready in time:\n{}", self.log()));
        let address = line
            .strip_prefix("listening grpc=")
            .and_then(|rest| rest.split(' ').next());
        address
            .unwrap_or_else(|| panic!("no address in `{line}`"))
            .into()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn python(root: &Path) -> PathBuf {
    let default = || root.join("target/tools/python/bin/python").into();
    let python = PathBuf::from(env::var_os("QUAYMETER_TEST_PYTHON").unwrap_or_else(default));
    assert!(
        python.exists(),
        "{} is missing: run `make tools`",
        python.display()
    );
    python
}

#[test]
fn a_client_that_shares_no_code_agrees_on_every_figure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = python(root);
    let mut service = Service::start();
    let address = service.address();
    let client = Command::new(python)
        .arg(root.join("tests/python/client.py"))
        .arg(address)
        .arg(root.join("proto"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the client runs");
    let told = String::from_utf8_lossy(&client.stderr);
    assert!(
        client.status.success() && told.contains("\nOK"),
        "the client disagrees: {}\n{told}\nthe service's log:\n{}",
        client.status,
        service.log()
    );
}
