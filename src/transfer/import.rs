//! An embedded log → the events' topic.

use super::{Done, Error, Putting};
use crate::log::Offset;
use crate::log::kafka::connection::Connection;
use crate::log::kafka::copy::Copy;
use crate::log::kafka::sweep::Sweep;
use crate::log::kafka::topics::Topics;
use crate::log::scan::Scan;

/// An import that is about to begin, or to go on.
pub struct Import {
    scan: Scan,
    putting: Putting,
    from: Offset,
}

impl Import {
    /// Of this log into the topic of so many partitions; `cut` allows a log whose
    /// beginning is gone.
    ///
    /// # Errors
    /// The brokers'; such a log; a topic with records that did not come from here.
    pub fn open(
        connection: &Connection,
        (topics, partitions): (&Topics, u32),
        scan: Scan,
        cut: bool,
    ) -> Result<Self, Error> {
        if scan.start() > 0 && !cut {
            return Err(Error::Cut {
                what: "the log".into(),
                start: scan.start(),
            });
        }
        let events = &topics.events;
        let name = format!("{events}-import");
        // How far it was read is kept as if it were the topic's first partition.
        let copy = Copy::begin(connection, &name, events, events)?;
        let from = copy.progress(1)?.first().copied().flatten();
        let sweep = Sweep::open(connection, events, partitions)?;
        let records = sweep.bounds().iter().map(|(_, end)| end).sum();
        match from {
            None if records > 0 => Err(Error::NotEmpty {
                topic: events.clone(),
                records,
            }),
            from => Ok(Self {
                scan,
                putting: Putting::new(copy),
                from: from.unwrap_or(0),
            }),
        }
    }

    /// Bytes of the log.
    pub fn bytes(&self) -> u64 {
        self.scan.bytes()
    }

    /// Copies all of it. `progress` is told how many bytes of the log were read.
    ///
    /// # Errors
    /// The log's, the brokers'.
    pub fn run(mut self, progress: &mut dyn FnMut(u64)) -> Result<Done, Error> {
        let mut records = self.scan.records(self.scan.start());
        let mut before = 0;
        while let Some(record) = records.next_before(Offset::MAX)? {
            let known = self.from.saturating_sub(record.first_offset);
            let known = known.min(record.events.len() as u64);
            before += known;
            self.putting.put(&record, known as usize)?;
            if self.putting.is_due() {
                self.putting.commit(&[(0, record.end_offset())])?;
            }
            progress(records.bytes());
        }
        self.putting.commit(&[(0, records.position())])?;
        Ok(Done {
            events: self.putting.events,
            before,
            left: 0,
        })
    }
}
