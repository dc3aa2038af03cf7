//! A day of Ningbo, deterministic from a seed: what happens in a port with its
//! terminals, depots, vessels, enterprises and trucks, as reporters tell it,
//! late, twice, amended and taken back; and what it truly comes to.
//!
//! The truth is reckoned from what was meant, by code that the meter doesn't
//! share.

mod disturb;
mod fact;
mod identifiers;
mod invalid;
mod plan;
mod quay;
mod random;
mod reckon;
mod road;
mod town;
mod wording;

pub use disturb::Counts;

use crate::pb;
use crate::truth::Truth;
use disturb::{Content, Mail, Post, Sending};
use fact::{Fact, Scribe, Source};
use jiff::tz::TimeZone;
use quay::{Quays, Volume};
use random::{Dice, HOUR, stir};
use town::Town;
use wording::Words;

/// The names of those who report.
pub const SOURCES: [&str; 3] = ["ygt", "tos", "eir"];

/// What is simulated. Values outside their bounds are taken as the nearest one
/// inside.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed: the same seed and end make the same bytes.
    pub seed: u64,
    /// The last instant of the day, in milliseconds since 1970-01-01T00:00:00Z.
    /// It begins 24 hours before.
    pub end_ms: i64,
    /// About how many distinct events: 1,000 to 10,000,000.
    pub events: u32,
    /// About how many enterprises: 60 to 30,000; by default in keeping with
    /// the events.
    pub enterprises: Option<u32>,
    /// How many trucks with a driver each: 300 to 90,000; by default in keeping
    /// with the events.
    pub drivers: Option<u32>,
    /// How reports go astray.
    pub rates: Rates,
}

/// How often reports go astray: shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of sendings that are sent again, once or up to eleven times.
    pub duplicates: f64,
    /// Of sendings that are held up, by up to `displacement_ms`.
    pub disorder: f64,
    /// The longest hold-up in milliseconds.
    pub displacement_ms: i64,
    /// Of events that are told 2 to 12 hours late.
    pub late: f64,
    /// Of events whose first versions were wrong.
    pub revisions: f64,
    /// Of events that are taken back, some to be brought back again.
    pub retractions: f64,
    /// Of further events that are to be refused.
    pub invalid: f64,
}

/// Distinct events of a day of the whole port.
pub const FULL_DAY: u32 = 450_000;

impl Default for Rates {
    fn default() -> Self {
        Self {
            duplicates: 0.03,
            disorder: 0.2,
            displacement_ms: 600_000,
            late: 0.02,
            revisions: 0.02,
            retractions: 0.01,
            invalid: 0.001,
        }
    }
}

impl Options {
    /// A full day with the usual rates.
    pub fn new(seed: u64, end_ms: i64) -> Self {
        let rates = Rates::default();
        Self {
            seed,
            end_ms,
            events: FULL_DAY,
            enterprises: None,
            drivers: None,
            rates,
        }
    }

    /// The same with about this many events.
    pub fn with_events(self, events: u32) -> Self {
        Self { events, ..self }
    }
}

impl Rates {
    /// Nothing goes astray.
    pub const NONE: Self = Self {
        duplicates: 0.0,
        disorder: 0.0,
        displacement_ms: 0,
        late: 0.0,
        revisions: 0.0,
        retractions: 0.0,
        invalid: 0.0,
    };

    fn clamped(self) -> Self {
        // A rate that is not a number is none.
        let share = |rate: f64| if rate > 0.0 { rate.min(1.0) } else { 0.0 };
        Self {
            duplicates: share(self.duplicates),
            disorder: share(self.disorder),
            displacement_ms: self.displacement_ms.clamp(0, 24 * HOUR),
            late: share(self.late),
            revisions: share(self.revisions),
            retractions: share(self.retractions),
            invalid: share(self.invalid),
        }
    }
}

/// What is to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is accepted, perhaps with warnings.
    Accepted,
    /// It is refused, for this reason.
    Refused(pb::Reason),
}

/// One event as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Who reports it.
    pub source: &'static str,
    /// The event.
    pub event: pb::Event,
    /// What is to become of it, if the service's clock is about at the day's
    /// end.
    pub expected: Expected,
}

/// A simulated day.
pub struct Simulation {
    tag: u64,
    end_ms: i64,
    town: Town,
    quays: Quays,
    facts: Vec<Fact>,
    mail: Mail,
}

impl Simulation {
    /// Simulates a day.
    pub fn new(options: &Options) -> Self {
        let end = options.end_ms;
        let (day, plans_until) = ((end - 24 * HOUR, end), end + 72 * HOUR);
        let events = options.events.clamp(1_000, 10_000_000);
        let scale = f64::from(events) / f64::from(FULL_DAY);
        let enterprises = options
            .enterprises
            .unwrap_or((3000.0 * scale.sqrt()) as u32);
        let drivers = options
            .drivers
            .unwrap_or((32_000.0 * scale) as u32)
            .clamp(300, 90_000);
        let dice = |part| Dice::new(options.seed, part);
        let town = Town::new(&mut dice(1), enterprises.clamp(60, 30_000), drivers);
        let mut scribe = Scribe::new(day, plans_until);
        let volume = Volume {
            moves_per_day: f64::from(events) * 0.075,
            calls_per_day: (48.0 * scale.sqrt()).max(6.0),
            span: (day.0 - 30 * HOUR, plans_until),
        };
        let mut at_quay = dice(2);
        let mut quays = Quays::new(&mut at_quay, &town, &mut scribe, &volume);
        // Trucks that come well before the day or after it leave steps within.
        let span = (day.0 - 12 * HOUR, day.1 + 26 * HOUR);
        let share_of_day = (span.1 - span.0) as f64 / (24 * HOUR) as f64;
        let rounds = f64::from(events) * EVENTS_BY_ROAD / EVENTS_PER_ROUND * share_of_day;
        let mut on_road = dice(3);
        road::Roads::new(&mut on_road, &town, &mut scribe, &mut quays).drive(
            rounds as usize,
            span,
            drivers,
        );
        quays.load(&mut at_quay, &town, &mut scribe);
        let facts = scribe.facts;
        let mail = Post::new(dice(4), &town, options.rates.clamped(), end).deliver(&facts, day);
        let tag = stir(options.seed ^ stir(end as u64));
        Self {
            tag,
            end_ms: end,
            town,
            quays,
            facts,
            mail,
        }
    }

    /// All that is sent, in sending order.
    pub fn sent(&self) -> impl ExactSizeIterator<Item = Sent> + '_ {
        self.mail.sendings.iter().map(|sending| self.put(sending))
    }

    /// What all of it truly comes to, with days of a zone.
    ///
    /// # Errors
    ///
    /// An end at the very edge of representable time.
    pub fn truth(&self, zone: &TimeZone) -> Result<Truth, jiff::Error> {
        reckon::reckon(
            &self.facts,
            &self.mail.void,
            &self.town,
            &self.quays.calls,
            zone,
        )
    }

    /// How many of each there are.
    pub fn counts(&self) -> Counts {
        self.mail.counts
    }

    fn put(&self, sending: &Sending) -> Sent {
        let words = Words {
            tag: self.tag,
            town: &self.town,
            calls: &self.quays.calls,
        };
        let fact = match sending.content {
            Content::Wrong(at) => &self.mail.wrong[at as usize],
            Content::True(fact)
            | Content::Retraction { of: fact, .. }
            | Content::Damaged { fact, .. } => &self.facts[fact as usize],
        };
        let source = match fact.source {
            Source::Ygt => SOURCES[0],
            Source::Tos => SOURCES[1],
            Source::Eir => SOURCES[2],
        };
        let mut expected = Expected::Accepted;
        let event = match sending.content {
            Content::True(_) | Content::Wrong(_) => words.statement(fact, sending.manner),
            Content::Retraction { wordy: false, .. } => words.retraction(fact, sending.manner),
            Content::Retraction { .. } => pb::Event {
                retracted: true,
                ..words.statement(fact, sending.manner)
            },
            Content::Damaged { fault, own_id, .. } => {
                let identity = own_id.unwrap_or(fact.identity);
                let mut event = words.statement(
                    &Fact {
                        identity,
                        ..fact.clone()
                    },
                    sending.manner,
                );
                fault.apply(&mut event, self.end_ms);
                expected = Expected::Refused(fault.reason());
                event
            }
        };
        Sent {
            source,
            event,
            expected,
        }
    }
}

/// Of all events, those that come of trucks' rounds.
const EVENTS_BY_ROAD: f64 = 0.90;

/// How many events a round leaves.
const EVENTS_PER_ROUND: f64 = 23.3;
