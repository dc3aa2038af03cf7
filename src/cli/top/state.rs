//! What is known of the service, and what the person has chosen to see. Pure:
//! times are arguments, in milliseconds since the view was opened.

use super::super::words;
use crate::event::Millis;
use crate::pb::{self, Measure, Role};
use std::collections::VecDeque;
use std::time::Duration;

/// Rates are taken over so much of the service's time, if there is as much.
const RATE_MS: i64 = 10_000;

/// Answers that are remembered for rates, at most.
const SAMPLES_MAX: usize = 64;

/// A text of a fault is shown up to here.
const FAULT_CHARS_MAX: usize = 200;

/// What is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// In which role.
    pub role: Role,
    /// By what.
    pub measure: Measure,
}

/// All answers of one round of questions.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What was asked for.
    pub choice: Choice,
    /// How the service does.
    pub status: pb::GetStatusResponse,
    /// The leaders of today.
    pub leaders: Vec<pb::RankedEnterprise>,
    /// Today's truck turns at terminals, if there were any.
    pub turns: Option<pb::DurationFigure>,
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `q`, Ctrl-C.
    Quit,
    /// Esc: what is on top goes.
    Escape,
    /// `p`.
    Pause,
    /// `?`.
    Help,
    /// → and ←.
    Role(i8),
    /// `1` to `8`.
    RoleNumber(usize),
    /// ↓ and ↑.
    Measure(i8),
}

/// Counts of one answer.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The service's clock.
    at: Millis,
    /// When the service started: others are of another count.
    since: Millis,
    counts: Counts,
}

/// What is counted up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts<T = i64> {
    /// Accepted.
    pub accepted: T,
    /// Refused.
    pub refused: T,
    /// Warned about, each warning.
    pub warned: T,
    /// Applied without effect.
    pub duplicates: T,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub why: String,
    /// When it is tried again.
    pub again_at: u64,
}

/// All that a frame shows.
#[derive(Clone, Debug)]
pub struct State {
    /// Where the service listens.
    pub server: String,
    /// How often it is asked.
    pub interval: Duration,
    /// What is to be ranked.
    pub choice: Choice,
    /// Whether it is asked at all.
    pub paused: bool,
    /// Whether the keys are explained.
    pub help: bool,
    /// The latest answers, and when they came.
    pub reading: Option<(u64, Reading)>,
    /// None while the service answers.
    pub fault: Option<Fault>,
    samples: VecDeque<Sample>,
}

impl State {
    /// Nothing is known yet.
    pub fn new(server: &str, interval: Duration, choice: Choice) -> Self {
        Self {
            server: server.into(),
            interval,
            choice,
            paused: false,
            help: false,
            reading: None,
            fault: None,
            samples: VecDeque::new(),
        }
    }

    /// The service has answered.
    pub fn heard(&mut self, now: u64, reading: Reading) {
        if let Some(sample) = sample(&reading.status) {
            let other = |last: &Sample| last.since != sample.since || last.at > sample.at;
            if self.samples.back().is_some_and(other) {
                self.samples.clear();
            }
            self.samples.push_back(sample);
            // One that is old enough stays, to count from.
            while self.samples.len() > SAMPLES_MAX
                || self
                    .samples
                    .get(1)
                    .is_some_and(|second| sample.at - second.at >= RATE_MS)
            {
                self.samples.pop_front();
            }
        }
        self.reading = Some((now, reading));
        self.fault = None;
    }

    /// The service has not answered.
    pub fn failed(&mut self, why: &str, again_at: u64) {
        let printable = |c: &char| !c.is_control();
        let why = why
            .chars()
            .filter(printable)
            .take(FAULT_CHARS_MAX)
            .collect();
        self.fault = Some(Fault { why, again_at });
    }

    /// A key was pressed; whether that was to quit.
    pub fn pressed(&mut self, key: Key) -> bool {
        match key {
            Key::Quit => return true,
            Key::Escape if !self.help => return true,
            Key::Escape => self.help = false,
            Key::Pause => self.paused = !self.paused,
            Key::Help => self.help = !self.help,
            Key::Role(step) => self.choice.role = next(words::role(), self.choice.role, step),
            Key::RoleNumber(number) => {
                if let Some((_, role)) = words::role().all().get(number.wrapping_sub(1)) {
                    self.choice.role = *role;
                }
            }
            Key::Measure(step) => {
                self.choice.measure = next(words::measure(), self.choice.measure, step);
            }
        }
        false
    }

    /// How long ago the latest answer came, if that is worth a word: it is not
    /// while the service is asked as it should be.
    pub fn stale_ms(&self, now: u64) -> Option<u64> {
        let patience = (3 * self.interval).max(Duration::from_secs(5));
        let since = self.reading.as_ref().map_or(0, |(at, _)| *at);
        let age = now.saturating_sub(since);
        let late = u128::from(age) > patience.as_millis() && !self.paused;
        (late || self.fault.is_some()).then_some(age)
    }

    /// What came per second lately; none before the second answer.
    pub fn rates(&self) -> Option<Counts<f64>> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let seconds = (last.at - first.at) as f64 / 1000.0;
        let rate = |of: fn(&Counts) -> i64| {
            let more = of(&last.counts) - of(&first.counts);
            more.max(0) as f64 / seconds
        };
        (seconds > 0.0).then(|| Counts {
            accepted: rate(|counts| counts.accepted),
            refused: rate(|counts| counts.refused),
            warned: rate(|counts| counts.warned),
            duplicates: rate(|counts| counts.duplicates),
        })
    }
}

/// An instant of a message.
pub fn millis(at: Option<pbjson_types::Timestamp>) -> Option<Millis> {
    at.map(|at| at.seconds.saturating_mul(1000) + i64::from(at.nanos) / 1_000_000)
}

/// How many there are of all reasons.
pub fn sum(reasons: &[pb::ReasonCount]) -> i64 {
    reasons.iter().map(|reason| reason.count).sum()
}

fn sample(status: &pb::GetStatusResponse) -> Option<Sample> {
    let intake = status.intake.as_ref()?;
    Some(Sample {
        at: millis(status.now)?,
        since: millis(status.started_at)?,
        counts: Counts {
            accepted: intake.accepted,
            refused: sum(&intake.refused),
            warned: sum(&intake.warned),
            duplicates: status.duplicates,
        },
    })
}

/// The next one of a list, or the one before; from the end to the begin.
fn next<T: Copy + PartialEq + 'static>(words: words::Words<T>, now: T, step: i8) -> T {
    let all = words.all();
    let at = all.iter().position(|(_, one)| *one == now).unwrap_or(0);
    let to = (at as i64 + i64::from(step)).rem_euclid(all.len() as i64);
    all[to as usize].1
}
