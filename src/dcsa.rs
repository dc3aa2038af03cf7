//! DCSA Track & Trace events as ours: versions 2.2 and 3.0 (with its codes or
//! its words), the reference implementation's, and 3.0.0-Beta-1's retractions.
//! What cannot be placed is refused with a reason; nothing is guessed.
//!
//! An event of a kind that is not counted is `UNSUPPORTED` before anything else
//! is looked at, because no option can make it count.

pub mod document;
mod kind;
mod place;
mod shape;

use crate::event::Millis;
use crate::ndjson::{Reason, Refusal};
use crate::pb;
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use serde_json::Value;

/// The largest document that is read whole, in bytes. Lines of events have no
/// such limit together, only each.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 20;

/// How many events' facilities are remembered for later retractions.
const REMEMBERED_MAX: usize = 500_000;

/// What to take where an event says nothing.
#[derive(Clone, Debug, Default)]
pub struct Fallback {
    /// The facility.
    pub facility: Option<String>,
    /// The parties, all of them.
    pub parties: Vec<pb::Party>,
}

/// Maps the events of one input. It remembers where they happened, because a
/// retraction may not say it.
pub struct Mapper {
    fallback: Fallback,
    facilities: FxHashMap<CompactString, CompactString>,
}

impl Mapper {
    /// A mapper that has seen nothing.
    pub fn new(fallback: Fallback) -> Self {
        Self {
            fallback,
            facilities: FxHashMap::default(),
        }
    }

    /// Remembers where an event happened, for retractions of it before or after
    /// it in the input. The first 500,000 ids are remembered.
    pub fn note(&mut self, event: &Value) {
        let (Some(id), Some(facility)) =
            (shape::text(event, &shape::EVENT_ID), place::facility(event))
        else {
            return;
        };
        if self.facilities.len() < REMEMBERED_MAX || self.facilities.contains_key(&*id) {
            self.facilities.insert((&*id).into(), facility.into());
        }
    }

    /// The event as ours.
    ///
    /// # Errors
    /// Why it cannot be one: the reason, the field by its DCSA name, what was
    /// found and what was expected.
    pub fn map(&self, event: &Value) -> Result<pb::Event, Refusal> {
        if !event.is_object() {
            let found = shape::kind(event);
            return Err(Refusal::new(Reason::Malformed, "event", found, "an object"));
        }
        let event_id = shape::required(event, &shape::EVENT_ID)?;
        if let Some(retracted) = shape::text(event, &shape::RETRACTED_ID) {
            let revision = shape::instant_ms(event, &shape::CREATED)?;
            return self.retraction(event, &retracted, revision);
        }
        if shape::flag(event, &shape::RETRACTED)? {
            return self.retraction(event, &event_id, revision(event)?);
        }
        let detail = kind::detail(event)?;
        let classifier = kind::classifier(event)?;
        let occurred_at = shape::instant_ms(event, &shape::HAPPENED)?;
        let missing = || {
            let expected = "a date and time with an offset";
            Refusal::new(Reason::Missing, shape::HAPPENED.name, "nothing", expected)
        };
        Ok(pb::Event {
            event_id: event_id.clone().into(),
            revision: revision(event)?.unwrap_or(0),
            retracted: false,
            classifier: classifier.into(),
            occurred_at: Some(timestamp(occurred_at.ok_or_else(missing)?)),
            facility: self.facility(event)?,
            parties: self.parties(event)?,
            detail: Some(detail),
        })
    }

    fn facility(&self, event: &Value) -> Result<String, Refusal> {
        let found = place::facility(event).or_else(|| self.fallback.facility.clone());
        found.ok_or_else(|| {
            let expected = "UNLocationCode with facilityCode or facilityTypeCode, or --facility";
            Refusal::new(Reason::NoFacility, "eventLocation", "nothing", expected)
        })
    }

    fn parties(&self, event: &Value) -> Result<Vec<pb::Party>, Refusal> {
        let mut parties = place::parties(event);
        if parties.is_empty() {
            parties.clone_from(&self.fallback.parties);
        }
        if parties.is_empty() {
            let expected = "a vessel operator or an originating party in a known function, \
                            or --party";
            return Err(Refusal::new(
                Reason::NoParty,
                "originatingParty",
                "nothing",
                expected,
            ));
        }
        Ok(parties)
    }

    /// A retraction of `id`, where it says or where that event was seen to be. It
    /// needs a revision: without one it would lose to what it takes back.
    fn retraction(
        &self,
        event: &Value,
        id: &str,
        revision: Option<Millis>,
    ) -> Result<pb::Event, Refusal> {
        let revision = revision.ok_or_else(|| {
            let expected = "a date and time with an offset";
            Refusal::new(Reason::Missing, shape::CREATED.name, "nothing", expected)
        })?;
        let seen = || self.facilities.get(id).map(ToString::to_string);
        let facility = place::facility(event).or_else(seen);
        let full = self.facilities.len() >= REMEMBERED_MAX;
        let facility = match facility.or_else(|| self.fallback.facility.clone().filter(|_| !full)) {
            Some(facility) => facility,
            None => {
                let expected = "a location, an event of that id among the first 500,000 of the \
                                same input, or --facility with a smaller input";
                let field = "eventLocation";
                return Err(Refusal::new(Reason::NoFacility, field, "nothing", expected));
            }
        };
        Ok(pb::Event {
            event_id: id.into(),
            revision,
            retracted: true,
            facility,
            ..Default::default()
        })
    }
}

/// An event's id, to name it in a report.
pub fn event_id(event: &Value) -> Option<String> {
    shape::text(event, &shape::EVENT_ID).map(Into::into)
}

/// When it was updated, else when it was created.
fn revision(event: &Value) -> Result<Option<Millis>, Refusal> {
    match shape::instant_ms(event, &shape::UPDATED)? {
        None => shape::instant_ms(event, &shape::CREATED),
        updated => Ok(updated),
    }
}

fn timestamp(at: Millis) -> pbjson_types::Timestamp {
    let nanos = (at.rem_euclid(1000) * 1_000_000) as i32;
    pbjson_types::Timestamp {
        seconds: at.div_euclid(1000),
        nanos,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_stands_where_it_does_not_belong_is_not_repeated() {
        let mapper = Mapper::new(Fallback::default());
        let flag = json!({"eventID": "a", "isRetracted": {"driver": "zhangwei"}});
        for (event, told) in [
            (json!("zhangwei"), "event: found text"),
            (json!(["zhangwei"]), "event: found an array"),
            (flag, "isRetracted: found an object"),
        ] {
            let refusal = mapper.map(&event).expect_err("no event").to_string();
            assert!(refusal.contains(told), "{refusal}");
            assert!(!refusal.contains("zhangwei"), "{refusal}");
        }
    }
}
