//! Clients that show certificates.

use crate::authority::Authority;
use crate::noted::records;
use crate::place::until;
use crate::world::{World, ran, shown, url};
use std::collections::BTreeSet;

/// Why handshakes were refused, as the audit trail has it.
fn refused(world: &World) -> BTreeSet<String> {
    let mut refused = records(&world.place, &["--kind", "refused"]);
    refused.retain(|record| record["method"] == "handshake");
    let causes = refused.iter().map(|record| {
        assert_eq!(record["peer"], "127.0.0.1", "{record}");
        assert_eq!(record["code"], "Unauthenticated", "{record}");
        record["cause"].as_str().unwrap().to_owned()
    });
    causes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_certificates_are_required_only_a_good_one_is_let_in() {
    let world = World::new();
    let service = world.serve_mutual("required", &[]);
    let known = world.authority.client("truckers");
    world.status(&service, Some(&known)).await.unwrap();
    world.status(&service, None).await.unwrap_err();
    let other = Authority::new(&world.place.path(""), "other");
    let strangers = [
        other.client("stranger"),
        world.authority.expired_client("late"),
        // A service's own is not for clients.
        world.authority.server("posing"),
    ];
    for stranger in &strangers {
        let told = world.status(&service, Some(stranger)).await;
        assert!(told.is_err(), "{} is let in", stranger.cert.display());
    }
    // The metrics are behind the same.
    let client = || world.client();
    client().get(&service.http, "/metrics").await.unwrap_err();
    let scraped = client()
        .showing(&known)
        .get(&service.http, "/metrics")
        .await;
    let (status, page) = scraped.unwrap();
    assert_eq!(status, 200);
    let failed = "quaymeter_tls_handshake_failures_total{port=\"grpc\"} ";
    let failed = page.lines().find_map(|line| line.strip_prefix(failed));
    assert!(failed.unwrap().parse::<f64>().unwrap() >= 4.0, "{failed:?}");
    let causes = [
        "certificate_expired",
        "certificate_invalid",
        "certificate_missing",
        "certificate_of_unknown_issuer",
    ];
    until("all of them are noted", async || {
        refused(&world).len() >= causes.len()
    })
    .await;
    service.stop();
    assert_eq!(refused(&world), BTreeSet::from(causes.map(String::from)));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_certificates_are_optional_one_that_is_shown_must_be_good() {
    let world = World::new();
    let service = world.serve_mutual("optional", &[]);
    world.status(&service, None).await.unwrap();
    let known = world.authority.client("truckers");
    world.status(&service, Some(&known)).await.unwrap();
    let other = Authority::new(&world.place.path(""), "other");
    let stranger = other.client("stranger");
    world.status(&service, Some(&stranger)).await.unwrap_err();
    until("he is noted", async || !refused(&world).is_empty()).await;
    service.stop();
    let causes = ["certificate_of_unknown_issuer".to_owned()];
    assert_eq!(refused(&world), BTreeSet::from(causes));
}

#[test]
fn our_own_commands_show_certificates() {
    let world = World::new();
    let service = world.serve_mutual("required", &[]);
    let known = world.authority.client("truckers");
    let at = url(&service);
    let query = ["query", "--status", "--server", &at];
    let mut showing = world.command(&query);
    showing.args(["--cert", shown(&known.cert), "--key", shown(&known.key)]);
    let (status, _, told) = ran(&mut showing);
    assert_eq!(status, Some(0), "{told}");
    // By the environment too.
    let mut showing = crate::service::quaymeter();
    showing.args(["query", "--status"]);
    showing.env("QUAYMETER_SERVER", &at);
    showing.env("QUAYMETER_CA", world.authority.file());
    showing.env("QUAYMETER_CERT", &known.cert);
    showing.env("QUAYMETER_KEY", &known.key);
    assert_eq!(ran(&mut showing).0, Some(0));
    let (status, _, told) = ran(&mut world.command(&query));
    assert_eq!(status, Some(1), "{told}");
    let mut half = world.command(&query);
    half.args(["--cert", shown(&known.cert)]);
    let (status, _, told) = ran(&mut half);
    assert_eq!(status, Some(1));
    assert!(
        told.contains("a certificate needs its private key"),
        "{told}"
    );
    service.stop();
}
