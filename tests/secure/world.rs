//! A service behind TLS, and who may talk to it.

use crate::authority::{Authority, Identity};
use crate::place::{Place, address, text};
use crate::service::{Service, quaymeter};
use crate::wire::Client;
use quaymeter::client::Cause;
use quaymeter::client::reach::{Credentials, Line, Reach};
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{self, GetStatusResponse};
use std::path::Path;
use std::process::Command;

pub struct World {
    pub place: Place,
    pub authority: Authority,
    /// The service's.
    pub server: Identity,
}

impl World {
    pub fn new() -> Self {
        let place = Place::new();
        let authority = Authority::new(&place.path(""), "authority");
        let server = authority.server("server");
        Self {
            place,
            authority,
            server,
        }
    }

    /// Starts the service with its certificate.
    pub fn serve(&self, more: &[&str]) -> Service {
        let files = [&self.server.cert, &self.server.key].map(|file| file.display().to_string());
        let mut settings = vec!["--tls-cert", &files[0], "--tls-key", &files[1]];
        settings.extend(more);
        self.place.serve(&settings)
    }

    /// The same, where clients show certificates of this authority.
    pub fn serve_mutual(&self, clients: &str, more: &[&str]) -> Service {
        let authority = self.authority.file().display().to_string();
        let mut settings = vec!["--tls-clients", clients, "--tls-client-ca", &authority];
        settings.extend(more);
        self.serve(&settings)
    }

    /// Somebody who trusts our authority, and shows this certificate, if any.
    pub fn credentials(&self, shown: Option<&Identity>) -> Credentials {
        Credentials {
            ca: Some(self.authority.file()),
            cert: shown.map(|shown| shown.cert.clone()),
            key: shown.map(|shown| shown.key.clone()),
            token_file: None,
        }
    }

    /// His connection.
    pub async fn connect(
        &self,
        service: &Service,
        shown: Option<&Identity>,
    ) -> Result<Line, Cause> {
        let reach = Reach::new(&url(service), self.credentials(shown))?;
        reach.connect().await
    }

    /// What he is told of the service's state, or why not.
    pub async fn status(
        &self,
        service: &Service,
        shown: Option<&Identity>,
    ) -> Result<GetStatusResponse, String> {
        let line = self.connect(service, shown).await;
        let line = line.map_err(|cause| cause.to_string())?;
        let mut client = ThroughputServiceClient::new(line);
        let asked = client.get_status(pb::GetStatusRequest::default()).await;
        asked
            .map(tonic::Response::into_inner)
            .map_err(|status| format!("{status:?}"))
    }

    /// A client of TLS alone.
    pub fn client(&self) -> Client {
        Client::new(&self.authority)
    }

    /// One of our commands, which trusts our authority.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = quaymeter();
        command
            .args(arguments)
            .arg("--ca")
            .arg(self.authority.file());
        command
    }

    /// The metrics, as told to whoever trusts our authority.
    pub async fn metrics(&self, service: &Service) -> String {
        let told = self.client().get(&service.http, "/metrics").await;
        let (status, page) = told.unwrap();
        assert_eq!(status, 200);
        page
    }

    /// A metric's value, the name with its labels.
    pub async fn metric(&self, service: &Service, name: &str) -> f64 {
        let page = self.metrics(service).await;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("no {name} in {page}"));
        value.trim().parse().unwrap()
    }
}

/// Where calls go.
pub fn url(service: &Service) -> String {
    format!("https://{}", address(service))
}

/// Runs a command to its end: its status, and what it printed on both outputs.
pub fn ran(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let (out, err) = text(&output);
    (output.status.code(), out, err)
}

/// A path as an argument.
pub fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}
