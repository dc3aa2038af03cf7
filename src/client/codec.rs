//! Sends requests that are encoded already: a batch is encoded once, kept as
//! bytes until it is acknowledged, and sent again as it is.

use crate::pb;
use prost::bytes::{BufMut as _, Bytes};
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::ProstCodec;

type Inner = ProstCodec<pb::StreamEventsRequest, pb::StreamEventsResponse>;

/// Encoded `StreamEventsRequest`s out, `StreamEventsResponse`s in.
#[derive(Default)]
pub(super) struct Encoded;

/// Copies bytes.
pub(super) struct Copying;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = pb::StreamEventsResponse;
    type Encoder = Copying;
    type Decoder = <Inner as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        Copying
    }

    fn decoder(&mut self) -> Self::Decoder {
        Inner::default().decoder()
    }
}

impl Encoder for Copying {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}
