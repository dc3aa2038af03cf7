//! The files of TLS: certificate, key and clients' authorities, read and put together.

use crate::auth::peer::Verifier;
use crate::config;
use crate::config::ClientCertificates;
use sha2::{Digest as _, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{
    NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier,
};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// More than any of the files needs: a larger one is another file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What nobody but the owner may do with a key.
const FORBIDDEN: u32 = 0o077;

/// The same of a file of root's: Kubernetes lets its group read it, which is the pod's.
const FORBIDDEN_OF_ROOTS: u32 = 0o037;

/// Why there is no TLS with these files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("read {what} {}", path.display())]
    Read {
        /// What it is.
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key that others may read is no secret.
    #[error("the private key {} is open to others (mode {mode:03o}), expected mode 600, or 640 if it belongs to root", path.display())]
    Open {
        /// Which one.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file is not what it should be.
    #[error("{what} {}: found {found}, expected {expected}", path.display())]
    Content {
        /// What it is.
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// What is in it.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// The key is another certificate's, or of a kind that is not known.
    #[error("use the private key {} with the certificate {}", key.display(), cert.display())]
    Pair {
        /// The key's file.
        key: PathBuf,
        /// The certificate's.
        cert: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// Nobody's certificate could be judged by these authorities.
    #[error("use the authorities in {}", path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why not.
        source: VerifierBuilderError,
    },
    /// The library refuses its own protocols.
    #[error("set TLS up")]
    Protocols(#[source] rustls::Error),
}

/// What tells one state of the files from another.
pub type Stamp = [u8; 32];

/// Whether a file is kept as it should be.
type Judge = fn(&Path, &Metadata) -> Result<(), Error>;

/// A file, as it was read.
struct Part {
    what: &'static str,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// All files, as they were read.
pub struct Files {
    cert: Part,
    key: Part,
    client_ca: Option<Part>,
    clients: ClientCertificates,
}

/// What comes of them.
pub struct Assembled {
    /// For any protocol.
    pub config: ServerConfig,
    /// Who judges clients' certificates in it.
    pub verifier: Verifier,
    /// When the certificate ends, in seconds since 1970.
    pub expires_s: i64,
    /// SHA-256 of the certificate's file, in hexadecimal digits.
    pub cert_sha256: String,
    /// The same of the clients' authorities, if there are any.
    pub client_ca_sha256: Option<String>,
}

impl Files {
    /// Reads what the settings name; none if they name no certificate.
    ///
    /// # Errors
    /// A file that cannot be read, and a key that others can.
    pub fn read(settings: &config::Tls) -> Result<Option<Self>, Error> {
        let (Some(cert), Some(key)) = (&settings.cert, &settings.key) else {
            return Ok(None);
        };
        let authorities = |path: &PathBuf| Part::read("the clients' authorities", path, None);
        Ok(Some(Self {
            cert: Part::read("the certificate", cert, None)?,
            key: Part::read("the private key", key, Some(closed))?,
            client_ca: settings.client_ca.as_ref().map(authorities).transpose()?,
            clients: settings.clients,
        }))
    }

    /// Of their contents: times may lie.
    pub fn stamp(&self) -> Stamp {
        let mut hash = Sha256::new();
        for part in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()] {
            let bytes = part.map_or(&[][..], |part| &part.bytes);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        hash.finalize().into()
    }

    /// Puts them together: TLS 1.2 and 1.3. No session is resumed, so that each
    /// connection's certificate is judged by what holds now.
    ///
    /// # Errors
    /// A file that is not what it should be, or does not belong to the others.
    pub fn assemble(&self) -> Result<Assembled, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = self.cert.certificates()?;
        let expires_s = self.cert.expiry(&chain)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(Error::Protocols)?;
        let verifier = self.verifier(provider)?;
        let builder = match verifier.clone() {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain, self.key.key()?);
        let mut config = config.map_err(|source| Error::Pair {
            key: self.key.path.clone(),
            cert: self.cert.path.clone(),
            source,
        })?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Assembled {
            config,
            verifier,
            expires_s,
            cert_sha256: self.cert.sha256(),
            client_ca_sha256: self.client_ca.as_ref().map(Part::sha256),
        })
    }

    /// Who judges clients' certificates, if they are asked for.
    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Verifier, Error> {
        let part = match (&self.client_ca, self.clients) {
            (_, ClientCertificates::None) | (None, _) => return Ok(None),
            (Some(part), ClientCertificates::Optional | ClientCertificates::Required) => part,
        };
        let mut roots = RootCertStore::empty();
        for authority in part.certificates()? {
            let added = roots.add(authority);
            added.map_err(|error| part.not(error.to_string(), "certificates of authorities"))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match self.clients {
            ClientCertificates::Required => builder,
            _ => builder.allow_unauthenticated(),
        };
        let verifier = builder.build().map_err(|source| Error::Authorities {
            path: part.path.clone(),
            source,
        })?;
        Ok(Some(verifier))
    }
}

impl Part {
    fn read(what: &'static str, path: &Path, judge: Option<Judge>) -> Result<Self, Error> {
        let failed = |source| Error::Read {
            what,
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        if let Some(judge) = judge {
            judge(path, &file.metadata().map_err(failed)?)?;
        }
        let mut bytes = Vec::new();
        let mut file = file.take(FILE_BYTES_MAX + 1);
        file.read_to_end(&mut bytes).map_err(failed)?;
        let part = Self {
            what,
            path: path.into(),
            bytes,
        };
        if part.bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(part.not("more than 1 MiB".into(), "a PEM file"));
        }
        Ok(part)
    }

    fn not(&self, found: String, expected: &'static str) -> Error {
        Error::Content {
            what: self.what,
            path: self.path.clone(),
            found,
            expected,
        }
    }

    /// It is told, and so it is never asked of the key.
    fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.bytes))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let expected = "certificates in PEM (-----BEGIN CERTIFICATE-----)";
        let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        let all = all.map_err(|error| self.not(error.to_string(), expected))?;
        if all.is_empty() {
            return Err(self.not("no certificate".into(), expected));
        }
        Ok(all)
    }

    /// What is found of a key is told nobody.
    fn key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        let expected = "one private key in PEM (-----BEGIN PRIVATE KEY-----), not encrypted";
        PrivateKeyDer::from_pem_slice(&self.bytes)
            .map_err(|_| self.not("no such key".into(), expected))
    }

    /// When the first certificate ends.
    fn expiry(&self, chain: &[CertificateDer<'_>]) -> Result<i64, Error> {
        let own = chain.first().map_or(&[][..], AsRef::as_ref);
        let (_, own) = X509Certificate::from_der(own)
            .map_err(|error| self.not(error.to_string(), "an X.509 certificate"))?;
        Ok(own.validity().not_after.timestamp())
    }
}

/// Only its owner may read a key, or the group of one of root's.
fn closed(path: &Path, of: &Metadata) -> Result<(), Error> {
    let mode = of.mode() & 0o777;
    let forbidden = match of.uid() {
        0 => FORBIDDEN_OF_ROOTS,
        _ => FORBIDDEN,
    };
    if mode & forbidden != 0 {
        return Err(Error::Open {
            path: path.into(),
            mode,
        });
    }
    Ok(())
}
