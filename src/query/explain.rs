//! LookupEvent and ListCellEvents: what was counted, traced to what was sent.
//!
//! Both read the log as far as the state reaches that they tell of, on a thread
//! for blocking work, few at a time, and give up when nobody waits any more.

mod cell;
mod event;
mod message;

pub(super) use cell::list;
pub(super) use event::lookup;

use super::{Service, place};
use crate::audit::explain::Inquiry;
use crate::audit::{Error, Rules};
use crate::event::{enterprise, facility};
use crate::log;
use crate::log::kafka::partition::partition_of;
use crate::log::readable::Readable;
use crate::log::scan::Scan;
use crate::status;
use crate::view::position::Position;
use compact_str::CompactString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::Status;

/// Explanations that read the log at once. Each may take some 200 MB of memory.
pub const EXPLANATIONS_MAX: usize = 2;

/// Lists of a cell's events that are being sent at once.
pub const LISTINGS_MAX: usize = 2;

/// When to come back after one of these limits was reached.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Opens a partition of the log.
pub type Open = dyn Fn(u32) -> Result<Box<dyn Readable>, log::Error> + Send + Sync;

/// What explanations need beside the view.
pub struct Past {
    partitions: u32,
    open: Box<Open>,
    rules: Rules,
    explanations: Arc<Semaphore>,
    listings: Arc<Semaphore>,
}

impl Past {
    /// The log in a directory, counted by these rules.
    pub fn new(log: PathBuf, rules: Rules) -> Self {
        let open = move |_| Ok(Box::new(Scan::open(&log)?) as Box<dyn Readable>);
        Self::in_partitions(1, Box::new(open), rules)
    }

    /// A log of so many partitions, counted by these rules.
    pub fn in_partitions(partitions: u32, open: Box<Open>, rules: Rules) -> Self {
        let limit = |most| Arc::new(Semaphore::new(most));
        Self {
            partitions,
            open,
            rules,
            explanations: limit(EXPLANATIONS_MAX),
            listings: limit(LISTINGS_MAX),
        }
    }
}

/// Someone who waits for an answer; dropped with his call.
#[derive(Default)]
struct Waiting {
    gone: Arc<AtomicBool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

fn past(service: &Service) -> Result<&Arc<Past>, Status> {
    let missing = || {
        let message = "this service does not know the log that it answers from";
        status::failed_precondition("NO_LOG", message, &[])
    };
    service.1.as_ref().ok_or_else(missing)
}

/// Tells something of a facility from the log up to a position.
async fn told<T: Send + 'static>(
    service: &Service,
    (facility, reach): (&str, &Position),
    tell: impl FnOnce(&Inquiry<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Status> {
    let past = Arc::clone(past(service)?);
    let partition = partition_of(facility, past.partitions);
    let end = reach.in_partition(partition);
    let permit = place(&past.explanations, "explanations under way", RETRY_AFTER)?;
    let stop = service.0.stop.clone();
    let waiting = Waiting::default();
    let gone = Arc::clone(&waiting.gone);
    let task = tokio::task::spawn_blocking(move || {
        // The place is kept until the end even if the caller is gone.
        let _permit = permit;
        let stopping = || *stop.borrow();
        let wanted = || !gone.load(Ordering::Relaxed) && !stopping();
        let inquire = || {
            let log = (past.open)(partition)?;
            tell(&Inquiry {
                log: &*log,
                rules: &past.rules,
                end,
                wanted: &wanted,
            })
        };
        inquire().map_err(failed)
    });
    let told = task.await;
    told.unwrap_or_else(|_| Err(status::internal("the event could not be explained")))
}

/// What an error of the recount is to the caller.
fn failed(error: Error) -> Status {
    match error {
        Error::TooMany { what, most } => {
            status::too_large(what, most, "ask for less time, or about one event")
        }
        // Whoever was gone does not hear it.
        Error::Cancelled => status::unavailable("the service is stopping", RETRY_AFTER),
        // Retention removes whole files from the beginning.
        Error::Log(log::Error::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            status::unavailable("the log was cut meanwhile", RETRY_AFTER)
        }
        error => {
            let cause: &dyn std::error::Error = &error;
            tracing::error!(cause, "the log cannot be read to explain an event");
            status::internal("the log cannot be read: `quaymeter audit` names what is wrong")
        }
    }
}

/// A facility, in the form that events keep it in.
fn facility(found: &str) -> Result<CompactString, Status> {
    let expected = "a UN/LOCODE with a terminal or depot code, such as CNNBO/BLCT2";
    facility::normalise(found).ok_or_else(|| status::invalid("facility", found, expected))
}

/// A source's name.
fn source(found: &str) -> Result<CompactString, Status> {
    if enterprise::is_name(found) {
        return Ok(found.into());
    }
    let expected = "1 to 64 characters `A-Z a-z 0-9 . _ : -`";
    Err(status::invalid("source", found, expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::caller::Caller;
    use crate::log::disk::RealDisk;
    use crate::log::embedded::{self, Log};
    use crate::meter::Counts;
    use crate::meter::cell::{Cells, Keeping};
    use crate::pb;
    use crate::query::Settings;
    use crate::query::asker::Asker;
    use crate::view::{State, View};
    use jiff::tz::TimeZone;
    use std::sync::mpsc;
    use std::time::Instant;
    use tokio::sync::watch;
    use tonic::Code;
    use tonic::metadata::MetadataMap;
    use tonic_types::StatusExt as _;

    /// Far more than anything here takes: reached only when something hangs.
    const DEADLINE: Duration = Duration::from_secs(60);

    struct Asked {
        service: Service,
        stop: watch::Sender<bool>,
        _dir: tempfile::TempDir,
    }

    /// A service with an empty log.
    fn asked() -> Asked {
        let dir = tempfile::tempdir().unwrap();
        let options = embedded::Options::default();
        let _ = Log::open(Arc::new(RealDisk), dir.path(), options, 0).unwrap();
        let keeping = Keeping {
            zone: TimeZone::UTC,
            quarter_days: 45,
            day_days: 1095,
        };
        let rules = Rules {
            zone: TimeZone::UTC,
            horizon_days: 35,
            quarter_days: 45,
            day_days: 1095,
            teu_45ft_milli: 2250,
        };
        let state = State::new(Cells::new(keeping), 0, None, Counts::default());
        let (stop, stopped) = watch::channel(false);
        let view = Arc::new(View::new(state));
        let settings = Settings::default();
        let answers = crate::budget::Budget::new(1 << 20);
        let clock = Arc::new(|| 0);
        let tokens = crate::view::token::Tokens::new(&[7; 32]);
        let names = Arc::new(());
        let service = Service::new(view, names, clock, stopped, settings, answers, tokens);
        let service = service.explaining(Past::new(dir.path().to_owned(), rules));
        Asked {
            service,
            stop,
            _dir: dir,
        }
    }

    const NOWHERE: (&str, &Position) = ("", &Position::START);

    /// A limit was reached, and it is told which and when to come back.
    #[track_caller]
    fn assert_later(refused: &Status, limit: &str) {
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(status::limit_of(refused).as_deref(), Some(limit));
        let retry = refused.get_error_details().retry_info().cloned();
        assert_eq!(retry.and_then(|info| info.retry_delay), Some(RETRY_AFTER));
    }

    /// An explanation that goes on for as long as it is wanted, and tells at its
    /// end whether that was why.
    fn endless(
        service: &Service,
        began: mpsc::Sender<()>,
        ended: mpsc::Sender<bool>,
    ) -> tokio::task::JoinHandle<Result<(), Status>> {
        let service = service.clone();
        tokio::spawn(async move {
            let tell = move |inquiry: &Inquiry<'_>| {
                began.send(()).unwrap();
                let started = Instant::now();
                while (inquiry.wanted)() && started.elapsed() < DEADLINE / 2 {
                    std::thread::yield_now();
                }
                // The test may be over.
                let _ = ended.send(!(inquiry.wanted)());
                Err(Error::Cancelled)
            };
            told::<()>(&service, NOWHERE, tell).await
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_explanation_more_than_allowed_is_told_when_to_come_back() {
        let asked = asked();
        let (begin, began) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let running: Vec<_> = (0..EXPLANATIONS_MAX)
            .map(|_| endless(&asked.service, begin.clone(), end.clone()))
            .collect();
        for _ in &running {
            began.recv_timeout(DEADLINE).unwrap();
        }
        let refused = told(&asked.service, NOWHERE, |_| Ok(())).await.unwrap_err();
        assert_later(&refused, "explanations under way");
        // Callers that go away make room, though their threads were busy.
        running.iter().for_each(tokio::task::JoinHandle::abort);
        for _ in &running {
            assert!(ended.recv_timeout(DEADLINE).unwrap());
        }
        let freed = asked.service.1.as_ref().unwrap().explanations.acquire();
        let freed = tokio::time::timeout(DEADLINE, freed).await;
        drop(freed.unwrap().unwrap());
        told(&asked.service, NOWHERE, |_| Ok(())).await.unwrap();
    }

    #[tokio::test]
    async fn one_list_more_than_allowed_is_told_when_to_come_back() {
        let (asked, metadata) = (asked(), MetadataMap::new());
        let tokens = crate::view::token::Tokens::new(&[7; 32]);
        let asker = Asker::new(&Caller::anyone(), &tokens, 0);
        let at = |ms| Some(crate::query::ask::message(ms));
        let request = pb::ListCellEventsRequest {
            facility: "CNNBO/BLCT2".into(),
            enterprise: "ygt:a".into(),
            role: pb::Role::Carrier.into(),
            from: at(0),
            to: at(900_000),
            ..Default::default()
        };
        let ask = async || list(&asked.service, (asker.clone(), &metadata), &request).await;
        let mut sent = Vec::new();
        for _ in 0..LISTINGS_MAX {
            sent.push(ask().await.unwrap());
        }
        let Err(refused) = ask().await else {
            panic!("one more is sent");
        };
        assert_later(&refused, "lists of events of a cell");
        // Whoever takes no more of his makes room.
        drop(sent.pop());
        sent.push(ask().await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_service_that_stops_waits_for_no_explanation() {
        let asked = asked();
        let (begin, began) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let running = endless(&asked.service, begin, end);
        began.recv_timeout(DEADLINE).unwrap();
        asked.stop.send(true).unwrap();
        let told = tokio::time::timeout(DEADLINE, running).await.unwrap();
        assert!(ended.recv_timeout(DEADLINE).unwrap());
        assert_eq!(told.unwrap().unwrap_err().code(), Code::Unavailable);
    }

    #[tokio::test]
    async fn too_many_events_are_no_reason_to_try_again() {
        let asked = asked();
        let many = |_: &Inquiry<'_>| {
            let (what, most) = ("events of the cell", 7);
            Err::<(), _>(Error::TooMany { what, most })
        };
        let refused = told(&asked.service, NOWHERE, many).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.get_error_details().retry_info().is_none());
        let limit = status::limit_of(&refused);
        assert_eq!(limit.as_deref(), Some("events of the cell"));
        let message = refused.message();
        assert!(
            message.contains("more than 7 events of the cell"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn a_service_without_its_log_says_so() {
        let asked = asked();
        let service = Service(asked.service.0.clone(), None);
        let refused = told(&service, NOWHERE, |_| Ok(())).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }
}
