//! The pure core: no I/O, no clock, no async, no randomness. Time and identity
//! are arguments; the same records, in any order within their days, give the
//! same cells.

pub mod cell;
mod codes;
pub mod contribution;
pub mod figure;
pub mod histogram;
pub mod journal;
pub mod ledger;
pub mod names;
pub mod pairing;
pub mod recall;
pub mod recent;
pub mod restore;
pub mod record;
mod slab;
mod tables;
mod version;

use crate::event::{Event, Millis};
use crate::fingerprint::{Fingerprint, Fingerprints};
use cell::{Change, Day, Posting, utc_day_of};
use contribution::{Contribution, Terms, twins};
use figure::{Figure, Meaning};
use journal::{Chunk, Journal, Note, Won};
use ledger::{Address, EntryId, Known, Ledger, Mark, REVISION_MAX, told_day};
use names::{NameId, Names};
use pairing::{Paired, Pairing, Place};
use recall::{ByIdentity, Lost, Recall};
use recent::Recent;
pub use record::{Counts, Outcome, Record};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use version::{Tie, compare};

/// The settings that shape numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long an identity can be corrected after it was last heard of, in ms.
    pub horizon_ms: i64,
    /// What a 45-foot container counts, in thousandths of a TEU: 2250 or 2000.
    pub teu_45ft_milli: u32,
}

/// Ledger and pairing lists: what must be known to turn the next record into
/// changes of cells.
pub struct Meter {
    rules: Rules,
    fingerprints: Fingerprints,
    /// The names that all ids mean.
    pub names: Names,
    ledger: Ledger,
    pairing: Pairing,
    clock: Option<Millis>,
    counts: Counts,
    journal: Journal,
    paired: Vec<Paired>,
    calls: Recent,
}

/// The entry that is being applied, whose contribution is at hand.
type Current<'a> = (EntryId, &'a Contribution);

impl Meter {
    /// A meter that has seen nothing.
    pub fn new(rules: Rules, fingerprints: Fingerprints) -> Self {
        Self {
            rules,
            fingerprints,
            names: Names::default(),
            ledger: Ledger::new(rules.horizon_ms),
            pairing: Pairing::new(rules.horizon_ms),
            clock: None,
            counts: Counts::default(),
            journal: Journal::default(),
            paired: Vec::new(),
            calls: Recent::default(),
        }
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

    /// How many places there are in pairing lists.
    pub fn points(&self) -> usize {
        self.pairing.places()
    }

    /// Takes fingerprints as this meter needs them.
    pub fn fingerprints(&self) -> Fingerprints {
        self.fingerprints
    }

    /// The lowest address at which a record may have to be read again; none if
    /// no identity is known. It looks at all of them.
    pub fn lowest_address(&self) -> Option<Address> {
        self.ledger.lowest_address()
    }

    /// How many bytes [`Meter::take_journal`] would give.
    pub fn journal_bytes(&self) -> usize {
        self.journal.bytes()
    }

    /// What became known since the last call, to be stored.
    pub fn take_journal(&mut self) -> Vec<Chunk> {
        self.journal.take()
    }

    /// Notes anew what is still true of an old chunk, which need not be kept any
    /// longer once that is stored, if no older one is.
    ///
    /// # Errors
    /// Bytes that are no chunk.
    pub fn renote(&mut self, chunk: &[u8]) -> Result<(), postcard::Error> {
        for note in journal::notes(chunk)? {
            // What else was noted of an identity is part of what is known of it.
            let Note::Won(won) = note else { continue };
            let Some(id) = self.ledger.find(won.known.identity) else {
                continue;
            };
            let known = self.ledger.get(id);
            let version = |known: &Known| (known.revision, known.retracted, known.record.content);
            if version(&known) == version(&won.known) {
                let marks = self.ledger.marks(id).into();
                self.journal.note(&Note::Won(Won {
                    known,
                    marks,
                    ..won
                }));
            }
        }
        Ok(())
    }

    /// Applies one record: appends to `out` what it changes, in order. `past`
    /// reads earlier records again.
    ///
    /// # Errors
    /// A record of the past that cannot be read: then `out` is not to be used,
    /// and neither is the meter.
    pub fn apply(
        &mut self,
        record: &Record,
        past: &dyn Recall,
        out: &mut Vec<Change>,
    ) -> Result<Outcome, Lost> {
        let known_names = self.names.len();
        let at = out.len();
        self.advance(record.appended_at, past, out)?;
        let source = self.names.intern(record.source);
        let outcome = match self.ledger.find(record.identity) {
            None => self.first(source, record, past, out)?,
            Some(id) => self.again(id, record, past, out)?,
        };
        if self.names.len() > known_names {
            // Names come before what uses them.
            let new = (known_names..self.names.len())
                .map(|id| Change::Name(self.names.get(id as NameId).into()));
            out.splice(at..at, new.collect::<Vec<_>>());
        }
        self.count(outcome);
        Ok(outcome)
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
        source: NameId,
        record: &Record,
        past: &dyn Recall,
        out: &mut Vec<Change>,
    ) -> Result<Outcome, Lost> {
        let contribution = self.contribution(record.event);
        let known = known(record, source, contribution.as_ref());
        let id = self.ledger.insert(&known);
        self.note_won(id, contribution.as_ref());
        match contribution {
            Some(contribution) => {
                self.add((id, &contribution), past, out)?;
                Ok(Outcome::New)
            }
            None => Ok(Outcome::Retracted),
        }
    }

    /// An identity that is known.
    fn again(
        &mut self,
        id: EntryId,
        record: &Record,
        past: &dyn Recall,
        out: &mut Vec<Change>,
    ) -> Result<Outcome, Lost> {
        let old = self.ledger.get(id);
        let (order, tie) = compare(record, &old, past)?;
        let outcome = match order {
            Ordering::Equal => Outcome::Duplicate,
            _ if tie == Some(Tie::Statements) => Outcome::Conflict { won: order.is_gt() },
            _ if tie == Some(Tie::Pseudonyms) => Outcome::Duplicate,
            Ordering::Less => Outcome::Superseded,
            Ordering::Greater if record.event.statement.is_none() => Outcome::Retracted,
            Ordering::Greater => Outcome::Revised,
        };
        let appended = utc_day_of(record.appended_at).max(old.appended);
        if order.is_gt() {
            self.replace(id, record, past, out)?;
        } else if appended > old.appended {
            let mut known = Known { appended, ..old };
            if order.is_eq() {
                // The same bytes, nearer to the log's end.
                known.record.address = record.whence.address;
            }
            self.ledger.set(id, &known);
            self.journal.note(&Note::Heard {
                identity: known.identity,
                appended,
                address: known.record.address,
            });
        }
        Ok(outcome)
    }

    fn replace(
        &mut self,
        id: EntryId,
        record: &Record,
        past: &dyn Recall,
        out: &mut Vec<Change>,
    ) -> Result<(), Lost> {
        let old = self.ledger.get(id);
        if !old.retracted
            && let Some(contribution) = self.contribution(&past.event(old.record)?)
        {
            self.take_back((id, &contribution), past, out)?;
        }
        let contribution = self.contribution(record.event);
        let new = known(record, old.source, contribution.as_ref());
        let appended = new.appended.max(old.appended);
        self.ledger.set(id, &Known { appended, ..new });
        self.note_won(id, contribution.as_ref());
        match contribution {
            Some(contribution) => self.add((id, &contribution), past, out),
            None => Ok(()),
        }
    }

    fn contribution(&mut self, event: &Event) -> Option<Contribution> {
        let terms = Terms {
            facility: &event.facility,
            fingerprints: &self.fingerprints,
            teu_45ft_milli: self.rules.teu_45ft_milli,
        };
        let statement = event.statement.as_ref()?;
        let names = &mut self.names;
        Some(Contribution::of(statement, names, &mut self.calls, &terms))
    }

    fn note_won(&mut self, id: EntryId, contribution: Option<&Contribution>) {
        self.journal.note(&Note::Won(Won {
            known: self.ledger.get(id),
            occurred_at: contribution.map_or(0, |c| c.occurred_at),
            points: contribution.map(|c| c.points.clone()).unwrap_or_default(),
            marks: self.ledger.marks(id).into(),
        }));
    }

    /// Adds what an entry contributes, and its pairs.
    fn add(
        &mut self,
        current: Current,
        past: &dyn Recall,
        out: &mut Vec<Change>,
    ) -> Result<(), Lost> {
        let (entry, contribution) = current;
        out.push(Change::Posting(contribution.posting(1)));
        if let Some(lists) = twins(&contribution.points) {
            self.pairing.join(entry, lists);
        }
        for &point in &contribution.points {
            let marks = self.ledger.marks(entry);
            let place = Place {
                point,
                at: contribution.occurred_at,
                entry,
                settled: point.is_settled(&contribution.points, marks),
            };
            let mut ties = ByIdentity {
                ledger: &self.ledger,
                names: &self.names,
                past,
            };
            self.pairing.insert(&place, &mut ties, &mut self.paired)?;
        }
        self.post_pairs(Some(current), past, out)
    }

    /// Takes back what an entry contributes, and its pairs.
    fn take_back(
        &mut self,
        current: Current,
        past: &dyn Recall,
        out: &mut Vec<Change>,
    ) -> Result<(), Lost> {
        let (entry, contribution) = current;
        for point in &contribution.points {
            self.pairing.remove(point.list, entry, &mut self.paired);
        }
        self.pairing.part(entry);
        self.post_pairs(Some(current), past, out)?;
        out.push(Change::Posting(contribution.posting(-1)));
        Ok(())
    }

    /// Posts the pairs that began or ceased to be, each for its end's parties.
    fn post_pairs(
        &mut self,
        current: Option<Current>,
        past: &dyn Recall,
        out: &mut Vec<Change>,
    ) -> Result<(), Lost> {
        for paired in std::mem::take(&mut self.paired) {
            if paired.sign < 0 {
                self.counts.repaired += 1;
            }
            match current.filter(|(entry, _)| *entry == paired.end) {
                Some((_, end)) => out.push(Change::Posting(pair_posting(&paired, end))),
                None => {
                    let end = past.event(self.ledger.get(paired.end).record)?;
                    let end = self.contribution(&end);
                    out.extend(end.map(|end| Change::Posting(pair_posting(&paired, &end))));
                }
            }
        }
        Ok(())
    }

    /// Moves the log clock. When it reaches a new UTC day, identities whose last
    /// day is over are forgotten.
    fn advance(
        &mut self,
        appended_at: Millis,
        past: &dyn Recall,
        out: &mut Vec<Change>,
    ) -> Result<(), Lost> {
        let before = self.clock;
        let now = before.map_or(appended_at, |clock| clock.max(appended_at));
        self.clock = Some(now);
        let today = utc_day_of(now);
        if before.map(utc_day_of) != Some(today) {
            self.forget(today, past, out)?;
            out.push(Change::Clock(today));
        }
        Ok(())
    }

    /// Forgets what is due, one day after the other, also those on which nothing
    /// was appended. First every pair that has one of a day is frozen, then they
    /// leave: so it does not matter in which order.
    fn forget(&mut self, today: Day, past: &dyn Recall, out: &mut Vec<Change>) -> Result<(), Lost> {
        let due = self.ledger.due(today);
        let days: FxHashMap<EntryId, Day> = due.iter().map(|&(day, id)| (id, day)).collect();
        let mut lists = match due.is_empty() {
            true => Default::default(),
            false => self.pairing.due(|id| days.get(&id).copied()),
        };
        for due in due.chunk_by(|one, other| one.0 == other.0) {
            let today = due.first().map(|&(day, _)| day);
            let lists = today.and_then(|day| lists.remove(&day)).unwrap_or_default();
            let is_due = |id| days.get(&id).copied() == today;
            for &list in &lists {
                self.settle(list, is_due);
            }
            for &list in &lists {
                self.pairing.forget(list, is_due, &mut self.paired);
            }
            self.post_pairs(None, past, out)?;
            for &(_, id) in due {
                self.ledger.remove(id);
                self.pairing.part(id);
                self.counts.forgotten += 1;
            }
        }
        Ok(())
    }

    /// Freezes a list's pairs of which one is due.
    fn settle(&mut self, list: Fingerprint, is_due: impl Fn(EntryId) -> bool) {
        let mut frozen = Vec::new();
        self.pairing
            .settle(list, is_due, |entry, mark| frozen.push((entry, mark)));
        for (entry, mark) in frozen {
            self.note_frozen(entry, mark);
            // Who is in two lists of one truck pairs in neither any more.
            if let Some(twin) = self.pairing.twin(entry, list) {
                self.pairing.freeze(twin, entry);
                self.note_frozen(entry, (twin, mark.1));
            }
        }
    }

    fn note_frozen(&mut self, entry: EntryId, mark: Mark) {
        self.ledger.settle(entry, mark);
        let identity = self.ledger.get(entry).identity;
        self.journal.note(&Note::Frozen { identity, mark });
    }
}

/// What a record makes known of its identity.
fn known(record: &Record, source: NameId, contribution: Option<&Contribution>) -> Known {
    let told = |c: &Contribution| told_day(c.occurred_at, c.slot.map(|(_, end)| end));
    let revision = record.event.revision;
    Known {
        identity: record.identity,
        source,
        revision: (revision <= REVISION_MAX).then_some(revision),
        retracted: contribution.is_none(),
        record: record.whence,
        appended: utc_day_of(record.appended_at),
        told: contribution.map_or(0, told),
    }
}

/// A pair's posting: at its end event, for its parties. A berth stay counts for
/// the vessel call too.
fn pair_posting(paired: &Paired, end: &Contribution) -> Posting {
    let bucket = histogram::bucket(paired.duration_ms);
    let berth_stay = paired.kind == crate::pb::DurationKind::BerthStay;
    let figures = [
        (Meaning::DurationCount(paired.kind), 1),
        (Meaning::DurationSumMs(paired.kind), paired.duration_ms),
        (Meaning::DurationBucket(paired.kind, bucket), 1),
    ];
    Posting {
        sign: paired.sign,
        facility: end.facility,
        classifier: end.classifier,
        at: end.occurred_at,
        slot_end: None,
        call: end.call.clone().filter(|_| berth_stay),
        parties: end.parties.clone(),
        figures: figures
            .map(|(meaning, value)| (Figure::of(meaning), value))
            .into_iter()
            .collect(),
    }
}
