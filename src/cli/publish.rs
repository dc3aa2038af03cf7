//! `quaymeter publish`: files of events to a service.

mod input;
mod report;

use super::progress;
use super::service::Connection;
use crate::client::{BATCH_EVENTS_MAX, Options, Publisher};
use crate::pb;
use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::ProgressBar;
use input::Reader;
use report::{Tally, Watch};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Batches between the reader and the publisher.
const QUEUED_BATCHES: usize = 2;

/// The exit status if all could be sent but some was refused.
const SOME_REFUSED: u8 = 2;

/// Publish events from files or standard input.
///
/// Reads NDJSON (one event a line, in the proto's JSON form) and DCSA Track &
/// Trace JSON 2.2 and 3.0, and streams it to a service. After a lost connection
/// it goes on from what was not acknowledged. Sending a file twice does no harm:
/// an event is known by its facility, source and id.
///
/// Exit status: 0 all accepted, 2 some refused, 1 failed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files to read; `-` or none is standard input.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// The service.
    #[arg(
        long,
        value_name = "URL",
        env = "QUAYMETER_TO",
        default_value = "http://127.0.0.1:7070"
    )]
    pub to: String,

    /// How the service is reached.
    #[command(flatten)]
    pub connection: Connection,

    /// Who reports: 1 to 64 characters `A-Z a-z 0-9 . _ : -`. A part of each
    /// event's identity: keep it the same when sending again.
    #[arg(long, env = "QUAYMETER_SOURCE")]
    pub source: String,

    /// The client's id: a new run with the same source and client id ends one
    /// that hangs. By default made of the host's name, the source and the files,
    /// and for standard input of the process's number.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,

    /// The input's format; `auto` tells it by how the input begins.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub format: Format,

    /// The facility of DCSA events that name none, such as `CNNBO/BLCT2`.
    #[arg(long, value_name = "FACILITY", value_parser = facility)]
    pub facility: Option<String>,

    /// A party of DCSA events that name none, such as `CARRIER=smdg:COS`; may be
    /// given several times.
    #[arg(long, value_name = "ROLE=ID", value_parser = party)]
    pub party: Vec<pb::Party>,

    /// Send events older than the correction horizon; you answer for their
    /// being new.
    #[arg(long)]
    pub backfill: bool,

    /// Refuse what would else be accepted with a warning.
    #[arg(long)]
    pub strict: bool,

    /// Events in a batch, or fewer where the service takes fewer.
    #[arg(long, value_name = "EVENTS", default_value_t = 500,
          value_parser = clap::value_parser!(u16).range(1..=BATCH_EVENTS_MAX as i64))]
    pub batch: u16,

    /// Write every refused event to this file, one JSON object a line: where it
    /// was read, why it was refused, and the event as it was read, so that it
    /// can be mended and sent again. Plates and drivers stand there in clear:
    /// the file is for you alone (mode 0600).
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Give up after this many seconds without an acknowledgement.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub give_up_after: u64,

    /// No progress bar and no summary.
    #[arg(long, short)]
    pub quiet: bool,
}

/// The format of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Told by how the input begins.
    Auto,
    /// One event a line, in the proto's JSON form.
    Ndjson,
    /// DCSA Track & Trace 2.2 or 3.0: an array, an object with `events`, or one
    /// of these or one event a line.
    Dcsa,
}

fn facility(text: &str) -> Result<String, String> {
    let fits = text.split_once('/').is_some_and(|(locode, code)| {
        locode.len() == 5 && (1..=16).contains(&code.len()) && !code.contains('/')
    });
    fits.then(|| text.into())
        .ok_or_else(|| "expected UN/LOCODE/CODE, such as CNNBO/BLCT2".into())
}

fn party(text: &str) -> Result<pb::Party, String> {
    let (role, enterprise) = text
        .split_once('=')
        .ok_or("expected ROLE=ID, such as CARRIER=smdg:COS")?;
    let name = format!("ROLE_{}", role.to_ascii_uppercase());
    let role = pb::Role::from_str_name(&name).filter(|&role| role != pb::Role::Unspecified);
    let role = role.ok_or(
        "expected a role: FORWARDER, CARRIER, YARD, TERMINAL, FLEET, SHIPPER, AGENT or \
         SERVICE_PROVIDER",
    )?;
    if !enterprise.contains(':') {
        return Err("expected an enterprise's id with its scheme, such as smdg:COS".into());
    }
    Ok(pb::Party {
        role: role.into(),
        enterprise: enterprise.into(),
    })
}

/// Publishes.
///
/// # Errors
/// An input that cannot be read, a service that cannot be reached or refuses
/// altogether, a rejects file that cannot be written. What was accepted until
/// then stays accepted; the summary is printed all the same.
pub async fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    if args.files.is_empty() {
        args.files.push("-".into());
    }
    let publisher = Publisher::new(options(&args))?;
    let tally = Tally::new(args.rejects.as_deref())?;
    let bar = progress_bar(&args);
    let (out, batches) = mpsc::channel(QUEUED_BATCHES);
    let mut watch = Watch {
        tally: tally.clone(),
        bar: bar.clone(),
    };
    let quiet = args.quiet;
    let read = start_reader(args, tally.clone(), bar.clone(), out)?;

    let published = publisher.run(batches, &mut watch).await;
    bar.finish_and_clear();
    if !quiet {
        let report = match &published {
            Ok(report) => report,
            Err(error) => &error.report,
        };
        // A reader of the summary that has gone is no fault of publishing.
        let _ = std::io::stdout().write_all(tally.summary(&report.position).as_bytes());
    }
    let finished = tally.finish();
    if let Err(error) = published {
        let last = tally.last().unwrap_or_else(|| "none".into());
        return Err(anyhow::Error::new(error).context(format!("last event acknowledged: {last}")));
    }
    read.await.context("read the input: the reader ended")??;
    finished?;
    Ok(if tally.refused() > 0 {
        SOME_REFUSED.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// Reads on a thread of its own, not on the runtime's: a read from a terminal or
/// a pipe may never return, and nothing waits for it when publishing has failed.
fn start_reader(
    args: Args,
    tally: Tally,
    bar: ProgressBar,
    out: input::Batches,
) -> anyhow::Result<oneshot::Receiver<anyhow::Result<()>>> {
    let (done, read) = oneshot::channel();
    let reading = move || {
        let mut reader = Reader::new(&args, tally, bar, out);
        let read = args.files.iter().try_for_each(|file| reader.read(file));
        // The batches end first: then the publisher ends, and asks for this.
        drop(reader);
        let _ = done.send(read);
    };
    let thread = std::thread::Builder::new().name("read".into());
    thread.spawn(reading).context("start the reader's thread")?;
    Ok(read)
}

fn options(args: &Args) -> Options {
    let client_id = args.client_id.clone().unwrap_or_else(|| client_id(args));
    Options {
        backfill: args.backfill,
        strict: args.strict,
        batch_events: usize::from(args.batch),
        give_up_after: Duration::from_secs(args.give_up_after),
        credentials: args.connection.credentials(),
        ..Options::new(&args.to, &args.source, &client_id)
    }
}

/// The same for the same source and files on the same host, so that a new run
/// takes over from one that hangs; another for each reader of a pipe, so that
/// they do not push each other out.
fn client_id(args: &Args) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(&std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default());
    add(args.source.as_bytes());
    for file in &args.files {
        if file == Path::new("-") {
            add(&std::process::id().to_be_bytes());
        } else {
            let path = std::fs::canonicalize(file).unwrap_or_else(|_| file.clone());
            add(path.as_os_str().as_encoded_bytes());
        }
    }
    let hash = hash.finalize();
    hash[..8]
        .iter()
        .fold("publish-".into(), |id, byte| format!("{id}{byte:02x}"))
}

/// A bar over the bytes of the input; a count if nobody knows how many there
/// are.
fn progress_bar(args: &Args) -> ProgressBar {
    let length = |file: &PathBuf| {
        let found = std::fs::metadata(file)
            .ok()
            .filter(std::fs::Metadata::is_file);
        found.map(|found| found.len())
    };
    let total: Option<u64> = args.files.iter().map(length).sum();
    let template = if total.is_some() {
        "{bar:32} {percent:>3} %  {binary_bytes_per_sec}  {eta} left  {wide_msg}"
    } else {
        "{spinner} {binary_bytes}  {binary_bytes_per_sec}  {wide_msg}"
    };
    progress::bar(args.quiet, total, template)
}
