//! What is told in the end: an identity's lives, or a cell's events.

use super::search::Passed;
use super::tale::{Tale, Told};
use super::{Cell, Identity};
use crate::audit::life::{Life, Turn};
use crate::audit::pairs::{Pair, Point};
use crate::audit::sum::{self, Sum};
use crate::audit::{Day, Reach};
use crate::event::{Classifier, Event, Millis, Role};
use crate::log::Offset;
use crate::pb::DurationKind;
use crate::truth::{Figure, Figures};
use compact_str::CompactString;
use std::collections::BTreeMap;

/// What became of an event.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its lives, oldest first: one ends when the identity is forgotten, and the
    /// next begins when it is sent again. None: no record of it is in the log.
    pub lives: Vec<LifeAccount>,
    /// Its latest records, oldest first.
    pub records: Vec<Told>,
    /// Older records that are left out.
    pub records_omitted: u64,
    /// Facilities and sources at which the same event id is known.
    pub elsewhere: Vec<(CompactString, CompactString)>,
    /// How far back the log reaches.
    pub reach: Reach,
}

/// A life of an identity.
#[derive(Clone, Debug)]
pub struct LifeAccount {
    /// The version that holds.
    pub event: Option<Event>,
    /// The offset of its record.
    pub offset: Offset,
    /// When that was appended.
    pub appended_at: Millis,
    /// The first UTC day, by the log's clock, on which it is forgotten.
    pub forgotten_on: Day,
    /// Whether it is.
    pub forgotten: bool,
    /// Where it counts.
    pub shares: Vec<Share>,
    /// The vessel call that it counts for.
    pub call: Option<CallShare>,
    /// Start and end of the slot that it counts in.
    pub slot: Option<(Millis, Millis)>,
    /// What it pairs with.
    pub pairs: Vec<PairAccount>,
}

/// What is added to the cells of one party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Whose.
    pub enterprise: CompactString,
    /// In which role.
    pub role: Role,
    /// The classifier.
    pub classifier: Classifier,
    /// Start of the quarter-hour, in ms; none if it is kept no longer.
    pub quarter: Option<Millis>,
    /// Start of the day, in ms; none if it is kept no longer.
    pub day: Option<Millis>,
    /// How much.
    pub figures: Figures,
}

/// What is added to a vessel call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallShare {
    /// The reporter's id of the call.
    pub call_id: CompactString,
    /// The vessel: an IMO number, else a call sign.
    pub vessel: CompactString,
    /// Start of the day, in ms.
    pub day: Millis,
}

/// A duration.
#[derive(Clone, Debug)]
pub struct PairAccount {
    /// Which.
    pub kind: DurationKind,
    /// What both events have in common.
    pub key: CompactString,
    /// Whether it ends with the event that is asked about, or begins with it.
    pub is_end: bool,
    /// The other event.
    pub partner: Identity,
    /// When it begins, in ms.
    pub from: Millis,
    /// When it ends, in ms.
    pub to: Millis,
    /// The UTC day, by the log's clock, on which it was frozen because one of
    /// the two was forgotten.
    pub frozen_on: Option<Day>,
    /// Where it counts: at its end, for the parties of the end event.
    pub shares: Vec<Share>,
}

/// The events that make up a cell.
#[derive(Clone, Debug)]
pub struct Listing {
    /// By instant, then identity.
    pub events: Vec<Listed>,
    /// How far back the log reaches.
    pub reach: Reach,
}

/// One of a cell's events.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Who reported it, under which id.
    pub identity: Identity,
    /// The revision that holds.
    pub revision: i64,
    /// Whether that is a retraction: then only frozen durations count.
    pub retracted: bool,
    /// The offset of its record.
    pub offset: Offset,
    /// When that was appended.
    pub appended_at: Millis,
    /// When it happened; none of a retraction.
    pub occurred_at: Option<Millis>,
    /// The first instant at which it counts in the cell.
    pub counted_at: Millis,
    /// Whether its identity is forgotten.
    pub forgotten: bool,
    /// What it adds, durations that end with it included.
    pub figures: Figures,
    /// These durations.
    pub pairs: Vec<PairAccount>,
}

impl Tale {
    /// What became of the identity that was asked about.
    pub fn account(
        &self,
        passed: &Passed,
        elsewhere: Vec<(CompactString, CompactString)>,
    ) -> Account {
        let clock = passed.clock.unwrap_or(Day::MIN);
        let mut telling = Telling::new(self, clock);
        let pairs = self.recount.pairs(clock);
        let lives = self.lives.iter().filter_map(|&index| {
            let mut life = telling.life(index)?;
            let mine = pairs.iter().filter(|pair| pair.is_of(index));
            life.pairs = mine.map(|pair| telling.pair(pair, index)).collect();
            Some(life)
        });
        Account {
            lives: lives.collect(),
            records: self.told.iter().copied().collect(),
            records_omitted: self.omitted,
            elsewhere,
            reach: passed.reach,
        }
    }

    /// The events that count in a cell. All must be known of the lists in which
    /// one of them is an end.
    pub fn listing(&self, cell: &Cell, passed: &Passed) -> Listing {
        let clock = passed.clock.unwrap_or(Day::MIN);
        let mut telling = Telling::new(self, clock);
        let mut listed: BTreeMap<usize, Listed> = BTreeMap::new();
        for (index, life) in self.recount.lives().iter().enumerate() {
            let told = life.last().and_then(|turn| turn.told.as_ref());
            if let Some(told) = told.filter(|told| telling.is_in(cell, told, told.counted_at()))
                && let Some(mut one) = telling.listed(index, told.counted_at())
            {
                told.figures
                    .iter()
                    .for_each(|&(figure, value)| one.figures.add(figure, value));
                listed.insert(index, one);
            }
        }
        for pair in &self.recount.pairs(clock) {
            let Point { life, told, .. } = pair.end;
            if !telling.is_in(cell, told, told.at) {
                continue;
            }
            let Some(one) = telling.listed(life, told.at) else {
                continue;
            };
            let one = match listed.entry(life) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(none) => none.insert(one),
            };
            one.counted_at = one.counted_at.min(told.at);
            one.figures.merge(&duration(pair));
            let mut pair = telling.pair(pair, life);
            pair.shares.clear();
            one.pairs.push(pair);
        }
        let mut events: Vec<Listed> = listed.into_values().collect();
        events.sort_by(|a, b| (a.counted_at, &a.identity).cmp(&(b.counted_at, &b.identity)));
        let reach = passed.reach;
        Listing { events, reach }
    }
}

/// Puts what was recounted into words' place.
struct Telling<'a> {
    tale: &'a Tale,
    clock: Day,
    sum: Sum<'a>,
}

impl<'a> Telling<'a> {
    fn new(tale: &'a Tale, clock: Day) -> Self {
        let recount = &tale.recount;
        let sum = Sum::new(recount.rules(), recount.texts(), clock);
        Self { tale, clock, sum }
    }

    fn text(&self, name: u32) -> CompactString {
        self.tale.recount.texts().text(name).clone()
    }

    fn identity(&self, life: &Life) -> Identity {
        Identity {
            source: self.text(life.source),
            event_id: life.event_id.clone(),
        }
    }

    fn forgotten_on(&self, life: &Life) -> Day {
        life.forgotten_on(self.tale.recount.rules().horizon_days)
    }

    fn life(&mut self, index: usize) -> Option<LifeAccount> {
        let life = self.tale.recount.lives().get(index)?;
        let held = self.tale.held.get(index)?;
        let forgotten_on = self.forgotten_on(life);
        let mut account = LifeAccount {
            event: held.event.clone(),
            offset: held.offset,
            appended_at: held.appended_at,
            forgotten_on,
            forgotten: forgotten_on <= self.clock,
            shares: Vec::new(),
            call: None,
            slot: None,
            pairs: Vec::new(),
        };
        let Some(Turn {
            told: Some(told), ..
        }) = life.last()
        else {
            return Some(account);
        };
        let at = told.counted_at();
        let mut figures = Figures::default();
        told.figures
            .iter()
            .for_each(|&(figure, value)| figures.add(figure, value));
        account.shares = self.shares(told, at, &figures);
        let (quarter, day) = self.sum.place(at);
        account.call = told
            .call
            .zip(day)
            .map(|((call, vessel), (_, day))| CallShare {
                call_id: self.text(call),
                vessel: self.text(vessel),
                day,
            });
        account.slot = told.slot.filter(|_| quarter.is_some());
        Some(account)
    }

    fn shares(
        &mut self,
        told: &crate::audit::told::Told,
        at: Millis,
        figures: &Figures,
    ) -> Vec<Share> {
        let (quarter, day) = self.sum.place(at);
        let share = |&(role, enterprise): &(Role, u32)| Share {
            enterprise: self.text(enterprise),
            role,
            classifier: told.classifier,
            quarter,
            day: day.map(|(_, start)| start),
            figures: figures.clone(),
        };
        told.parties.iter().map(share).collect()
    }

    fn pair(&mut self, pair: &Pair<'_>, of: usize) -> PairAccount {
        let is_end = pair.end.life == of;
        let partner = if is_end { &pair.start } else { &pair.end };
        let partner = &self.tale.recount.lives()[partner.life];
        PairAccount {
            kind: pair.kind,
            key: self.text(pair.key),
            is_end,
            partner: self.identity(partner),
            from: pair.start.told.at,
            to: pair.end.told.at,
            frozen_on: pair.frozen,
            shares: self.shares(pair.end.told, pair.end.told.at, &duration(pair)),
        }
    }

    fn is_in(&self, cell: &Cell, told: &crate::audit::told::Told, at: Millis) -> bool {
        let texts = self.tale.recount.texts();
        let mine = |&(role, enterprise): &(Role, u32)| {
            role == cell.role && *texts.text(enterprise) == cell.enterprise
        };
        told.classifier == cell.classifier && cell.holds(at) && told.parties.iter().any(mine)
    }

    /// An event of a cell, without its figures.
    fn listed(&self, index: usize, counted_at: Millis) -> Option<Listed> {
        let life = self.tale.recount.lives().get(index)?;
        let held = self.tale.held.get(index)?;
        let told = life.last().and_then(|turn| turn.told.as_ref());
        Some(Listed {
            identity: self.identity(life),
            revision: held.version.revision,
            retracted: held.version.retracted,
            offset: held.offset,
            appended_at: held.appended_at,
            occurred_at: told.map(|told| told.at),
            counted_at,
            forgotten: self.forgotten_on(life) <= self.clock,
            figures: Figures::default(),
            pairs: Vec::new(),
        })
    }
}

impl Pair<'_> {
    fn is_of(&self, life: usize) -> bool {
        self.start.life == life || self.end.life == life
    }
}

fn duration(pair: &Pair<'_>) -> Figures {
    let mut figures = Figures::default();
    let each: [(Figure, i64); 3] = sum::duration(pair.kind, pair.lasted_ms());
    each.into_iter()
        .for_each(|(figure, value)| figures.add(figure, value));
    figures
}
