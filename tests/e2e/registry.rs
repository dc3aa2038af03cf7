//! The enterprises' names follow their file while the service runs.

use crate::place::{Place, metric, until};
use crate::service::Service;
use quaymeter::pb;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use std::path::{Path, PathBuf};

const HEADER: &str = "id,name_zh,name_en,roles\n";

/// The English name of COSCO; none if it is not in the registry.
async fn name(service: &Service) -> Option<String> {
    let client = ThroughputServiceClient::connect(service.grpc.clone()).await;
    let request = pb::ListEnterprisesRequest::default();
    let answer = client.unwrap().list_enterprises(request).await.unwrap();
    let found = answer.into_inner().enterprises;
    let found = found.into_iter().find(|one| one.id == "smdg:COS");
    found.map(|one| one.name_en)
}

async fn until_named(service: &Service, expected: Option<&str>) {
    let named = async || name(service).await.as_deref() == expected;
    until(&format!("it is named {expected:?}"), named).await;
}

fn serve(place: &Place) -> (Service, PathBuf) {
    let file = place.path("registry.csv");
    write(&file, "smdg:COS,中远海运,COSCO,CARRIER\n");
    let service = place.serve(&["--registry", file.to_str().unwrap()]);
    (service, file)
}

fn write(file: &Path, lines: &str) {
    std::fs::write(file, format!("{HEADER}{lines}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_follow_a_file_that_is_written_or_replaced() {
    let place = Place::new();
    let (service, file) = serve(&place);
    assert_eq!(name(&service).await.as_deref(), Some("COSCO"));
    write(&file, "smdg:COS,中远海运,Cosco Shipping,CARRIER\n");
    until_named(&service, Some("Cosco Shipping")).await;
    // As an editor does: beside it, then over it.
    let next = place.path("4913~");
    write(&next, "smdg:MSC,,MSC,CARRIER\n");
    std::fs::rename(&next, &file).unwrap();
    until_named(&service, None).await;
    // Gone for a while, then another one.
    std::fs::remove_file(&file).unwrap();
    let missed = async || metric(&service, "quaymeter_registry_load_failures_total ") > 0.0;
    until("it misses the file", missed).await;
    write(&file, "smdg:COS,,Back,\nsmdg:MSC,,MSC,\n");
    until_named(&service, Some("Back")).await;
    assert!(metric(&service, "quaymeter_registry_loads_total ") >= 4.0);
    assert_eq!(
        metric(&service, "quaymeter_registry_enterprises ") as u32,
        2
    );
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_keeps_the_names_and_is_told_once_with_its_fault() {
    let place = Place::new();
    let (service, file) = serve(&place);
    write(&file, "smdg:COS,,Never,CARRIER\nsmdg:MSC,,MSC,PIRATE\n");
    let refused = async || metric(&service, "quaymeter_registry_load_failures_total ") > 0.0;
    until("it refuses the file", refused).await;
    assert_eq!(name(&service).await.as_deref(), Some("COSCO"));
    // A good one later shows that it has looked again since.
    write(&file, "smdg:COS,,Mended,CARRIER\n");
    until_named(&service, Some("Mended")).await;
    let failures = metric(&service, "quaymeter_registry_load_failures_total ");
    let logged = place.logged();
    let faults = logged.matches("line 3: roles: found").count();
    assert!(failures.total_cmp(&1.0).is_eq(), "{failures}");
    assert!(logged.contains("PIRATE") && faults == 1, "{logged}");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_loads_the_file_whether_or_not_it_changed() {
    let place = Place::new();
    let (service, _) = serve(&place);
    assert_eq!(
        metric(&service, "quaymeter_registry_loads_total ") as u32,
        1
    );
    service.signal("HUP");
    let again = async || metric(&service, "quaymeter_registry_loads_total ") > 1.0;
    until("it loads the file again", again).await;
    assert_eq!(name(&service).await.as_deref(), Some("COSCO"));
    service.stop();
    // Without a registry it does nothing, and ends nothing.
    let service = place.serve(&[]);
    service.signal("HUP");
    assert_eq!(name(&service).await, None);
    service.stop();
}
