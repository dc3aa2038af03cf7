//! The metrics over TLS.

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_told_over_tls_and_nothing_else_is() {
    let world = World::new();
    let service = world.serve(&[]);
    let page = world.metrics(&service).await;
    assert!(page.contains("quaymeter_build_info"), "{page}");
    let loads = world.metric(&service, "quaymeter_tls_loads_total").await;
    assert!((loads - 1.0).abs() < 0.5, "{loads}");
    for path in ["/healthz", "/readyz", "/"] {
        let (status, _) = world.client().get(&service.http, path).await.unwrap();
        assert_eq!(status, 404, "{path}");
    }
    service.stop();
}
