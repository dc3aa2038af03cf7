//! A service with callers, and clients that show their credentials.

#![allow(dead_code, reason = "each room takes what it needs")]

use crate::place::{DEADLINE, Place, text};
use crate::service::{Service, quaymeter};
use crate::signer::ISSUER;
use quaymeter::pb::admin_service_client::AdminServiceClient;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{self, StreamEventsRequest, StreamEventsResponse};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_types::StatusExt as _;

/// One of each kind: each may do one thing, and `nothing` none.
pub const CALLERS: &str = r#"
[[callers]]
name = "publisher"
keys = "all"
publish = { facilities = "all", enterprises = "all", vessel_calls = true }

[[callers]]
name = "reader"
keys = "all"
read = "all"

[[callers]]
name = "operator"
keys = "all"
operate = true

[[callers]]
name = "nothing"
keys = "all"
"#;

/// The callers of [`CALLERS`], known by the subjects of tokens too, and an
/// issuer whose keys are there.
pub fn callers(source: &str) -> String {
    let issuer = format!(
        "[[issuers]]\nissuer = \"{ISSUER}\"\naudience = \"quaymeter\"\nalgorithms = [\"ES256\"]\n{source}\n"
    );
    let mut callers = CALLERS.to_owned();
    for name in ["publisher", "reader", "operator", "nothing"] {
        let line = format!("name = \"{name}\"\n");
        let token = format!("tokens = [{{ issuer = \"{ISSUER}\", subject = \"{name}\" }}]\n");
        callers = callers.replace(&line, &format!("{line}{token}"));
    }
    issuer + &callers
}

/// A place for a service whose callers are known.
pub struct Port {
    pub place: Place,
    /// A key of the caller `operator`, who may see the metrics; made at the start.
    operator: OnceLock<String>,
}

impl Port {
    /// With this callers' file.
    pub fn new(callers: &str) -> Self {
        let place = Place::new();
        let operator = OnceLock::new();
        let port = Self { place, operator };
        port.rewrite(callers);
        port
    }

    /// The callers' file.
    pub fn callers(&self) -> PathBuf {
        self.place.path("callers.toml")
    }

    /// The key file.
    pub fn key_file(&self) -> PathBuf {
        self.place.path("callers.keys")
    }

    /// Replaces the callers' file.
    pub fn rewrite(&self, callers: &str) {
        std::fs::write(self.callers(), callers).unwrap();
    }

    /// The settings that name both files.
    pub fn settings(&self) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            "--callers".into(),
            path(self.callers()),
            "--caller-keys".into(),
            path(self.key_file()),
        ]
    }

    /// Starts a service.
    pub fn serve(&self, settings: &[&str]) -> Service {
        self.place.started(self.command(settings))
    }

    /// The same on a machine that knows one authority.
    pub fn serve_knowing(&self, authority: &Path, settings: &[&str]) -> Service {
        let mut command = self.command(settings);
        command.env("SSL_CERT_FILE", authority);
        self.place.started(command)
    }

    fn command(&self, settings: &[&str]) -> Command {
        self.operator();
        let own = self.settings();
        let own = own.iter().map(String::as_str);
        let all: Vec<_> = own.chain(settings.iter().copied()).collect();
        self.place.command("127.0.0.1:0", &all)
    }

    /// The key of the caller `operator`.
    pub fn operator(&self) -> &str {
        self.operator.get_or_init(|| self.key("operator"))
    }

    /// The value of a metric; the name with its labels, and a blank after them.
    pub fn metric(&self, service: &Service, name: &str) -> f64 {
        let page = self.metrics(service);
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in {page}"));
        value.trim().parse().unwrap()
    }

    /// All metrics.
    pub fn metrics(&self, service: &Service) -> String {
        let (status, page) = page(service, self.operator.get().map(String::as_str));
        assert_eq!(status, 200, "{page}");
        page
    }

    /// A `quaymeter keys` command on the key file.
    pub fn keys(&self, arguments: &[&str]) -> Output {
        let mut command: Command = quaymeter();
        command.arg("keys").args(arguments).args(self.settings());
        command.arg("--data-dir").arg(self.place.data());
        command.output().unwrap()
    }

    /// A new key for a caller.
    pub fn key(&self, caller: &str) -> String {
        self.key_with(caller, &[])
    }

    /// The same, with options.
    pub fn key_with(&self, caller: &str, options: &[&str]) -> String {
        let arguments = [&["create", caller], options].concat();
        let made = self.keys(&arguments);
        let (out, err) = text(&made);
        assert!(made.status.success(), "{err}");
        out.trim().to_owned()
    }

    /// Takes a key back.
    pub fn revoke(&self, key: &str) {
        let revoked = self.keys(&["revoke", id(key)]);
        assert!(revoked.status.success(), "{}", text(&revoked).1);
    }
}

/// What `GET /metrics` answers to who shows a token, or none: a status and a page.
pub fn page(service: &Service, token: Option<&str>) -> (u16, String) {
    let mut socket = TcpStream::connect(&service.http).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let shown = shown.unwrap_or_default();
    let head = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    write!(socket, "{head}{shown}\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

/// A key's id.
pub fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

/// Shows a bearer token with every call, or none.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// No credentials.
    pub fn none() -> Self {
        Self(None)
    }

    /// A key or a JWT.
    pub fn of(token: &str) -> Self {
        Self(Some(format!("Bearer {token}").parse().unwrap()))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A channel whose calls show credentials.
pub type Shown = InterceptedService<Channel, Bearer>;

/// A connection to a service.
pub async fn channel(service: &Service) -> Channel {
    let endpoint = Endpoint::from_shared(service.grpc.clone()).unwrap();
    endpoint.connect().await.unwrap()
}

/// One who publishes.
pub async fn ingest(service: &Service, bearer: Bearer) -> IngestServiceClient<Shown> {
    IngestServiceClient::with_interceptor(channel(service).await, bearer)
}

/// What he says on a stream, and what he hears.
pub type Exchange = (
    mpsc::Sender<StreamEventsRequest>,
    Streaming<StreamEventsResponse>,
);

/// An event stream of his, opened.
pub async fn publishing(
    service: &Service,
    bearer: Bearer,
    client_id: &str,
) -> Result<Exchange, Status> {
    let (say, said) = mpsc::channel(4);
    let open = pb::StreamOpen {
        client_id: client_id.into(),
        ..pb::StreamOpen::default()
    };
    let message = Some(Say::Open(open));
    say.send(StreamEventsRequest { message }).await.unwrap();
    let mut client = ingest(service, bearer).await;
    let answers = client.stream_events(ReceiverStream::new(said)).await;
    let mut answers = answers?.into_inner();
    let first = answers.message().await?.unwrap().message.unwrap();
    assert!(matches!(first, Hear::Opened(_)));
    Ok((say, answers))
}

/// One who asks.
pub async fn throughput(service: &Service, bearer: Bearer) -> ThroughputServiceClient<Shown> {
    ThroughputServiceClient::with_interceptor(channel(service).await, bearer)
}

/// One who runs it.
pub async fn admin(service: &Service, bearer: Bearer) -> AdminServiceClient<Shown> {
    AdminServiceClient::with_interceptor(channel(service).await, bearer)
}

/// The reason of a status, and which right it says is missing.
pub fn reason(status: &Status) -> (String, Option<String>) {
    let mut info = status.get_details_error_info().unwrap();
    (info.reason, info.metadata.remove("right"))
}
