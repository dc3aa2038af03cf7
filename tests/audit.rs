//! An audit of a service that goes on counting: its answers are of many states,
//! and only an answer of one state can be wrong.

use compact_str::CompactString;
use quaymeter::audit::compare::{Again, Answers, Audit, Part, Report};
use quaymeter::audit::{Error, Feed, Rules, survey};
use quaymeter::event::*;
use quaymeter::log::Batch;
use quaymeter::log::disk::RealDisk;
use quaymeter::log::embedded::{Log, Options};
use quaymeter::log::frame::Draft;
use quaymeter::log::scan::Scan;
use quaymeter::truth::Truth;
use quaymeter::wire;
use std::path::Path;
use std::sync::Arc;

const FACILITY: &str = "CNNBO/BLCT2";

/// 2026-11-01T08:00Z.
const AT_MS: i64 = 1_793_520_000_000;

fn rules() -> Rules {
    Rules {
        zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        horizon_days: 35,
        quarter_days: 45,
        day_days: 1095,
        teu_45ft_milli: 2250,
    }
}

fn shipment(event_id: &str, revision: i64, stated: bool) -> Event {
    let party = Party {
        role: Role::Carrier,
        enterprise: "smdg:COS".into(),
    };
    let statement = Statement {
        classifier: Classifier::Actual,
        occurred_at: AT_MS,
        parties: [party].into_iter().collect(),
        detail: Detail::ShipmentStep(ShipmentStep {
            stage: ShipmentStage::Booked,
            document_ref: "B/L 1".into(),
        }),
    };
    Event {
        event_id: event_id.into(),
        revision,
        facility: FACILITY.into(),
        statement: stated.then_some(statement),
    }
}

/// A log of these events, one in each batch.
fn logged(dir: &Path, events: &[Event]) -> Scan {
    let opened = Log::open(Arc::new(RealDisk), dir, Options::default(), 0);
    let mut appender = opened.unwrap().appender;
    for event in events {
        let batch = Batch {
            source: "tos".into(),
            headers: Vec::new(),
            schema: wire::SCHEMA,
            events: vec![wire::encode(event).into()],
        };
        let frame = Draft::new(batch).unwrap().encode();
        appender.append(&mut [frame], AT_MS).unwrap();
    }
    Scan::open(dir).unwrap()
}

/// Answered first at one position, and when asked again at another, perhaps
/// with something else.
struct Answered {
    first: Truth,
    again: Truth,
    again_at: u64,
}

impl Answers for Answered {
    fn facilities(&self) -> Vec<CompactString> {
        vec![FACILITY.into()]
    }

    fn of(&mut self, _: &CompactString) -> Result<Truth, Error> {
        Ok(self.first.clone())
    }

    fn again(&mut self, _: &CompactString, part: &Part) -> Result<Again, Error> {
        let mut truth = self.again.clone();
        let here = |grain, start| matches!(part, Part::Cells(g, s) if (*g, *s) == (grain, start));
        truth.cells.retain(|key, _| here(key.grain, key.start_ms));
        Ok((truth, Some(self.again_at)))
    }
}

fn at(scan: &Scan, position: u64) -> Truth {
    let facility = CompactString::from(FACILITY);
    let mut feed = Feed::new(scan, &rules(), [&facility]).unwrap();
    feed.until(position, |_| {}).unwrap();
    let clock = feed.clock().unwrap();
    feed.recount(FACILITY)
        .unwrap()
        .count(clock)
        .truth(&facility)
}

/// Of a log in which an event came and was taken back while the service was
/// asked: it answered from in between.
fn audited(again_of: u64) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let events = [("a", 0, true), ("b", 0, true), ("b", 1, false)];
    let events = events.map(|(id, n, stated)| shipment(id, n, stated));
    let scan = logged(dir.path(), &events);
    let mut answered = Answered {
        first: at(&scan, 2),
        again: at(&scan, again_of),
        again_at: 3,
    };
    assert_eq!(at(&scan, 1), at(&scan, 3));
    assert_ne!(at(&scan, 1), answered.first);
    let audit = Audit {
        log: &scan,
        rules: &rules(),
        survey: &survey(&scan, 3, |_| {}).unwrap(),
        first: 1,
        last: 3,
        records_max: 1000,
        shown_max: 10,
    };
    audit.run(&mut answered, &mut |_| {}).unwrap()
}

#[test]
fn an_answer_from_between_two_equal_states_is_asked_again() {
    let report = audited(3);
    assert_eq!((report.differences, report.unsettled), (0, 0));
    // The quarter-hour and the day.
    assert_eq!(report.asked_again, 2);
    assert_eq!((report.quarters, report.days), (1, 1));
}

#[test]
fn an_answer_of_one_state_that_differs_from_it_is_a_difference() {
    let report = audited(2);
    assert_eq!((report.differences, report.unsettled), (2, 0));
}
