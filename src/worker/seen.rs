//! What is seen of sources between two publications.

use crate::event::{Classifier, Event, Millis};
use crate::view::SourceSeen;
use compact_str::CompactString;

/// What was seen, in order. One source may be noted several times; the view takes the
/// latest.
#[derive(Default)]
pub struct Seen(Vec<(CompactString, SourceSeen)>);

impl Seen {
    /// Notes an event.
    pub fn note(&mut self, source: &CompactString, at: Millis, event: &Event) {
        let statement = event.statement.as_ref();
        let actual = statement.filter(|of| of.classifier == Classifier::Actual);
        let instant = actual.map(|statement| statement.occurred_at);
        match self.0.last_mut().filter(|(last, _)| last == source) {
            Some((_, seen)) => {
                seen.last_active = seen.last_active.max(at);
                seen.latest_actual = seen.latest_actual.max(instant);
            }
            None => {
                let seen = SourceSeen {
                    last_active: at,
                    latest_actual: instant,
                };
                self.0.push((source.clone(), seen));
            }
        }
    }

    /// What was seen since the last call.
    pub fn take(&mut self) -> Vec<(CompactString, SourceSeen)> {
        std::mem::take(&mut self.0)
    }
}
