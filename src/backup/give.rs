//! The service's side: gives the copy as a stream. Nothing is read before the
//! caller has room for it, so a slow caller costs nothing but time; and time is
//! bounded, because the log is kept for it and the store's old values are.

use super::{Error, PART_BYTES, disk};
use crate::event::Millis;
use crate::failpoint;
use crate::log::dir::{FORMAT_VERSION, format_file};
use crate::log::embedded::{Log, Part};
use crate::log::hold::Hold;
use crate::log::{self, Offset, segment};
use crate::metrics::Metrics;
use crate::pb::admin_service_server::AdminService;
use crate::pb::backup_response::Part as Message;
use crate::pseudonym;
use crate::store::snapshot::Snapshot;
use crate::store::{Bytes, Store, Table};
use crate::trail::note::Asked;
use crate::worker::checkpoint;
use crate::{pb, status};
use pbjson_types::Timestamp;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Parts that wait for the transport.
const QUEUED_PARTS: usize = 2;

/// When to come back after a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long a caller who takes nothing may take to hear why it is over.
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// From what a copy is made.
pub struct Sources {
    /// The data directory.
    pub dir: PathBuf,
    /// Its log.
    pub log: Log,
    /// Its store.
    pub store: Arc<Store>,
    /// The keys of the pseudonyms, of which it has what tells the newest from others.
    pub pseudonyms: pseudonym::Kept,
    /// The time in ms since 1970-01-01T00:00Z.
    pub clock: Arc<dyn Fn() -> Millis + Send + Sync>,
    /// Where outcomes are counted.
    pub metrics: Arc<Metrics>,
}

/// To whom, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whether callers on other machines are given one.
    pub remote: bool,
    /// How long one may take.
    pub hold: Duration,
}

/// The service. Clones give one backup at a time together.
#[derive(Clone)]
pub struct Admin {
    sources: Arc<Sources>,
    limits: Limits,
    stop: watch::Receiver<bool>,
    place: Arc<Semaphore>,
}

impl Admin {
    /// Gives backups until `stop` becomes true.
    pub fn new(sources: Sources, limits: Limits, stop: watch::Receiver<bool>) -> Self {
        Self {
            sources: Arc::new(sources),
            limits,
            stop,
            place: Arc::new(Semaphore::new(1)),
        }
    }
}

/// Without authentication only the machine itself is trusted: the log holds all
/// that was ever told.
fn check_caller(caller: Option<SocketAddr>, remote: bool) -> Result<(), Status> {
    let local = caller.is_some_and(|caller| caller.ip().to_canonical().is_loopback());
    if local || remote {
        return Ok(());
    }
    let advice = "backups are given to callers on the service's own machine only; the setting backup.remote allows others";
    Err(status::not_allowed("Backup", advice))
}

#[tonic::async_trait]
impl AdminService for Admin {
    type BackupStream = ReceiverStream<Result<pb::BackupResponse, Status>>;

    async fn backup(
        &self,
        request: Request<pb::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        Asked::put(request.extensions(), request.get_ref());
        check_caller(request.remote_addr(), self.limits.remote)?;
        let place = Arc::clone(&self.place).try_acquire_owned();
        let place = place.map_err(|_| status::overloaded("backups", RETRY_AFTER))?;
        let (sources, until) = (Arc::clone(&self.sources), Instant::now() + self.limits.hold);
        let begun = tokio::task::spawn_blocking(move || Copy::begin(sources, until, place));
        let copy = begun.await.map_err(|_| died())?.map_err(|e| refusal(&e))?;
        let (out, parts) = mpsc::channel(QUEUED_PARTS);
        tokio::spawn(run(copy, out, self.limits.hold, self.stop.clone()));
        Ok(Response::new(ReceiverStream::new(parts)))
    }
}

type Out = mpsc::Sender<Result<pb::BackupResponse, Status>>;

/// Gives a copy until it is whole, refused, too late, or nobody wants it.
async fn run(copy: Copy, out: Out, hold: Duration, mut stop: watch::Receiver<bool>) {
    let metrics = Arc::clone(&copy.sources.metrics);
    let position = copy.end;
    tracing::info!(position, "giving a backup");
    let ended = tokio::select! {
        ended = give(copy, &out) => ended,
        // An error means that who could stop us is gone, which is the same.
        _ = stop.wait_for(|&stop| stop) => {
            Err(status::unavailable("the service is stopping", RETRY_AFTER))
        }
        () = tokio::time::sleep(hold) => Err(status::took_too_long("backup.hold_s", hold)),
    };
    let outcome = match &ended {
        Ok(true) => "done",
        Ok(false) => "given_up",
        Err(_) => "failed",
    };
    metrics.backups.with([outcome]).increment(1);
    match ended {
        Ok(true) => tracing::info!(position, "gave a backup"),
        Ok(false) => tracing::warn!("a backup was given up by its caller"),
        Err(status) => {
            let cause = status.message().to_owned();
            tracing::warn!(cause, "a backup failed");
            // Who takes nothing need not hear it.
            let _ = tokio::time::timeout(TELL_WITHIN, out.send(Err(status))).await;
        }
    }
}

/// Sends all parts; false if nobody wants them any more.
async fn give(mut copy: Copy, out: &Out) -> Result<bool, Status> {
    loop {
        let Ok(room) = out.reserve().await else {
            return Ok(false);
        };
        failpoint::reached("backup.give");
        let read = tokio::task::spawn_blocking(move || (copy.next(), copy));
        let (part, same) = read.await.map_err(|_| died())?;
        copy = same;
        match part.map_err(|error| refusal(&error))? {
            Some(part) => room.send(Ok(pb::BackupResponse { part: Some(part) })),
            None => return Ok(true),
        }
    }
}

fn died() -> Status {
    status::internal("the backup's thread died")
}

/// What a caller is told: never where our files are.
fn refusal(error: &Error) -> Status {
    let cause: &dyn std::error::Error = error;
    tracing::error!(cause, "cannot give a backup");
    match error {
        Error::Store(crate::store::Error::Reopened { .. } | crate::store::Error::Closed { .. }) => {
            let why = "the service's disk had no room, and the state had to be opened again";
            status::unavailable(why, RETRY_AFTER)
        }
        Error::Log(log::Error::OutOfReach { .. }) => {
            status::internal("a part of the log was removed while it was being copied")
        }
        _ => status::internal("the service's data cannot be read: see its log"),
    }
}

/// A copy on its way.
struct Copy {
    sources: Arc<Sources>,
    hold: Hold,
    /// Given up when the state is sent.
    state: Option<Snapshot>,
    begin: Option<pb::BackupBegin>,
    /// The tables that are left; the last key of the first one that was sent.
    tables: std::vec::IntoIter<Table>,
    table: Option<(Table, Option<Bytes>)>,
    settings: Option<Vec<u8>>,
    segments: std::vec::IntoIter<Part>,
    segment: Option<Segment>,
    end: Offset,
    sent: pb::BackupEnd,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

/// A segment that is being sent.
struct Segment {
    file: Box<dyn log::disk::File>,
    of: Part,
    at: u64,
}

impl Copy {
    /// Fixes what is copied. First the log is held, then the state is taken,
    /// then the log's end: so the state is never ahead of the log, and what it
    /// needs of the log is there.
    fn begin(
        sources: Arc<Sources>,
        until: Instant,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, Error> {
        let hold = sources.log.hold(until);
        let state = sources.store.snapshot()?;
        let checkpoint_offset = checkpoint::position(&state)?;
        let (segments, end) = sources.log.parts();
        let path = format_file(&sources.dir);
        let settings = std::fs::read(&path).map_err(disk("read", &path))?;
        let file_bytes = segments.iter().map(|part| part.bytes).sum::<u64>();
        let now = (sources.clock)();
        let begin = pb::BackupBegin {
            version: env!("CARGO_PKG_VERSION").into(),
            format_version: FORMAT_VERSION,
            begun_at: Some(Timestamp {
                seconds: now.div_euclid(1000),
                nanos: (now.rem_euclid(1000) * 1_000_000) as i32,
            }),
            start_offset: segments
                .first()
                .map_or(end.offset, |part| part.first_offset),
            end_offset: end.offset,
            checkpoint_offset,
            file_bytes: file_bytes + settings.len() as u64,
            pseudonyms_check: sources.pseudonyms.now().newest_check().to_owned(),
        };
        Ok(Self {
            sources,
            hold,
            state: Some(state),
            begin: Some(begin),
            tables: Table::ALL.to_vec().into_iter(),
            table: None,
            settings: Some(settings),
            segments: segments.into_iter(),
            segment: None,
            end: end.offset,
            sent: pb::BackupEnd::default(),
            ended: false,
            _place: place,
        })
    }

    /// The next part; none after the last one.
    fn next(&mut self) -> Result<Option<Message>, Error> {
        if let Some(begin) = self.begin.take() {
            return Ok(Some(Message::Begin(begin)));
        }
        if let Some(entries) = self.entries()? {
            self.sent.entries += entries.entries.len() as u64;
            return Ok(Some(Message::Entries(entries)));
        }
        if let Some(bytes) = self.bytes()? {
            self.sent.files += u64::from(bytes.at == 0);
            self.sent.file_bytes += bytes.data.len() as u64;
            return Ok(Some(Message::Bytes(bytes)));
        }
        let ended = std::mem::replace(&mut self.ended, true);
        Ok((!ended).then_some(Message::End(self.sent)))
    }

    /// The next entries; none once all are sent.
    fn entries(&mut self) -> Result<Option<pb::BackupEntries>, Error> {
        while let Some(state) = &self.state {
            let next = self
                .table
                .take()
                .or_else(|| Some((self.tables.next()?, None)));
            let Some((table, after)) = next else {
                self.state = None;
                break;
            };
            let page = state.page(table, after.as_deref(), PART_BYTES)?;
            if let Some((last, _)) = page.last() {
                self.table = Some((table, Some(last.clone())));
                return Ok(Some(message(table, &page)));
            }
        }
        Ok(None)
    }

    /// The next bytes of a file; none once all are sent.
    fn bytes(&mut self) -> Result<Option<pb::BackupBytes>, Error> {
        if let Some(data) = self.settings.take() {
            return Ok(Some(piece("format.json".into(), 0, data)));
        }
        let next = match self.segment.take() {
            Some(segment) => Some(segment),
            None => self.open()?,
        };
        let Some(mut segment) = next else {
            return Ok(None);
        };
        let left = segment.of.bytes - segment.at;
        let mut data = vec![0; left.min(PART_BYTES as u64) as usize];
        let name = segment::name(segment.of.first_offset);
        let read = segment.file.read_at(segment.at, &mut data);
        let read = read.map_err(disk("read", name.as_ref()))?;
        if read < data.len() {
            let ended = std::io::ErrorKind::UnexpectedEof.into();
            return Err(disk("read", name.as_ref())(ended));
        }
        let piece = piece(format!("log/{name}"), segment.at, data);
        segment.at += read as u64;
        if segment.at < segment.of.bytes {
            self.segment = Some(segment);
        }
        Ok(Some(piece))
    }

    /// Opens the next segment, and lets those before it go.
    fn open(&mut self) -> Result<Option<Segment>, Error> {
        let Some(of) = self.segments.next() else {
            self.hold.release(Offset::MAX);
            return Ok(None);
        };
        let file = self.sources.log.segment(of.first_offset)?;
        self.hold.release(of.first_offset);
        Ok(Some(Segment { file, of, at: 0 }))
    }
}

fn piece(file: String, at: u64, data: Vec<u8>) -> pb::BackupBytes {
    let crc32c = crc32c::crc32c(&data);
    pb::BackupBytes {
        file,
        at,
        data,
        crc32c,
    }
}

fn message(table: Table, page: &[(Bytes, Bytes)]) -> pb::BackupEntries {
    let entry = |(key, value): &(Bytes, Bytes)| pb::BackupEntry {
        key: key.to_vec(),
        value: value.to_vec(),
    };
    let entries: Vec<_> = page.iter().map(entry).collect();
    pb::BackupEntries {
        table: table.name().to_owned(),
        crc32c: super::crc_of(&entries),
        entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_callers_on_the_machine_itself_are_trusted() {
        for (caller, local) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.9]:1", true),
            ("10.0.0.1:1", false),
            ("[2001:db8::1]:1", false),
        ] {
            let caller = Some(caller.parse().unwrap());
            assert_eq!(check_caller(caller, false).is_ok(), local, "{caller:?}");
            assert!(check_caller(caller, true).is_ok());
        }
        let refused = check_caller(None, false).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    }
}
