//! Protobuf, with a look at the shape of a message before it is decoded: two
//! bytes are enough to say "one more event", and become some hundred. The
//! generated services use it.

use crate::pb;
use crate::status;
use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};
use std::any::TypeId;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The most events of a batch: the limit that the protos promise.
const EVENTS_MAX: usize = 10_000;

/// The most parties and containers of all events of a batch. Valid events have
/// at most twelve each.
const PARTS_MAX: usize = 20 * EVENTS_MAX;

/// The fewest bytes of a party or container: its tag and its length.
const PART_BYTES_MIN: usize = 2;

/// A smaller message cannot become large.
const HARMLESS_BYTES: usize = 64 << 10;

/// Of a usual event, which has some 200.
const USUAL_BYTES_MAX: usize = 1 << 10;

/// The fields of the protos that lead to what is repeated.
mod field {
    /// `PublishEventsRequest.events`, `StreamBatch.events`.
    pub const EVENTS: u32 = 2;
    /// `StreamEventsRequest.batch`.
    pub const BATCH: u32 = 2;
    /// `Event.parties`.
    pub const PARTIES: u32 = 7;
    /// `Event.gate_move`.
    pub const GATE_MOVE: u32 = 10;
    /// `GateMove.containers`.
    pub const CONTAINERS: u32 = 2;
}

/// What a stream's buffers have room for before it needs more, and what of several
/// answers is sent at once.
const BUFFER_BYTES: usize = 512;
const SENT_BYTES: usize = 32 << 10;

/// Small ones: most streams are idle most of the time, and there are many.
fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, SENT_BYTES)
}

/// As `ProstCodec`, for messages of a bounded shape.
pub struct Bounded<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Bounded<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Bounded<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstCodec::<T, U>::raw_decoder(buffers()))
    }
}

/// The decoding side.
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default + 'static> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.remaining();
        let mut large = false;
        if bytes > HARMLESS_BYTES {
            let mut shape = Shape::of(bytes);
            let of = TypeId::of::<U>();
            if of == TypeId::of::<pb::PublishEventsRequest>() {
                shape.batch(buffer.chunk());
            } else if of == TypeId::of::<pb::StreamEventsRequest>() {
                each(field::BATCH, buffer.chunk(), &mut |batch| {
                    shape.batch(batch);
                });
            }
            shape.judge()?;
            large = bytes > shape.events * USUAL_BYTES_MAX;
        }
        // A message is in one piece, and from a slice prost decodes faster.
        let decoded = U::decode(buffer.chunk());
        buffer.advance(bytes);
        // As the code for malformed messages is everywhere in gRPC.
        let malformed = |error: prost::DecodeError| Status::internal(error.to_string());
        let decoded = decoded.map_err(malformed)?;
        if large {
            known(&decoded, bytes)?;
        }
        Ok(Some(decoded))
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// Judges that most of a message is known to us: of what is not, nothing is left by which
/// its caller's limit of bytes could count it, were it compressed.
fn known(message: &impl Message, bytes: usize) -> Result<(), Status> {
    let unknown = bytes.saturating_sub(message.encoded_len());
    if unknown <= bytes / 2 {
        return Ok(());
    }
    let found = format!("{bytes} bytes, {unknown} of them in unknown fields");
    Err(status::invalid(
        "message",
        found,
        "half of it known at least",
    ))
}

/// How many of what is repeated a batch has.
#[derive(Default)]
struct Shape {
    events: usize,
    parts: usize,
    /// Whether the message has room for too many parts.
    closer: bool,
}

impl Shape {
    /// Of a message of so many bytes.
    fn of(bytes: usize) -> Self {
        Self {
            closer: bytes > PARTS_MAX * PART_BYTES_MIN,
            ..Self::default()
        }
    }

    fn batch(&mut self, batch: &[u8]) {
        each(field::EVENTS, batch, &mut |event| {
            self.events += 1;
            // If not refused as it is, look closer where there is room for more.
            if self.events <= EVENTS_MAX && self.closer {
                each(field::PARTIES, event, &mut |_| self.parts += 1);
                each(field::GATE_MOVE, event, &mut |gate| {
                    each(field::CONTAINERS, gate, &mut |_| self.parts += 1);
                });
            }
        });
    }

    fn judge(&self) -> Result<(), Status> {
        if self.events > EVENTS_MAX {
            let found = format!("{} events", self.events);
            let expected = format!("1 to {EVENTS_MAX} events");
            return Err(status::invalid("events", found, expected));
        }
        if self.parts > PARTS_MAX {
            let advice = "an event has at most 8 parties and 4 containers";
            let what = "parties and containers of a batch";
            return Err(status::too_large(what, PARTS_MAX, advice));
        }
        Ok(())
    }
}

/// Gives each value of a field that has a length, until something is no field:
/// whoever decodes it says so.
fn each(wanted: u32, mut bytes: &[u8], give: &mut dyn FnMut(&[u8])) {
    while bytes.has_remaining() {
        let Ok((field, wire)) = decode_key(&mut bytes) else {
            return;
        };
        let length = match wire {
            WireType::Varint => decode_varint(&mut bytes).map(|_| 0).ok(),
            WireType::ThirtyTwoBit => Some(4),
            WireType::SixtyFourBit => Some(8),
            WireType::LengthDelimited => decode_varint(&mut bytes).ok(),
            WireType::StartGroup | WireType::EndGroup => None,
        };
        let length = length.and_then(|length| usize::try_from(length).ok());
        let Some((value, rest)) = length.and_then(|length| bytes.split_at_checked(length)) else {
            return;
        };
        if wire == WireType::LengthDelimited && field == wanted {
            give(value);
        }
        bytes = rest;
    }
}
