//! Counts the partitions that the group gives to this instance, and commits what that
//! changes, on a thread of its own.

mod assignment;
mod desk;
mod error;
mod pace;
mod traced;

use super::assigned::Assigned;
use super::kept::Kept;
use super::mark::{self, Tally};
use super::owned::Terms;
use crate::failpoint;
use crate::log::kafka::connection::Connection;
use crate::log::kafka::failure::Failure;
use crate::log::kafka::group::{Group, Member, Next, Turn};
use crate::log::kafka::ranges::Reader;
use crate::log::{Kind, Offset};
use crate::metrics::Metrics;
use crate::store::Store;
use crate::trace::Tracer;
use assignment::{Assignment, Steps};
use desk::Desk;
use pace::Pace;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use error::Error;

/// How long another owner's transaction, and this mirror, may take to be over and here.
const RESTORED: Duration = Duration::from_secs(30);

/// The pause before a client is made anew.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest pause, and after how many failures it is reached.
const PAUSE_MAX: Duration = Duration::from_secs(8);
const FAILURES_MAX: u32 = 4;

/// Changed values with which a transaction does not wait for its time.
const CHANGED_MAX: usize = 100_000;

/// What an engine works with.
pub struct Setup {
    /// The brokers.
    pub connection: Connection,
    /// What it is called, and the topics.
    pub member: Member,
    /// How many partitions there are.
    pub partitions: u32,
    /// How is counted.
    pub terms: Terms,
    /// The time between two commits.
    pub interval: Duration,
    /// The partitions' slices.
    pub slices: Vec<Arc<Store>>,
    /// How far these are.
    pub kept: Arc<Kept>,
    /// Where is told what goes on.
    pub metrics: Arc<Metrics>,
    /// Traces what is counted.
    pub tracer: Tracer,
    /// Where is told what is counted here.
    pub assigned: Arc<Assigned>,
    /// Says that it shall stop.
    pub stop: Arc<AtomicBool>,
}

/// The engine.
pub struct Engine {
    setup: Setup,
    group: Group,
    desk: Desk,
    /// Of the changelogs.
    changelogs: Reader,
    assignment: Assignment,
    /// Whether nothing was there to be read.
    drained: bool,
    pace: Pace,
    /// Failures since the last commit.
    failures: u32,
}

impl Engine {
    /// Joins the group.
    ///
    /// # Errors
    /// The brokers'.
    pub fn join(setup: Setup) -> Result<Self, Failure> {
        let connection = &setup.connection;
        let group = Group::join(connection, setup.member.clone())?;
        let events = Reader::new(connection, &setup.member.events)?;
        let changelogs = Reader::new(connection, &setup.member.cells)?;
        Ok(Self {
            desk: Desk::new(
                setup.partitions,
                Arc::new(events),
                Arc::clone(&setup.metrics),
                setup.tracer.clone(),
            ),
            drained: false,
            pace: Pace::new(setup.interval, Instant::now()),
            setup,
            group,
            changelogs,
            assignment: Assignment::default(),
            failures: 0,
        })
    }

    /// Counts until it is stopped, and commits what it has counted then.
    ///
    /// # Errors
    /// What beginning anew would not change.
    pub fn run(mut self) -> Result<(), Error> {
        while !self.is_stopped() {
            if let Err(error) = self.step() {
                self.recover(error)?;
            }
        }
        // What is not committed will be counted again by the next owner.
        match self.commit() {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == Kind::Fatal => Err(error),
            Err(_) => Ok(()),
        }
    }

    fn is_stopped(&self) -> bool {
        self.setup.stop.load(Ordering::Relaxed)
    }

    fn step(&mut self) -> Result<(), Error> {
        if self.assignment.is_unsettled() {
            self.measure();
            self.restore_given()?;
        }
        let open = self.desk.since().is_some();
        let wait = match self.drained {
            true => self.pace.wait(open, Instant::now()),
            false => Duration::ZERO,
        };
        let next = self.group.next(wait)?;
        self.drained = matches!(next, Next::Nothing);
        match next {
            Next::Record(record) => self.desk.take(&record)?,
            Next::Turn(turn) => self.turn(turn)?,
            Next::Nothing => {
                self.setup.assigned.end(self.group.ends());
                self.idle();
                self.tell_doubts()?;
            }
        }
        if self.desk.since().is_some() && self.is_due() {
            self.commit()?;
        }
        Ok(())
    }

    /// Whether what is counted is to be committed now.
    fn is_due(&self) -> bool {
        let full = self.desk.changed() >= CHANGED_MAX || self.desk.is_full();
        let now = Instant::now();
        // While a commit would wait for the mirror, more can be counted.
        full || self.pace.is_due(false, now)
            || (self.drained && self.pace.is_due(true, now) && !self.is_awaited())
    }

    /// Whether what must be in the mirror before more is committed is still on its way.
    fn is_awaited(&self) -> bool {
        let kept = &self.setup.kept;
        let mut dirty = self.desk.dirty().into_iter();
        dirty.any(|partition| kept.is_awaited(partition, self.desk.settled(partition)))
    }

    /// Lets the clients speak that are not asked for anything.
    fn idle(&self) {
        self.group.idle();
        self.changelogs.idle();
        self.desk.events().idle();
    }

    fn turn(&mut self, turn: Turn) -> Result<(), Error> {
        self.setup.metrics.rebalances.increment(1);
        match turn {
            Turn::Given(partitions) => {
                tracing::info!(?partitions, "given partitions to count");
                self.assignment.give(&partitions);
                Ok(())
            }
            Turn::Taken(partitions) => {
                tracing::info!(?partitions, "partitions are taken away");
                failpoint::reached(failpoint::GROUP_PLACE);
                // Lost ones may be another's already: then nothing can be committed.
                let committed = match self.group.has_lost() {
                    true => self.rewind(),
                    false => self.commit(),
                };
                for partition in &partitions {
                    self.desk.drop(*partition);
                }
                self.assignment.take(&partitions);
                self.measure();
                self.group.stop_reading(&partitions)?;
                committed
            }
        }
    }

    /// Begins to count what was given, from what is committed.
    fn restore_given(&mut self) -> Result<(), Error> {
        let mut restored = Vec::new();
        for partition in self.assignment.to_restore() {
            restored.push((partition, self.restore(partition)?));
        }
        let Steps { begin, again } = self.assignment.steps(restored);
        if let Some(begin) = begin {
            self.group.begin_reading(&begin)?;
            self.assignment.begun(&begin);
        }
        if !again.is_empty() {
            self.group.read_again(&again)?;
        }
        self.assignment.is_settled();
        self.measure();
        Ok(())
    }

    fn measure(&self) {
        let (reading, metrics) = (self.assignment.reading(), &self.setup.metrics);
        metrics.assigned_partitions.set(reading.len() as f64);
        let restoring = self.assignment.to_restore().len() as f64;
        metrics.restoring_partitions.set(restoring);
        self.setup.assigned.set(reading);
    }

    /// Restores a partition's state from what is committed; the offset from which it
    /// goes on.
    fn restore(&mut self, partition: u32) -> Result<Offset, Error> {
        let started = Instant::now();
        if self.setup.kept.is_doubted(partition) {
            self.begin_anew(partition)?;
        }
        let mut place = self.setup.kept.of(partition).place;
        self.changelogs
            .committed(partition, place, RESTORED, |at, key, _| {
                if key == mark::KEY {
                    place = at + 1;
                }
            })?;
        // A mark that breaks the chain is found by who follows it.
        if !self.setup.kept.wait_for_place(partition, place, RESTORED) {
            return Err(Error::Behind { partition });
        }
        let slice = self.setup.slices.get(partition as usize);
        let slice = slice.ok_or(Error::Behind { partition })?;
        let begins = self.setup.kept.of(partition).to;
        let position = self
            .desk
            .restore((partition, begins), slice, &self.setup.terms)?;
        let (start, end) = self.desk.events().bounds(partition)?;
        let [start, end] = [start, end].map(|offset| offset.max(0) as Offset);
        if !(start..=end).contains(&position) {
            return Err(Error::Removed {
                partition,
                start,
                end,
                counted: position,
            });
        }
        let seconds = started.elapsed().as_secs_f64();
        self.setup.metrics.restore_seconds.record(seconds);
        tracing::info!(partition, position, seconds, "restored a partition");
        Ok(position)
    }

    /// Tells the others which chains this instance has found broken; its own partitions
    /// it counts anew.
    fn tell_doubts(&mut self) -> Result<(), Error> {
        for (partition, place) in self.setup.kept.untold() {
            if self.desk.owns(partition) {
                self.setup.kept.is_told(partition);
                return Err(Error::Doubted { partition });
            }
            self.write(partition, &[(mark::DOUBT, &mark::number(place))], &[])?;
            self.setup.kept.is_told(partition);
        }
        Ok(())
    }

    /// Commits records of a changelog that are no state; an error leaves the transaction
    /// to be aborted.
    fn write(
        &mut self,
        partition: u32,
        records: &[(&[u8], &[u8])],
        read: &[(u32, Offset)],
    ) -> Result<(), Error> {
        self.desk.opens();
        self.group.begin()?;
        for (key, value) in records {
            self.group.put(partition, key, Some(value))?;
        }
        self.group.commit(read)?;
        self.desk.is_ended();
        Ok(())
    }

    /// Voids what a changelog holds, so that the partition is counted from the first
    /// record that the log has.
    fn begin_anew(&mut self, partition: u32) -> Result<(), Error> {
        let (start, _) = self.desk.events().bounds(partition)?;
        let from = start.max(0) as Offset;
        tracing::error!(partition, from, "the changelog is broken: counting anew");
        let mark = Tally::default().mark((partition, self.setup.partitions), from, from);
        let undecodable = |_| Error::Mark {
            partition,
            source: mark::Broken::Undecodable,
        };
        let mark = mark.encode().map_err(undecodable)?;
        let void = mark::number(start.max(0));
        let records: [(&[u8], &[u8]); 2] = [(mark::ANEW, &void), (mark::KEY, &mark)];
        self.write(partition, &records, &[(partition, from)])?;
        match self.setup.kept.wait_settled(partition, RESTORED) {
            true => Ok(()),
            false => Err(Error::Behind { partition }),
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        for partition in self.desk.dirty() {
            settled(&self.setup.kept, partition, self.desk.settled(partition))?;
            let committed = self.desk.committed(partition);
            // More than this owner knows of: what it was restored from was not all.
            let found = self.setup.kept.of(partition).to;
            if found > committed {
                return Err(Error::Ahead {
                    partition,
                    found,
                    committed,
                });
            }
        }
        failpoint::reached("kafka.followed");
        let started = Instant::now();
        self.pace.begins(started);
        let kept = Arc::clone(&self.setup.kept);
        let settle = |partition, to| settled(&kept, partition, to);
        let committed = self.desk.commit(&self.group, settle);
        let metrics = &self.setup.metrics;
        metrics.commit_retries.increment(self.group.retries());
        let done = committed?;
        failpoint::reached("kafka.known");
        metrics.dead_letters.increment(done.dead_letters as u64);
        metrics.commit_values.record(done.values as f64);
        let (chunks, points) = self.desk.sizes();
        metrics.ledger_chunks.set(chunks as f64);
        metrics.pairing_points.set(points as f64);
        self.setup.assigned.end(self.group.ends());
        metrics.commit_seconds.record(started.elapsed());
        self.failures = 0;
        self.idle();
        Ok(())
    }

    /// Drops all that is not committed.
    fn rewind(&mut self) -> Result<(), Error> {
        self.setup.metrics.aborts.increment(1);
        self.assignment.drop_state(self.desk.abort());
        if self.desk.is_open() {
            self.group.abort()?;
            self.desk.is_ended();
        }
        Ok(())
    }

    /// Goes on after an error, from what is committed.
    fn recover(&mut self, error: Error) -> Result<(), Error> {
        if error.is_final() {
            return Err(error);
        }
        let cause: &dyn std::error::Error = &error;
        tracing::warn!(cause, "counting begins again from what is committed");
        // Once is nothing; what fails again and again is not asked again at once.
        let pause = match self.failures {
            0 => Duration::ZERO,
            again => (AGAIN * 2_u32.saturating_pow(again - 1)).min(PAUSE_MAX),
        };
        self.failures = (self.failures + 1).min(FAILURES_MAX);
        std::thread::sleep(pause);
        let rewound = error.kind() != Kind::Fatal && self.rewind().is_ok();
        if rewound && self.readers_anew().is_ok() {
            return Ok(());
        }
        self.join_again()
    }

    fn clients_anew(&mut self) -> Result<(), Failure> {
        let group = Group::join(&self.setup.connection, self.setup.member.clone())?;
        self.readers_anew()?;
        self.group = group;
        Ok(())
    }

    /// Those that only read, while no state is held: such a one asks for who leads a
    /// partition when it first asks it something, and when that node dies it goes on
    /// asking it, for a quarter of an hour.
    fn readers_anew(&mut self) -> Result<(), Failure> {
        let Setup {
            connection, member, ..
        } = &self.setup;
        let events = Reader::new(connection, &member.events)?;
        self.changelogs = Reader::new(connection, &member.cells)?;
        let (metrics, tracer) = (Arc::clone(&self.setup.metrics), self.setup.tracer.clone());
        self.desk = Desk::new(self.setup.partitions, Arc::new(events), metrics, tracer);
        Ok(())
    }

    /// Makes the clients anew, which ends what was left open.
    fn join_again(&mut self) -> Result<(), Error> {
        self.desk.abort();
        self.desk.is_ended();
        self.assignment.lose_all();
        self.measure();
        while !self.is_stopped() {
            // A name that another instance has too would otherwise be fought for.
            std::thread::sleep(AGAIN);
            match self.clients_anew() {
                Ok(()) => return Ok(()),
                Err(failure) if failure.is_denied() => return Err(failure.into()),
                Err(failure) => {
                    let cause: &dyn std::error::Error = &failure;
                    tracing::warn!(cause, "joining the group again");
                }
            }
        }
        Ok(())
    }
}

/// Waits until what a partition had committed up to an offset is in the mirror.
fn settled(kept: &Kept, partition: u32, to: Offset) -> Result<(), Error> {
    match kept.wait(partition, to, RESTORED) {
        true => Ok(()),
        false => Err(Error::Behind { partition }),
    }
}
