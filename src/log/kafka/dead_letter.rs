//! What is kept of a record that is not an event: itself, unchanged, and why it
//! was left out. Its key, value and headers are a stranger's, so a dead letter may
//! hold whatever a stranger wrote, a plate in clear too.

use super::record::Refused;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;

/// The header with the stable reason, see [`super::record::Reason::code`].
pub const REASON: &str = "quaymeter-dead-reason";

/// The header that says it to people.
pub const DETAIL: &str = "quaymeter-dead-detail";

/// The header with the topic in which the record stands.
pub const TOPIC: &str = "quaymeter-dead-topic";

/// The header with its partition, decimal.
pub const PARTITION: &str = "quaymeter-dead-partition";

/// The header with its offset, decimal.
pub const OFFSET: &str = "quaymeter-dead-offset";

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// A record that was left out.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers, byte for byte, and after them why and whence. If it was a
    /// dead letter before, the last ones of a name are the latest.
    pub headers: OwnedHeaders,
}

impl DeadLetter {
    /// Of a record with these parts. `headers` are its own; detached from the
    /// message they keep names that are not even UTF-8.
    pub fn of(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
        refused: &Refused,
        origin: Origin<'_>,
    ) -> Self {
        let add = |headers: OwnedHeaders, (key, value): (&str, String)| {
            let value = Some(value.as_bytes());
            headers.insert(Header { key, value })
        };
        let headers = headers.unwrap_or_default();
        let headers = told(refused, origin).into_iter().fold(headers, add);
        Self {
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers,
        }
    }

    /// The record to be sent.
    pub fn to<'a, D: IntoOpaque>(
        &'a self,
        topic: &'a str,
        opaque: D,
    ) -> BaseRecord<'a, [u8], [u8], D> {
        let headers = self.headers.clone();
        let mut record = BaseRecord::with_opaque_to(topic, opaque).headers(headers);
        (record.key, record.payload) = (self.key.as_deref(), self.value.as_deref());
        record
    }
}

/// The headers that a dead letter is given.
pub fn told(refused: &Refused, origin: Origin<'_>) -> [(&'static str, String); 5] {
    [
        (REASON, refused.reason.code().to_owned()),
        (DETAIL, refused.detail.clone()),
        (TOPIC, origin.topic.to_owned()),
        (PARTITION, origin.partition.to_string()),
        (OFFSET, origin.offset.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::record::Reason;
    use super::*;
    use rdkafka::message::Headers as _;

    #[test]
    fn a_dead_letter_is_the_record_unchanged_with_why_and_whence() {
        let empty = None::<&[u8]>;
        let own = OwnedHeaders::new()
            .insert(Header {
                key: "a",
                value: Some(&[0xff_u8, 0][..]),
            })
            .insert(Header {
                key: "",
                value: empty,
            });
        let refused = Refused {
            reason: Reason::WrongKey,
            detail: "key: found nothing".to_owned(),
        };
        let origin = Origin {
            topic: "port.events",
            partition: 3,
            offset: 1 << 40,
        };
        let letter = DeadLetter::of(None, Some(b"\xff"), Some(own), &refused, origin);
        let record = letter.to("port.dead-letter", ());
        assert_eq!((record.key, record.payload), (None, Some(&b"\xff"[..])));
        let headers = record.headers.unwrap();
        let found: Vec<_> = headers.iter().map(|h| (h.key, h.value)).collect();
        let expected: [(&str, Option<&[u8]>); 7] = [
            ("a", Some(&[0xff, 0])),
            ("", None),
            (REASON, Some(b"WRONG_KEY")),
            (DETAIL, Some(b"key: found nothing")),
            (TOPIC, Some(b"port.events")),
            (PARTITION, Some(b"3")),
            (OFFSET, Some(b"1099511627776")),
        ];
        assert_eq!(found, expected);
    }
}
