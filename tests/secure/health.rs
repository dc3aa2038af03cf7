//! The health port: in plain text, and nothing but health.

use crate::place::{channel, get, until};
use crate::service::Service;
use crate::world::World;
use quaymeter::pb;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

async fn client(service: &Service) -> HealthClient<Channel> {
    HealthClient::new(channel(&format!("http://{}", service.health)).await)
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    let told = watch.message().await.unwrap();
    told.map(|told| told.status())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_port_tells_health_by_http_and_by_grpc_and_nothing_else() {
    let world = World::new();
    let service = world.serve_mutual("required", &[]);
    assert_eq!(get(&service.health, "/healthz"), (200, "ok\n".into()));
    assert_eq!(get(&service.health, "/readyz"), (200, "ready\n".into()));
    for path in [
        "/",
        "/metrics",
        "/healthz/x",
        "/quaymeter.v1.ThroughputService/GetStatus",
    ] {
        assert_eq!(get(&service.health, path), (404, String::new()), "{path}");
    }
    let mut health = client(&service).await;
    for name in ["", "liveness", "quaymeter.v1.IngestService"] {
        let told = health.check(of(name)).await.unwrap().into_inner();
        assert_eq!(told.status(), ServingStatus::Serving, "{name}");
    }
    let unknown = health.check(of("nothing")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let line = channel(&format!("http://{}", service.health)).await;
    let mut calls = ThroughputServiceClient::new(line);
    let refused = calls.get_status(pb::GetStatusRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_port_says_that_nothing_is_served_once_a_drain_begins() {
    let world = World::new();
    let mut service = world.serve(&[]);
    let mut health = client(&service).await;
    let mut all = health.watch(of("")).await.unwrap().into_inner();
    let mut alive = health.watch(of("liveness")).await.unwrap().into_inner();
    assert_eq!(next(&mut all).await, Some(ServingStatus::Serving));
    assert_eq!(next(&mut alive).await, Some(ServingStatus::Serving));
    service.signal("TERM");
    assert_eq!(next(&mut all).await, Some(ServingStatus::NotServing));
    // Whoever drains lives.
    assert_ne!(next(&mut alive).await, Some(ServingStatus::NotServing));
    assert!(service.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_says_nothing_keeps_no_probe_out() {
    let world = World::new();
    let service = world.serve(&[]);
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(
            tokio::net::TcpStream::connect(&service.health)
                .await
                .unwrap(),
        );
    }
    assert_eq!(get(&service.health, "/readyz").0, 200);
    let told = client(&service).await.check(of("")).await.unwrap();
    assert_eq!(told.into_inner().status(), ServingStatus::Serving);
    until("the first of them are cut", async || {
        let mut byte = [0; 1];
        matches!(crowd[0].try_read(&mut byte), Ok(0))
    })
    .await;
    service.stop();
}
