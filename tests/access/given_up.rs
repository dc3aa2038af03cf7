//! Calls that are given up while they are under way: what they left behind is noted.

use crate::noted::records;
use crate::place::{arrivals, until};
use crate::port::{Bearer, CALLERS, Port, ingest, throughput};
use crate::service::Service;
use quaymeter::pb::{GetStatusRequest, PublishEventsRequest, PublishEventsResponse};
use std::time::Duration;
use tonic::{Code, Request, Status};

/// Events of a batch.
const EVENTS: u32 = 10;

/// Batches that are to be counted though their calls were given up.
const GIVEN_UP: i64 = 20;

/// A batch of its own, which is given up when it takes longer than this.
async fn publish(
    service: &Service,
    bearer: Bearer,
    batch: u32,
    within: Option<Duration>,
) -> Result<PublishEventsResponse, Status> {
    let first = batch * EVENTS;
    let mut request = Request::new(PublishEventsRequest {
        events: arrivals(first..first + EVENTS),
        ..PublishEventsRequest::default()
    });
    if let Some(within) = within {
        request.set_timeout(within);
    }
    let mut client = ingest(service, bearer).await;
    Ok(client.publish_events(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_in_the_trail_also_of_calls_that_were_given_up() {
    let port = Port::new(CALLERS);
    let key = port.key("publisher");
    let service = port.serve(&[]);
    let mut asking = throughput(&service, Bearer::of(port.operator())).await;
    let (mut batches, mut answered, mut counted) = (0, 0, 0);
    until("some that were given up are counted", async || {
        let within = Duration::from_micros(500 + u64::from(batches % 64) * 250);
        let called = publish(&service, Bearer::of(&key), batches, Some(within)).await;
        answered += i64::from(called.is_ok());
        // The last one says until where to count.
        let last = publish(&service, Bearer::of(&key), batches + 1, None).await;
        answered += 1;
        batches += 2;
        let at_least = last.unwrap().position;
        let status = asking.get_status(GetStatusRequest { at_least }).await;
        counted = status.unwrap().into_inner().events;
        // Of one the answer may have been under way.
        counted >= (answered + GIVEN_UP) * i64::from(EVENTS)
    })
    .await;
    service.stop();
    let sent = records(&port.place, &["--kind", "sent"]);
    let told = |field: &str| -> i64 { sent.iter().filter_map(|of| of[field].as_i64()).sum() };
    assert!(told("accepted") + told("unknown") >= counted, "{sent:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_in_the_trail_also_of_calls_that_do_not_wait_for_it() {
    let port = Port::new(CALLERS);
    let service = port.serve(&[]);
    let mut client = throughput(&service, Bearer::none()).await;
    let mut given_up = 0;
    for _ in 0..40 {
        let mut request = Request::new(GetStatusRequest::default());
        // Less than it is put off by after a few.
        request.set_timeout(Duration::from_millis(50));
        let refused = client.get_status(request).await.unwrap_err();
        given_up += u64::from(refused.code() != Code::Unauthenticated);
    }
    assert!(given_up > 0);
    let unknown = "quaymeter_unauthenticated_total{cause=\"missing\"} ";
    let met = port.metric(&service, unknown) as u64;
    service.stop();
    let refused = records(&port.place, &["--kind", "refused"]);
    let times = refused.iter().filter_map(|of| of["times"].as_u64());
    assert_eq!(times.sum::<u64>(), met, "{refused:#?}");
}
