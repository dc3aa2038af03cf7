//! Holds answers against recounts, facility by facility.
//!
//! A service that goes on counting answers from many states: all that is known
//! is the position before the first and after the last answer. An answer that
//! both positions' recounts agree with is settled at once. Any other may be of a
//! state in between, even where those two are the same: an event that came and
//! was taken back leaves no trace in them. So it is asked again, a few cells at a
//! time, and only an answer of one state, held against the recount of just that
//! state, is a difference.

use super::feed::{Extent, Survey};
use super::{Day, Error, Feed, Rules, utc_day};
use crate::event::{Classifier, Millis};
use crate::log::Offset;
use crate::log::readable::Readable;
use crate::truth::{self, Difference, Figure, Figures, Grain, QUARTER_MS, Truth};
use compact_str::CompactString;
use std::collections::{BTreeMap, BTreeSet};

/// How often what moved is asked again.
const ROUNDS_MAX: usize = 8;

/// States that are recounted in one such round, but for the last, which recounts
/// each.
const STATES_MAX: usize = 16;

/// A part of what is answered about a facility, small enough for one state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All cells of a grain that start at this instant.
    Cells(Grain, Millis),
    /// A vessel call.
    Call(CompactString, Classifier),
    /// All slots that start in the quarter-hour of this instant.
    Slots(Millis),
}

/// A part's answer, and of which position it is; none if it is of several.
pub type Again = (Truth, Option<Offset>);

/// Whoever was asked.
pub trait Answers {
    /// The facilities that anything was answered about.
    fn facilities(&self) -> Vec<CompactString>;

    /// Everything that was answered about a facility.
    ///
    /// # Errors
    /// It cannot be had any more.
    fn of(&mut self, facility: &CompactString) -> Result<Truth, Error>;

    /// Asks for a part once more.
    ///
    /// # Errors
    /// The one who was asked does not answer.
    fn again(&mut self, facility: &CompactString, part: &Part) -> Result<Again, Error>;
}

/// What is to be held against what.
pub struct Audit<'a> {
    /// The log.
    pub log: &'a dyn Readable,
    /// The settings that the numbers came about under.
    pub rules: &'a Rules,
    /// What there is in the log.
    pub survey: &'a Survey,
    /// A position before the first answer.
    pub first: Offset,
    /// A position after the last answer.
    pub last: Offset,
    /// Records that are in memory at once, unless one facility has more.
    pub records_max: u64,
    /// Differences that are told one by one.
    pub shown_max: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Identities that are known at the last position.
    pub identities: i64,
    /// Lives of identities that have ended.
    pub forgotten: i64,
    /// Quarter-hour cells that were compared.
    pub quarters: u64,
    /// Day cells that were compared.
    pub days: u64,
    /// Vessel calls that were compared.
    pub calls: u64,
    /// Slots that were compared.
    pub slots: u64,
    /// Figures that differ.
    pub differences: u64,
    /// The first of them.
    pub shown: Vec<Difference>,
    /// Parts that were asked again because they moved.
    pub asked_again: u64,
    /// Parts that moved whenever they were asked: they were not compared.
    pub unsettled: u64,
    /// If the log was cut: the first instants, of acts and of what lies ahead,
    /// from which on it tells everything.
    pub vouches_from: Option<(Millis, Millis)>,
}

impl Report {
    /// Adds what came of another partition of the same log; of the differences, so many
    /// are shown.
    pub fn include(&mut self, other: Self, shown_max: usize) {
        self.identities += other.identities;
        self.forgotten += other.forgotten;
        self.quarters += other.quarters;
        self.days += other.days;
        self.calls += other.calls;
        self.slots += other.slots;
        self.differences += other.differences;
        self.asked_again += other.asked_again;
        self.unsettled += other.unsettled;
        let room = shown_max.saturating_sub(self.shown.len());
        self.shown.extend(other.shown.into_iter().take(room));
        self.vouches_from = match (self.vouches_from, other.vouches_from) {
            (Some((acts, ahead)), Some((also, and))) => Some((acts.max(also), ahead.max(and))),
            (one, other) => one.or(other),
        };
    }
}

impl Audit<'_> {
    /// Recounts and compares everything. `progress` is told how much of the
    /// log was read, over all passes.
    ///
    /// # Errors
    /// The log's and the answers'.
    pub fn run(
        &self,
        answers: &mut dyn Answers,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Report, Error> {
        let mut report = Report {
            vouches_from: self.survey.reach().vouches_from(self.rules),
            ..Report::default()
        };
        let mut read = 0;
        for pass in self.passes(answers) {
            let mut pass = Pass {
                audit: self,
                feed: Feed::new(self.log, self.rules, &pass)?,
                facilities: pass,
                report: &mut report,
            };
            let mut amount = 0;
            pass.run(answers, &mut |of_pass| {
                amount = of_pass;
                progress(read + of_pass);
            })?;
            read += amount;
        }
        Ok(report)
    }

    /// How many passes over the log that takes.
    pub fn passes(&self, answers: &dyn Answers) -> Vec<Vec<CompactString>> {
        let answered = answers.facilities().into_iter();
        let known = self.survey.facilities.keys().cloned();
        let all: BTreeSet<CompactString> = answered.chain(known).collect();
        let (mut passes, mut records): (Vec<Vec<CompactString>>, u64) = (Vec::new(), 0);
        for facility in all {
            let more = self.extent(&facility).records;
            match passes.last_mut() {
                Some(pass) if records + more <= self.records_max => pass.push(facility),
                _ => {
                    records = 0;
                    passes.push(vec![facility]);
                }
            }
            records += more;
        }
        passes
    }

    fn extent(&self, facility: &CompactString) -> Extent {
        let extent = self.survey.facilities.get(facility);
        extent.copied().unwrap_or_default()
    }
}

/// Some facilities, in one pass over the log.
struct Pass<'a> {
    audit: &'a Audit<'a>,
    feed: Feed<'a>,
    facilities: Vec<CompactString>,
    report: &'a mut Report,
}

type Parts = BTreeSet<(CompactString, Part)>;

/// Parts with their answers, by the states that these are of.
type Asked = BTreeMap<Offset, Vec<(CompactString, Part, Truth)>>;

impl Pass<'_> {
    fn run(
        &mut self,
        answers: &mut dyn Answers,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let Audit { first, last, .. } = *self.audit;
        self.feed.until(first, &mut *progress)?;
        let newest = self.audit.survey.newest.map(utc_day);
        let same_day = self.feed.clock() == newest;
        let mut early: BTreeMap<CompactString, Truth> = BTreeMap::new();
        for facility in &self.facilities {
            if !same_day || self.audit.extent(facility).last >= first {
                early.insert(facility.clone(), self.truth(facility));
            }
        }
        self.feed.until(last, &mut *progress)?;
        let mut moving = Parts::new();
        for facility in self.facilities.clone() {
            let late = self.counted(&facility);
            let answered = answers.of(&facility)?;
            let Some(early) = early.remove(&facility) else {
                self.compare(late, answered);
                continue;
            };
            let mut parts = moved(&early, &late);
            parts.extend(moved(&late, &answered));
            self.compare(without(late, &parts), without(answered, &parts));
            moving.extend(parts.into_iter().map(|part| (facility.clone(), part)));
        }
        for round in 1..=ROUNDS_MAX {
            if moving.is_empty() {
                break;
            }
            let states_max = match round {
                ROUNDS_MAX => usize::MAX,
                _ => STATES_MAX,
            };
            moving = self.again(moving, states_max, answers, progress)?;
        }
        self.report.unsettled += moving.len() as u64;
        Ok(())
    }

    /// The facility's cells now, and how many identities they are of.
    fn counted(&mut self, facility: &CompactString) -> Truth {
        let clock = self.feed.clock().unwrap_or(Day::MIN);
        let counted = self
            .feed
            .recount(facility)
            .map(|recount| recount.count(clock));
        let counted = counted.unwrap_or_default();
        self.report.identities += counted.identities;
        self.report.forgotten += counted.forgotten;
        counted.truth(facility)
    }

    fn truth(&self, facility: &CompactString) -> Truth {
        let clock = self.feed.clock().unwrap_or(Day::MIN);
        let recount = self.feed.recount(facility);
        recount.map_or_else(Truth::default, |recount| {
            recount.count(clock).truth(facility)
        })
    }

    /// Asks for parts once more, and gives back those that have moved again.
    fn again(
        &mut self,
        parts: Parts,
        states_max: usize,
        answers: &mut dyn Answers,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Parts, Error> {
        let (mut moving, mut asked) = (Parts::new(), Asked::new());
        for (facility, part) in parts {
            self.report.asked_again += 1;
            match answers.again(&facility, &part)? {
                (truth, Some(position)) if position >= self.feed.position() => {
                    let of_state = asked.entry(position).or_default();
                    of_state.push((facility, part, truth));
                }
                _ => {
                    moving.insert((facility, part));
                }
            }
        }
        if asked.len() <= states_max {
            self.each_state(asked, progress)?;
        } else {
            self.first_and_last(asked, &mut moving, progress)?;
        }
        Ok(moving)
    }

    /// Holds each answer against the recount of its own state.
    fn each_state(&mut self, asked: Asked, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        for (position, asked) in asked {
            self.feed.until(position, &mut *progress)?;
            let mut truths = BTreeMap::new();
            for (facility, part, answered) in asked {
                let truth = truths
                    .entry(facility.clone())
                    .or_insert_with(|| self.truth(&facility));
                let expected = only(truth, &part);
                self.compare(expected, answered);
            }
        }
        Ok(())
    }

    /// Settles what the first and the last of many states agree on with the
    /// answer; the rest is still moving.
    fn first_and_last(
        &mut self,
        asked: Asked,
        moving: &mut Parts,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let mut truths = |position: Option<&Offset>| {
            if let Some(&position) = position {
                self.feed.until(position, &mut *progress)?;
            }
            let truth = |facility: &CompactString| (facility.clone(), self.truth(facility));
            Ok::<BTreeMap<_, _>, Error>(self.facilities.iter().map(truth).collect())
        };
        let (early, late) = (truths(asked.keys().next())?, truths(asked.keys().last())?);
        for (facility, part, answered) in asked.into_values().flatten() {
            let of = |truths: &BTreeMap<CompactString, Truth>| {
                let truth = truths.get(&facility);
                truth.map(|truth| only(truth, &part)).unwrap_or_default()
            };
            let (early, late) = (of(&early), of(&late));
            if early == late && truth::diff(&late, &answered).is_empty() {
                self.compare(late, answered);
            } else {
                moving.insert((facility, part));
            }
        }
        Ok(())
    }

    fn compare(&mut self, mut expected: Truth, mut answered: Truth) {
        if let Some(from) = self.report.vouches_from {
            cut(&mut expected, from);
            cut(&mut answered, from);
        }
        let report = &mut *self.report;
        report.quarters += expected.count(Grain::Quarter) as u64;
        report.days += expected.count(Grain::Day) as u64;
        report.calls += expected.calls.len() as u64;
        report.slots += expected.slots.len() as u64;
        let differences = truth::diff(&expected, &answered);
        report.differences += differences.len() as u64;
        let room = self.audit.shown_max.saturating_sub(report.shown.len());
        report.shown.extend(differences.into_iter().take(room));
    }
}

fn quarter(at: Millis) -> Millis {
    at - at.rem_euclid(QUARTER_MS)
}

/// The parts in which two truths differ.
fn moved(early: &Truth, late: &Truth) -> BTreeSet<Part> {
    let mut parts = BTreeSet::new();
    for (key, figures) in early.cells.iter().chain(&late.cells) {
        if early.cells.get(key) != Some(figures) || late.cells.get(key) != Some(figures) {
            parts.insert(Part::Cells(key.grain, key.start_ms));
        }
    }
    for (key, call) in early.calls.iter().chain(&late.calls) {
        if early.calls.get(key) != Some(call) || late.calls.get(key) != Some(call) {
            parts.insert(Part::Call(key.call_id.clone(), key.classifier));
        }
    }
    for (key, slot) in early.slots.iter().chain(&late.slots) {
        if early.slots.get(key) != Some(slot) || late.slots.get(key) != Some(slot) {
            parts.insert(Part::Slots(quarter(key.slot_start_ms)));
        }
    }
    parts
}

fn without(mut truth: Truth, parts: &BTreeSet<Part>) -> Truth {
    let kept = |part: Part| !parts.contains(&part);
    truth
        .cells
        .retain(|key, _| kept(Part::Cells(key.grain, key.start_ms)));
    truth
        .calls
        .retain(|key, _| kept(Part::Call(key.call_id.clone(), key.classifier)));
    truth
        .slots
        .retain(|key, _| kept(Part::Slots(quarter(key.slot_start_ms))));
    truth
}

fn only(truth: &Truth, part: &Part) -> Truth {
    let mut found = Truth::default();
    match part {
        Part::Cells(grain, start) => {
            let here = |key: &&truth::Key| key.grain == *grain && key.start_ms == *start;
            let cells = truth.cells.iter().filter(|(key, _)| here(key));
            found.cells = cells.map(|(key, f)| (key.clone(), f.clone())).collect();
        }
        Part::Call(id, classifier) => {
            let here = |key: &&truth::CallKey| key.call_id == *id && key.classifier == *classifier;
            let calls = truth.calls.iter().filter(|(key, _)| here(key));
            found.calls = calls.map(|(key, call)| (key.clone(), *call)).collect();
        }
        Part::Slots(start) => {
            let here = |key: &&truth::SlotKey| quarter(key.slot_start_ms) == *start;
            let slots = truth.slots.iter().filter(|(key, _)| here(key));
            found.slots = slots.map(|(key, slot)| (key.clone(), *slot)).collect();
        }
    }
    found
}

/// Leaves only what a log that was cut can vouch for. Vessel calls have no time
/// of their own, so nothing is said of them.
fn cut(truth: &mut Truth, (acts, ahead): (Millis, Millis)) {
    let from = |classifier| match classifier {
        Classifier::Actual => acts,
        _ => ahead,
    };
    truth
        .cells
        .retain(|key, _| key.start_ms >= from(key.classifier));
    truth.calls.clear();
    truth.slots.retain(|key, _| key.slot_start_ms >= ahead);
    // Steps of appointments are counted at their slots, which lie ahead.
    for (key, figures) in &mut truth.cells {
        if key.start_ms < ahead {
            let mut kept = Figures::default();
            let others = figures.iter();
            others
                .filter(|(figure, _)| !matches!(figure, Figure::Appointment(_)))
                .for_each(|(figure, value)| kept.add(figure, value));
            *figures = kept;
        }
    }
    truth.cells.retain(|_, figures| !figures.is_empty());
}
