//! Certificates that are renewed while the service runs.

use crate::authority::Authority;
use crate::noted::{changed, each, sha256};
use crate::place::{address, arrivals, until};
use crate::service::Service;
use crate::world::World;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::{self, StreamEventsRequest, StreamEventsResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

const FAILURES: &str = "quaymeter_tls_load_failures_total";
const EXPIRY: &str = "quaymeter_tls_certificate_expiry_timestamp_seconds";

/// An event stream on one connection: where it breaks, it is over.
struct Sending {
    requests: mpsc::Sender<StreamEventsRequest>,
    answers: Streaming<StreamEventsResponse>,
}

impl Sending {
    async fn open(world: &World, service: &Service) -> Self {
        let line = world.connect(service, None).await.unwrap();
        let (requests, queued) = mpsc::channel(1);
        let open = pb::StreamOpen {
            client_id: "one".into(),
            source: "tos".into(),
            ..Default::default()
        };
        let message = Some(Say::Open(open));
        requests
            .send(StreamEventsRequest { message })
            .await
            .unwrap();
        let mut client = IngestServiceClient::new(line);
        let answers = client.stream_events(ReceiverStream::new(queued)).await;
        let mut answers = answers.unwrap().into_inner();
        let opened = answers.message().await.unwrap().unwrap();
        assert!(matches!(opened.message, Some(Hear::Opened(_))));
        Self { requests, answers }
    }

    /// Sends a batch and waits for its acknowledgement.
    async fn acknowledged(&mut self, sequence: u64) {
        let from = sequence as u32 * 10;
        let batch = pb::StreamBatch {
            sequence,
            events: arrivals(from..from + 10),
        };
        let message = Some(Say::Batch(batch));
        let request = StreamEventsRequest { message };
        self.requests.send(request).await.unwrap();
        let answer = self.answers.message().await.unwrap().unwrap();
        assert!(matches!(answer.message, Some(Hear::Ack(_))), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_to_new_connections_and_open_streams_go_on() {
    let world = World::new();
    let service = world.serve(&[]);
    let mut sending = Sending::open(&world, &service).await;
    sending.acknowledged(1).await;
    let (grpc, client) = (address(&service), world.client());
    assert_eq!(client.shown_at(&grpc).await, world.server.der());
    let own = std::fs::read(&world.server.cert).unwrap();
    let renewed = world.authority.server_until("renewed", 2031);
    world.server.become_that_of(&renewed);
    until("the renewed certificate is shown", async || {
        client.shown_at(&grpc).await == renewed.der()
    })
    .await;
    assert_eq!(client.shown_at(&service.http).await, renewed.der());
    sending.acknowledged(2).await;
    let expiry = world.metric(&service, EXPIRY).await;
    assert!((expiry - 1_956_441_600.0).abs() < 0.5, "{expiry}");
    service.stop();
    let loads = changed(&world.place, "service", "certificate");
    assert_eq!(each(&loads, "action"), ["load", "load"]);
    assert_eq!(loads[1]["until"], "2031-12-31T00:00:00Z");
    let hashes = [own, std::fs::read(&renewed.cert).unwrap()].map(sha256);
    assert_eq!(each(&loads, "cert_sha256"), hashes);
    assert_eq!(each(&loads, "client_ca_sha256"), ["none", "none"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_new_file_keeps_the_old_and_is_told_once() {
    let world = World::new();
    let service = world.serve(&[]);
    let (grpc, client) = (address(&service), world.client());
    let own = world.server.der();
    // The key of another certificate: half of a renewal, or a mistake.
    let other = world.authority.server("other");
    std::fs::copy(&other.key, &world.server.key).unwrap();
    until("that is noticed", async || {
        world.metric(&service, FAILURES).await >= 1.0
    })
    .await;
    assert_eq!(client.shown_at(&grpc).await, own);
    std::fs::write(&world.server.key, "-----BEGIN HIDDEN-----\n").unwrap();
    until("that too", async || {
        world.metric(&service, FAILURES).await >= 2.0
    })
    .await;
    std::fs::remove_file(&world.server.cert).unwrap();
    until("and that", async || {
        world.metric(&service, FAILURES).await >= 3.0
    })
    .await;
    assert_eq!(client.shown_at(&grpc).await, own);
    let logged = world.place.logged();
    let told = "the certificate cannot be loaded: TLS stays as it was";
    assert_eq!(logged.matches(told).count(), 3, "{logged}");
    // What was in the files is nobody's business.
    assert!(!logged.contains("HIDDEN"), "{logged}");
    // Once all is well again, it is taken.
    std::fs::copy(&other.cert, &world.server.cert).unwrap();
    std::fs::copy(&other.key, &world.server.key).unwrap();
    until("the new one is shown", async || {
        client.shown_at(&grpc).await == other.der()
    })
    .await;
    service.stop();
    let tried = changed(&world.place, "service", "certificate");
    let actions = ["load", "fail", "fail", "fail", "load"];
    assert_eq!(each(&tried, "action"), actions);
    let faults = [
        "",
        "use the private key",
        "found no such key",
        "read the certificate",
        "",
    ];
    for (told, fault) in each(&tried, "fault").into_iter().zip(faults) {
        assert!(told.contains(fault) && !told.contains("HIDDEN"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_of_clients_holds_from_the_next_connection_on() {
    let world = World::new();
    let service = world.serve_mutual("required", &[]);
    let known = world.authority.client("truckers");
    world.status(&service, Some(&known)).await.unwrap();
    let other = Authority::new(&world.place.path(""), "other");
    let stranger = other.client("stranger");
    world.status(&service, Some(&stranger)).await.unwrap_err();
    let ours = std::fs::read(world.authority.file()).unwrap();
    let hashes = [&ours, &std::fs::read(other.file()).unwrap()].map(sha256);
    std::fs::copy(other.file(), world.authority.file()).unwrap();
    let trusted = world.place.path("ours.pem");
    std::fs::write(&trusted, ours).unwrap();
    let reach = |shown: &crate::authority::Identity| {
        let credentials = quaymeter::client::reach::Credentials {
            ca: Some(trusted.clone()),
            ..world.credentials(Some(shown))
        };
        let at = crate::world::url(&service);
        quaymeter::client::reach::Reach::new(&at, credentials).unwrap()
    };
    let asked = async |shown: &crate::authority::Identity| {
        let Ok(line) = reach(shown).connect().await else {
            return false;
        };
        let request = pb::GetStatusRequest::default();
        let mut client = pb::throughput_service_client::ThroughputServiceClient::new(line);
        client.get_status(request).await.is_ok()
    };
    until("the other's clients are let in", async || {
        asked(&stranger).await
    })
    .await;
    assert!(!asked(&known).await);
    service.stop();
    // No renewal: the certificate is the same.
    let loads = changed(&world.place, "service", "certificate");
    let own = sha256(std::fs::read(&world.server.cert).unwrap());
    assert_eq!(each(&loads, "cert_sha256"), [&*own; 2]);
    assert_eq!(each(&loads, "client_ca_sha256"), hashes);
}
