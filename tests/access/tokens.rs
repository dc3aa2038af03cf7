//! Tokens whose issuer's keys are at a URL.

use crate::authority::Authority;
use crate::methods::{Outcome, outcome};
use crate::place::until;
use crate::port::{Bearer, Port, Shown, callers, channel};
use crate::service::Service;
use crate::signer::{KeyServer, Signer};

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

async fn is_in(service: &Service, token: &str) -> bool {
    let shown = Shown::new(channel(service).await, Bearer::of(token));
    outcome(&shown, REFLECTION).await == Outcome::In
}

fn port(server: &KeyServer) -> Port {
    Port::new(&callers(&format!("jwks_url = \"{}\"", server.url)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_may_change_his_keys() {
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    let server = KeyServer::new(first.jwks());
    let service = port(&server).serve(&[]);
    until("his keys are known", async || {
        is_in(&service, &first.token("reader")).await
    })
    .await;
    let asked = server.asked();
    server.answer(200, second.jwks());
    assert!(
        is_in(&service, &first.token("reader")).await,
        "nobody asked yet"
    );
    until("his new key is known", async || {
        is_in(&service, &second.token("reader")).await
    })
    .await;
    assert!(!is_in(&service, &first.token("reader")).await);
    assert_eq!(
        server.asked(),
        asked + 1,
        "asked once, for a key that was not known"
    );
    // Whoever makes keys up makes us ask no more often.
    for n in 0..50 {
        let made_up = Signer::new(&format!("made-up-{n}"));
        assert!(!is_in(&service, &made_up.token("reader")).await);
    }
    assert_eq!(server.asked(), asked + 1);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_over_tls_only_from_whom_an_authority_of_this_machine_knows() {
    let signer = Signer::new("k");
    let dir = tempfile::tempdir().unwrap();
    let [known, other] = ["known", "other"].map(|name| Authority::new(dir.path(), name));
    let identity = known.server("issuer");
    let server = KeyServer::secure(signer.jwks(), &identity.cert, &identity.key);
    let (port, failures) = (port(&server), "quaymeter_jwks_fetch_failures_total ");

    let service = port.serve_knowing(&known.file(), &[]);
    until("his keys are known", async || {
        is_in(&service, &signer.token("reader")).await
    })
    .await;
    assert!(port.metric(&service, failures) < 0.5);
    service.stop();
    let asked = server.asked();

    let service = port.serve_knowing(&other.file(), &[]);
    until("it has failed", async || {
        port.metric(&service, failures) >= 1.0
    })
    .await;
    assert!(!is_in(&service, &signer.token("reader")).await);
    assert_eq!(server.asked(), asked, "nothing was asked of a stranger");
    let logged = port.place.logged();
    assert!(logged.contains("UnknownIssuer"), "{logged}");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_fetched_stay_as_they_were() {
    let signer = Signer::new("k");
    let server = KeyServer::new(signer.jwks());
    let port = port(&server);
    let service = port.serve(&[]);
    until("his keys are known", async || {
        is_in(&service, &signer.token("reader")).await
    })
    .await;
    let large = format!("{{\"keys\":[],\"x\":\"{}\"}}", "a".repeat(300 << 10));
    let (other, asked) = (Signer::new("other").token("reader"), server.asked());
    server.answer(200, large);
    assert!(!is_in(&service, &other).await);
    until("it was asked again", async || server.asked() > asked).await;
    let failures = "quaymeter_jwks_fetch_failures_total ";
    until("it has failed", async || {
        port.metric(&service, failures) >= 1.0
    })
    .await;
    assert!(is_in(&service, &signer.token("reader")).await);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_who_is_down_keeps_nobody_else_out() {
    let signer = Signer::new("k");
    let server = KeyServer::new(signer.jwks());
    server.answer(503, String::new());
    let port = port(&server);
    let key = port.key("reader");
    let service = port.serve(&[]);
    assert!(is_in(&service, &key).await);
    assert!(!is_in(&service, &signer.token("reader")).await);
    server.answer(200, signer.jwks());
    until("his keys are known", async || {
        is_in(&service, &signer.token("reader")).await
    })
    .await;
    service.stop();
}
