//! Connections that are open when the authorities of clients change, or who is known by
//! what was shown on them.

use crate::authority::{Authority, Identity};
use crate::certificates::Secured;
use crate::ending::{end, ended, watching_over};
use crate::place::until;
use crate::port::{Bearer, Shown, reason};
use quaymeter::pb::GetStatusRequest;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Status;

async fn asked(line: &Shown) -> Result<(), Status> {
    let mut client = ThroughputServiceClient::new(line.clone());
    let answer = client.get_status(GetStatusRequest::default()).await;
    answer.map(drop)
}

/// A call of our client on a connection that is refused just then may never be answered:
/// neither side has a socket for it any more.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Whether a new connection with a certificate is let in.
async fn is_let_in(secured: &Secured, identity: &Identity) -> bool {
    let Ok(channel) = secured.endpoint(Some(identity)).connect().await else {
        return false;
    };
    let line = Shown::new(channel, Bearer::none());
    let asking = timeout(ANSWERED_WITHIN, asked(&line)).await;
    asking.is_ok_and(|answer| answer.is_ok())
}

#[track_caller]
fn refused(told: Result<(), Status>) {
    let status = told.unwrap_err();
    assert_eq!(reason(&status), ("UNAUTHENTICATED".into(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_comes_ends_nothing_and_one_that_goes_what_its_clients_opened() {
    let secured = Secured::new();
    let other = Authority::new(&secured.port.place.path(""), "other");
    let ours = secured.authority.client("reader.example");
    let theirs = other.workload("theirs", "spiffe://port.example/operator");
    let line = secured.shown(Some(&ours), Bearer::none()).await;
    let with_key = Bearer::of(secured.port.operator());
    let keyed = secured.shown(Some(&ours), with_key.clone()).await;
    let bare = secured.shown(None, with_key).await;
    let watch = tokio::spawn(end(watching_over(line.clone()).await));
    secured.trust(&[&secured.authority, &other]);
    until("the other's clients are let in", async || {
        is_let_in(&secured, &theirs).await
    })
    .await;
    let their_line = secured.shown(Some(&theirs), Bearer::none()).await;
    for good in [&line, &keyed, &their_line] {
        asked(good).await.unwrap();
    }
    assert!(!watch.is_finished());
    secured.trust(&[&other]);
    ended(&watch.await.unwrap());
    refused(asked(&line).await);
    // One that is shown must be good, whatever else is shown.
    refused(asked(&keyed).await);
    for good in [&their_line, &bare] {
        asked(good).await.unwrap();
    }
    assert!(!is_let_in(&secured, &ours).await);
    secured.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_went_from_the_callers_file_is_nobody_by_his_certificate() {
    let secured = Secured::new();
    let identity = secured.authority.client("reader.example");
    let line = secured.shown(Some(&identity), Bearer::none()).await;
    let watch = watching_over(line.clone()).await;
    let text = std::fs::read_to_string(secured.port.callers()).unwrap();
    let callers = text.split("[[callers]]");
    let others = callers.filter(|caller| !caller.contains("\"reader\""));
    let others: Vec<_> = others.collect();
    secured.port.rewrite(&others.join("[[callers]]"));
    ended(&end(watch).await);
    refused(asked(&line).await);
    secured.service.stop();
}
