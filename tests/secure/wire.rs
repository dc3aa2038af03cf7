//! A client of TLS alone: what the handshake shows, and pages over it.

use crate::authority::{Authority, Identity};
use crate::place::DEADLINE;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

pub struct Client {
    roots: RootCertStore,
    shown: Option<Identity>,
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: Vec<Vec<u8>>,
}

impl Client {
    /// Who trusts an authority and shows nothing.
    pub fn new(authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(authority.file()).unwrap();
        roots.add(certificate).unwrap();
        Self {
            roots,
            shown: None,
            versions: vec![&TLS13, &TLS12],
            protocols: Vec::new(),
        }
    }

    pub fn showing(self, shown: &Identity) -> Self {
        let shown = Some(shown.clone());
        Self { shown, ..self }
    }

    pub fn speaking(self, protocol: &str) -> Self {
        let protocols = vec![protocol.as_bytes().to_vec()];
        Self { protocols, ..self }
    }

    pub fn with_version(self, version: &'static SupportedProtocolVersion) -> Self {
        let versions = vec![version];
        Self { versions, ..self }
    }

    fn config(&self) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let chain = vec![CertificateDer::from_pem_file(&shown.cert).unwrap()];
                let key = PrivateKeyDer::from_pem_file(&shown.key).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols.clone_from(&self.protocols);
        config
    }

    /// Shakes hands.
    pub async fn connect(&self, address: &str) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.config()));
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let shaken = timeout(DEADLINE, connector.connect(name, stream)).await;
        shaken.expect("the handshake hangs")
    }

    /// The certificate that is shown at an address.
    pub async fn shown_at(&self, address: &str) -> Vec<u8> {
        let stream = self.connect(address).await.unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        chain[0].to_vec()
    }

    /// The status and body of a page.
    pub async fn get(&self, address: &str, path: &str) -> io::Result<(u16, String)> {
        let mut stream = self.connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        let read = timeout(DEADLINE, stream.read_to_string(&mut answer)).await;
        read.expect("the answer hangs")?;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        Ok((status, body.to_owned()))
    }
}
