//! `quaymeter backup`: copies a running service's data into a new directory,
//! from which `quaymeter serve` can start; or checks such a copy.

use super::progress::Bar;
use super::service::Service;
use super::signals::shutdown_signal;
use crate::backup::manifest::Manifest;
use crate::backup::take::{Taking, Target};
use crate::backup::{self, MANIFEST, PART_BYTES, check};
use crate::client::Cause;
use crate::client::reach::{Line, Reach};
use crate::failpoint;
use crate::log::dir::{DataDir, stored_settings};
use crate::pb::admin_service_client::AdminServiceClient;
use crate::pb::backup_response::Part;
use crate::pb::{self, BackupRequest};
use anyhow::{Context as _, anyhow, bail};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tonic::codec::Streaming;
use tonic::transport::Endpoint;

/// A part, and an entry of the state that is larger than one.
const MESSAGE_BYTES_MAX: usize = 16 * PART_BYTES;

/// What may be on its way to us, in bytes.
const WINDOW_BYTES: u32 = 4 << 20;

/// From one part to the next: a service under load has its disk to share.
const PART_WITHIN: Duration = Duration::from_secs(120);

/// How long to wait for a connection, and for the answer to a ping on it.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(20);

/// Copy a running service's data into a new directory, or check such a copy.
///
/// The copy is consistent and holds all that was acknowledged before it began;
/// the service goes on meanwhile. `quaymeter serve --data-dir DIR` starts on it.
///
/// The keys of the pseudonyms (`pseudonyms.key`) are not in it: whoever has both
/// can test guesses of plates. Keep a copy of the key file elsewhere; a restored
/// service needs it.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    #[command(flatten)]
    service: Service,
    /// The directory to be made, or an empty one. Until the copy is whole and
    /// checked it is called DIR.unfinished
    #[arg(long, value_name = "DIR", group = "what")]
    to: Option<PathBuf>,
    /// Check this copy instead: every file, record and entry of the state
    #[arg(long, value_name = "DIR", group = "what")]
    verify: Option<PathBuf>,
    /// No progress bar
    #[arg(long, short)]
    quiet: bool,
}

/// Copies or checks.
///
/// # Errors
/// A service that cannot be reached, refuses or stops midway; a target that is
/// there already, or a disk that fails: then nothing is left of the copy. A copy
/// that is not what its manifest says.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    failpoint::configure();
    let bar = Bar::new(args.quiet);
    match (args.to, args.verify) {
        (Some(to), _) => take(&args.service.reach()?, &to, &bar).await?,
        (None, Some(dir)) => verify(dir, bar).await?,
        // The arguments' group sees to it.
        (None, None) => bail!("neither --to nor --verify is given"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn take(reach: &Reach, to: &Path, bar: &Bar) -> anyhow::Result<()> {
    let started = Instant::now();
    let stop = shutdown_signal()?;
    let target = Target::new(to)?;
    let copied = tokio::select! {
        copied = copy(reach, &target, bar) => copied?,
        () = stop => bail!("stopped by a signal: nothing is left of the copy"),
    };
    failpoint::reached("backup.whole");
    let dir = target.dir().to_owned();
    let checking = bar.clone();
    let manifest = blocking(move || {
        checking.bytes(copied.file_bytes(), "checking");
        check::contents(&dir, &copied, &mut |bytes| checking.at(bytes))?;
        copied.write(&dir)?;
        Ok(copied)
    });
    let manifest = manifest.await.context("check the copy")?;
    failpoint::reached("backup.checked");
    target.finish()?;
    failpoint::reached("backup.named");
    bar.clear();
    tell(
        &manifest,
        to,
        &format!("copied to {}", to.display()),
        started,
    )?;
    writeln!(
        io::stdout(),
        "not in it: the keys of the pseudonyms (pseudonyms.key); a restored service needs a copy of them from elsewhere"
    )?;
    Ok(())
}

/// Takes the stream down; what it was.
async fn copy(reach: &Reach, target: &Target, bar: &Bar) -> anyhow::Result<Manifest> {
    let server = reach.url();
    bar.waits("waiting for the service");
    let mut client =
        AdminServiceClient::new(connect(reach).await?).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let asked = client.backup(BackupRequest {}).await;
    let mut parts = asked
        .map_err(|status| refused(server, &status))?
        .into_inner();
    let first = next(server, &mut parts).await?;
    let Some(Part::Begin(begin)) = first else {
        bail!("{server} began a backup with something else: is it another version?");
    };
    let total = begin.file_bytes;
    let dir = target.dir().to_owned();
    let mut taking = blocking(move || Taking::new(&dir, begin)).await?;
    let (mut entries, mut bytes) = (0, 0);
    bar.counts("entries of the state copied");
    while let Some(part) = next(server, &mut parts).await? {
        if let Part::Entries(part) = &part {
            entries += part.entries.len() as u64;
            bar.at(entries);
        }
        let before = bytes;
        let taken = blocking(move || {
            let bytes = taking.take(part)?;
            failpoint::reached("backup.taken");
            Ok((taking, bytes))
        });
        let (same, more) = taken.await?;
        taking = same;
        bytes += more;
        if before == 0 && more > 0 {
            bar.bytes(total, "copying the log");
        }
        if more > 0 {
            bar.at(bytes);
        }
    }
    blocking(move || taking.finish()).await
}

/// The next part; none when the service has ended the stream in good order.
async fn next(
    server: &str,
    parts: &mut Streaming<pb::BackupResponse>,
) -> anyhow::Result<Option<Part>> {
    let next = timeout(PART_WITHIN, parts.message()).await;
    let next = next.map_err(|_| anyhow!("{server} sent nothing for {PART_WITHIN:?}"))?;
    match next.map_err(|status| refused(server, &status))? {
        None => Ok(None),
        Some(message) => {
            let part = message.part;
            let part = part.with_context(|| format!("{server} sent a part of an unknown kind"))?;
            Ok(Some(part))
        }
    }
}

async fn connect(reach: &Reach) -> Result<Line, Cause> {
    let patiently = |endpoint: Endpoint| {
        endpoint
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(CONNECT_WITHIN)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
    };
    reach.connect_as(patiently).await
}

fn refused(server: &str, status: &tonic::Status) -> anyhow::Error {
    anyhow!(
        "backup of {server}: {:?}: {}",
        status.code(),
        status.message()
    )
}

async fn verify(dir: PathBuf, bar: Bar) -> anyhow::Result<()> {
    let started = Instant::now();
    let (at, checking) = (dir.clone(), bar.clone());
    let check = move || {
        // First the manifest: it tells what the directory is.
        let total = Manifest::read(&at)?.file_bytes();
        // Nobody may start on it meanwhile.
        let _taken = DataDir::open(&at, &stored_settings(&at)?)?;
        checking.bytes(total, "checking");
        anyhow::Ok(check::check(&at, &mut |bytes| checking.at(bytes))?)
    };
    let manifest = tokio::task::spawn_blocking(check).await??;
    bar.clear();
    tell(
        &manifest,
        &dir,
        &format!("{} is whole", dir.display()),
        started,
    )
}

fn tell(manifest: &Manifest, dir: &Path, what: &str, started: Instant) -> anyhow::Result<()> {
    let mib = manifest.file_bytes() as f64 / f64::from(1 << 20);
    writeln!(
        io::stdout(),
        "{what}: {} records (offsets {} to {}), {mib:.1} MiB of log, {} entries of state at offset {}, begun at {}, in {:.1} s; sums are in {}",
        manifest.end_offset - manifest.start_offset,
        manifest.start_offset,
        manifest.end_offset,
        manifest.entries(),
        manifest.checkpoint_offset,
        manifest.begun_at,
        started.elapsed().as_secs_f64(),
        dir.join(MANIFEST).display(),
    )?;
    Ok(())
}

/// Disks are waited for on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, backup::Error> + Send + 'static,
) -> anyhow::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await??)
}
