//! Calls over TLS, and what comes without it.

use crate::authority::Authority;
use crate::place::{address, channel};
use crate::world::{World, ran, shown, url};
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{self};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

#[tokio::test(flavor = "multi_thread")]
async fn any_grpc_client_speaks_over_tls() {
    let world = World::new();
    let service = world.serve(&[]);
    let authority = std::fs::read(world.authority.file()).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    let endpoint = Endpoint::from_shared(url(&service)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let mut client = ThroughputServiceClient::new(channel);
    let status = client.get_status(pb::GetStatusRequest::default()).await;
    assert_eq!(status.unwrap().into_inner().reporting_zone, "Asia/Shanghai");
    service.stop();
}

#[test]
fn our_own_commands_speak_over_tls() {
    let world = World::new();
    let service = world.serve(&[]);
    let at = url(&service);
    let day = world.place.path("day.ndjson");
    let (status, events, told) =
        ran(crate::service::quaymeter().args(["simulate", "--events", "1000", "--quiet"]));
    assert_eq!(status, Some(0), "{told}");
    std::fs::write(&day, events).unwrap();
    let copy = world.place.path("copy");
    let quiet = ["simulate", "--events", "1000", "--quiet", "--to", &at];
    let commands: [&[&str]; 6] = [
        &quiet,
        &["query", "--status", "--server", &at],
        &["top", "--once", "--server", &at],
        &["backup", "--to", shown(&copy), "--server", &at],
        &["explain", "cell", "--help"],
        &[
            "query",
            "--top",
            "3",
            "--role",
            "fleet",
            "--measure",
            "truck-passages",
            "--server",
            &at,
        ],
    ];
    for command in commands {
        let (status, out, err) = ran(&mut world.command(command));
        assert_eq!(status, Some(0), "{command:?}: {out}{err}");
    }
    let publish = [
        "publish",
        shown(&day),
        "--source",
        "tos",
        "--quiet",
        "--to",
        &at,
    ];
    // Some of a simulated day is meant to be refused.
    assert_eq!(ran(&mut world.command(&publish)).0, Some(2));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_is_not_answered_on_a_port_of_tls() {
    let world = World::new();
    let service = world.serve(&[]);
    for (port, text) in [
        (
            address(&service),
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..],
        ),
        (
            service.http.clone(),
            b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
    ] {
        let mut socket = TcpStream::connect(&port).await.unwrap();
        socket.write_all(text).await.unwrap();
        let mut answer = Vec::new();
        // It may be reset.
        let _ = socket.read_to_end(&mut answer).await;
        // A TLS alert at most.
        assert!(answer.len() <= 7, "{}", String::from_utf8_lossy(&answer));
    }
    let refused = tonic::transport::Channel::from_shared(service.grpc.clone());
    let refused = refused.unwrap().connect().await;
    let called = match refused {
        Err(_) => true,
        Ok(line) => {
            let mut client = ThroughputServiceClient::new(line);
            let asked = client.get_status(pb::GetStatusRequest::default()).await;
            asked.is_err()
        }
    };
    assert!(called, "a call in plain text was answered");
    let failures = "quaymeter_tls_handshake_failures_total";
    assert!(
        world
            .metric(&service, &format!("{failures}{{port=\"grpc\"}}"))
            .await
            >= 1.0
    );
    assert!(
        world
            .metric(&service, &format!("{failures}{{port=\"http\"}}"))
            .await
            >= 1.0
    );
    world.status(&service, None).await.unwrap();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_another_authority_vouches_for_is_not_trusted() {
    let world = World::new();
    let service = world.serve(&[]);
    let other = Authority::new(&world.place.path(""), "other");
    let at = url(&service);
    let mut publish = crate::service::quaymeter();
    publish.args(["publish", "--source", "tos", "--to", &at, "--ca"]);
    publish.arg(other.file()).args(["--give-up-after", "600"]);
    publish.arg(world.place.path("one.ndjson"));
    std::fs::write(world.place.path("one.ndjson"), "{\"eventId\": \"a\"}\n").unwrap();
    let began = Instant::now();
    let (status, _, told) = ran(&mut publish);
    assert_eq!(status, Some(1), "{told}");
    assert!(
        told.contains("the service's certificate is not trusted"),
        "{told}"
    );
    // Trying again would change nothing.
    assert!(began.elapsed() < Duration::from_secs(60));
    // Nor are the system's authorities taken for ours.
    let mut query = crate::service::quaymeter();
    query.args(["query", "--status", "--server", &at]);
    let (status, _, told) = ran(&mut query);
    assert_eq!(status, Some(1), "{told}");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_port_speaks_is_agreed_on() {
    let world = World::new();
    let service = world.serve(&[]);
    let (grpc, http) = (address(&service), &service.http);
    let client = || world.client();
    for (version, expected) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let client = client().with_version(version).speaking("h2");
        let stream = client.connect(&grpc).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(expected));
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    }
    client()
        .speaking("http/1.1")
        .connect(&grpc)
        .await
        .unwrap_err();
    client().speaking("h2").connect(http).await.unwrap_err();
    client().speaking("http/1.1").connect(http).await.unwrap();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_nothing_is_encrypted_and_https_is_not_answered() {
    let world = World::new();
    let service = world.place.serve(&[]);
    let mut client = ThroughputServiceClient::new(channel(&service.grpc).await);
    client
        .get_status(pb::GetStatusRequest::default())
        .await
        .unwrap();
    world.status(&service, None).await.unwrap_err();
    let (_, page) = crate::place::get(&service.http, "/metrics");
    let expiry = "\nquaymeter_tls_certificate_expiry_timestamp_seconds 0\n";
    assert!(page.contains(expiry), "{page}");
    service.stop();
}
