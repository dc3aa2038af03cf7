//! How facts reach the service: late, out of order, again, amended, taken back,
//! and some of them wrong.

use super::Rates;
use super::fact::{Fact, FactId, Source, What};
use super::invalid::Fault;
use super::random::{Dice, HOUR, MINUTE};
use super::town::Town;
use super::wording::Manner;
use crate::pb::Classifier;
use std::collections::HashSet;

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// A fact as it was.
    True(FactId),
    /// An older, wrong version: an index into [`Mail::wrong`].
    Wrong(u32),
    /// A retraction; with the statement's words beside it, if `wordy`.
    Retraction { of: FactId, wordy: bool },
    /// Something that is to be refused: a fact, damaged. It has the fact's id,
    /// or one of its own.
    Damaged {
        fact: FactId,
        fault: Fault,
        own_id: Option<FactId>,
    },
}

/// One sending.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    /// When it is sent, in milliseconds.
    pub at: i64,
    /// What.
    pub content: Content,
    /// How it is said.
    pub manner: Manner,
}

/// How many of each there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Distinct events that are to be accepted.
    pub events: u64,
    /// Events sent in all, each sending counted.
    pub sent: u64,
    /// Sendings of what was sent before, word for word or in other spelling.
    pub duplicates: u64,
    /// Events sent hours after they happened.
    pub late: u64,
    /// Sendings that were held up for a while.
    pub displaced: u64,
    /// Amended statements: further versions of an event.
    pub revisions: u64,
    /// Retractions.
    pub retractions: u64,
    /// Retractions that a later version overrides.
    pub brought_back: u64,
    /// Retractions sent before what they retract.
    pub early_retractions: u64,
    /// Sendings that are to be refused.
    pub invalid: u64,
}

/// All sendings.
pub(super) struct Mail {
    /// In sending order.
    pub sendings: Vec<Sending>,
    /// Wrong versions.
    pub wrong: Vec<Fact>,
    /// Which facts are taken back for good.
    pub void: Vec<bool>,
    /// How many of each.
    pub counts: Counts,
}

/// What happens to a fact on its way.
pub(super) struct Post<'a> {
    dice: Dice,
    town: &'a Town,
    rates: Rates,
    /// The last instant that can have happened.
    end: i64,
    mail: Mail,
    /// Lists out of which something was taken for good. Never two of one list:
    /// its neighbours would pair otherwise than meant. Only asked for members,
    /// so its order doesn't matter.
    thinned: HashSet<u64>,
}

impl<'a> Post<'a> {
    /// With these rates, until `end`.
    pub fn new(dice: Dice, town: &'a Town, rates: Rates, end: i64) -> Self {
        let mail = Mail {
            sendings: Vec::new(),
            wrong: Vec::new(),
            void: Vec::new(),
            counts: Counts::default(),
        };
        Self {
            dice,
            town,
            rates,
            end,
            mail,
            thinned: HashSet::new(),
        }
    }

    /// Sends all facts.
    pub fn deliver(mut self, facts: &[Fact], day: (i64, i64)) -> Mail {
        self.mail.void = vec![false; facts.len()];
        self.mail.sendings.reserve(facts.len() + facts.len() / 8);
        self.mail.counts.events = facts.len() as u64;
        for fact in facts {
            let told = self.told_at(fact, day);
            match self.dice.unit() {
                u if u < self.rates.retractions => self.retract(fact, told),
                u if u < self.rates.retractions + self.rates.revisions => self.amend(fact, told),
                _ => self.send(told, Content::True(fact.identity), revision(fact, 0)),
            }
        }
        self.damage(facts, day);
        self.mail.sendings.sort_by_key(|sending| sending.at);
        self.mail.counts.sent = self.mail.sendings.len() as u64;
        self.mail
    }

    /// When a fact is told first: soon after it happened, or hours later; a
    /// plan before.
    fn told_at(&mut self, fact: &Fact, day: (i64, i64)) -> i64 {
        let soon = match fact.source {
            Source::Ygt => self.dice.between(50, 2_000),
            Source::Tos => self.dice.between(500, 15_000),
            Source::Eir => self.dice.between(1_000, 120_000),
        };
        let known = match fact.classifier {
            Classifier::Actual => fact.at,
            _ => fact.at.min(day.1) - self.dice.minutes(10, 360),
        };
        let late = self.dice.chance(self.rates.late);
        self.mail.counts.late += u64::from(late);
        let wait = if late { self.dice.minutes(120, 720) } else { 0 };
        known.max(day.0) + soon + wait
    }

    /// Sends something, perhaps held up, perhaps again.
    fn send(&mut self, at: i64, content: Content, revision: i64) {
        let held_up = self.dice.chance(self.rates.disorder);
        self.mail.counts.displaced += u64::from(held_up);
        let wait = if held_up {
            self.dice.between(0, self.rates.displacement_ms)
        } else {
            0
        };
        let quaint = self.dice.chance(0.005);
        let sending = Sending {
            at: at + wait,
            content,
            manner: Manner { revision, quaint },
        };
        self.mail.sendings.push(sending);
        if !self.dice.chance(self.rates.duplicates) {
            return;
        }
        let again = if self.dice.chance(0.05) {
            self.dice.between(2, 12)
        } else {
            1
        };
        for _ in 0..again {
            let wait = match self.dice.index(10) {
                0 => 0,
                1 => self.dice.minutes(60, 600),
                _ => self.dice.between(1_000, 5 * MINUTE),
            };
            let quaint = self.dice.chance(0.05);
            let manner = Manner { revision, quaint };
            self.mail.sendings.push(Sending {
                at: sending.at + wait,
                content,
                manner,
            });
            self.mail.counts.duplicates += 1;
        }
    }

    /// Sends a fact whose first version, or first two, were wrong. The right
    /// one may overtake them.
    fn amend(&mut self, fact: &Fact, told: i64) {
        let wrong = if self.dice.chance(0.15) { 2 } else { 1 };
        let mut contents = Vec::new();
        for _ in 0..wrong {
            contents.push(self.wrong(fact));
        }
        contents.push(Content::True(fact.identity));
        self.mail.counts.revisions += wrong;
        self.send_versions(fact, told, &contents, 0.3);
    }

    /// Sends a fact and takes it back; for good, or until a later version
    /// brings it back.
    fn retract(&mut self, fact: &Fact, told: i64) {
        let wordy = self.dice.chance(0.3);
        let retraction = Content::Retraction {
            of: fact.identity,
            wordy,
        };
        if self.dice.chance(0.15) {
            self.mail.counts.retractions += 1;
            self.mail.counts.brought_back += 1;
            let first = self.wrong(fact);
            let contents = [first, retraction, Content::True(fact.identity)];
            return self.send_versions(fact, told, &contents, 0.3);
        }
        let lists = fact.lists();
        let free = !fact.firm && lists.iter().all(|list| !self.thinned.contains(list));
        if !free {
            return self.send(told, Content::True(fact.identity), revision(fact, 0));
        }
        self.thinned.extend(lists);
        self.mail.void[fact.identity as usize] = true;
        self.mail.counts.retractions += 1;
        let later = told + self.dice.minutes(1, 240);
        // At the same revision, a retraction beats a statement.
        let next = revision(fact, i64::from(self.dice.chance(0.7)));
        let early = self.dice.chance(0.25);
        self.mail.counts.early_retractions += u64::from(early);
        let (statement, taken_back) = if early { (later, told) } else { (told, later) };
        self.send(statement, Content::True(fact.identity), revision(fact, 0));
        self.send(taken_back, retraction, next);
    }

    /// Sends versions with ascending revisions, some minutes or hours between
    /// them; with a probability, in a shuffled order.
    fn send_versions(&mut self, fact: &Fact, told: i64, contents: &[Content], shuffled: f64) {
        let mut instants = vec![told];
        for _ in 1..contents.len() {
            let wait = if self.dice.chance(0.2) { HOUR } else { MINUTE };
            let last = instants.last().copied().unwrap_or(told);
            instants.push(last + wait + self.dice.between(0, 3 * wait));
        }
        if self.dice.chance(shuffled) {
            let at = self.dice.index(contents.len() - 1);
            instants.swap(at, contents.len() - 1);
        }
        for (version, (&content, at)) in contents.iter().zip(instants).enumerate() {
            self.send(at, content, revision(fact, version as i64));
        }
    }

    /// A wrong version of a fact. It is valid, and where the fact was.
    fn wrong(&mut self, fact: &Fact) -> Content {
        let mut wrong = fact.clone();
        match self.dice.index(4) {
            0 => {
                let at = fact.at + self.dice.between(-20 * MINUTE, 20 * MINUTE);
                wrong.at = at.min(if fact.classifier == Classifier::Actual {
                    self.end
                } else {
                    at
                });
            }
            1 => {
                let at = self.dice.index(wrong.parties.len());
                let other = self.town.other(&mut self.dice, wrong.parties[at]);
                if !wrong.parties.contains(&other) {
                    wrong.parties[at] = other;
                }
            }
            2 if self.dice.chance(0.2) => wrong.classifier = Classifier::Estimated,
            _ => self.misstate(&mut wrong.what),
        }
        self.mail.wrong.push(wrong);
        Content::Wrong(self.mail.wrong.len() as u32 - 1)
    }

    /// Changes a detail: plate, size, mass, slot, stage …
    fn misstate(&mut self, what: &mut What) {
        let dice = &mut self.dice;
        match what {
            What::Gate { boxes, truck, .. } => match dice.index(4) {
                0 => *truck = truck.map(|truck| if truck > 0 { truck - 1 } else { 1 }),
                1 if truck.is_some() => boxes.clear(),
                _ => boxes
                    .iter_mut()
                    .for_each(|container| misread(dice, container)),
            },
            What::Quay {
                restow, container, ..
            } => match dice.index(4) {
                0 => *restow = !*restow,
                _ => misread(dice, container),
            },
            What::Yard { container, .. } => misread(dice, container),
            What::Dispatch { order, truck, .. } => match truck {
                Some(truck) if *truck > 0 => *truck -= 1,
                _ => *order += 1,
            },
            What::Appointment { slot, .. } => {
                let off = dice.pick(&[-HOUR, HOUR, 2 * HOUR]);
                *slot = (slot.0 + off, slot.1 + off);
            }
            What::Vessel { call, .. } => *call = call.saturating_sub(1),
            What::Service { order, .. } => *order += 1,
            What::Shipment { document, .. } => *document += 1,
        }
    }

    /// Adds what is to be refused, each fault in turn.
    fn damage(&mut self, facts: &[Fact], day: (i64, i64)) {
        let count = (facts.len() as f64 * self.rates.invalid).round() as usize;
        for (number, fault) in (0..count).zip(Fault::ALL.into_iter().cycle()) {
            let fits = |fact: &&Fact| fault.fits(fact);
            let from = self.dice.index(facts.len());
            let Some(fact) = facts[from..].iter().chain(facts).find(fits) else {
                continue;
            };
            // Half of them are a first try of what is then sent aright.
            let own_id = self
                .dice
                .chance(0.5)
                .then_some((facts.len() + number) as FactId);
            let content = Content::Damaged {
                fact: fact.identity,
                fault,
                own_id,
            };
            let at = fact.at.clamp(day.0, day.1) - self.dice.between(0, MINUTE);
            let manner = Manner {
                revision: revision(fact, 0),
                quaint: false,
            };
            self.mail.sendings.push(Sending {
                at,
                content,
                manner,
            });
            self.mail.counts.invalid += 1;
        }
    }
}

/// Another size or mass, or no mass.
fn misread(dice: &mut Dice, container: &mut super::fact::Container) {
    match dice.index(3) {
        0 => container.size = super::quay::size(dice),
        1 => container.mass_kg = 0,
        _ => container.mass_kg = dice.between(3_000, 30_000) as u32,
    }
}

/// The n-th version of a fact: terminals use the clock, the others count.
fn revision(fact: &Fact, version: i64) -> i64 {
    match fact.source {
        Source::Tos => fact.at + version * 1000,
        Source::Ygt | Source::Eir => version,
    }
}
