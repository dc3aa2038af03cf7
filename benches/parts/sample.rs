//! A small simulated day, as it is at each step of its way.

use quaymeter::event::{Event, Millis};
use quaymeter::fingerprint::{Fingerprint, Fingerprints};
use quaymeter::meter::cell::{Cells, Keeping};
use quaymeter::meter::ledger::Whence;
use quaymeter::meter::recall::{Lost, Recall};
use quaymeter::meter::{Meter, Record, Rules};
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::simulate::{Options, Rates, Simulation};
use quaymeter::wire::{self, Judge};
use quaymeter::{event::Classifier, pb};

/// Distinct events of the day.
const EVENTS: u32 = 20_000;

pub const DAY_MS: i64 = 86_400_000;

/// 2026-11-01T16:00Z: a midnight in Shanghai, at which the day ends.
pub const END: Millis = 1_793_548_800_000;

/// What was sent, in order.
pub fn sent() -> Vec<(&'static str, pb::Event)> {
    let options = Options {
        enterprises: Some(3_000),
        rates: Rates {
            invalid: 0.0,
            ..Rates::default()
        },
        ..Options::new(1, END).with_events(EVENTS)
    };
    let simulation = Simulation::new(&options);
    let sent = simulation.sent();
    sent.map(|sent| (sent.source, sent.event)).collect()
}

/// Keys of no meaning.
pub fn pseudonyms() -> Pseudonyms {
    Pseudonyms::with_key(1, &[7; 32])
}

pub fn fingerprints() -> Fingerprints {
    Fingerprints::new(&[7; 16])
}

/// A judge at the day's end.
pub fn judge(pseudonyms: &Pseudonyms) -> Judge<'_> {
    Judge {
        now: END,
        horizon_ms: 35 * DAY_MS,
        day_retention_ms: 1_095 * DAY_MS,
        backfill: false,
        strict: false,
        pseudonyms,
    }
}

/// One record, as the meter gets it.
pub struct Told {
    pub source: &'static str,
    pub event: Event,
    pub identity: Fingerprint,
    content: u64,
}

/// The records of the day; an address is a number among them.
pub struct Day(pub Vec<Told>);

impl Day {
    /// Judged and normalised.
    pub fn new() -> Self {
        let (pseudonyms, fingerprints) = (pseudonyms(), fingerprints());
        let judge = judge(&pseudonyms);
        let told = |(source, event)| {
            let event = wire::accept(event, &judge).ok()?.event;
            Some(Told {
                source,
                identity: fingerprints.identity(&event.facility, source, &event.event_id),
                content: fingerprints.content(&wire::encode(&event)),
                event,
            })
        };
        Self(sent().into_iter().filter_map(told).collect())
    }

    /// As the meter takes them, appended at the day's end.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.0.iter().zip(0..).map(|(told, address)| Record {
            source: told.source,
            appended_at: END,
            event: &told.event,
            identity: told.identity,
            whence: Whence {
                address,
                content: told.content,
            },
        })
    }
}

impl Recall for Day {
    fn event(&self, record: Whence) -> Result<Event, Lost> {
        Ok(self.0[record.address as usize].event.clone())
    }

    fn hash(&self, record: Whence) -> Result<[u8; 32], Lost> {
        let event = &self.0[record.address as usize].event;
        Ok(wire::content_hash(event))
    }
}

/// A meter and cells that have seen nothing.
pub fn empty() -> (Meter, Cells) {
    let rules = Rules {
        horizon_ms: 35 * DAY_MS,
        teu_45ft_milli: 2250,
    };
    let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap_or(jiff::tz::TimeZone::UTC);
    let keeping = Keeping {
        zone,
        quarter_days: 45,
        day_days: 1_096,
    };
    (Meter::new(rules, fingerprints()), Cells::new(keeping))
}

/// For questions: enterprises that something ACTUAL counts for.
pub fn enterprises(day: &Day) -> Vec<String> {
    let statements = day
        .0
        .iter()
        .filter_map(|told| told.event.statement.as_ref());
    let actual = statements.filter(|statement| statement.classifier == Classifier::Actual);
    let parties = actual.flat_map(|statement| &statement.parties);
    let mut names: Vec<String> = parties.map(|party| party.enterprise.to_string()).collect();
    names.sort();
    names.dedup();
    names
}
