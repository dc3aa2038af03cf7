//! The recount of one facility.

use super::life::{Life, Version};
use super::pairs::{Lists, Pair};
use super::sum::{Counted, Item, Sum, duration};
use super::told::{Texts, Told};
use super::{Day, Rules};
use crate::event::{Event, Millis};
use crate::pb::DurationKind;
use compact_str::CompactString;
use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::smallvec;
use std::hash::BuildHasher as _;

/// One record of the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Who reported it.
    pub source: &'a str,
    /// When it was appended to the log.
    pub appended_at: Millis,
    /// The log clock's day when it was.
    pub day: Day,
    /// What was reported.
    pub event: &'a Event,
    /// Its content hash.
    pub content: [u8; 32],
}

/// All records of one facility, each identity's in one place.
pub struct Recount {
    rules: Rules,
    facility: CompactString,
    texts: Texts,
    lives: Vec<Life>,
    /// The latest life of each identity, whether it has ended or not.
    latest: HashTable<usize>,
    hasher: DefaultHashBuilder,
    records: u64,
}

/// Something that counts: an event, or a duration at its end event.
pub struct Counting<'a> {
    told: &'a Told,
    pair: Option<&'a Pair<'a>>,
}

impl Recount {
    /// No record yet.
    pub fn new(rules: Rules, facility: CompactString) -> Self {
        Self {
            rules,
            facility,
            texts: Texts::default(),
            lives: Vec::new(),
            latest: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            records: 0,
        }
    }

    /// Which facility.
    pub fn facility(&self) -> &CompactString {
        &self.facility
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Takes the facility's next record, in the log's order; the number of the
    /// life that it belongs to. Lives are numbered as they begin.
    pub fn add(&mut self, record: &Record<'_>) -> usize {
        self.records += 1;
        let source = self.texts.number(record.source);
        let teu = self.rules.teu_45ft_milli;
        let statement = record.event.statement.as_ref();
        let told = statement.map(|statement| Told::of(statement, &mut self.texts, teu));
        let version = Version::of(record.event, record.content);
        let (event_id, lives) = (&record.event.event_id, &self.lives);
        let same =
            |&life: &usize| lives[life].source == source && lives[life].event_id == *event_id;
        let hash = self.hasher.hash_one((source, event_id));
        let found = self.latest.find_mut(hash, same);
        let next = self.lives.len();
        match found {
            Some(life) if self.lives[*life].forgotten_on(self.rules.horizon_days) > record.day => {
                let index = *life;
                self.lives[index].take(record.day, record.appended_at, version, told);
                return index;
            }
            Some(life) => *life = next,
            None => {
                let rehash = |&life: &usize| {
                    let life: &Life = &lives[life];
                    self.hasher.hash_one((life.source, &life.event_id))
                };
                // It is not among the lives yet: it is hashed anew only later.
                self.latest.insert_unique(hash, next, rehash);
            }
        }
        let turn = super::life::Turn {
            from: record.day,
            version,
            told,
        };
        self.lives.push(Life {
            source,
            event_id: event_id.clone(),
            turns: smallvec![turn],
            appended_at: record.appended_at,
        });
        next
    }

    /// The settings.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The lives, by number.
    pub(super) fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// The texts of their numbers.
    pub(super) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// All cells of the records so far, when the log clock has reached a day.
    pub fn count(&self, clock: Day) -> Counted {
        let mut sum = Sum::new(&self.rules, &self.texts, clock);
        self.each(clock, |counting| counting.tell(|item| sum.add(item)));
        let mut counted = sum.counted(&self.facility);
        let lives = self.lives.iter();
        let forgotten = lives.filter(|life| life.forgotten_on(self.rules.horizon_days) <= clock);
        counted.forgotten = forgotten.count() as i64;
        counted.identities = self.lives.len() as i64 - counted.forgotten;
        counted
    }

    /// Everything that counts, in no order.
    pub(super) fn each(&self, clock: Day, mut tell: impl FnMut(&Counting<'_>)) {
        for life in &self.lives {
            if let Some(told) = life.last().and_then(|turn| turn.told.as_ref()) {
                tell(&Counting { told, pair: None });
            }
        }
        for pair in &self.pairs(clock) {
            tell(&Counting {
                told: pair.end.told,
                pair: Some(pair),
            });
        }
    }

    /// Every pair, when the log clock has reached a day.
    pub(super) fn pairs(&self, clock: Day) -> Vec<Pair<'_>> {
        let lists = Lists {
            lives: &self.lives,
            texts: &self.texts,
            horizon_days: self.rules.horizon_days,
            clock,
        };
        lists.pairs()
    }
}

impl Counting<'_> {
    /// What it adds, and where.
    fn tell(&self, mut add: impl FnMut(&Item<'_>)) {
        let Told {
            classifier,
            parties,
            ..
        } = self.told;
        let duration = self.pair.map(|pair| duration(pair.kind, pair.lasted_ms()));
        let stays = |pair: &&Pair<'_>| pair.kind == DurationKind::BerthStay;
        add(&Item {
            classifier: *classifier,
            at: self.at(),
            slot_end: self.slot_end(),
            call: match &self.pair {
                // Of durations, a call counts its stays at the berth.
                Some(pair) => self.told.call.filter(|_| stays(pair)),
                None => self.told.call,
            },
            parties,
            figures: duration.as_ref().map_or(&*self.told.figures, |d| &d[..]),
        });
    }

    /// The instant at which it counts.
    pub fn at(&self) -> Millis {
        match self.pair {
            Some(_) => self.told.at,
            None => self.told.counted_at(),
        }
    }

    fn slot_end(&self) -> Option<Millis> {
        let slot = self.told.slot.filter(|_| self.pair.is_none());
        slot.map(|(_, end)| end)
    }
}
