//! Clients that show certificates.

use crate::authority::Authority;
use crate::world::{World, ran, shown, url};

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
    service.stop();
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
    service.stop();
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
