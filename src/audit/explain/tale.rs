//! Records as they come in: what each did to its identity when it came.

use super::{Identity, RECORDS_MAX, search::Found};
use crate::audit::recount::Record;
use crate::audit::{Recount, Rules, Version};
use crate::event::{Event, Millis};
use crate::log::Offset;
use crate::wire;
use compact_str::CompactString;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// What became of a record when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its identity was not known.
    New,
    /// The same version was known.
    Duplicate,
    /// It replaced an older statement, or brought a retracted one back.
    Revised,
    /// It took its identity back, known or not.
    Retracted,
    /// A newer version was known: it never counted.
    Superseded,
    /// The same revision said something else; the greater SHA-256 wins.
    Conflict {
        /// Whether this one won.
        won: bool,
    },
}

impl Fate {
    fn of(new: &Version, known: Option<&Version>) -> Self {
        let Some(known) = known else {
            return if new.retracted {
                Self::Retracted
            } else {
                Self::New
            };
        };
        let order = new.cmp(known);
        let says = |of: &Version| (of.revision, of.retracted, of.content);
        let same_revision = new.revision == known.revision && new.retracted == known.retracted;
        match order {
            // Also under other pseudonyms, of whichever record then holds.
            _ if says(new) == says(known) => Self::Duplicate,
            _ if same_revision => Self::Conflict { won: order.is_gt() },
            Ordering::Greater if new.retracted => Self::Retracted,
            Ordering::Greater => Self::Revised,
            Ordering::Less | Ordering::Equal => Self::Superseded,
        }
    }
}

/// One record of the identity that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its offset in the log.
    pub offset: Offset,
    /// When it was appended.
    pub appended_at: Millis,
    /// The life that it belongs to: 0 for the first.
    pub life: usize,
    /// The reporter's revision.
    pub revision: i64,
    /// Whether it says that the event did not happen.
    pub retracted: bool,
    /// Its content hash: the SHA-256 of what it says.
    pub content: [u8; 32],
    /// What became of it when it came.
    pub fate: Fate,
    /// The offset of the record that took its place; none if it holds still, or
    /// never did.
    pub replaced_by: Option<Offset>,
}

/// The record that holds in a life.
pub(super) struct Held {
    pub version: Version,
    pub offset: Offset,
    pub appended_at: Millis,
    /// What it says; kept for the identity that is asked about.
    pub event: Option<Event>,
}

/// Some identities of a facility with all their records.
pub(super) struct Tale {
    pub recount: Recount,
    /// By the numbers of lives.
    pub held: Vec<Held>,
    /// The identity that is asked about.
    pub of: Option<Identity>,
    /// Its lives.
    pub lives: Vec<usize>,
    /// Its latest records.
    pub told: VecDeque<Told>,
    /// Its records that are left out.
    pub omitted: u64,
}

impl Tale {
    pub fn new(rules: &Rules, facility: &CompactString, of: Option<&Identity>) -> Self {
        Self {
            recount: Recount::new(rules.clone(), facility.clone()),
            held: Vec::new(),
            of: of.cloned(),
            lives: Vec::new(),
            told: VecDeque::new(),
            omitted: 0,
        }
    }

    /// Takes the next record in.
    pub fn take(&mut self, found: &mut Found<'_>) {
        let day = found.day;
        let (source, appended_at) = (found.source().clone(), found.appended_at());
        let offset = found.offset;
        let asked = self.of.as_ref().is_some_and(|of| *of == found.identity());
        let Some(event) = found.event() else {
            return;
        };
        let content = wire::content_hash(event);
        let life = self.recount.add(&Record {
            source: &source,
            appended_at,
            day,
            event,
            content,
        });
        let version = Version::of(event, content);
        let fate = Fate::of(&version, self.held.get(life).map(|held| &held.version));
        let held = Held {
            version,
            offset,
            appended_at,
            event: asked.then(|| event.clone()),
        };
        let replaced = match self.held.get_mut(life) {
            Some(known) if known.version < version => Some(std::mem::replace(known, held).offset),
            Some(_) => None,
            None => {
                self.held.push(held);
                None
            }
        };
        if asked {
            self.note(
                life,
                replaced,
                Told {
                    offset,
                    appended_at,
                    life: 0,
                    revision: version.revision,
                    retracted: version.retracted,
                    content,
                    fate,
                    replaced_by: None,
                },
            );
        }
    }

    /// Notes a record of the identity that is asked about.
    fn note(&mut self, life: usize, replaced: Option<Offset>, told: Told) {
        if self.lives.last() != Some(&life) {
            self.lives.push(life);
        }
        let mut before = self.told.iter_mut().rev();
        if let Some(old) = before.find(|old| Some(old.offset) == replaced) {
            old.replaced_by = Some(told.offset);
        }
        if self.told.len() == RECORDS_MAX {
            self.told.pop_front();
            self.omitted += 1;
        }
        let life = self.lives.len() - 1;
        self.told.push_back(Told { life, ..told });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(revision: i64, content: u8) -> Version {
        Version {
            revision,
            retracted: content == 0,
            content: [content; 32],
            precedence: Default::default(),
        }
    }

    #[test]
    fn a_records_fate_is_told_as_the_service_counts_it() {
        let conflict = |won| Fate::Conflict { won };
        let fates = [
            (version(0, 1), None, Fate::New),
            (version(0, 0), None, Fate::Retracted),
            (version(1, 2), Some(version(1, 2)), Fate::Duplicate),
            (version(1, 0), Some(version(1, 0)), Fate::Duplicate),
            (version(2, 1), Some(version(1, 2)), Fate::Revised),
            (version(2, 1), Some(version(1, 0)), Fate::Revised),
            (version(1, 0), Some(version(1, 2)), Fate::Retracted),
            (version(1, 2), Some(version(1, 0)), Fate::Superseded),
            (version(1, 2), Some(version(2, 1)), Fate::Superseded),
            (version(1, 2), Some(version(1, 1)), conflict(true)),
            (version(1, 1), Some(version(1, 2)), conflict(false)),
        ];
        for (new, known, fate) in fates {
            assert_eq!(Fate::of(&new, known.as_ref()), fate, "{new:?} {known:?}");
        }
    }
}
