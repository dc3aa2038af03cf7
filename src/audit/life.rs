//! An identity's lives: a life begins with the first record of an identity that
//! is not known, and ends when the identity is forgotten.

use super::told::{Name, Texts, Told};
use super::{Day, utc_day};
use crate::event::personal::Precedence;
use crate::event::{Event, Millis};
use compact_str::CompactString;
use smallvec::SmallVec;

/// A version of an event: the greatest wins. A retraction beats a statement of
/// the same revision; of two statements the greater content hash wins; of two that
/// differ in nothing but pseudonyms, that with the earlier key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The reporter's revision.
    pub revision: i64,
    /// Whether it says that the event did not happen.
    pub retracted: bool,
    /// The content hash; zero in a retraction, so that two retractions are the same.
    pub content: [u8; 32],
    /// Of two with the same content.
    pub precedence: Precedence,
}

impl Version {
    /// The version that a record tells.
    pub fn of(event: &Event, content: [u8; 32]) -> Self {
        let retracted = event.statement.is_none();
        Self {
            revision: event.revision,
            retracted,
            content: if retracted { [0; 32] } else { content },
            precedence: Precedence::of(event),
        }
    }
}

/// What held from a day of the log clock on, until the next turn.
pub(super) struct Turn {
    pub from: Day,
    pub version: Version,
    /// None: retracted.
    pub told: Option<Told>,
}

/// A life. Of several turns on one day only the last is kept: forgetting looks
/// at the ends of days.
pub(super) struct Life {
    pub source: Name,
    pub event_id: CompactString,
    /// Never empty.
    pub turns: SmallVec<[Turn; 1]>,
    /// When its latest record was appended, duplicates and losers included.
    pub appended_at: Millis,
}

impl Life {
    /// What held at the start of a day.
    pub fn before(&self, day: Day) -> Option<&Turn> {
        self.turns.iter().rev().find(|turn| turn.from < day)
    }

    /// What holds at last.
    pub fn last(&self) -> Option<&Turn> {
        self.turns.last()
    }

    /// The first UTC day on which it is forgotten, by the log clock.
    pub fn forgotten_on(&self, horizon_days: i32) -> Day {
        let told = self.last().and_then(|turn| turn.told.as_ref());
        let last = self.appended_at.max(told.map_or(Millis::MIN, Told::latest));
        utc_day(last).saturating_add(horizon_days).saturating_add(1)
    }

    /// Takes a record in: the greatest version is what holds.
    pub fn take(&mut self, day: Day, appended_at: Millis, version: Version, told: Option<Told>) {
        self.appended_at = self.appended_at.max(appended_at);
        let turn = Turn {
            from: day,
            version,
            told,
        };
        match self.turns.last_mut() {
            Some(last) if last.version >= version => {}
            Some(last) if last.from == day => *last = turn,
            _ => self.turns.push(turn),
        }
    }

    /// Identities of one facility are ordered by their bytes.
    pub fn identity<'a>(&'a self, texts: &'a Texts) -> (&'a [u8], &'a [u8]) {
        let source = texts.text(self.source);
        (source.as_bytes(), self.event_id.as_bytes())
    }
}
