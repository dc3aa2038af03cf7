//! One stream to the service: connecting, opening, and telling a fault that
//! passes from one that stays.

use super::codec::Encoded;
use super::reach::{Line, Reach};
use super::{Cause, Options, trust};
use crate::pb;
use crate::pb::stream_events_request::Message as Say;
use crate::pb::stream_events_response::Message as Hear;
use crate::status;
use prost::Message as _;
use prost::bytes::Bytes;
use std::error::Error as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

const OPEN_AT_MOST: Duration = Duration::from_secs(10);
const CLOSE_AT_MOST: Duration = Duration::from_secs(1);
/// An acknowledgement lists every refused event of the batches that it covers.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Requests between us and the connection. The window bounds what is kept.
const QUEUED_REQUESTS: usize = 4;

/// Why a stream ended before all was acknowledged.
pub(super) enum Break {
    /// It passes: try again, not before `after`.
    Lost { why: String, after: Duration },
    /// It stays.
    Fatal(Cause),
}

impl Break {
    pub fn lost(why: impl Into<String>) -> Self {
        Self::Lost {
            why: why.into(),
            after: Duration::ZERO,
        }
    }
}

/// An open stream.
pub(super) struct Link {
    pub requests: mpsc::Sender<Bytes>,
    pub answers: Streaming<pb::StreamEventsResponse>,
    pub opened: pb::StreamOpened,
}

impl Link {
    /// Connects and opens a stream, in at most `left`, and some seconds at most.
    pub async fn open(reach: &Reach, options: &Options, left: Duration) -> Result<Self, Break> {
        let opening = async {
            let line = reach.try_connect().await?;
            Self::greet(line, options).await
        };
        match tokio::time::timeout(left.min(OPEN_AT_MOST), opening).await {
            Ok(link) => link,
            Err(_) => Err(Break::lost("the service did not open a stream in time")),
        }
    }

    async fn greet(line: Line, options: &Options) -> Result<Self, Break> {
        let mut grpc = tonic::client::Grpc::new(line).max_decoding_message_size(ANSWER_BYTES_MAX);
        grpc.ready().await.map_err(|e| Break::lost(chain(&e)))?;
        let (requests, queued) = mpsc::channel(QUEUED_REQUESTS);
        // The receiver is alive and its queue empty, so that this cannot fail.
        let _ = requests.try_send(open_request(options));
        let path = PathAndQuery::from_static("/quaymeter.v1.IngestService/StreamEvents");
        let stream = Request::new(ReceiverStream::new(queued));
        let answers = grpc.streaming(stream, path, Encoded).await.map_err(judge)?;
        let mut answers = answers.into_inner();
        match hear(answers.message().await)? {
            Hear::Opened(opened) => Ok(Self {
                requests,
                answers,
                opened,
            }),
            Hear::ResumeElsewhere(resume) => Err(resumed(&resume)),
            Hear::Ack(_) => Err(Break::Fatal(Cause::Protocol(
                "it acknowledged before it opened".into(),
            ))),
        }
    }

    /// Ends the stream in good order, all being acknowledged.
    pub async fn close(self) {
        let Self {
            requests,
            mut answers,
            ..
        } = self;
        drop(requests);
        let ended = async { while let Ok(Some(_)) = answers.message().await {} };
        // Nothing depends on how it ends.
        let _ = tokio::time::timeout(CLOSE_AT_MOST, ended).await;
    }
}

fn open_request(options: &Options) -> Bytes {
    let open = pb::StreamOpen {
        client_id: options.client_id.clone(),
        source: options.source.clone(),
        backfill: options.backfill,
        strict: options.strict,
    };
    pb::StreamEventsRequest {
        message: Some(Say::Open(open)),
    }
    .encode_to_vec()
    .into()
}

/// What the service said; an end of the stream is a break.
pub(super) fn hear(
    answer: Result<Option<pb::StreamEventsResponse>, Status>,
) -> Result<Hear, Break> {
    match answer {
        Ok(Some(answer)) => answer
            .message
            .ok_or_else(|| Break::Fatal(Cause::Protocol("it sent an empty message".into()))),
        Ok(None) => Err(Break::lost("the service ended the stream")),
        Err(status) => Err(judge(status)),
    }
}

/// The break that a "resume elsewhere" is.
pub(super) fn resumed(resume: &pb::ResumeElsewhere) -> Break {
    if resume.reason() == pb::ResumeReason::Superseded {
        return Break::Fatal(Cause::Superseded);
    }
    let after = resume.retry_after.and_then(|d| Duration::try_from(d).ok());
    let why = format!(
        "the service asks to resume elsewhere ({})",
        resume.reason().as_str_name()
    );
    Break::Lost {
        why,
        after: after.unwrap_or_default(),
    }
}

/// A status that came from the service is retried if it is UNAVAILABLE, or
/// RESOURCE_EXHAUSTED with a retry delay; one that was made here, of an error
/// below gRPC, is a lost connection, unless it is one of trust.
pub(super) fn judge(status: Status) -> Break {
    if let Some(why) = status.source().and_then(trust::refusal) {
        return Break::Fatal(Cause::Trust(why));
    }
    let delay = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    let passes = match status.code() {
        Code::Unavailable => true,
        Code::ResourceExhausted if delay.is_some() => true,
        // There may be others by now; if not, the next call is refused for good.
        Code::Unauthenticated if status::is_credentials_ended(&status) => true,
        _ => status.source().is_some(),
    };
    if !passes {
        return Break::Fatal(Cause::Status(Box::new(status)));
    }
    let why = format!("{:?}: {}", status.code(), status.message());
    Break::Lost {
        why,
        after: delay.unwrap_or_default(),
    }
}

/// An error and what caused it, in a line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
