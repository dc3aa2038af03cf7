//! A collector of OpenTelemetry: a real gRPC server that keeps what it is given.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Far more than anything here takes: reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(60);

type Kept = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

struct Keeps(Kept);

#[tonic::async_trait]
impl TraceService for Keeps {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A running collector.
pub struct Collector {
    /// For example `http://127.0.0.1:40123`.
    pub url: String,
    kept: Kept,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Kept::default();
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Keeps(Arc::clone(&kept))))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        Self { url, kept }
    }

    /// All that it was given.
    pub fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.kept.lock().unwrap().clone()
    }

    /// All spans that it was given, in the order in which they began.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|of| of.resource_spans);
        let scopes = resources.flat_map(|of| of.scope_spans);
        let mut spans: Vec<Span> = scopes.flat_map(|of| of.spans).collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    /// The spans of a trace with this name.
    pub fn named(&self, trace: &str, name: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| hex(&span.trace_id) == trace && span.name == name);
        spans
    }

    /// Waits until there are so many spans of a trace with this name.
    pub async fn awaited(&self, trace: &str, name: &str, count: usize) -> Vec<Span> {
        let waiting = async {
            let mut beat = tokio::time::interval(Duration::from_millis(5));
            while self.named(trace, name).len() < count {
                beat.tick().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        let found = self.named(trace, name);
        assert!(waited.is_ok(), "{name} of {trace}: {:#?}", self.spans());
        assert_eq!(found.len(), count, "{found:#?}");
        found
    }
}

/// Lower-case digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// An attribute of a span, as text.
pub fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|of| of.key == name)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

/// As the `traceparent` of what comes of a span.
pub fn traceparent(span: &Span) -> String {
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}
