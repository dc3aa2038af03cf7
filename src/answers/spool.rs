//! Everything that a service answers, kept on the disk facility by facility:
//! what is answered quickly is of one state or of few, and need not fit into
//! memory.

use super::{CLASSIFIERS, Client, PAGE_ROWS, instant};
use crate::audit::compare::{Again, Answers, Part};
use crate::client::reach::Line;
use crate::log::kafka::partition::partition_of;
use crate::pb;
use crate::truth::{Grain, QUARTER_MS, Truth};
use crate::view::position::Position;
use compact_str::CompactString;
use jiff::{Timestamp, tz::TimeZone};
use prost::Message as _;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use tokio::runtime::Handle;
use tonic::Status;

const DAY_MS: i64 = 86_400_000;

/// How far ahead anything may lie, and a day in reserve.
const AHEAD_DAYS: i64 = 402;

/// The longest intervals that are asked at once: the service's own limits.
const FINE_DAYS: i64 = 400;
const COARSE_DAYS: i64 = 3_600;

/// Why not everything could be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service's answer.
    #[error("ask for everything: {:?}: {}", .0.code(), .0.message())]
    Status(#[from] Box<Status>),
    /// An instant that no calendar has.
    #[error("days of the interval")]
    Days(#[from] jiff::Error),
    /// The temporary file.
    #[error("keep the answers in a temporary file")]
    File(#[from] io::Error),
    /// The temporary file does not give back what it was given.
    #[error("read the answers from the temporary file")]
    Decode(#[from] prost::DecodeError),
    /// An answer without a position.
    #[error(
        "an answer names no position of the log: the service tells it only those who may operate it"
    )]
    Position,
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// How long the service keeps what.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The reporting zone.
    pub zone: TimeZone,
    /// Days of quarter-hours and slots.
    pub quarter_days: i32,
    /// Days of days and vessel calls.
    pub day_days: i32,
}

/// Everything that was answered.
pub struct Spool {
    client: Client<Line>,
    handle: Handle,
    reach: Reach,
    file: BufReader<File>,
    /// Where in the file a facility's cells of a grain are: from, to.
    cells: BTreeMap<(CompactString, Grain), (u64, u64)>,
    others: BTreeMap<CompactString, Truth>,
    /// The service's status before and after.
    pub before: pb::GetStatusResponse,
    /// After all other answers.
    pub after: pb::GetStatusResponse,
    /// Rows.
    pub rows: u64,
}

/// The position that an answer stands at.
///
/// # Errors
/// It names none.
pub fn position(freshness: Option<&pb::Freshness>) -> Result<Position, Error> {
    let reach = freshness
        .map(|of| &of.reach)
        .filter(|reach| !reach.is_empty());
    let offsets = reach.into_iter().flatten();
    let position = Position::of(offsets.map(|of| (of.partition, of.offset)));
    reach.map(|_| position).ok_or(Error::Position)
}

/// What was answered of the facilities of one partition, in answers of an embedded log,
/// which is one, or of one in Kafka.
pub struct InPartition<'a> {
    spool: &'a mut Spool,
    partition: u32,
    partitions: u32,
}

impl Spool {
    /// Asks for everything. `progress` is told how many rows there are.
    ///
    /// # Errors
    /// The service's, the temporary file's.
    pub async fn fill(
        mut client: Client<Line>,
        reach: Reach,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, Error> {
        let mut file = BufWriter::new(tempfile::tempfile()?);
        let (mut cells, mut rows) = (BTreeMap::new(), 0);
        let before = status(&mut client).await?;
        for (asked, grain) in [
            (pb::Grain::Quarter, Grain::Quarter),
            (pb::Grain::Day, Grain::Day),
        ] {
            let request = pb::DumpCellsRequest {
                grain: asked.into(),
                at_least: String::new(),
            };
            let mut dump = client.dump_cells(request).await?.into_inner();
            while let Some(part) = dump.message().await? {
                for row in &part.cells {
                    let at = file.stream_position()?;
                    let bytes = row.encode_length_delimited_to_vec();
                    file.write_all(&bytes)?;
                    let end = at + bytes.len() as u64;
                    let key = (CompactString::from(&row.facility), grain);
                    cells.entry(key).or_insert((at, end)).1 = end;
                    rows += 1;
                }
                progress(rows);
            }
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut spool = Self {
            client,
            handle: Handle::current(),
            reach,
            file: BufReader::new(file),
            cells,
            others: BTreeMap::new(),
            before,
            after: pb::GetStatusResponse::default(),
            rows,
        };
        spool.calls_and_slots().await?;
        progress(spool.rows);
        spool.after = status(&mut spool.client).await?;
        Ok(spool)
    }

    /// What was answered of one of so many partitions.
    pub fn in_partition(&mut self, partition: u32, partitions: u32) -> InPartition<'_> {
        InPartition {
            spool: self,
            partition,
            partitions,
        }
    }

    async fn calls_and_slots(&mut self) -> Result<(), Error> {
        let mut answered = Truth::default();
        let mut client = self.client.clone();
        for interval in self.days(self.reach.day_days, COARSE_DAYS)? {
            for classifier in CLASSIFIERS {
                super::calls(&mut client, classifier, interval, "", &mut answered).await?;
            }
        }
        for interval in self.quarters() {
            super::slots(&mut client, interval, "", &mut answered).await?;
        }
        self.rows += (answered.calls.len() + answered.slots.len()) as u64;
        for (key, call) in answered.calls {
            let of = self.others.entry(key.facility.clone()).or_default();
            of.calls.insert(key, call);
        }
        for (key, slot) in answered.slots {
            let of = self.others.entry(key.facility.clone()).or_default();
            of.slots.insert(key, slot);
        }
        Ok(())
    }

    /// The log clock's UTC day; today while the log is empty, for what comes meanwhile.
    fn clock(&self) -> i64 {
        let appended = self.before.freshness.as_ref();
        let appended = appended.and_then(|of| of.appended_at);
        // One that holds nothing but what was put away has no clock either.
        let appended = appended.map(|at| at.seconds).filter(|&at| at > 0);
        let seconds = appended.unwrap_or_else(|| Timestamp::now().as_second());
        seconds.div_euclid(DAY_MS / 1000)
    }

    /// All days that may be kept, from the oldest on, in pieces.
    fn days(&self, kept: i32, most: i64) -> Result<Vec<(i64, i64)>, jiff::Error> {
        let day = |day: i64| {
            // The start of this very day in the zone, wherever that is in UTC.
            let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(day))?;
            let start = date.to_zoned(self.reach.zone.clone())?.start_of_day()?;
            Ok::<i64, jiff::Error>(start.timestamp().as_millisecond())
        };
        let (mut from, end) = (
            (self.clock() - i64::from(kept)).max(0),
            self.clock() + AHEAD_DAYS,
        );
        let mut pieces = Vec::new();
        while from < end {
            let to = end.min(from + most);
            // West of Greenwich the first day begins within 1970.
            pieces.push((day(from)?.max(0), day(to)?));
            from = to;
        }
        Ok(pieces)
    }

    fn quarters(&self) -> Vec<(i64, i64)> {
        let from = (self.clock() - i64::from(self.reach.quarter_days)).max(0);
        let end = self.clock() + AHEAD_DAYS;
        let starts = (from..end).step_by(FINE_DAYS as usize);
        let piece = |from: i64| (from * DAY_MS, end.min(from + FINE_DAYS) * DAY_MS);
        starts.map(piece).collect()
    }

    fn read(&mut self, facility: &CompactString) -> Result<Truth, Error> {
        let mut truth = self.others.remove(facility).unwrap_or_default();
        for grain in [Grain::Quarter, Grain::Day] {
            let Some(&(from, to)) = self.cells.get(&(facility.clone(), grain)) else {
                continue;
            };
            self.file.seek(SeekFrom::Start(from))?;
            let mut left = Vec::new();
            self.file.by_ref().take(to - from).read_to_end(&mut left)?;
            let mut left = &left[..];
            while !left.is_empty() {
                let row = pb::ThroughputRow::decode_length_delimited(&mut left)?;
                truth.add_cells(grain, [&row]);
            }
        }
        Ok(truth)
    }

    async fn ask(&mut self, facility: &CompactString, part: &Part) -> Result<Answer, Error> {
        match part {
            Part::Cells(grain, start) => self.ask_cells(facility, *grain, *start).await,
            Part::Call(id, classifier) => self.ask_call(facility, id, *classifier).await,
            Part::Slots(start) => self.ask_slots(facility, *start).await,
        }
    }

    async fn ask_cells(
        &mut self,
        facility: &CompactString,
        grain: Grain,
        start: i64,
    ) -> Result<Answer, Error> {
        let (asked, end) = match grain {
            Grain::Quarter => (pb::Grain::Quarter, start + QUARTER_MS),
            _ => (pb::Grain::Day, next_day(&self.reach.zone, start)?),
        };
        let mut request = pb::GetThroughputRequest {
            filter: Some(filter(facility)),
            from: Some(instant(start)),
            to: Some(instant(end)),
            grain: asked.into(),
            zone: self.reach.zone.iana_name().unwrap_or("UTC").into(),
            group_by: vec![
                pb::Dimension::Enterprise.into(),
                pb::Dimension::Facility.into(),
            ],
            page_size: 10_000,
            ..Default::default()
        };
        let (mut truth, mut positions) = (Truth::default(), Vec::new());
        loop {
            let page = self.client.get_throughput(request.clone()).await?;
            let page = page.into_inner();
            positions.push(position(page.freshness.as_ref())?);
            truth.add_cells(grain, &page.rows);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok((truth, one(positions)));
            }
        }
    }

    async fn ask_call(
        &mut self,
        facility: &CompactString,
        id: &CompactString,
        classifier: pb::Classifier,
    ) -> Result<Answer, Error> {
        let (mut truth, mut positions) = (Truth::default(), Vec::new());
        for (from, to) in self.days(self.reach.day_days, COARSE_DAYS)? {
            let request = pb::ListVesselCallsRequest {
                from: Some(instant(from)),
                to: Some(instant(to)),
                facilities: vec![facility.to_string()],
                classifier: classifier.into(),
                call_id: id.to_string(),
                ..Default::default()
            };
            let page = self.client.list_vessel_calls(request).await?.into_inner();
            positions.push(position(page.freshness.as_ref())?);
            truth.add_calls(&page.calls);
        }
        Ok((truth, one(positions)))
    }

    async fn ask_slots(&mut self, facility: &CompactString, start: i64) -> Result<Answer, Error> {
        let mut request = pb::ListNoShowsRequest {
            filter: Some(filter(facility)),
            from: Some(instant(start)),
            to: Some(instant(start + QUARTER_MS)),
            ended_by: Some(instant((self.clock() + 2 * AHEAD_DAYS) * DAY_MS)),
            page_size: PAGE_ROWS,
            ..Default::default()
        };
        let (mut truth, mut positions) = (Truth::default(), Vec::new());
        loop {
            let page = self.client.list_no_shows(request.clone()).await?;
            let page = page.into_inner();
            positions.push(position(page.freshness.as_ref())?);
            truth.add_slots(&page.rows);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok((truth, one(positions)));
            }
        }
    }
}

impl Answers for InPartition<'_> {
    fn facilities(&self) -> Vec<CompactString> {
        let of_cells = self.spool.cells.keys().map(|(facility, _)| facility);
        let all = of_cells.chain(self.spool.others.keys());
        let is_here = |of: &&CompactString| partition_of(of, self.partitions) == self.partition;
        all.filter(is_here).cloned().collect()
    }

    fn of(&mut self, facility: &CompactString) -> Result<Truth, crate::audit::Error> {
        self.spool.read(facility).map_err(failed)
    }

    fn again(
        &mut self,
        facility: &CompactString,
        part: &Part,
    ) -> Result<Again, crate::audit::Error> {
        let handle = self.spool.handle.clone();
        let asked = handle.block_on(self.spool.ask(facility, part));
        let (truth, position) = asked.map_err(failed)?;
        Ok((truth, position.map(|of| of.in_partition(self.partition))))
    }
}

fn failed(error: Error) -> crate::audit::Error {
    crate::audit::Error::Ask(Box::new(error))
}

/// A part's answer, and of which position it is; none if it is of several.
type Answer = (Truth, Option<Position>);

fn one(positions: Vec<Position>) -> Option<Position> {
    let mut positions = positions.into_iter();
    let first = positions.next()?;
    positions.all(|other| other == first).then_some(first)
}

fn filter(facility: &CompactString) -> pb::Filter {
    pb::Filter {
        facilities: vec![facility.to_string()],
        classifiers: CLASSIFIERS.map(Into::into).to_vec(),
        ..Default::default()
    }
}

fn next_day(zone: &TimeZone, start: i64) -> Result<i64, jiff::Error> {
    let start = Timestamp::from_millisecond(start)?.to_zoned(zone.clone());
    let next = start.tomorrow()?.start_of_day()?;
    Ok(next.timestamp().as_millisecond())
}

async fn status(client: &mut Client<Line>) -> Result<pb::GetStatusResponse, Status> {
    let request = pb::GetStatusRequest::default();
    Ok(client.get_status(request).await?.into_inner())
}
