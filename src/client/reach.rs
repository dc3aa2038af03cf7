//! How a service is reached: where it is, whose word for that is taken, and what is
//! shown to it. Files are read anew for each connection and each token, so that those
//! that are renewed are noticed.

use super::link::{Break, chain};
use super::{Cause, trust};
use crate::auth::key::{self, Key};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

/// Small stream windows and a large connection window, on both sides: else many
/// small unread frames make h2 end the whole connection.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const PING_EVERY: Duration = Duration::from_secs(10);
const CONNECT_AT_MOST: Duration = Duration::from_secs(5);

/// More than any token has: what holds headers on the other side holds less.
const TOKEN_BYTES_MAX: usize = 12 << 10;

/// Files by which a service is trusted and trusts us; none of them is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// PEM file of the authorities that vouch for the service; without it, the
    /// system's.
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate that is shown to the service.
    pub cert: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// File of a token, an API key or a JWT, that goes with each request.
    pub token_file: Option<PathBuf>,
}

/// A connection whose requests bear a token, if there is any.
pub type Line = InterceptedService<Channel, Bearer>;

/// A service, and how it is reached.
#[derive(Clone, Debug)]
pub struct Reach {
    url: String,
    credentials: Credentials,
}

impl Reach {
    /// The service at a URL, `http://host:port` or `https://host:port`.
    ///
    /// # Errors
    /// Another URL, files that cannot be used, and what would go over the network for
    /// all to see.
    pub fn new(url: &str, credentials: Credentials) -> Result<Self, Cause> {
        let reach = Self {
            url: url.into(),
            credentials,
        };
        reach.endpoint()?;
        reach.check_token()?;
        Ok(reach)
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A new connection.
    ///
    /// # Errors
    /// It cannot be made, or the service is not trusted.
    pub async fn connect(&self) -> Result<Line, Cause> {
        self.connect_as(|endpoint| endpoint).await
    }

    /// A new connection, of which `adapt` changes the particulars.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_as(
        &self,
        adapt: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Line, Cause> {
        let connected = adapt(self.endpoint()?).connect().await;
        let channel = connected.map_err(|error| self.not_connected(&error))?;
        let token_file = self.credentials.token_file.as_deref().map(Arc::from);
        Ok(InterceptedService::new(channel, Bearer { token_file }))
    }

    /// A new connection, or whether to try again.
    pub(super) async fn try_connect(&self) -> Result<Line, Break> {
        self.connect().await.map_err(|cause| match cause {
            Cause::Unreachable { why, .. } => Break::lost(why),
            stays => Break::Fatal(stays),
        })
    }

    fn not_connected(&self, error: &tonic::transport::Error) -> Cause {
        match trust::refusal(error) {
            Some(why) => self.refused(why),
            None => Cause::Unreachable {
                url: self.url.clone(),
                why: chain(error),
            },
        }
    }

    fn refused(&self, why: impl Into<String>) -> Cause {
        Cause::Endpoint {
            url: self.url.clone(),
            why: why.into(),
        }
    }

    fn endpoint(&self) -> Result<Endpoint, Cause> {
        let endpoint = Endpoint::from_shared(self.url.clone());
        let endpoint = endpoint.map_err(|error| self.refused(chain(&error)))?;
        let endpoint = match endpoint.uri().scheme_str() {
            Some("http") => {
                self.check_plain(endpoint.uri().host())?;
                endpoint
            }
            Some("https") => {
                let tls = endpoint.tls_config(self.tls()?);
                tls.map_err(|error| self.refused(chain(&error)))?
            }
            _ => return Err(self.refused("neither an http:// nor an https:// URL")),
        };
        Ok(endpoint
            .connect_timeout(CONNECT_AT_MOST)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .keep_alive_while_idle(true))
    }

    /// Without TLS there are no certificates, and a token is for who listens.
    fn check_plain(&self, host: Option<&str>) -> Result<(), Cause> {
        let Credentials {
            ca,
            cert,
            key,
            token_file,
        } = &self.credentials;
        if ca.is_some() || cert.is_some() || key.is_some() {
            return Err(self.refused("certificates are for https:// URLs only"));
        }
        if token_file.is_some() && !host.is_some_and(is_loopback) {
            let why = "a token is sent over https:// only, or to this machine";
            return Err(self.refused(why));
        }
        Ok(())
    }

    fn tls(&self) -> Result<ClientTlsConfig, Cause> {
        let Credentials { ca, cert, key, .. } = &self.credentials;
        let config = ClientTlsConfig::new();
        let config = match ca {
            Some(path) => {
                let pem = self.read("the authorities' certificates", path)?;
                config.ca_certificate(Certificate::from_pem(pem))
            }
            None => config.with_native_roots(),
        };
        match (cert, key) {
            (Some(cert), Some(key)) => {
                let cert = self.read("the certificate", cert)?;
                let key = self.read("the private key", key)?;
                Ok(config.identity(Identity::from_pem(cert, key)))
            }
            (None, None) => Ok(config),
            (Some(_), None) => Err(self.refused("a certificate needs its private key")),
            (None, Some(_)) => Err(self.refused("a private key needs its certificate")),
        }
    }

    fn check_token(&self) -> Result<(), Cause> {
        match &self.credentials.token_file {
            Some(path) => read_token(path).map(drop).map_err(|why| self.refused(why)),
            None => Ok(()),
        }
    }

    fn read(&self, what: &str, path: &Path) -> Result<Vec<u8>, Cause> {
        let read = std::fs::read(path);
        read.map_err(|error| self.refused(format!("read {what} {}: {error}", path.display())))
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// Puts the token of a file into each request.
#[derive(Clone, Debug)]
pub struct Bearer {
    token_file: Option<Arc<Path>>,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(path) = &self.token_file {
            // It may just be replaced.
            let token = read_token(path).map_err(Status::unavailable)?;
            request.metadata_mut().insert("authorization", token);
        }
        Ok(request)
    }
}

/// What the header says. The token itself is told nobody.
fn read_token(path: &Path) -> Result<MetadataValue<Ascii>, String> {
    let at = path.display();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("read the token {at}: {error}"))?;
    let token = text.trim();
    if token.starts_with(key::PREFIX) {
        let read = Key::parse(token);
        read.map_err(|error| format!("the token {at}: {error}"))?;
    }
    let fits = (1..=TOKEN_BYTES_MAX).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = fits.then(|| MetadataValue::try_from(format!("Bearer {token}")).ok());
    let mut value = value.flatten().ok_or_else(|| {
        format!(
            "the token {at}: found {} bytes that are none, expected 1 to {TOKEN_BYTES_MAX} visible ASCII characters",
            text.len()
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, credentials: Credentials) -> String {
        Reach::new(url, credentials).unwrap_err().to_string()
    }

    fn token(text: &str) -> (tempfile::TempDir, Credentials) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, text).unwrap();
        let credentials = Credentials {
            token_file: Some(path),
            ..Credentials::default()
        };
        (dir, credentials)
    }

    #[test]
    fn a_token_goes_in_plain_text_to_this_machine_only() {
        let (_dir, credentials) = token("secret\n");
        for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            Reach::new(url, credentials.clone()).unwrap();
        }
        for url in ["http://10.0.0.1:1", "http://localhost.example:1"] {
            let told = refused(url, credentials.clone());
            assert!(told.contains("over https:// only"), "{told}");
        }
    }

    #[test]
    fn a_token_is_read_anew_for_each_request_and_never_shown() {
        let (_dir, credentials) = token("first\n");
        let path: Arc<Path> = credentials.token_file.unwrap().into();
        let mut bearer = Bearer {
            token_file: Some(Arc::clone(&path)),
        };
        let mut sent = || bearer.call(Request::new(())).unwrap();
        let first = sent();
        let value = first.metadata().get("authorization").unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer first");
        assert!(!format!("{first:?}").contains("first"));
        std::fs::write(&path, "second").unwrap();
        let value = sent().metadata().get("authorization").cloned().unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer second");
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_told() {
        for bad in ["", "\n", "two words", "gehei\u{df}"] {
            let (_dir, credentials) = token(bad);
            let told = refused("http://127.0.0.1:1", credentials);
            assert!(told.contains("visible ASCII"), "{told}");
            assert!(
                bad.trim().is_empty() || !told.contains(bad.trim()),
                "{told}"
            );
        }
    }

    #[test]
    fn certificates_belong_to_https_and_a_pair_is_two() {
        let with = |ca: Option<&str>, cert: Option<&str>| Credentials {
            ca: ca.map(Into::into),
            cert: cert.map(Into::into),
            ..Credentials::default()
        };
        let told = refused("http://127.0.0.1:1", with(Some("ca.pem"), None));
        assert!(told.contains("https:// URLs only"), "{told}");
        let told = refused("https://127.0.0.1:1", with(Some("/nowhere/ca.pem"), None));
        assert!(
            told.contains("read the authorities' certificates /nowhere/ca.pem: No such file"),
            "{told}"
        );
        let told = refused("ftp://127.0.0.1", Credentials::default());
        assert!(told.contains("neither an http://"), "{told}");
    }
}
