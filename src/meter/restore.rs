//! A meter as it was, from its journal. Chunks are read from the newest to the
//! oldest, so that of an identity the first note of a version is the true one.

use super::cell::{Day, utc_day_of};
use super::contribution::twins;
use super::journal::{Note, Won, notes};
use super::ledger::{Address, EntryId, Mark};
use super::pairing::Place;
use super::recall::{ByIdentity, Lost, Recall};
use super::{Counts, Meter, Rules};
use crate::event::Millis;
use crate::fingerprint::{Fingerprint, Fingerprints};
use crate::meter::names::Names;
use rustc_hash::FxHashMap;

/// What there is one of.
pub struct Parts {
    /// The settings that shape numbers.
    pub rules: Rules,
    /// Takes fingerprints, under the same key as before.
    pub fingerprints: Fingerprints,
    /// The names that all ids mean.
    pub names: Names,
    /// The log clock.
    pub clock: Option<Millis>,
    /// What became of all records.
    pub counts: Counts,
}

/// A meter that is being restored.
pub struct Restoring {
    meter: Meter,
    today: Day,
    // What was noted of identities after their version won.
    heard: FxHashMap<Fingerprint, (Day, Address)>,
    frozen: FxHashMap<Fingerprint, Vec<Mark>>,
    // Forgotten, but still noted.
    gone: Vec<EntryId>,
}

impl Restoring {
    /// Begins with what there is one of.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            rules,
            fingerprints,
            names,
            clock,
            counts,
        } = parts;
        Self {
            meter: Meter {
                names,
                clock,
                counts,
                ..Meter::new(rules, fingerprints)
            },
            today: clock.map_or(Day::MIN, utc_day_of),
            heard: FxHashMap::default(),
            frozen: FxHashMap::default(),
            gone: Vec::new(),
        }
    }

    /// Reads the next older chunk; how many notes it has.
    ///
    /// # Errors
    /// Bytes that are no chunk.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<u32, postcard::Error> {
        let notes = notes(bytes)?;
        let count = notes.len() as u32;
        for note in notes.into_iter().rev() {
            match note {
                Note::Won(won) => self.won(won),
                Note::Heard {
                    identity,
                    appended,
                    address,
                } => {
                    if self.meter.ledger.find(identity).is_none() {
                        self.heard.entry(identity).or_insert((appended, address));
                    }
                }
                Note::Frozen { identity, mark } => {
                    if self.meter.ledger.find(identity).is_none() {
                        self.frozen.entry(identity).or_default().push(mark);
                    }
                }
            }
        }
        Ok(count)
    }

    fn won(&mut self, won: Won) {
        let Won {
            mut known,
            occurred_at,
            points,
            mut marks,
        } = won;
        let ledger = &mut self.meter.ledger;
        if ledger.find(known.identity).is_some() {
            return;
        }
        if let Some((appended, address)) = self.heard.remove(&known.identity) {
            known.appended = known.appended.max(appended);
            known.record.address = address;
        }
        marks.extend(self.frozen.remove(&known.identity).unwrap_or_default());
        let entry = ledger.insert(&known);
        if known.expires(ledger.horizon_days()) < self.today {
            return self.gone.push(entry);
        }
        for &mark in &marks {
            ledger.settle(entry, mark);
        }
        if let Some(lists) = twins(&points) {
            self.meter.pairing.join(entry, lists);
        }
        for &point in &points {
            self.meter.pairing.load(&Place {
                point,
                at: occurred_at,
                entry,
                settled: point.is_settled(&points, &marks),
            });
        }
    }

    /// The meter, after the oldest chunk.
    ///
    /// # Errors
    /// A record that must be read again and cannot.
    pub fn finish(self, past: &dyn Recall) -> Result<Meter, Lost> {
        let Self {
            mut meter, gone, ..
        } = self;
        gone.into_iter()
            .for_each(|entry| meter.ledger.remove(entry));
        let mut ties = ByIdentity {
            ledger: &meter.ledger,
            names: &meter.names,
            past,
        };
        meter.pairing.sort(&mut ties)?;
        Ok(meter)
    }
}
