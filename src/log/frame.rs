//! A frame: one batch as bytes. A fixed header, little-endian, then a protobuf
//! body.
//!
//! | byte | holds |
//! |---|---|
//! | 0 | the mark `F1 71 6D 01` |
//! | 4 | u32: bytes of the body |
//! | 8 | u32: CRC-32C of the body |
//! | 12 | u32: events, at least 1 |
//! | 16 | u64: the first event's offset |
//! | 24 | i64: when it was appended, ms since 1970-01-01T00:00Z |
//! | 32 | u32: CRC-32C of bytes 0 to 31 |
//! | 36 | the body |
//!
//! What only the committing thread knows is in the header, so the body and its
//! checksum are made before, by whoever appends.

use super::{Address, Batch, Error, Offset, Record};
use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint, encoded_len_varint, key_len};

/// The most bytes of a frame, its header included.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 36;

/// What a frame begins with: no part of any UTF-8 text.
pub const MARK: [u8; 4] = [0xf1, b'q', b'm', 1];

/// How many bytes an event of so many bytes takes in a frame. The events are the
/// last of its body, so these lead back from its end to each event's address.
pub fn event_bytes(encoded: usize) -> u64 {
    let tag = key_len(EVENTS_TAG);
    (tag + encoded_len_varint(encoded as u64) + encoded) as u64
}

/// The event that stands at the beginning of these bytes: where it begins and
/// ends. None if there is none; the bytes need not reach to its end.
pub fn event_at(mut bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let all = bytes.len();
    let (tag, wire_type) = decode_key(&mut bytes).ok()?;
    let length = decode_varint(&mut bytes).ok()? as usize;
    let start = all - bytes.len();
    let fits = length <= FRAME_BYTES_MAX;
    let of_event = tag == EVENTS_TAG && wire_type == WireType::LengthDelimited;
    (of_event && fits).then(|| start..start + length)
}

/// The number of [`Body::events`].
const EVENTS_TAG: u32 = 4;

/// The body of a frame.
#[derive(Clone, PartialEq, prost::Message)]
struct Body {
    /// The version of the events' schema.
    #[prost(uint32, tag = "1")]
    schema: u32,
    /// Who reports the events.
    #[prost(string, tag = "2")]
    source: String,
    /// What travels with the events.
    #[prost(message, repeated, tag = "3")]
    headers: Vec<Header>,
    /// Each a canonical protobuf event.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    events: Vec<Bytes>,
}

/// One header of a body.
#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    /// Its name.
    #[prost(string, tag = "1")]
    name: String,
    /// Its value.
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// A batch within the limits, not yet encoded.
#[derive(Debug)]
pub struct Draft {
    body: Body,
    bytes: usize,
}

impl Draft {
    /// Checks the limits.
    ///
    /// # Errors
    /// A batch without events, or one beyond [`FRAME_BYTES_MAX`].
    pub fn new(batch: Batch) -> Result<Self, Error> {
        if batch.events.is_empty() {
            return Err(Error::Empty);
        }
        let headers = batch.headers.into_iter();
        let body = Body {
            schema: batch.schema,
            source: batch.source.into(),
            headers: headers
                .map(|(name, value)| Header { name, value })
                .collect(),
            events: batch.events,
        };
        let bytes = HEADER_BYTES + body.encoded_len();
        if bytes > FRAME_BYTES_MAX {
            return Err(Error::TooLarge {
                bytes: bytes as u64,
                limit: FRAME_BYTES_MAX as u64,
            });
        }
        Ok(Self { body, bytes })
    }

    /// How many bytes its frame has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encodes it.
    pub fn encode(self) -> Frame {
        let mut bytes = Vec::with_capacity(self.bytes);
        bytes.resize(HEADER_BYTES, 0);
        self.body.encode_raw(&mut bytes);
        let checksum = crc32c::crc32c(&bytes[HEADER_BYTES..]);
        // Within the limit, so both numbers fit: an event takes two bytes at
        // least.
        let events = self.body.events.len() as u32;
        let mut header = &mut bytes[..HEADER_BYTES];
        header.put_slice(&MARK);
        header.put_u32_le((self.bytes - HEADER_BYTES) as u32);
        header.put_u32_le(checksum);
        header.put_u32_le(events);
        Frame { bytes, events }
    }
}

/// An encoded batch that awaits its offset and time.
#[derive(Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    events: u32,
}

impl Frame {
    /// Gives it its place and time.
    pub fn place(&mut self, first_offset: Offset, appended_at: i64) {
        let mut fields = &mut self.bytes[16..HEADER_BYTES];
        fields.put_u64_le(first_offset);
        fields.put_i64_le(appended_at);
        let checksum = crc32c::crc32c(&self.bytes[..HEADER_BYTES - 4]);
        self.bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    }

    /// What is written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many events it holds.
    pub fn events(&self) -> u64 {
        u64::from(self.events)
    }
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the body.
    pub body_bytes: usize,
    /// The first event's offset.
    pub first_offset: Offset,
    /// The offset after the last event.
    pub end_offset: Offset,
    /// When it was appended, in ms since 1970-01-01T00:00Z.
    pub appended_at: i64,
    checksum: u32,
}

impl Head {
    /// Reads a header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err("an incomplete frame header");
        };
        if header[..4] != MARK {
            return Err("no frame begins here");
        }
        let mut fields = &header[4..];
        let body_bytes = fields.get_u32_le() as usize;
        let checksum = fields.get_u32_le();
        let events = u64::from(fields.get_u32_le());
        let first_offset = fields.get_u64_le();
        let appended_at = fields.get_i64_le();
        if crc32c::crc32c(&header[..HEADER_BYTES - 4]) != fields.get_u32_le() {
            return Err("a frame header with a wrong checksum");
        }
        match first_offset.checked_add(events) {
            Some(end_offset) if events > 0 && body_bytes <= FRAME_BYTES_MAX => Ok(Self {
                body_bytes,
                first_offset,
                end_offset,
                appended_at,
                checksum,
            }),
            _ => Err("a frame header beyond the limits"),
        }
    }

    /// Whether this is its body.
    pub fn vouches_for(&self, body: &[u8]) -> bool {
        body.len() == self.body_bytes && crc32c::crc32c(body) == self.checksum
    }

    /// Reads the body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn record(&self, body: Bytes, end_address: Address) -> Result<Record, String> {
        let body = Body::decode(body).map_err(|error| format!("an unreadable frame: {error}"))?;
        let found = body.events.len() as u64;
        if found != self.end_offset - self.first_offset {
            return Err(format!(
                "a frame of {found} events whose header says otherwise"
            ));
        }
        let headers = body.headers.into_iter();
        Ok(Record {
            first_offset: self.first_offset,
            appended_at: self.appended_at,
            source: body.source.into(),
            headers: headers.map(|header| (header.name, header.value)).collect(),
            schema: body.schema,
            events: body.events,
            end_address,
        })
    }
}
