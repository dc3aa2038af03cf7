//! `StreamEvents` by hand: a client that may break every rule.

use crate::place::{DEADLINE, ingest};
use quaymeter::pb::stream_events_request::Message as Say;
use quaymeter::pb::stream_events_response::Message as Hear;
use quaymeter::pb::{self, Event, StreamEventsRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// Messages that wait to be sent.
const QUEUED: usize = 4;

/// The side on which a client speaks.
#[derive(Clone)]
pub struct Sender(mpsc::Sender<StreamEventsRequest>);

impl Sender {
    /// Says something, unless the service has ended the stream.
    pub async fn say(&self, message: Say) {
        let message = Some(message);
        // Then the answers tell why.
        let _ = self.0.send(StreamEventsRequest { message }).await;
    }
}

pub struct Stream {
    say: Sender,
    hear: Streaming<pb::StreamEventsResponse>,
}

impl Stream {
    /// A stream on which nothing was said yet.
    pub async fn silent(url: &str) -> Self {
        let (say, said) = mpsc::channel(QUEUED);
        let mut client = ingest(url).await;
        let stream = client.stream_events(ReceiverStream::new(said));
        let hear = stream.await.unwrap().into_inner();
        Self {
            say: Sender(say),
            hear,
        }
    }

    /// A stream that was opened, with what was answered.
    pub async fn open(url: &str, client_id: &str) -> (Self, pb::StreamOpened) {
        let mut stream = Self::silent(url).await;
        stream.say(opening(client_id)).await;
        match stream.hear().await {
            Ok(Some(Hear::Opened(opened))) => (stream, opened),
            other => panic!("not opened: {other:?}"),
        }
    }

    /// To speak while another listens.
    pub fn sender(&self) -> Sender {
        self.say.clone()
    }

    /// Says something, unless the service has ended the stream.
    pub async fn say(&self, message: Say) {
        self.say.say(message).await;
    }

    pub async fn batch(&self, sequence: u64, events: Vec<Event>) {
        self.say(batch(sequence, events)).await;
    }

    /// The next answer; none at the end.
    pub async fn hear(&mut self) -> Result<Option<Hear>, Status> {
        let answer = tokio::time::timeout(DEADLINE, self.hear.message()).await;
        let answer = answer.expect("the service went silent")?;
        Ok(answer.map(|answer| answer.message.expect("a message")))
    }

    /// The next answer, which is an acknowledgement.
    pub async fn ack(&mut self) -> pb::StreamAck {
        match self.hear().await {
            Ok(Some(Hear::Ack(ack))) => ack,
            other => panic!("no acknowledgement: {other:?}"),
        }
    }

    /// Acknowledgements up to a batch.
    pub async fn acks(&mut self, sequence: u64) -> Vec<pb::StreamAck> {
        let mut acks: Vec<pb::StreamAck> = Vec::new();
        while acks.last().is_none_or(|ack| ack.sequence < sequence) {
            acks.push(self.ack().await);
        }
        acks
    }

    /// All acknowledgements until the end, and the end.
    pub async fn rest(&mut self) -> (Vec<pb::StreamAck>, Result<Option<Hear>, Status>) {
        let mut acks = Vec::new();
        loop {
            match self.hear().await {
                Ok(Some(Hear::Ack(ack))) => acks.push(ack),
                end => return (acks, end),
            }
        }
    }
}

pub fn opening(client_id: &str) -> Say {
    Say::Open(pb::StreamOpen {
        client_id: client_id.into(),
        source: "tos".into(),
        ..Default::default()
    })
}

pub fn batch(sequence: u64, events: Vec<Event>) -> Say {
    Say::Batch(pb::StreamBatch { sequence, events })
}
