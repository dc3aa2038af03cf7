//! The events of a JSON document, one after the other: an array of events, an
//! object with an array of `events`, or one event. Only one is in memory as a
//! value at a time.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// What a document is.
pub const WANTED: &str = "an array of events, an object with `events`, or an event";

/// Calls `each` for every event of a document, in order.
///
/// # Errors
/// A document that is not JSON, with the place of the fault. Events before it
/// have been told by then.
pub fn each(document: &[u8], mut each: impl FnMut(Value)) -> Result<(), serde_json::Error> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let mut input = serde_json::Deserializer::from_slice(document);
    Document(&mut each).deserialize(&mut input)?;
    input.end()
}

/// A whole document.
struct Document<'a, F>(&'a mut F);

/// The elements of an array.
struct Elements<'a, F>(&'a mut F);

impl<'de, F: FnMut(Value)> DeserializeSeed<'de> for Document<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Value)> Visitor<'de> for Document<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WANTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Elements(self.0).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut event = Map::new();
        let mut had_events = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "events" {
                map.next_value_seed(Elements(&mut *self.0))?;
                had_events = true;
            } else {
                event.insert(key, map.next_value()?);
            }
        }
        if !had_events {
            (self.0)(Value::Object(event));
        }
        Ok(())
    }
}

impl<'de, F: FnMut(Value)> DeserializeSeed<'de> for Elements<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Value)> Visitor<'de> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(event) = seq.next_element()? {
            (self.0)(event);
        }
        Ok(())
    }
}
