//! A broker that lets in by TLS alone, and only whom it knows; and what those show it.

use crate::authority::{Authority, write_secret};
use crate::broker::Broker;
use crate::instances::World;
use crate::signer::Signer;
use jiff::Timestamp;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;

/// Who is known by a password, and may do everything.
pub const USER: &str = "master";

/// That password.
pub const PASSWORD: &str = "tide-table-7316";

/// How long a token is good.
pub const HOUR: i64 = 3_600;

/// The broker.
pub struct Gate {
    pub broker: Arc<Broker>,
    /// Where it asks.
    pub secured: String,
    pub signer: Signer,
    dir: TempDir,
    authority: Authority,
}

/// The one that the tests of this binary share: it starts with the first of them and ends
/// with the last.
pub fn gate() -> Option<Arc<Gate>> {
    static SHARED: Mutex<Weak<Gate>> = Mutex::new(Weak::new());
    if !Broker::may_start() {
        return None;
    }
    // Under the lock, so that others wait until it is there.
    let mut shared = SHARED.lock().expect("a broker that starts");
    Some(shared.upgrade().unwrap_or_else(|| {
        let gate = Arc::new(Gate::open());
        *shared = Arc::downgrade(&gate);
        gate
    }))
}

impl Gate {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "ca");
        // Not for "localhost", which leads there too.
        let mut server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = authority.issue("broker", server, |_| ());
        let parts = [&server.key, &server.cert].map(|file| fs::read_to_string(file).unwrap());
        write_secret(&dir.path().join("server.pem"), &parts.concat());
        let signer = Signer::new("k1");
        fs::write(dir.path().join("jwks.json"), signer.jwks()).unwrap();
        write_secret(&dir.path().join("users"), &format!("{USER} {PASSWORD}\n"));
        let (broker, secured) = Broker::secured(dir.path());
        Self {
            broker: Arc::new(broker),
            secured,
            signer,
            dir,
            authority,
        }
    }

    /// A path of a test's own.
    pub fn path(&self, name: &str) -> PathBuf {
        let unique = rand::random::<u64>();
        self.dir.path().join(format!("{unique:016x}-{name}"))
    }

    /// A token for a subject that is good for so many seconds.
    pub fn token(&self, subject: &str, seconds: i64) -> String {
        self.signer.sign(&claims(subject, seconds))
    }

    /// A file with that token.
    pub fn token_file(&self, subject: &str, seconds: i64) -> PathBuf {
        self.file_of(&self.token(subject, seconds))
    }

    /// A file with this text.
    pub fn file_of(&self, text: &str) -> PathBuf {
        let file = self.path("token");
        write_secret(&file, text);
        file
    }

    /// The setting of properties: TLS, and these.
    pub fn properties(&self, more: &[(&str, &str)]) -> String {
        self.properties_by(&self.authority, more)
    }

    /// The same of who believes another authority.
    pub fn properties_by(&self, authority: &Authority, more: &[(&str, &str)]) -> String {
        let ca = authority.file();
        let tls = [
            ("security.protocol", "sasl_ssl"),
            ("ssl.ca.location", ca.to_str().unwrap()),
        ];
        let lines = tls.iter().chain(more);
        let lines = lines.map(|(name, value)| format!("{name} = {value}\n"));
        let file = self.path("properties");
        write_secret(&file, &lines.collect::<String>());
        flag("--kafka-properties", &file)
    }

    /// Another authority.
    pub fn stranger(&self) -> Authority {
        Authority::new(self.dir.path(), "stranger")
    }

    /// The settings of who is known by a name and a password.
    pub fn by_password(&self, mechanism: &str) -> Vec<String> {
        vec![self.properties(&credentials(mechanism, PASSWORD))]
    }

    /// Those of who is known by the token in a file.
    pub fn by_token(&self, file: &Path) -> Vec<String> {
        vec![
            self.properties(&[("sasl.mechanism", "OAUTHBEARER")]),
            flag("--kafka-oauth-token-file", file),
        ]
    }

    /// A command about topics that goes by the gate.
    pub fn command(&self, world: &World, words: &[&str], shown: &[String]) -> Command {
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        world.commanded_at(&self.secured, words, &shown)
    }

    /// What starts an instance that goes by the gate.
    pub fn serving(&self, world: &World, name: &str, shown: &[String]) -> Command {
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        world.serving_at(&self.secured, name, &shown)
    }
}

/// What a token claims: it is for Kafka.
pub fn claims(subject: &str, seconds: i64) -> serde_json::Value {
    let now = Timestamp::now().as_second();
    let mut claims = Signer::claims(subject);
    claims["aud"] = "kafka".into();
    claims["iat"] = now.into();
    claims["exp"] = (now + seconds).into();
    claims
}

/// What says a password.
pub fn credentials<'a>(mechanism: &'a str, password: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("sasl.mechanism", mechanism),
        ("sasl.username", USER),
        ("sasl.password", password),
    ]
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}
