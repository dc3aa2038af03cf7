//! Files that change while the service runs.

use crate::place::until;
use crate::port::{Bearer, CALLERS, Port, reason, throughput};
use crate::service::Service;
use quaymeter::pb::GetStatusRequest;
use tonic::Status;

const FAILURES: &str = "quaymeter_callers_reload_failures_total ";
const READ: &str = "quaymeter_callers_reloads_total ";

async fn asked(service: &Service, key: &str) -> Result<(), Status> {
    let mut client = throughput(service, Bearer::of(key)).await;
    let answer = client.get_status(GetStatusRequest::default()).await;
    answer.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_and_is_told() {
    let port = Port::new(CALLERS);
    let key = port.key("reader");
    let service = port.serve(&[]);
    asked(&service, &key).await.unwrap();
    port.rewrite("[[callers]]\nname = \"reader\"\noprate = true\n");
    until("it was tried", async || {
        port.metric(&service, FAILURES) >= 1.0
    })
    .await;
    asked(&service, &key).await.unwrap();
    let told = "callers[0].oprate: found an unknown name";
    assert!(
        port.place.logged().contains(told),
        "{}",
        port.place.logged()
    );
    // Keys that others may read are no keys.
    let read = port.metric(&service, READ);
    port.rewrite(CALLERS);
    until("it was read", async || port.metric(&service, READ) > read).await;
    let failures = port.metric(&service, FAILURES);
    std::fs::write(port.key_file(), "pepper = 1\n").unwrap();
    until("it was tried", async || {
        port.metric(&service, FAILURES) > failures
    })
    .await;
    asked(&service, &key).await.unwrap();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_caller_is_known_and_one_who_went_is_not() {
    let port = Port::new(CALLERS);
    let old = port.key("reader");
    let service = port.serve(&[]);
    asked(&service, &old).await.unwrap();
    let new = port.key("auditor");
    port.rewrite(&CALLERS.replace("\"reader\"", "\"auditor\""));
    until("he is known", async || asked(&service, &new).await.is_ok()).await;
    let status = asked(&service, &old).await.unwrap_err();
    assert_eq!(reason(&status).0, "UNAUTHENTICATED");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_files_at_once() {
    let port = Port::new(CALLERS);
    port.key("reader");
    let service = port.serve(&[]);
    let read = port.metric(&service, READ);
    service.signal("HUP");
    until("they were read", async || {
        port.metric(&service, READ) > read
    })
    .await;
    service.stop();
}
