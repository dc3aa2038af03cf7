//! The floor of every service here: the same gRPC server, that decodes what it
//! gets, acknowledges it at once, and does nothing else.

use quaymeter::pb::ingest_service_server::{IngestService, IngestServiceServer};
use quaymeter::pb::stream_events_request::Message as Asked;
use quaymeter::pb::stream_events_response::Message as Told;
use quaymeter::pb::{
    PublishEventsRequest, PublishEventsResponse, StreamAck, StreamEventsRequest,
    StreamEventsResponse, StreamOpened,
};
use std::pin::Pin;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// Makes this binary the bare server.
pub const FLAG: &str = "--bare-server";

/// As in the service.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
const MESSAGE_BYTES_MAX: usize = 8 << 20;
const CREDIT_EVENTS: u64 = 20_000;

struct Bare;

/// Serves until it is killed.
pub fn run() -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening grpc={}", listener.local_addr()?);
        let service = IngestServiceServer::new(Bare).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .tcp_nodelay(true)
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await?;
        Ok(())
    })
}

#[tonic::async_trait]
impl IngestService for Bare {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        Ok(Response::new(PublishEventsResponse {
            accepted: request.into_inner().events.len() as u32,
            ..PublishEventsResponse::default()
        }))
    }

    type StreamEventsStream =
        Pin<Box<dyn Stream<Item = Result<StreamEventsResponse, Status>> + Send>>;

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let mut granted = CREDIT_EVENTS;
        let answers = request.into_inner().map(move |message| {
            let told = match message?.message {
                Some(Asked::Batch(batch)) => {
                    let accepted = batch.events.len() as u32;
                    granted += u64::from(accepted);
                    Told::Ack(StreamAck {
                        sequence: batch.sequence,
                        granted_events: granted,
                        accepted,
                        ..StreamAck::default()
                    })
                }
                _ => Told::Opened(StreamOpened {
                    granted_events: granted,
                    batch_events_max: 10_000,
                }),
            };
            Ok(StreamEventsResponse {
                message: Some(told),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
