//! `quaymeter trail`: verifies or shows the audit trail.

use super::settings;
use crate::config::Config;
use crate::trail::chain::Head;
use crate::trail::verify::{Report, lines, verify};
use crate::trail::walk::Line;
use crate::trail::{self, COMMANDS, SERVICE};
use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The exit status of a trail that is not whole.
const BROKEN: u8 = 2;

/// What is asked of the trail.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Follow every record to the one before it, and tell the last
    Verify(VerifyArgs),
    /// Print records
    Show(ShowArgs),
}

/// A trail whose end is cut off is whole: note the heads that this prints elsewhere, and
/// give them next time.
#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// A head that was noted: the trail must still have this record
    #[arg(long, value_name = "CHAIN=NUMBER:HASH", value_parser = noted)]
    head: Vec<(Chain, Head)>,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Whose records: the service's, or those of commands that changed keys
    #[arg(long, value_enum, default_value = "service")]
    chain: Chain,
    /// Only of this kind, such as read, refused, sent or changed
    #[arg(long)]
    kind: Option<String>,
    /// Only of this caller, or source
    #[arg(long)]
    caller: Option<String>,
    /// Only from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// How many, the newest; 0 is all
    #[arg(long, default_value_t = 100)]
    last: usize,
    /// As they stand in the files, a line of JSON each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Chain {
    Service,
    Commands,
}

impl Chain {
    fn name(self) -> &'static str {
        match self {
            Self::Service => SERVICE,
            Self::Commands => COMMANDS,
        }
    }
}

fn noted(text: &str) -> Result<(Chain, Head), String> {
    match text.split_once('=') {
        Some(("service", head)) => Ok((Chain::Service, head.parse()?)),
        Some(("commands", head)) => Ok((Chain::Commands, head.parse()?)),
        _ => Err("expected service= or commands=, and a head as verify prints it".into()),
    }
}

/// Verifies, or shows.
///
/// # Errors
/// There is no trail; the disk's.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Verify(args) => {
            let directory = directory(&args.settings.resolve()?)?;
            verify_all(&directory, &args.head)
        }
        Command::Show(args) => show(args),
    }
}

fn directory(config: &Config) -> Result<PathBuf> {
    let directory = trail::directory(config);
    if !directory.is_dir() {
        bail!("there is no audit trail in {}", directory.display());
    }
    Ok(directory)
}

fn verify_all(directory: &Path, heads: &[(Chain, Head)]) -> Result<ExitCode> {
    let (mut found, mut whole) = (false, true);
    for chain in [Chain::Service, Chain::Commands] {
        let of_it = heads.iter().filter(|(of, _)| *of == chain);
        let noted: Vec<Head> = of_it.map(|(_, head)| *head).collect();
        match verify(directory, chain.name(), &noted)? {
            Some(report) => {
                found = true;
                whole &= report.faults.is_empty();
                tell(chain.name(), &report)?;
            }
            None if noted.is_empty() => {}
            None => {
                whole = false;
                let name = chain.name();
                writeln!(io::stdout(), "{name}: BROKEN, there is no file of it")?;
            }
        }
    }
    if !found && whole {
        bail!("there is no audit trail in {}", directory.display());
    }
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(BROKEN)
    })
}

fn tell(chain: &str, report: &Report) -> Result<()> {
    let mut out = io::stdout().lock();
    let state = match report.faults.len() {
        0 => "whole".into(),
        1 => "BROKEN, 1 fault".into(),
        faults => format!("BROKEN, {faults} faults"),
    };
    let (records, files) = (report.records, report.files);
    write!(out, "{chain}: {state}; {records} records in {files} files")?;
    if let Some((from, until)) = report.written {
        write!(out, ", written {from:.0} to {until:.0}")?;
    }
    writeln!(out)?;
    if report.before.seq > 0 {
        let before = report.before.seq;
        writeln!(out, "  the first {before} records are kept no more")?;
    }
    for fault in &report.faults {
        writeln!(out, "  {fault}")?;
    }
    writeln!(out, "  head {chain}={}", report.head)?;
    Ok(())
}

fn show(args: ShowArgs) -> Result<ExitCode> {
    let (chain, last) = (args.chain.name(), args.last);
    let asked = Asked {
        kind: args.kind,
        caller: args.caller,
        from: args.from,
        to: args.to,
    };
    let directory = directory(&args.settings.resolve()?)?;
    let mut kept = VecDeque::new();
    let (mut out, mut written) = (io::stdout().lock(), Ok(()));
    lines(&directory, chain, |text, line| {
        let Some(record) = asked.find(text, line) else {
            return;
        };
        let told = if args.json {
            text.into()
        } else {
            plain(&record)
        };
        if last == 0 {
            if written.is_ok() {
                written = writeln!(out, "{told}");
            }
            return;
        }
        kept.push_back(told);
        if kept.len() > last {
            kept.pop_front();
        }
    })?;
    written?;
    for told in kept {
        writeln!(out, "{told}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Which records are to be shown.
struct Asked {
    kind: Option<String>,
    caller: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Asked {
    /// A line's record, if it is to be shown.
    fn find(&self, text: &str, line: &Line) -> Option<Map<String, Value>> {
        let wanted = self.kind.as_ref().is_none_or(|kind| *kind == line.kind)
            && self.from.is_none_or(|from| from <= line.at)
            && self.to.is_none_or(|to| line.at < to);
        if !wanted {
            return None;
        }
        let record: Map<String, Value> = serde_json::from_str(text).ok()?;
        let is = |field: &str, of: &String| record.get(field).is_some_and(|value| value == of);
        let of = |caller| is("caller", caller) || is("source", caller);
        self.caller.as_ref().is_none_or(of).then_some(record)
    }
}

/// For people: when, what, and the rest by name.
fn plain(record: &Map<String, Value>) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let of = |name: &str| record.get(name).map(text).unwrap_or_default();
    let mut line = format!("{} {}", of("at"), of("kind"));
    for (name, value) in record {
        if !matches!(&**name, "at" | "kind" | "seq" | "hash") {
            line = format!("{line} {name}={}", text(value));
        }
    }
    line
}
