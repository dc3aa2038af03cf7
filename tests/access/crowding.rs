//! What one who is known cannot keep from others, over the real binary.

use crate::place::{DEADLINE, until};
use crate::port::{Bearer, CALLERS, Port, Shown, channel, throughput};
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

#[tokio::test(flavor = "multi_thread")]
async fn who_is_known_and_calls_on_what_he_may_not_loses_the_connection() {
    let port = Port::new(CALLERS);
    let key = port.key("reader");
    let service = port.serve(&[]);
    let mut here = asked(&service, &key).await;
    let lost = "quaymeter_discarded_total{reason=\"refusals_of_callers\"} ";
    let bearer = Bearer::of(port.operator());
    let may_not = ListEnterprisesRequest::default;
    // A few are told, each time.
    let mut client = asked(&service, port.operator()).await;
    for _ in 0..20 {
        let refused = client.list_enterprises(may_not()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    assert_eq!(port.metric(&service, lost) as u64, 0);
    // More at once than may wait to be told.
    let channel = channel(&service).await;
    let mut first = ThroughputServiceClient::with_interceptor(channel.clone(), bearer.clone());
    first.get_status(GetStatusRequest::default()).await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..600 {
        let (channel, bearer) = (channel.clone(), bearer.clone());
        let mut client = ThroughputServiceClient::with_interceptor(channel, bearer);
        calls.spawn(async move { client.list_enterprises(may_not()).await });
    }
    let mut unanswered = 0;
    while let Some(called) = timeout(DEADLINE, calls.join_next()).await.unwrap() {
        let refused = called.unwrap().unwrap_err();
        unanswered += u32::from(refused.code() != Code::PermissionDenied);
    }
    assert!(unanswered > 0, "the connection lasted");
    until("it is counted", async || {
        port.metric(&service, lost) as u64 >= 1
    })
    .await;
    here.get_status(GetStatusRequest::default()).await.unwrap();
    service.stop();
}
