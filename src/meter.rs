//! The pure core: no I/O, no clock, no async, no randomness. Time and identity
//! are arguments; the same records, in any order within their days, give the
//! same cells.

pub mod cell;
mod codes;
pub mod contribution;
pub mod figure;
pub mod histogram;
pub mod ledger;
pub mod names;
pub mod pairing;

use crate::event::{Event, Millis, Statement};
use cell::{Change, Day, Posting, utc_day_of};
use contribution::{Contribution, PointKey};
use figure::{Figure, Meaning};
use ledger::{Entry, EntryId, Identity, Ledger, Version};
use names::{NameId, Names};
use pairing::{Paired, Pairing, Place};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The settings that shape numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long an identity can be corrected after it was last heard of, in ms.
    pub horizon_ms: i64,
    /// What a 45-foot container counts, in thousandths of a TEU: 2250 or 2000.
    pub teu_45ft_milli: u32,
}

/// One record of the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Who reported it.
    pub source: &'a str,
    /// When it was appended to the log.
    pub appended_at: Millis,
    /// What was reported.
    pub event: &'a Event,
    /// The first 16 bytes of the SHA-256 of its canonical encoding.
    pub content: [u8; 16],
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its identity is new.
    New,
    /// The same version is known.
    Duplicate,
    /// It replaced an older statement, or brought a retracted one back.
    Revised,
    /// It took its identity back, known or not.
    Retracted,
    /// A newer version is known.
    Superseded,
    /// The same revision says something else; the greater content hash wins.
    Conflict {
        /// Whether this one won.
        won: bool,
    },
}

/// What became of all records. All but `identities` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records applied.
    pub events: i64,
    /// Of these: the same version was known.
    pub duplicates: i64,
    /// Of these: replaced an older statement.
    pub revisions: i64,
    /// Of these: took an identity back.
    pub retractions: i64,
    /// Of these: a newer version was known.
    pub superseded: i64,
    /// Of these: the same revision said something else.
    pub conflicts: i64,
    /// Pairs taken back again.
    pub repaired: i64,
    /// Identities forgotten.
    pub forgotten: i64,
    /// Identities known now.
    pub identities: i64,
}

/// Ledger and pairing lists: what must be known to turn the next record into
/// changes of cells.
pub struct Meter {
    rules: Rules,
    /// The names that all ids mean.
    pub names: Names,
    ledger: Ledger,
    pairing: Pairing,
    clock: Option<Millis>,
    counts: Counts,
    // Identities whose entries changed since they were last taken.
    changed: Vec<Identity>,
    paired: Vec<Paired>,
}

impl Meter {
    /// A meter that has seen nothing.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            names: Names::default(),
            ledger: Ledger::new(rules.horizon_ms),
            pairing: Pairing::new(rules.horizon_ms),
            clock: None,
            counts: Counts::default(),
            changed: Vec::new(),
            paired: Vec::new(),
        }
    }

    /// A meter as it was: its names, the log clock, its counts and its ledger's
    /// entries. The pairing lists follow from these.
    pub fn restore(
        rules: Rules,
        names: Names,
        clock: Option<Millis>,
        counts: Counts,
        entries: impl Iterator<Item = Entry>,
    ) -> Self {
        let mut meter = Self {
            names,
            clock,
            counts,
            ..Self::new(rules)
        };
        for entry in entries {
            let id = meter.ledger.insert(entry);
            meter.enter(id);
        }
        meter.paired.clear();
        meter
    }

    /// The greatest append time so far; none before the first record.
    pub fn clock(&self) -> Option<Millis> {
        self.clock
    }

    /// What became of all records.
    pub fn counts(&self) -> Counts {
        Counts {
            identities: self.ledger.len() as i64,
            ..self.counts
        }
    }

    /// What is known of an identity.
    pub fn entry(&self, identity: &Identity) -> Option<&Entry> {
        let id = self
            .ledger
            .find(identity.facility, identity.source, &identity.event_id)?;
        self.ledger.get(id)
    }

    /// Everything that is known of identities.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.ledger.ids().filter_map(|id| self.ledger.get(id))
    }

    /// The identities whose entries changed since the last call, some of them
    /// perhaps more than once or no longer known.
    pub fn take_changed(&mut self) -> Vec<Identity> {
        std::mem::take(&mut self.changed)
    }

    /// Applies one record: appends to `out` what it changes, in order.
    pub fn apply(&mut self, record: &Record, out: &mut Vec<Change>) -> Outcome {
        let known_names = self.names.len();
        let at = out.len();
        self.advance(record.appended_at, out);
        let facility = self.names.intern(&record.event.facility);
        let source = self.names.intern(record.source);
        let outcome = match self.ledger.find(facility, source, &record.event.event_id) {
            None => self.first(facility, source, record, out),
            Some(id) => self.again(id, record, out),
        };
        // Names come before what uses them.
        let new = (known_names..self.names.len())
            .map(|id| Change::Name(self.names.get(id as NameId).into()));
        out.splice(at..at, new.collect::<Vec<_>>());
        self.count(outcome);
        outcome
    }

    fn count(&mut self, outcome: Outcome) {
        self.counts.events += 1;
        match outcome {
            Outcome::New => {}
            Outcome::Duplicate => self.counts.duplicates += 1,
            Outcome::Revised => self.counts.revisions += 1,
            Outcome::Retracted => self.counts.retractions += 1,
            Outcome::Superseded => self.counts.superseded += 1,
            Outcome::Conflict { .. } => self.counts.conflicts += 1,
        }
    }

    /// An identity that is not known: new, or forgotten.
    fn first(
        &mut self,
        facility: NameId,
        source: NameId,
        record: &Record,
        out: &mut Vec<Change>,
    ) -> Outcome {
        let event_id = record.event.event_id.clone();
        let contribution = self.contribution(record.event.statement.as_ref());
        let outcome = if contribution.is_some() {
            Outcome::New
        } else {
            Outcome::Retracted
        };
        let id = self.ledger.insert(Entry {
            identity: Identity {
                facility,
                source,
                event_id,
            },
            version: version(record),
            contribution,
            appended_at: record.appended_at,
            settled: Vec::new(),
        });
        self.add(id, out);
        self.touch(id);
        outcome
    }

    /// An identity that is known.
    fn again(&mut self, id: EntryId, record: &Record, out: &mut Vec<Change>) -> Outcome {
        let Some(entry) = self.ledger.get_mut(id) else {
            return Outcome::Duplicate;
        };
        entry.appended_at = entry.appended_at.max(record.appended_at);
        let (old, new) = (entry.version, version(record));
        let conflict =
            old.revision == new.revision && !old.retracted && !new.retracted && old != new;
        let outcome = match new.cmp(&old) {
            Ordering::Equal => Outcome::Duplicate,
            _ if conflict => Outcome::Conflict { won: new > old },
            Ordering::Less => Outcome::Superseded,
            Ordering::Greater if new.retracted => Outcome::Retracted,
            Ordering::Greater => Outcome::Revised,
        };
        if new > old {
            self.replace(id, new, record.event.statement.as_ref(), out);
        }
        self.ledger.schedule(id);
        self.touch(id);
        outcome
    }

    fn replace(
        &mut self,
        id: EntryId,
        version: Version,
        statement: Option<&Statement>,
        out: &mut Vec<Change>,
    ) {
        self.take_back(id, out);
        let contribution = self.contribution(statement);
        if let Some(entry) = self.ledger.get_mut(id) {
            entry.version = version;
            entry.contribution = contribution;
        }
        self.add(id, out);
    }

    fn contribution(&mut self, statement: Option<&Statement>) -> Option<Box<Contribution>> {
        let teu = self.rules.teu_45ft_milli;
        statement.map(|statement| Box::new(Contribution::of(statement, &mut self.names, teu)))
    }

    /// Adds what an entry contributes, and its pairs.
    fn add(&mut self, id: EntryId, out: &mut Vec<Change>) {
        self.post(id, 1, out);
        self.enter(id);
        self.post_pairs(out);
    }

    /// Takes back what an entry contributes, and its pairs. Pairs go first:
    /// they are posted for the parties that the entry has now.
    fn take_back(&mut self, id: EntryId, out: &mut Vec<Change>) {
        self.leave(id);
        self.post_pairs(out);
        self.post(id, -1, out);
    }

    fn post(&self, id: EntryId, sign: i64, out: &mut Vec<Change>) {
        let Some(entry) = self.ledger.get(id) else {
            return;
        };
        let Some(contribution) = &entry.contribution else {
            return;
        };
        out.push(Change::Posting(
            contribution.posting(entry.identity.facility, sign),
        ));
    }

    fn enter(&mut self, id: EntryId) {
        for place in places(&self.ledger, id) {
            self.pairing
                .insert(place, &self.ledger, &self.names, &mut self.paired);
        }
    }

    fn leave(&mut self, id: EntryId) {
        for place in places(&self.ledger, id) {
            self.pairing
                .remove(place, &self.ledger, &self.names, &mut self.paired);
        }
    }

    fn post_pairs(&mut self, out: &mut Vec<Change>) {
        for paired in self.paired.drain(..) {
            let Some(end) = self.ledger.get(paired.end) else {
                continue;
            };
            let Some(contribution) = &end.contribution else {
                continue;
            };
            if paired.sign < 0 {
                self.counts.repaired += 1;
            }
            out.push(Change::Posting(pair_posting(
                &paired,
                contribution,
                end.identity.facility,
            )));
        }
    }

    fn touch(&mut self, id: EntryId) {
        if let Some(entry) = self.ledger.get(id) {
            self.changed.push(entry.identity.clone());
        }
    }

    /// Moves the log clock. When it reaches a new UTC day, identities whose last
    /// day is over are forgotten.
    fn advance(&mut self, appended_at: Millis, out: &mut Vec<Change>) {
        let before = self.clock;
        let now = before.map_or(appended_at, |clock| clock.max(appended_at));
        self.clock = Some(now);
        let today = utc_day_of(now);
        if before.map(utc_day_of) != Some(today) {
            self.forget(today, out);
            out.push(Change::Clock(today));
        }
    }

    /// Forgets what is due, one day after the other, also those on which nothing
    /// was appended. First every pair that has one of a day is frozen, then they
    /// leave: so it does not matter in which order.
    fn forget(&mut self, today: Day, out: &mut Vec<Change>) {
        while let Some(due) = self.ledger.due(today) {
            for &id in &due {
                self.settle(id);
            }
            for &id in &due {
                self.leave(id);
                self.post_pairs(out);
                if let Some(entry) = self.ledger.remove(id) {
                    self.counts.forgotten += 1;
                    self.changed.push(entry.identity);
                }
            }
        }
    }

    fn settle(&mut self, id: EntryId) {
        let mut partners = Vec::new();
        for place in places(&self.ledger, id) {
            if let Some((partner, side)) = self.pairing.settle(place, &self.ledger, &self.names) {
                let PointKey { kind, key, .. } = place.point.clone();
                partners.push((partner, PointKey { kind, side, key }));
            }
        }
        for (partner, point) in partners {
            if let Some(entry) = self.ledger.get_mut(partner) {
                entry.settled.push(point);
            }
            self.touch(partner);
        }
    }
}

/// An entry's places in pairing lists.
fn places(ledger: &Ledger, id: EntryId) -> impl Iterator<Item = Place<'_>> {
    ledger.get(id).into_iter().flat_map(move |entry| {
        let contribution = entry.contribution.as_deref();
        contribution.into_iter().flat_map(move |contribution| {
            contribution.points.iter().map(move |point| Place {
                facility: entry.identity.facility,
                classifier: contribution.classifier,
                point,
                at: contribution.occurred_at,
                entry: id,
            })
        })
    })
}

fn version(record: &Record) -> Version {
    let retracted = record.event.statement.is_none();
    let content = if retracted { [0; 16] } else { record.content };
    Version {
        revision: record.event.revision,
        retracted,
        content,
    }
}

/// A pair's posting: at its end event, for its parties. A berth stay counts for
/// the vessel call too.
fn pair_posting(paired: &Paired, end: &Contribution, facility: NameId) -> Posting {
    let bucket = histogram::bucket(paired.duration_ms);
    let berth_stay = paired.kind == crate::pb::DurationKind::BerthStay;
    let figures = [
        (Meaning::DurationCount(paired.kind), 1),
        (Meaning::DurationSumMs(paired.kind), paired.duration_ms),
        (Meaning::DurationBucket(paired.kind, bucket), 1),
    ];
    Posting {
        sign: paired.sign,
        facility,
        classifier: end.classifier,
        at: end.occurred_at,
        slot_end: None,
        call: end.call.filter(|_| berth_stay),
        parties: end.owners(),
        figures: figures
            .map(|(meaning, value)| (Figure::of(meaning), value))
            .into_iter()
            .collect(),
    }
}
