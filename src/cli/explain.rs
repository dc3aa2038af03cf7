//! `quaymeter explain`: what became of an event, and which events make up a
//! cell.

mod cell;
mod event;
mod words;

use super::asked::{self, Asked};
use super::progress::Bar;
use super::query::{explained, zone};
use super::service::Service;
use crate::answers::Client;
use crate::client::reach::Line;
use crate::pb;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit status when the event was never seen, or the cell's events do not
/// come to its figures.
const UNEXPLAINED: u8 = 2;

/// Traces figures to what was sent, by reading the log.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// What became of an event: its records, which one holds, where it counts,
    /// what it pairs with and until when it is known
    Event(event::Args),
    /// The events that make up a cell, with what each adds
    Cell(cell::Args),
}

/// Whom to ask, and how to print.
#[derive(Debug, clap::Args)]
struct How {
    #[command(flatten)]
    service: Service,
    /// Instead of a service: a stopped one's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The IANA zone of times [default: the reporting zone]
    #[arg(long)]
    zone: Option<String>,
    /// Only of a state that includes this position
    #[arg(
        long,
        value_name = "POSITION",
        default_value = "",
        hide_default_value = true
    )]
    at_least: String,
    /// How the answer is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// No progress on the terminal
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// The messages themselves, one a line, in the proto's JSON form.
    Json,
}

/// Asks and prints.
///
/// # Errors
/// A service or data that cannot be asked, and what it refuses.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout());
    let found = match &args.what {
        What::Event(args) => event::print(args, &mut out).await?,
        What::Cell(args) => cell::print(args, &mut out).await?,
    };
    out.flush()?;
    Ok(if found {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNEXPLAINED)
    })
}

/// Who answers, and in which zone that is shown.
struct Answering {
    asked: Asked,
    zone: TimeZone,
    bar: Bar,
}

impl How {
    async fn ask(&self) -> anyhow::Result<Answering> {
        let bar = Bar::new(self.quiet || self.format == Format::Json);
        let mut asked = match &self.data_dir {
            Some(dir) => Asked::restored(dir, &asked::settings(dir)?, &bar).await?,
            None => Asked::connected(&self.service.reach()?).await?,
        };
        let request = pb::GetStatusRequest::default();
        let status = asked.client.get_status(request).await.map_err(explained)?;
        let reporting = status.into_inner().reporting_zone;
        let zone = zone(self.zone.as_deref().unwrap_or(&reporting))?;
        bar.waits("reading the log");
        Ok(Answering { asked, zone, bar })
    }
}

impl Answering {
    fn client(&mut self) -> &mut Client<Line> {
        &mut self.asked.client
    }
}

fn json(message: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, message)?;
    Ok(writeln!(out)?)
}
