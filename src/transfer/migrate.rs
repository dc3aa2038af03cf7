//! The events of one topic → another one's, of another number of partitions.
//!
//! Day by day: a partition's log clock is the latest day of what was appended to it, so
//! what was appended on an earlier day must come before it, from whichever partition.

use super::{Done, Error, Putting};
use crate::log::kafka::connection::Connection;
use crate::log::kafka::copy::Copy;
use crate::log::kafka::sweep::Sweep;
use crate::log::{Offset, Record};

const DAY_MS: i64 = 86_400_000;

/// A migration that is about to begin, or to go on.
pub struct Migrate {
    sweep: Sweep,
    putting: Putting,
    /// Of each old partition, the first offset that is not copied.
    next: Vec<Offset>,
    /// Of each old partition, what is of a later day.
    held: Vec<Option<Record>>,
    before: u64,
}

impl Migrate {
    /// From a topic into another one, each of so many partitions; `cut` allows one whose
    /// beginning is gone.
    ///
    /// # Errors
    /// The brokers'; such a topic; a new one with records that did not come from here.
    pub fn open(
        connection: &Connection,
        (from, from_partitions): (&str, u32),
        (to, to_partitions): (&str, u32),
        cut: bool,
    ) -> Result<Self, Error> {
        let copy = Copy::begin(connection, &format!("{to}-migrate"), from, to)?;
        let known = copy.progress(from_partitions)?;
        let sweep = Sweep::open(connection, from, from_partitions)?;
        if known.iter().all(Option::is_none) {
            let target = Sweep::open(connection, to, to_partitions)?;
            let records = target.bounds().iter().map(|(_, end)| end).sum();
            if records > 0 {
                let topic = to.to_owned();
                return Err(Error::NotEmpty { topic, records });
            }
        }
        let each = sweep.bounds().iter().zip(known);
        let next: Vec<Offset> = each.map(|(_, known)| known.unwrap_or(0)).collect();
        for (partition, (&(start, _), &next)) in sweep.bounds().iter().zip(&next).enumerate() {
            if start > next && !cut {
                let what = format!("partition {partition} of {from}");
                return Err(Error::Cut { what, start });
            }
        }
        Ok(Self {
            held: next.iter().map(|_| None).collect(),
            putting: Putting::new(copy),
            sweep,
            before: next.iter().sum(),
            next,
        })
    }

    /// Records to copy.
    pub fn records(&self) -> u64 {
        let each = self.sweep.bounds().iter().zip(&self.next);
        each.map(|((start, end), next)| end.saturating_sub((*start).max(*next)))
            .sum()
    }

    /// Copies all that was there when it was opened. `progress` is told how many records
    /// were.
    ///
    /// # Errors
    /// The brokers'.
    pub fn run(mut self, progress: &mut dyn FnMut(u64)) -> Result<Done, Error> {
        let partitions = self.next.len() as u32;
        self.sweep.begin(&self.next)?;
        let (mut today, mut left) = (i64::MIN, 0);
        loop {
            let read = self.sweep.next(|read| {
                let place = (read.partition(), read.offset());
                (place, read.record(partitions).ok())
            })?;
            match read {
                Some(((partition, offset), None)) => {
                    left += 1;
                    self.is_past(partition, offset);
                }
                Some(((partition, _), Some(record))) if day(&record) > today => {
                    self.sweep.pause(partition)?;
                    if let Some(held) = self.held.get_mut(partition as usize) {
                        *held = Some(record);
                    }
                }
                Some(((partition, _), Some(record))) => self.put(partition, &record)?,
                // What is left is of later days.
                None => match self.held.iter().flatten().map(day).min() {
                    Some(next) => {
                        today = next;
                        self.release(today)?;
                    }
                    None => break,
                },
            }
            progress(self.putting.events + left);
        }
        self.commit()?;
        Ok(Done {
            events: self.putting.events,
            before: self.before,
            left,
        })
    }

    /// Goes on with the partitions whose next record is of this day.
    fn release(&mut self, today: i64) -> Result<(), Error> {
        for partition in 0..self.held.len() {
            let held = self.held.get_mut(partition);
            let record = held.and_then(|held| held.take_if(|record| day(record) <= today));
            if let Some(record) = record {
                self.put(partition as u32, &record)?;
                self.sweep.resume(partition as u32, record.first_offset)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, partition: u32, record: &Record) -> Result<(), Error> {
        self.putting.put(record, 0)?;
        self.is_past(partition, record.first_offset);
        match self.putting.is_due() {
            true => self.commit(),
            false => Ok(()),
        }
    }

    fn is_past(&mut self, partition: u32, offset: Offset) {
        if let Some(next) = self.next.get_mut(partition as usize) {
            *next = offset + 1;
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        let read = (0..).zip(self.next.iter().copied());
        let read: Vec<(u32, Offset)> = read.collect();
        self.putting.commit(&read)
    }
}

fn day(record: &Record) -> i64 {
    record.appended_at.div_euclid(DAY_MS)
}
