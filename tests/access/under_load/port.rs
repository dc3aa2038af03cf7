//! A service behind TLS, which knows its callers and keeps its address, and who runs it.

use crate::authority::{Authority, Identity};
use crate::place::{DEADLINE, address, text};
use crate::port::Port;
use crate::service::{Service, quaymeter};
use crate::wire::Client;
use quaymeter::client::reach::{Credentials, Line, Reach};
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{GetStatusRequest, GetStatusResponse};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Status;

/// An address of its own, so that nobody takes the port while nobody serves.
const HOST: &str = "127.0.76.1";

pub struct Secured {
    pub port: Port,
    authority: Authority,
    /// The service's.
    pub server: Identity,
}

impl Secured {
    /// With this callers' file, and these keys for pseudonyms.
    pub fn new(callers: &str, pseudonyms: &str) -> Self {
        let port = Port::new(callers);
        let authority = Authority::new(&port.place.path(""), "authority");
        let server = server(&authority, "server", 2030);
        crate::authority::write_secret(&port.place.path("pseudonyms"), pseudonyms);
        Self {
            port,
            authority,
            server,
        }
    }

    /// Another certificate of the service, good until the end of a year.
    pub fn renewed(&self, year: i32) -> Identity {
        server(&self.authority, "renewed", year)
    }

    pub fn pseudonyms(&self) -> PathBuf {
        self.port.place.path("pseudonyms")
    }

    /// Starts the service on an address that one had before, or on any port.
    pub fn serve(&self, before: Option<&str>) -> Service {
        let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let mut settings = self.port.settings();
        settings.extend([
            "--tls-cert".into(),
            path(&self.server.cert),
            "--tls-key".into(),
            path(&self.server.key),
            "--pseudonym-key".into(),
            path(&self.pseudonyms()),
        ]);
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let any = format!("{HOST}:0");
        let command = self.port.place.command(before.unwrap_or(&any), &settings);
        self.port.place.started(command)
    }

    /// A file of a key's, by this name.
    pub fn token(&self, name: &str, key: &str) -> PathBuf {
        let path = self.port.place.path(name);
        crate::authority::write_secret(&path, key);
        path
    }

    /// Who trusts our authority and shows the key in this file.
    pub fn credentials(&self, token: PathBuf) -> Credentials {
        Credentials {
            ca: Some(self.authority.file()),
            token_file: Some(token),
            ..Credentials::default()
        }
    }

    /// One who asks, showing a key.
    pub async fn asks(&self, service: &Service, key: &str) -> ThroughputServiceClient<Line> {
        let credentials = self.credentials(self.token("asking", key));
        let reach = Reach::new(&url(service), credentials).unwrap();
        ThroughputServiceClient::new(reach.connect().await.unwrap())
    }

    /// What the status says to who shows a key.
    pub async fn status(
        &self,
        service: &Service,
        key: &str,
    ) -> Result<GetStatusResponse, Box<Status>> {
        let mut client = self.asks(service, key).await;
        let answer = client.get_status(GetStatusRequest::default()).await;
        Ok(answer.map_err(Box::new)?.into_inner())
    }

    /// A client of TLS alone.
    pub fn client(&self) -> Client {
        Client::new(&self.authority)
    }

    /// The event streams that have ended since the service began, by how.
    pub async fn ended(&self, service: &Service) -> BTreeMap<String, u64> {
        let mut stream = self.client().connect(&service.http).await.unwrap();
        let key = self.port.operator();
        let head = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        let request = format!("{head}Authorization: Bearer {key}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_string(&mut page)).await;
        read.unwrap().unwrap();
        assert!(page.contains("\nquaymeter_streams "), "{page}");
        let ended = "quaymeter_grpc_requests_total{method=\"StreamEvents\",code=\"";
        let lines = page.lines().filter_map(|line| line.strip_prefix(ended));
        let counts = lines.map(|line| line.split_once("\"} ").unwrap());
        let counts = counts.map(|(code, count)| (code.into(), count.parse().unwrap()));
        counts.collect()
    }

    /// Adds a key for the pseudonyms from a day on.
    pub fn rotate(&self, from: &str) {
        let mut command = quaymeter();
        command.args(["pseudonyms", "rotate", "--from", from]);
        command.arg("--data-dir").arg(self.port.place.data());
        command.arg("--pseudonym-key").arg(self.pseudonyms());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{:?}", text(&output));
    }
}

/// Where calls go.
pub fn url(service: &Service) -> String {
    format!("https://{}", address(service))
}

fn server(authority: &Authority, name: &str, year: i32) -> Identity {
    let names = ["localhost", "127.0.0.1", HOST].map(String::from);
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_after = date_time_ymd(year, 12, 31);
    authority.issue(name, params, |_| ())
}
