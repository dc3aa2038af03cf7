//! Callers who are known by their certificates.

use crate::authority::{Authority, Identity};
use crate::matrix::judged_by;
use crate::methods::{Outcome, outcome};
use crate::port::{Bearer, CALLERS, Port, Shown};
use crate::service::Service;
use std::fs::read_to_string;
use std::path::PathBuf;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity as Shows};

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// A port behind TLS, its authority, and a service there.
pub struct Secured {
    pub port: Port,
    pub authority: Authority,
    pub service: Service,
}

impl Secured {
    pub fn new() -> Self {
        let mut callers = CALLERS.to_owned();
        for (name, certificate) in [
            ("publisher", "spiffe://port.example/publisher"),
            ("reader", "reader.example"),
            ("operator", "spiffe://port.example/operator"),
        ] {
            let line = format!("name = \"{name}\"\n");
            let known = format!("{line}certificates = [\"{certificate}\"]\n");
            callers = callers.replace(&line, &known);
        }
        Self::of(Port::new(&callers))
    }

    /// Of a port whose callers' file is written.
    pub fn of(port: Port) -> Self {
        let authority = Authority::new(port.place.path("").as_path(), "authority");
        let own = authority.server("service");
        trust(&port, &[&authority]);
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let settings = [
            ("--tls-cert", text(&own.cert)),
            ("--tls-key", text(&own.key)),
            ("--tls-client-ca", text(&clients(&port))),
            ("--tls-clients", "optional".into()),
        ];
        let settings: Vec<_> = settings
            .iter()
            .flat_map(|(name, value)| [*name, value])
            .collect();
        let service = port.serve(&settings);
        Self {
            port,
            authority,
            service,
        }
    }

    /// From now on these authorities vouch for clients.
    pub fn trust(&self, authorities: &[&Authority]) {
        trust(&self.port, authorities);
    }

    /// A connection that shows a certificate and a token, or neither.
    pub async fn shown(&self, identity: Option<&Identity>, bearer: Bearer) -> Shown {
        let channel = self.endpoint(identity).connect().await;
        Shown::new(channel.unwrap(), bearer)
    }

    /// What such a connection is made to.
    pub fn endpoint(&self, identity: Option<&Identity>) -> Endpoint {
        let address = self.service.grpc.rsplit('/').next().unwrap();
        let pem = |path| read_to_string(path).unwrap();
        let ca = Certificate::from_pem(pem(self.authority.file()));
        let mut tls = ClientTlsConfig::new().ca_certificate(ca);
        if let Some(Identity { cert, key }) = identity {
            tls = tls.identity(Shows::from_pem(pem(cert.clone()), pem(key.clone())));
        }
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        endpoint.tls_config(tls).unwrap()
    }
}

/// Who vouches for clients.
fn clients(port: &Port) -> PathBuf {
    port.place.path("clients.pem")
}

fn trust(port: &Port, authorities: &[&Authority]) {
    let files = authorities.iter().map(|authority| authority.file());
    let pem: String = files.map(|file| read_to_string(file).unwrap()).collect();
    std::fs::write(clients(port), pem).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_calls_by_its_spiffe_id_or_its_common_name() {
    let secured = Secured::new();
    let by_id = secured
        .authority
        .workload("x", "spiffe://port.example/publisher");
    let by_name = secured.authority.client("reader.example");
    // Its id goes before its name, also where only the name is known.
    let other = secured
        .authority
        .workload("reader.example-2", "spiffe://port.example/other");
    let unknown = secured.authority.client("stranger.example");
    for (what, identity, right) in [
        ("a SPIFFE id", Some(&by_id), Some("publish")),
        ("a common name", Some(&by_name), Some("read")),
        ("an id of nobody's", Some(&other), None),
        ("a name of nobody's", Some(&unknown), None),
        ("no certificate", None, None),
    ] {
        let shown = secured.shown(identity, Bearer::none()).await;
        judged_by(&shown, what, right).await;
    }
    secured.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_before_a_certificate_and_a_bad_one_is_refused_whatever_else_is_shown() {
    let secured = Secured::new();
    let identity = secured.authority.client("reader.example");
    let operator = Bearer::of(secured.port.operator());
    let shown = secured.shown(Some(&identity), operator).await;
    judged_by(&shown, "a key over a certificate", Some("operate")).await;
    let shown = secured.shown(Some(&identity), Bearer::of("x")).await;
    assert_eq!(outcome(&shown, REFLECTION).await, Outcome::Unknown);
    secured.service.stop();
}
