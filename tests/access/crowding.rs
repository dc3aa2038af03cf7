//! What one who is known cannot keep from others, over the real binary.

use crate::place::{DEADLINE, until};
use crate::port::{Bearer, CALLERS, Port, Shown, throughput};
use crate::service::Service;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::{GetStatusRequest, ListEnterprisesRequest};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;

/// A connection on which somebody is known.
async fn asked(service: &Service, key: &str) -> ThroughputServiceClient<Shown> {
    let mut client = throughput(service, Bearer::of(key)).await;
    client
        .get_status(GetStatusRequest::default())
        .await
        .unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_more_connections_than_his_share_makes_way_with_the_rest() {
    let port = Port::new(CALLERS);
    let key = port.key("reader");
    let service = port.serve(&["--limits-connections", "20"]);
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(asked(&service, &key).await);
    }
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(asked(&service, port.operator()).await);
    }
    let made_way = "quaymeter_discarded_total{reason=\"connections_of_strangers\"} ";
    assert_eq!(port.metric(&service, made_way) as u64, 4);
    let refused = "quaymeter_discarded_total{reason=\"connections\"} ";
    assert_eq!(port.metric(&service, refused) as u64, 0);
    service.stop();
}

/// Whether he is told that he may not call this; else he lost the connection.
async fn is_told(client: &mut ThroughputServiceClient<Shown>) -> bool {
    let may_not = ListEnterprisesRequest::default();
    let refused = client.list_enterprises(may_not).await.unwrap_err();
    refused.code() == Code::PermissionDenied
}

/// So many calls at once on one connection of what he may not: how many are not told.
async fn at_once(line: &ThroughputServiceClient<Shown>, calls: usize) -> usize {
    let mut told = JoinSet::new();
    for _ in 0..calls {
        let mut client = line.clone();
        told.spawn(async move { is_told(&mut client).await });
    }
    let told = timeout(DEADLINE, told.join_all()).await.unwrap();
    told.iter().filter(|told| !**told).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_known_and_calls_on_what_he_may_not_loses_the_connection() {
    let port = Port::new(CALLERS);
    let key = port.key("reader");
    let service = port.serve(&[]);
    let mut here = asked(&service, &key).await;
    let lost = "quaymeter_discarded_total{reason=\"refusals_of_callers\"} ";
    // A few are told, each time.
    let mut client = asked(&service, port.operator()).await;
    for _ in 0..20 {
        assert!(is_told(&mut client).await);
    }
    assert_eq!(port.metric(&service, lost) as u64, 0);
    // More at once than may wait to be told.
    let line = asked(&service, port.operator()).await;
    assert!(at_once(&line, 600).await > 0, "the connection lasted");
    until("it is counted", async || {
        port.metric(&service, lost) as u64 >= 1
    })
    .await;
    here.get_status(GetStatusRequest::default()).await.unwrap();
    service.stop();
}
