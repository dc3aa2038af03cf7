//! Traces of batches: what the real binary gives a real collector, and what it keeps of
//! them in its log.

#[path = "traces/collector.rs"]
mod collector;
#[path = "e2e/place.rs"]
#[expect(dead_code, reason = "shared with the end-to-end tests")]
mod place;
#[path = "e2e/service.rs"]
#[expect(dead_code, reason = "shared with the end-to-end tests")]
mod service;

use collector::{Collector, attribute, hex, traceparent};
use place::{Place, arrivals, ingest, metric, published, reached, trucks_in, until};
use quaymeter::log::Offset;
use quaymeter::log::scan::Scan;
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::{self, Event};
use service::Service;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tonic::Request;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A trace of this number.
fn trace(number: u32) -> String {
    format!("{number:032x}")
}

fn sampled(trace: &str) -> String {
    format!("00-{trace}-{CALLER}-01")
}

/// A request that is part of a trace.
fn traced<T>(message: T, parent: &str) -> Request<T> {
    let mut request = Request::new(message);
    let headers = request.metadata_mut();
    headers.insert("traceparent", parent.parse().unwrap());
    headers.insert("tracestate", "vendor=its-own".parse().unwrap());
    request
}

/// Publishes one batch that is part of a trace; the position that includes it.
async fn publish(to: &Service, parent: &str, events: Vec<Event>) -> String {
    let message = pb::PublishEventsRequest {
        source: "tos".into(),
        events,
        ..Default::default()
    };
    let mut client = ingest(&to.grpc).await;
    let answer = client.publish_events(traced(message, parent)).await;
    answer.unwrap().into_inner().position
}

/// A service that gives its traces to a collector.
fn serve(place: &Place, collector: &str, more: &[&str]) -> Service {
    let of = [&["--traces-otlp-endpoint", collector], more].concat();
    place.serve(&of)
}

/// The headers of each batch in the log.
fn headers(place: &Place) -> Vec<Vec<(String, String)>> {
    let scan = Scan::open(&place.data().join("log")).unwrap();
    let mut records = scan.records(scan.start());
    let mut all = Vec::new();
    while let Some(record) = records.next_before(Offset::MAX).unwrap() {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let headers = record.headers.into_iter();
        all.push(headers.map(|(name, value)| (name, text(&value))).collect());
    }
    all
}

fn as_header(parent: String) -> Vec<(String, String)> {
    vec![("traceparent".to_owned(), parent)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_trace_goes_through_the_log_to_what_is_published() {
    let (place, collector) = (Place::new(), Collector::start().await);
    let service = serve(&place, &collector.url, &[]);
    let mut events = arrivals(0..10);
    events[3].facility = "nowhere".into();
    publish(&service, &sampled(TRACE), events).await;
    // Without waiting for it: what is not given yet is given when it stops.
    service.stop();

    let one = |name| collector.named(TRACE, name).pop().expect(name);
    let (ingest, append, publish) = (one("ingest"), one("append"), one("publish"));
    assert_eq!(collector.spans().len(), 3, "{:#?}", collector.spans());
    assert_eq!(hex(&ingest.parent_span_id), CALLER);
    assert_eq!(append.parent_span_id, ingest.span_id);
    assert_eq!(publish.parent_span_id, append.span_id);
    for (span, name, value) in [
        (&ingest, "rpc.method", "PublishEvents"),
        (&ingest, "quaymeter.source", "tos"),
        (&ingest, "quaymeter.events.accepted", "9"),
        (&ingest, "quaymeter.events.refused", "1"),
        (&publish, "quaymeter.events", "9"),
        (&publish, "quaymeter.offset", "0"),
    ] {
        assert_eq!(attribute(span, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(ingest.trace_state, "vendor=its-own");
    for span in [&ingest, &append, &publish] {
        assert!(span.start_time_unix_nano > 0);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    assert!(append.start_time_unix_nano >= ingest.start_time_unix_nano);
    assert!(append.end_time_unix_nano <= ingest.end_time_unix_nano);
    // Who sent it, and nothing of what is in it.
    let all = format!("{:?}", collector.requests());
    assert!(all.contains("service.name") && all.contains("quaymeter"));
    for content in ["浙B", "ygt:F1", "in-1", "CNNBO", "nowhere"] {
        assert!(!all.contains(content), "{content}");
    }
    assert_eq!(headers(&place), [as_header(traceparent(&append))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_batch_of_a_stream_is_a_part_of_its_callers_trace() {
    let (place, collector) = (Place::new(), Collector::start().await);
    let service = serve(&place, &collector.url, &[]);
    let open = pb::StreamOpen {
        client_id: "c1".into(),
        source: "tos".into(),
        ..Default::default()
    };
    let batch = |sequence, events| Say::Batch(pb::StreamBatch { sequence, events });
    let said = [
        Say::Open(open),
        batch(1, arrivals(0..5)),
        batch(2, arrivals(5..7)),
    ];
    let said = said.map(|message| pb::StreamEventsRequest {
        message: Some(message),
    });
    let mut client = ingest(&service.grpc).await;
    let said = traced(tokio_stream::iter(said), &sampled(TRACE));
    let mut heard = client.stream_events(said).await.unwrap().into_inner();
    let mut acknowledged = 0;
    while let Some(answer) = heard.message().await.unwrap() {
        if let Some(Hear::Ack(ack)) = answer.message {
            acknowledged = ack.sequence;
        }
    }
    assert_eq!(acknowledged, 2);
    let published = collector.awaited(TRACE, "publish", 2).await;
    let ingests = collector.awaited(TRACE, "ingest", 2).await;
    let appends = collector.awaited(TRACE, "append", 2).await;
    for (ingest, events) in ingests.iter().zip(["5", "2"]) {
        assert_eq!(hex(&ingest.parent_span_id), CALLER);
        let method = attribute(ingest, "rpc.method");
        assert_eq!(method.as_deref(), Some("StreamEvents"));
        let accepted = attribute(ingest, "quaymeter.events.accepted");
        assert_eq!(accepted.as_deref(), Some(events));
        let append = appends
            .iter()
            .find(|of| of.parent_span_id == ingest.span_id);
        let append = append.expect("each has its own");
        assert!(
            published
                .iter()
                .any(|of| of.parent_span_id == append.span_id)
        );
    }
    service.stop();
    let of = |headers: &Vec<(String, String)>| headers[0].1.clone();
    let mut found: Vec<_> = headers(&place).iter().map(of).collect();
    let mut expected: Vec<_> = appends.iter().map(traceparent).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_caller_who_asks_for_it_nothing_is_traced() {
    let (place, collector) = (Place::new(), Collector::start().await);
    let service = serve(&place, &collector.url, &[]);
    published(&service.grpc, arrivals(0..1)).await;
    let unsampled = format!("00-{}-{CALLER}-00", trace(2));
    publish(&service, &unsampled, arrivals(1..2)).await;
    let nonsense = format!("00-{}-{CALLER}", trace(3));
    publish(&service, &nonsense, arrivals(2..3)).await;
    publish(&service, &sampled(TRACE), arrivals(3..4)).await;
    service.stop();
    let names: Vec<_> = collector.spans().into_iter().map(|of| of.name).collect();
    assert_eq!(names, ["ingest", "append", "publish"]);
    let lengths: Vec<_> = headers(&place).iter().map(Vec::len).collect();
    assert_eq!(lengths, [0, 0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_those_whose_callers_say_nothing_begins_traces_of_its_own() {
    let (place, collector) = (Place::new(), Collector::start().await);
    let service = serve(&place, &collector.url, &["--traces-sample", "1"]);
    published(&service.grpc, arrivals(0..1)).await;
    published(&service.grpc, arrivals(1..2)).await;
    // One who says no is obeyed all the same.
    let unsampled = format!("00-{}-{CALLER}-00", trace(2));
    publish(&service, &unsampled, arrivals(2..3)).await;
    service.stop();
    let mut begun = collector.spans();
    assert_eq!(begun.len(), 6, "{begun:#?}");
    begun.retain(|span| span.name == "ingest");
    assert!(begun.iter().all(|span| span.parent_span_id.is_empty()));
    assert_ne!(begun[0].trace_id, begun[1].trace_id);
    for span in &begun {
        let trace = hex(&span.trace_id);
        let append = collector.named(&trace, "append").pop().unwrap();
        assert_eq!(append.parent_span_id, span.span_id);
        assert_eq!(collector.named(&trace, "publish").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn off_is_the_default_and_leaves_nothing_in_the_log() {
    let place = Place::new();
    let service = place.serve(&["--traces-sample", "1"]);
    let position = publish(&service, &sampled(TRACE), arrivals(0..3)).await;
    reached(&service.grpc, &position).await;
    for outcome in ["exported", "failed", "dropped"] {
        let name = format!("quaymeter_trace_spans_total{{outcome=\"{outcome}\"}} ");
        assert!(metric(&service, &name).abs() < 0.5, "{outcome}");
    }
    assert!(!threads(&service).contains(&"traces".to_owned()));
    service.stop();
    assert_eq!(headers(&place), [vec![]]);
}

/// What the threads of a service are called.
fn threads(service: &Service) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap();
    let names = tasks.flatten().map(|task| task.path().join("comm"));
    let names = names.filter_map(|name| std::fs::read_to_string(name).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_with_traces_is_replayed_and_audited_like_any_other() {
    let (place, collector) = (Place::new(), Collector::start().await);
    let never = ["--checkpoint-interval-ms", "3600000"];
    let service = serve(&place, &collector.url, &never);
    for n in 0..20 {
        let position = publish(&service, &sampled(&trace(n + 1)), arrivals(n..n + 1)).await;
        reached(&service.grpc, &position).await;
    }
    collector.awaited(&trace(20), "publish", 1).await;
    service.kill();
    let before = collector.spans().len();
    let service = serve(&place, &collector.url, &never);
    assert_eq!(trucks_in(&service.grpc).await, 20);
    // And goes on from there.
    publish(&service, &sampled(TRACE), arrivals(20..21)).await;
    collector.awaited(TRACE, "publish", 1).await;
    let server = format!("--server={}", service.grpc);
    let data = format!("--data-dir={}", place.data().display());
    let audit = || {
        let mut command = service::quaymeter();
        command.args(["audit", "--quiet", &server, &data]);
        command.output().unwrap()
    };
    let audited = tokio::task::block_in_place(audit);
    assert!(audited.status.success(), "{audited:?}");
    service.stop();
    // What was replayed was told of before.
    assert_eq!(collector.spans().len(), before + 3);
    assert!(headers(&place).iter().all(|of| of.len() == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_batches_are_traced_than_the_limit_whatever_callers_say() {
    const BATCHES: u32 = 60;
    let (place, collector) = (Place::new(), Collector::start().await);
    let one = ["--traces-batches-per-second", "1"];
    let service = serve(&place, &collector.url, &one);
    let started = Instant::now();
    for n in 0..BATCHES {
        publish(&service, &sampled(&trace(n + 1)), arrivals(n..n + 1)).await;
    }
    let seconds = started.elapsed().as_secs() as usize;
    let limited = metric(&service, "quaymeter_traces_limited_total ");
    service.stop();
    let mut spans = collector.spans();
    spans.retain(|span| span.name == "ingest");
    assert!((1..=seconds + 2).contains(&spans.len()), "{}", spans.len());
    assert_eq!(limited as usize, BATCHES as usize - spans.len());
    // Those that were not traced are as if nobody had asked.
    let marked = headers(&place).iter().filter(|of| !of.is_empty()).count();
    assert_eq!(marked, spans.len());
}

/// Whether all goes well with a collector that takes nothing.
async fn goes_on_without(collector: &str) {
    let place = Place::new();
    // Longer than any test here: whatever ends earlier did not wait for it.
    let never = ["--drain-deadline-ms", "600000"];
    let service = serve(&place, collector, &never);
    for n in 0..10 {
        let position = publish(&service, &sampled(&trace(n + 1)), arrivals(n..n + 1)).await;
        reached(&service.grpc, &position).await;
    }
    assert_eq!(trucks_in(&service.grpc).await, 10);
    let failed = || metric(&service, "quaymeter_trace_spans_total{outcome=\"failed\"} ");
    until("spans are lost", async || failed() > 0.0).await;
    // It is asked again, and not told again.
    let lost = failed();
    publish(&service, &sampled(TRACE), arrivals(10..11)).await;
    until("more spans are lost", async || failed() > lost).await;
    publish(&service, &sampled(TRACE), arrivals(11..12)).await;
    let started = Instant::now();
    service.stop();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    let told = place.logged();
    let warnings = told.matches("the collector does not take traces").count();
    assert_eq!(warnings, 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_a_warning() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    goes_on_without(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_costs_a_warning() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    goes_on_without(&url).await;
    drop(listener);
}
