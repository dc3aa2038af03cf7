//! An authority of the tests' own, and the certificates that it issues, as files.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Who issues certificates, in a directory.
pub struct Authority {
    dir: PathBuf,
    name: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files of which only the owner may read the key.
#[derive(Clone, Debug)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new one; its certificate is `NAME.pem` in the directory.
    pub fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        fs::write(dir.join(name).with_extension("pem"), own.pem()).unwrap();
        Self {
            dir: dir.into(),
            name: name.into(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its certificate's file.
    pub fn file(&self) -> PathBuf {
        self.dir.join(&self.name).with_extension("pem")
    }

    /// For a service on this machine: `localhost`, 127.0.0.1 and `::1`.
    pub fn server(&self, name: &str) -> Identity {
        self.issue(name, server(), |_| ())
    }

    /// The same, good until the end of a year.
    pub fn server_until(&self, name: &str, year: i32) -> Identity {
        self.issue(name, server(), |params| {
            params.not_after = date_time_ymd(year, 12, 31);
        })
    }

    /// For a client whose subject is `CN=name`.
    pub fn client(&self, name: &str) -> Identity {
        self.issue(name, client(), |_| ())
    }

    /// For a client whose certificate was good once.
    pub fn expired_client(&self, name: &str) -> Identity {
        self.issue(name, client(), |params| {
            params.not_after = date_time_ymd(2020, 1, 1);
        })
    }

    /// For a workload: a client that is known by its SPIFFE id, a URI.
    pub fn workload(&self, name: &str, id: &str) -> Identity {
        self.issue(name, client(), |params| {
            let uri = SanType::URI(id.try_into().unwrap());
            params.subject_alt_names = vec![uri];
        })
    }

    /// One that is as `change` makes it; its files are `NAME.crt` and `NAME.key`.
    pub fn issue(
        &self,
        name: &str,
        mut params: CertificateParams,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str| self.dir.join(format!("{name}.{end}"));
        let identity = Identity {
            cert: file("crt"),
            key: file("key"),
        };
        fs::write(&identity.cert, cert.pem()).unwrap();
        write_secret(&identity.key, &key.serialize_pem());
        identity
    }
}

impl Identity {
    /// What is in another's files comes into these, as a certificate is renewed.
    pub fn become_that_of(&self, other: &Self) {
        fs::copy(&other.cert, &self.cert).unwrap();
        fs::copy(&other.key, &self.key).unwrap();
    }

    /// The certificate in DER.
    pub fn der(&self) -> Vec<u8> {
        use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
        CertificateDer::from_pem_file(&self.cert).unwrap().to_vec()
    }
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, text: &str) {
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn server() -> CertificateParams {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn client() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}
