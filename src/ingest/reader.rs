//! Reads the messages of a stream. What decodes them keeps buffers as large as its
//! largest message, so after a large one it is made anew: else every open stream
//! could keep megabytes for ever.

use crate::intake::Inflow;
use crate::intake::codec::Bounded;
use crate::pb::{StreamEventsRequest, StreamEventsResponse};
use http::HeaderMap;
use tonic::codec::{Codec as _, CompressionEncoding, Streaming};
use tonic::{Request, Status};

/// The messages of a stream.
pub struct Reader {
    messages: Streaming<StreamEventsRequest>,
    /// The body that they are read from; none without the layer that bounds it.
    inflow: Option<Inflow>,
    gzip: bool,
}

impl Reader {
    /// Of a request.
    pub fn new(mut request: Request<Streaming<StreamEventsRequest>>) -> Self {
        let inflow = request.extensions_mut().remove::<Inflow>();
        let headers: &HeaderMap = request.metadata().as_ref();
        let gzip = headers
            .get("grpc-encoding")
            .is_some_and(|encoding| encoding == "gzip");
        Self {
            messages: request.into_inner(),
            inflow,
            gzip,
        }
    }

    /// The bytes of all messages so far, as they came, and whether there may be more in
    /// them: any was compressed, or nobody counts.
    pub fn received(&self) -> (u64, bool) {
        self.inflow.as_ref().map_or((0, true), Inflow::decoded)
    }

    /// The next message; none at the end. It may be given up and asked again.
    pub async fn message(&mut self) -> Result<Option<StreamEventsRequest>, Status> {
        let message = self.messages.message().await;
        if let Some(inflow) = self.inflow.as_ref().filter(|inflow| inflow.worn()) {
            let decoder = Bounded::<StreamEventsResponse, StreamEventsRequest>::default().decoder();
            let encoding = self.gzip.then_some(CompressionEncoding::Gzip);
            // The body judges sizes before; after decompression this limit counts.
            let limit = Some(inflow.message_bytes());
            self.messages = Streaming::new_request(decoder, inflow.clone(), encoding, limit);
        }
        message
    }
}
