//! The log's records on their way into recounts.

use super::peek::peek;
use super::recount::Record;
use super::{Day, Recount, Rules, utc_day};
use crate::event::Millis;
use crate::log::readable::{Readable, Records};
use crate::log::{self, Offset};
use crate::wire;
use compact_str::CompactString;
use std::collections::BTreeMap;

/// Why the log cannot be recounted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error("read the log")]
    Log(#[from] log::Error),
    /// Written by another version of the program.
    #[error(
        "read the log: unknown schema version {schema} at offset {offset}: this program reads version {}",
        wire::SCHEMA
    )]
    Schema {
        /// The record's first offset.
        offset: Offset,
        /// Its version.
        schema: u32,
    },
    /// The log ends before a position that was answered.
    #[error(
        "the log ends at offset {end}, but answers were of offset {wanted}: is it another service's?"
    )]
    Short {
        /// The offset after its last record.
        end: Offset,
        /// What was answered.
        wanted: Offset,
    },
    /// More than is kept in memory for one question.
    #[error("more than {most} {what} to keep in mind")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most that is allowed.
        most: usize,
    },
    /// Nobody waits any more.
    #[error("given up: nobody waits for the answer any more")]
    Cancelled,
    /// The answers cannot be had again.
    #[error("ask again for what moved meanwhile")]
    Ask(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is in a log, up to an offset.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// What there is of each facility.
    pub facilities: BTreeMap<CompactString, Extent>,
    /// Records that are events.
    pub records: u64,
    /// When the first record was appended.
    pub first: Option<Millis>,
    /// When the last record was appended.
    pub newest: Option<Millis>,
    /// The offset of the first record.
    pub start: Offset,
}

impl Survey {
    /// How far back it reaches.
    pub fn reach(&self) -> Reach {
        let (start, first) = (self.start, self.first);
        Reach { start, first }
    }
}

/// How far ahead plans, estimates and slots may lie.
const AHEAD_DAYS: i64 = 400;

/// How far back a log reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The offset of its first record; above 0 it was cut.
    pub start: Offset,
    /// When that record was appended; none if there is no record.
    pub first: Option<Millis>,
}

impl Reach {
    /// The first instants, of acts and of what lies ahead, from which on a log
    /// that was cut tells everything: what was known when it begins is forgotten,
    /// and what its first events pair with is in it. None if it was not cut.
    pub fn vouches_from(&self, rules: &Rules) -> Option<(Millis, Millis)> {
        let first = self.first.filter(|_| self.start > 0)?;
        let day = i64::from(utc_day(first)) + i64::from(rules.horizon_days) + 1;
        let ms = |day: i64| day * super::DAY_MS;
        Some((ms(day), ms(day + AHEAD_DAYS)))
    }
}

/// How much there is of a facility.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Its records.
    pub records: u64,
    /// The offset of the last one.
    pub last: Offset,
}

/// Reads the log once, to know how much of what there is.
///
/// # Errors
/// The log's; a log that ends before.
pub fn survey(
    log: &dyn Readable,
    end: Offset,
    mut progress: impl FnMut(u64),
) -> Result<Survey, Error> {
    let start = log.start();
    let mut survey = Survey {
        start,
        ..Survey::default()
    };
    let mut records = log.read()?;
    while let Some(record) = records.next_before(end)? {
        survey.first.get_or_insert(record.appended_at);
        survey.newest = survey.newest.max(Some(record.appended_at));
        for (offset, bytes) in (record.first_offset..).zip(&record.events) {
            let Some((facility, _)) = peek(bytes) else {
                continue;
            };
            let extent = survey.facilities.entry(facility).or_default();
            *extent = Extent {
                records: extent.records + 1,
                last: offset,
            };
            survey.records += 1;
        }
        progress(records.amount());
    }
    reached(&*records, end)?;
    Ok(survey)
}

pub(super) fn reached(records: &dyn Records, wanted: Offset) -> Result<(), Error> {
    match records.position() {
        end if end < wanted => Err(Error::Short { end, wanted }),
        _ => Ok(()),
    }
}

/// Some facilities' recounts, fed from the log as far as is asked.
pub struct Feed<'a> {
    records: Box<dyn Records + 'a>,
    clock: Option<Day>,
    recounts: BTreeMap<CompactString, Recount>,
    undecodable: u64,
}

impl<'a> Feed<'a> {
    /// Recounts of these facilities, without a record yet.
    ///
    /// # Errors
    /// The log's.
    pub fn new<'f>(
        log: &'a dyn Readable,
        rules: &Rules,
        facilities: impl IntoIterator<Item = &'f CompactString>,
    ) -> Result<Self, Error> {
        let recount = |facility: &CompactString| {
            let recount = Recount::new(rules.clone(), facility.clone());
            (facility.clone(), recount)
        };
        Ok(Self {
            records: log.read()?,
            clock: None,
            recounts: facilities.into_iter().map(recount).collect(),
            undecodable: 0,
        })
    }

    /// Takes all records before an offset in.
    ///
    /// # Errors
    /// The log's; a log that ends before.
    pub fn until(&mut self, end: Offset, mut progress: impl FnMut(u64)) -> Result<(), Error> {
        while let Some(record) = self.records.next_before(end)? {
            self.take(&record)?;
            progress(self.records.amount());
        }
        reached(&*self.records, end)
    }

    fn take(&mut self, record: &log::Record) -> Result<(), Error> {
        if record.schema != wire::SCHEMA {
            return Err(Error::Schema {
                offset: record.first_offset,
                schema: record.schema,
            });
        }
        let appended_at = record.appended_at;
        let today = utc_day(appended_at);
        for bytes in &record.events {
            let Some((facility, _)) = peek(bytes) else {
                continue;
            };
            // A record that is no event moves no clock.
            let clock = |day: &mut Option<Day>| *day.insert(day.map_or(today, |d| d.max(today)));
            let Some(recount) = self.recounts.get_mut(&facility) else {
                clock(&mut self.clock);
                continue;
            };
            let Ok(event) = wire::decode(bytes) else {
                self.undecodable += 1;
                continue;
            };
            recount.add(&Record {
                source: &record.source,
                appended_at,
                day: clock(&mut self.clock),
                event: &event,
                content: wire::content_hash(&event),
            });
        }
        Ok(())
    }

    /// The log clock's day after the records so far.
    pub fn clock(&self) -> Option<Day> {
        self.clock
    }

    /// The offset after the last record that was taken in.
    pub fn position(&self) -> Offset {
        self.records.position()
    }

    /// A facility's recount.
    pub fn recount(&self, facility: &str) -> Option<&Recount> {
        self.recounts.get(facility)
    }
}
