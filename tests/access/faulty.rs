//! Files of who may call of which some are faulty: what changes in the others holds.

use crate::ending::{end, ended, watching};
use crate::noted::{changed, each};
use crate::place::until;
use crate::port::{Bearer, CALLERS, Port, callers, reason, throughput};
use crate::service::Service;
use crate::signer::Signer;
use quaymeter::pb::GetStatusRequest;
use std::fs::{Permissions, read, remove_file, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use tonic::Status;

async fn asked(service: &Service, token: &str) -> Result<(), Status> {
    let mut client = throughput(service, Bearer::of(token)).await;
    let answer = client.get_status(GetStatusRequest::default()).await;
    answer.map(drop)
}

/// Makes a file faulty, and waits until that is found.
async fn breaks(port: &Port, service: &Service, change: impl FnOnce()) {
    let failures = || port.metric(service, "quaymeter_callers_reload_failures_total ");
    let before = failures();
    change();
    until("it was tried", async || failures() > before).await;
}

/// What the audit trail says of files that could not be used.
fn noted(port: &Port) -> String {
    let mut told = changed(&port.place, "service", "callers");
    told.retain(|record| record["action"] == "fail");
    each(&told, "fault").join("\n")
}

/// A key that is taken back ends what it opened, and is refused.
async fn takes_back(port: &Port, service: &Service, key: &str) {
    let watch = watching(service, Bearer::of(key)).await;
    port.revoke(key);
    ended(&end(watch).await);
    let status = asked(service, key).await.unwrap_err();
    assert_eq!(reason(&status), ("UNAUTHENTICATED".into(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_back_although_other_files_are_faulty() {
    let signer = Signer::new("k");
    let port = Port::new("");
    let jwks = port.place.path("keys.json");
    write(&jwks, signer.jwks()).unwrap();
    let good = callers(&format!("jwks_file = {jwks:?}"));
    port.rewrite(&good);
    let [first, second] = [port.key("reader"), port.key("reader")];
    let service = port.serve(&[]);
    // His keys are those that were read last.
    breaks(&port, &service, || remove_file(&jwks).unwrap()).await;
    takes_back(&port, &service, &first).await;
    let bad = format!("{good}oprate = true\n");
    breaks(&port, &service, || port.rewrite(&bad)).await;
    takes_back(&port, &service, &second).await;
    asked(&service, &signer.token("reader")).await.unwrap();
    asked(&service, port.operator()).await.unwrap();
    service.stop();
    let noted = noted(&port);
    for fault in ["keys.json", ".oprate: found an unknown name"] {
        assert!(noted.contains(fault), "{noted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_open_to_others_are_read_once_they_are_not() {
    let port = Port::new(CALLERS);
    port.operator();
    let file = port.key_file();
    let before = read(&file).unwrap();
    let key = port.key("reader");
    let with_his = read(&file).unwrap();
    write(&file, before).unwrap();
    let service = port.serve(&[]);
    let mode = |mode| set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    breaks(&port, &service, || mode(0o644)).await;
    breaks(&port, &service, || write(&file, with_his).unwrap()).await;
    asked(&service, &key).await.unwrap_err();
    mode(0o600);
    until("he is known", async || asked(&service, &key).await.is_ok()).await;
    service.stop();
    let noted = noted(&port);
    let fault = "are open to others (mode 644), expected mode 600";
    assert!(noted.contains(fault), "{noted}");
}
