//! A log in memory, for what is explained from it: each event is a record of its own.

use super::valid;
use crate::event::{NOW_MS, judged};
use jiff::tz::TimeZone;
use quaymeter::audit::Rules;
use quaymeter::log::readable::{Readable, Records};
use quaymeter::log::{Error, Offset, Record};
use quaymeter::pb;
use quaymeter::query::explain::Past;
use quaymeter::wire;
use std::sync::Arc;

/// Such a log.
#[derive(Clone)]
pub struct Remembered(Arc<[Record]>);

impl Remembered {
    /// One event of each kind, and all of them again: there are duplicates, and a
    /// version that came too late.
    pub fn new() -> Self {
        let events = valid::events().into_iter();
        let twice = events.clone().chain(events);
        let records = (0..).zip(twice);
        Self(records.map(|(at, event)| record(at, event)).collect())
    }

    /// The offset after its last record.
    pub fn end(&self) -> Offset {
        self.0.len() as Offset
    }

    /// What explanations are given, by default settings.
    pub fn past(self) -> Past {
        let open = move |_: u32| -> Result<Box<dyn Readable>, Error> { Ok(Box::new(self.clone())) };
        let rules = Rules {
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
            horizon_days: 35,
            quarter_days: 45,
            day_days: 1096,
            teu_45ft_milli: 2250,
        };
        Past::in_partitions(1, Box::new(open), rules)
    }
}

fn record(first_offset: Offset, event: pb::Event) -> Record {
    let accepted = judged(event).unwrap();
    Record {
        first_offset,
        appended_at: NOW_MS,
        source: "tos".into(),
        headers: Vec::new(),
        schema: wire::SCHEMA,
        events: vec![wire::encode(&accepted.event).into()],
        end_address: 0,
    }
}

impl Readable for Remembered {
    fn start(&self) -> Offset {
        0
    }

    fn amount(&self) -> u64 {
        self.end()
    }

    fn read(&self) -> Result<Box<dyn Records + '_>, Error> {
        let records = &self.0;
        Ok(Box::new(Reading { records, next: 0 }))
    }
}

/// A reading of it.
struct Reading<'a> {
    records: &'a [Record],
    next: usize,
}

impl Records for Reading<'_> {
    fn next_before(&mut self, end: Offset) -> Result<Option<Record>, Error> {
        let record = self.records.get(self.next);
        let record = record.filter(|record| record.first_offset < end);
        self.next += usize::from(record.is_some());
        Ok(record.cloned())
    }

    fn position(&self) -> Offset {
        self.next as Offset
    }

    fn amount(&self) -> u64 {
        self.position()
    }
}
