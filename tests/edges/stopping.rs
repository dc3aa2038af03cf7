//! What a stop tells those who watch.

use quaymeter::config::{Config, Sources};
use quaymeter::log::disk::RealDisk;
use quaymeter::server::Service;
use quaymeter::server::listeners::Listeners;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_the_health_hears_of_the_stop_and_does_not_hold_it_up() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data").display().to_string();
    let config = Config::resolve(Sources {
        file: None,
        environment: Vec::new(),
        flags: vec![
            ("data_dir", data_dir),
            ("drain_deadline_ms", "600000".into()),
        ],
    });
    let clock = Arc::new(|| jiff::Timestamp::now().as_millisecond());
    let service = Service::build(config.unwrap(), Arc::new(RealDisk), clock).unwrap();
    let listeners = Listeners::on_loopback(0, 0, 0).await.unwrap();
    let url = format!("http://{}", listeners.grpc.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(service.run(listeners, async {
        let _ = stopped.await;
    }));
    let channel = Endpoint::new(url).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    let mut watches = Vec::new();
    for service in ["", "quaymeter.v1.IngestService"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let mut watch = client.watch(request).await.unwrap().into_inner();
        let now = watch.message().await.unwrap().unwrap();
        assert_eq!(now.status(), ServingStatus::Serving);
        watches.push(watch);
    }
    stop.send(()).unwrap();
    let told = async {
        for mut watch in watches {
            let last = watch.message().await.unwrap().unwrap();
            assert_eq!(last.status(), ServingStatus::NotServing);
            assert!(watch.message().await.unwrap().is_none());
        }
        done.await.unwrap().unwrap();
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, told).await.unwrap();
}
