//! What became of what was read: counted, explained in a summary, and written
//! out event by event if asked.

use crate::client::{Observer, Settled};
use crate::ndjson::Refusal;
use crate::pb;
use anyhow::Context as _;
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many events are shown for each reason.
const EXAMPLES: usize = 3;

/// Where an event was read, to name it in a report.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The file's name; `-` for standard input.
    pub file: Arc<str>,
    /// The line, from 1, or the index of the event, from 0.
    pub at: At,
    /// The event's id, if it has one.
    pub event_id: String,
    /// The event as it was read, if it may have to be written out.
    pub text: Option<Box<str>>,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    Line(u64),
    Index(u64),
}

impl Origin {
    fn name(&self) -> String {
        match self.at {
            At::Line(line) => format!("{}:{line} {}", self.file, self.event_id),
            At::Index(index) => format!("{}[{index}] {}", self.file, self.event_id),
        }
    }
}

/// One line of the rejects file; the event as read follows.
#[derive(Serialize)]
struct Reject<'a> {
    file: &'a str,
    #[serde(flatten)]
    at: At,
    event_id: &'a str,
    refused_by: &'a str,
    reason: &'a str,
    field: &'a str,
    found: &'a str,
    expected: &'a str,
}

#[derive(Default)]
struct Reason {
    count: u64,
    examples: Vec<String>,
}

#[derive(Default)]
struct Counts {
    accepted: u64,
    warned: u64,
    refused: BTreeMap<String, Reason>,
    warnings: BTreeMap<String, Reason>,
    rejects: Option<BufWriter<File>>,
    /// The first fault of writing rejects.
    fault: Option<io::Error>,
    last: Option<String>,
}

/// The tally of a run, shared by the reader, which refuses some, and the
/// publisher, which is told of the rest.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Mutex<Counts>>);

impl Tally {
    /// A tally that writes what is refused to a file, if one is named.
    pub fn new(rejects: Option<&Path>) -> anyhow::Result<Self> {
        let tally = Self::default();
        if let Some(path) = rejects {
            let file = rejects_file(path)
                .with_context(|| format!("create the rejects file {}", path.display()))?;
            tally.lock().rejects = Some(BufWriter::new(file));
        }
        Ok(tally)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counts stay true whatever happened to another holder.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what could not be sent.
    pub fn refuse(&self, origin: &Origin, refusal: &Refusal) {
        let fault = pb::Fault {
            reason: 0,
            field: refusal.field.clone(),
            found: refusal.found.clone(),
            expected: refusal.expected.clone(),
        };
        self.lock()
            .refuse(origin, "client", &refusal.reason.to_string(), &fault);
    }

    /// How many were refused, by whomever.
    pub fn refused(&self) -> u64 {
        self.lock()
            .refused
            .values()
            .map(|reason| reason.count)
            .sum()
    }

    /// Writes out what is still in memory.
    ///
    /// # Errors
    /// The rejects file could not be written.
    pub fn finish(&self) -> anyhow::Result<()> {
        let mut counts = self.lock();
        let flushed = counts.rejects.as_mut().map_or(Ok(()), Write::flush);
        let fault = counts.fault.take();
        fault.map_or(flushed, Err).context("write the rejects file")
    }

    /// What became of all, for people, and the last position, if there is one.
    pub fn summary(&self, position: &str) -> String {
        let counts = self.lock();
        let refused: u64 = counts.refused.values().map(|reason| reason.count).sum();
        let mut text = format!("{} events accepted", counts.accepted);
        if counts.warned > 0 {
            let _ = write!(text, " ({} with warnings)", counts.warned);
        }
        let _ = writeln!(text, ", {refused} refused");
        explain(&mut text, "refused", &counts.refused);
        explain(&mut text, "warned", &counts.warnings);
        if !position.is_empty() {
            let _ = writeln!(text, "position {position}");
        }
        text
    }

    /// The last event that is known to be durable, with all before it.
    pub fn last(&self) -> Option<String> {
        self.lock().last.clone()
    }
}

/// A file for its owner alone: events stand in it as they were read, with plates and drivers.
fn rejects_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path)?;
    // One that was there has a mode already; a pipe or a terminal keeps it.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn explain(text: &mut String, what: &str, reasons: &BTreeMap<String, Reason>) {
    let mut sorted: Vec<_> = reasons.iter().collect();
    sorted.sort_by_key(|(_, reason)| std::cmp::Reverse(reason.count));
    for (name, reason) in sorted {
        let _ = writeln!(text, "  {what} {:>9}  {name}", reason.count);
        for example in &reason.examples {
            let _ = writeln!(text, "                       {example}");
        }
    }
}

impl Counts {
    fn refuse(&mut self, origin: &Origin, by: &str, reason: &str, fault: &pb::Fault) {
        self.refused
            .entry(reason.into())
            .or_default()
            .add(origin, fault);
        let Some(rejects) = &mut self.rejects else {
            return;
        };
        let reject = Reject {
            file: &origin.file,
            at: origin.at,
            event_id: &origin.event_id,
            refused_by: by,
            reason,
            field: &fault.field,
            found: &fault.found,
            expected: &fault.expected,
        };
        let text = origin.text.as_deref().unwrap_or_default();
        if let Err(error) = write_reject(rejects, &reject, text) {
            self.fault.get_or_insert(error);
        }
    }
}

impl Reason {
    fn add(&mut self, origin: &Origin, fault: &pb::Fault) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            let pb::Fault {
                field,
                found,
                expected,
                ..
            } = fault;
            let name = origin.name();
            self.examples.push(format!(
                "{name}: {field}: found {found}, expected {expected}"
            ));
        }
    }
}

/// Writes one line: JSON as it was read, else its text as a string.
fn write_reject(out: &mut impl Write, reject: &Reject<'_>, text: &str) -> io::Result<()> {
    let mut line = serde_json::to_string(reject)?;
    line.pop();
    line.push_str(",\"event\":");
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        line.push_str(text);
    } else {
        line.push_str(&serde_json::to_string(text)?);
    }
    line.push_str("}\n");
    out.write_all(line.as_bytes())
}

/// A reason's name without what all names of the enum begin with.
fn reason_name(fault: &pb::Fault) -> &'static str {
    let name = fault.reason().as_str_name();
    name.strip_prefix("REASON_").unwrap_or(name)
}

/// Tells the tally and the progress bar what the service says.
pub(super) struct Watch {
    pub tally: Tally,
    pub bar: ProgressBar,
}

impl Observer<Arc<[Origin]>> for Watch {
    fn settled(&mut self, settled: Settled<'_, Arc<[Origin]>>) {
        let mut counts = self.tally.lock();
        counts.accepted += u64::from(settled.accepted);
        // Not that of the whole batch, of which this may be a part.
        let end = settled.first + settled.accepted + settled.refused;
        let last = settled.tag.get(..end as usize).and_then(<[Origin]>::last);
        counts.last = last.map(Origin::name);
        for result in &settled.results {
            let Some(origin) = settled.tag.get(result.index as usize) else {
                continue;
            };
            match &result.refusal {
                Some(fault) if result.outcome() == pb::Outcome::Refused => {
                    counts.refuse(origin, "service", reason_name(fault), fault);
                }
                None if result.outcome() == pb::Outcome::Refused => {
                    counts.refuse(origin, "service", "UNSPECIFIED", &pb::Fault::default());
                }
                _ => counts.warned += 1,
            }
            for fault in &result.warnings {
                counts
                    .warnings
                    .entry(reason_name(fault).into())
                    .or_default()
                    .add(origin, fault);
            }
        }
        self.bar
            .set_message(format!("{} events accepted", counts.accepted));
    }

    fn interrupted(&mut self, why: &str, pause: Duration) {
        let told = format!("waiting {:.1} s to resume: {why}", pause.as_secs_f64());
        if self.bar.is_hidden() {
            eprintln!("{told}");
        } else {
            self.bar.println(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rejects_file_is_its_owners_alone_whatever_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.ndjson");
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        Tally::new(Some(&path)).unwrap();
        assert_eq!(mode(), 0o600);
        std::fs::write(&path, "of an earlier run").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        Tally::new(Some(&path)).unwrap();
        assert_eq!(mode(), 0o600);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_device_keeps_its_mode() {
        let device = Path::new("/dev/null");
        let mode = || device.metadata().unwrap().permissions().mode();
        let before = mode();
        rejects_file(device).unwrap();
        assert_eq!(mode(), before);
    }
}
