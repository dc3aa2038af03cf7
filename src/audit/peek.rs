//! Whose an encoded event is, without reading the rest of it.

use compact_str::CompactString;
use prost::Message as _;

/// The fields of an event that its identity has. Others are passed over.
#[derive(Clone, PartialEq, prost::Message)]
struct Head {
    #[prost(string, tag = "1")]
    event_id: String,
    #[prost(string, tag = "6")]
    facility: String,
}

/// Facility and event id; none of what is no event. The log holds normalised
/// events, so the facility is as it was counted.
pub(super) fn peek(bytes: &[u8]) -> Option<(CompactString, CompactString)> {
    let head = Head::decode(bytes).ok()?;
    let known = !head.event_id.is_empty() && !head.facility.is_empty();
    known.then(|| (head.facility.into(), head.event_id.into()))
}
