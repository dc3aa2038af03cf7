//! Sends messages that are encoded already, so that the generator's cost of an
//! event is that of writing its bytes.

use prost::Message as _;
use prost::bytes::{BufMut as _, Bytes};
use quaymeter::pb;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// The tag of `StreamBatch.events` and of `PublishEventsRequest.events`: the
/// same, so that the same bytes do for both.
pub const EVENTS_TAG: u8 = 2 << 3 | 2;

/// An encoded message: a head made for the occasion, and events as they are.
pub struct Message {
    head: Vec<u8>,
    events: Bytes,
}

impl Message {
    /// `StreamEventsRequest.open`.
    pub fn open(source: &str, client_id: String) -> Self {
        let open = pb::StreamOpen {
            client_id,
            source: source.into(),
            ..pb::StreamOpen::default()
        };
        let message = Some(pb::stream_events_request::Message::Open(open));
        Self {
            head: pb::StreamEventsRequest { message }.encode_to_vec(),
            events: Bytes::new(),
        }
    }

    /// `StreamEventsRequest.batch`.
    pub fn batch(sequence: u64, events: Bytes) -> Self {
        let number = prost::length_delimiter_len(sequence as usize);
        let mut head = Vec::with_capacity(24);
        head.push(2 << 3 | 2);
        varint(1 + number + events.len(), &mut head);
        head.push(1 << 3);
        varint(sequence as usize, &mut head);
        Self { head, events }
    }

    /// `PublishEventsRequest`.
    pub fn publish(source: &str, events: Bytes) -> Self {
        let mut head = vec![1 << 3 | 2];
        varint(source.len(), &mut head);
        head.extend_from_slice(source.as_bytes());
        Self { head, events }
    }
}

fn varint(number: usize, out: &mut Vec<u8>) {
    // A `Vec` always has room.
    let _ = prost::encode_length_delimiter(number, out);
}

/// [`Message`]s out, `A`s in.
pub struct Encoded<A>(PhantomData<fn() -> A>);

impl<A> Default for Encoded<A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// Copies what is encoded.
pub struct Copying;

/// Decodes an answer.
pub struct Answers<A>(PhantomData<fn() -> A>);

impl<A: prost::Message + Default + 'static> Codec for Encoded<A> {
    type Encode = Message;
    type Decode = A;
    type Encoder = Copying;
    type Decoder = Answers<A>;

    fn encoder(&mut self) -> Copying {
        Copying
    }

    fn decoder(&mut self) -> Answers<A> {
        Answers(PhantomData)
    }
}

impl Encoder for Copying {
    type Item = Message;
    type Error = Status;

    fn encode(&mut self, item: Message, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item.head);
        buffer.put_slice(&item.events);
        Ok(())
    }
}

impl<A: prost::Message + Default> Decoder for Answers<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(buffer)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
