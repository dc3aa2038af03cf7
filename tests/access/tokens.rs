//! Tokens whose issuer's keys are at a URL, and of two issuers with one source of keys.

use crate::authority::Authority;
use crate::methods::{Outcome, outcome};
use crate::noted::{changed, each, sha256};
use crate::place::until;
use crate::port::{Bearer, Port, Shown, callers, channel};
use crate::service::Service;
use crate::signer::{KeyServer, Signer};
use std::fs::write;

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
    let port = port(&server);
    let service = port.serve(&[]);
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
    let loads = changed(&port.place, "service", "issuer_keys");
    assert_eq!(each(&loads, "action"), ["load", "load"]);
    assert_eq!(each(&loads, "url"), [&*server.url; 2]);
    assert_eq!(each(&loads, "keys"), ["first", "second"]);
    let hashes = [&first, &second].map(|signer| sha256(signer.jwks()));
    assert_eq!(each(&loads, "keys_sha256"), hashes);
}

/// The keys of a signer `k`, but that none has an id.
fn nameless(signer: &Signer) -> String {
    let named = signer.jwks();
    let nameless = named.replace("\"kid\":\"k\",", "");
    assert_ne!(nameless, named);
    nameless
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_under_the_same_id_or_under_none_is_noted() {
    let signers = [(); 2].map(|()| Signer::new("k"));
    let sets: [fn(&Signer) -> String; 2] = [Signer::jwks, nameless];
    for set in sets {
        let [first, second] = [set(&signers[0]), set(&signers[1])];
        let server = KeyServer::new(first.clone());
        let port = port(&server);
        let service = port.serve(&[]);
        let loads = || changed(&port.place, "service", "issuer_keys");
        until("his keys are noted", async || loads().len() == 1).await;
        server.answer(200, second.clone());
        // They are fetched again for the sake of a key that is not known.
        let unknown = Signer::new("unknown").token("reader");
        until("his other keys are noted", async || {
            assert!(!is_in(&service, &unknown).await);
            loads().len() == 2
        })
        .await;
        service.stop();
        let hashes = [sha256(first), sha256(second)];
        assert_eq!(each(&loads(), "keys_sha256"), hashes);
    }
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

const OTHER: &str = "https://login.example/depot";

/// The callers, and a second issuer whose keys are where those of the first are.
fn trusting_two(place: &str) -> String {
    let issuer = format!(
        "[[issuers]]\nissuer = \"{OTHER}\"\naudience = \"quaymeter\"\nalgorithms = [\"ES256\"]\n{place}\n"
    );
    let caller = format!(
        "[[callers]]\nname = \"other\"\ntokens = [{{ issuer = \"{OTHER}\", subject = \"other\" }}]\n"
    );
    format!("{issuer}{}{caller}", callers(place))
}

/// Whether a token of each of them, signed with this key, lets in.
async fn are_in(service: &Service, signer: &Signer) -> [bool; 2] {
    let mut claims = Signer::claims("other");
    claims["iss"] = OTHER.into();
    let (one, other) = (signer.token("reader"), signer.sign(&claims));
    [is_in(service, &one).await, is_in(service, &other).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_out_of_a_file_of_two_issuers_is_good_for_neither() {
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    let port = Port::new("");
    let file = port.place.path("keys.json");
    write(&file, first.jwks()).unwrap();
    port.rewrite(&trusting_two(&format!("jwks_file = {file:?}")));
    let service = port.serve(&[]);
    assert_eq!(are_in(&service, &first).await, [true, true]);
    write(&file, second.jwks()).unwrap();
    until("both have the new key", async || {
        are_in(&service, &second).await == [true, true]
    })
    .await;
    assert_eq!(are_in(&service, &first).await, [false, false]);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_issuers_have_what_is_fetched_from_their_one_url() {
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    let server = KeyServer::new(first.jwks());
    let port = Port::new(&trusting_two(&format!("jwks_url = \"{}\"", server.url)));
    let service = port.serve(&[]);
    until("both have the key", async || {
        are_in(&service, &first).await == [true, true]
    })
    .await;
    server.answer(200, second.jwks());
    until("both have the new key", async || {
        are_in(&service, &second).await == [true, true]
    })
    .await;
    assert_eq!(are_in(&service, &first).await, [false, false]);
    service.stop();
}
