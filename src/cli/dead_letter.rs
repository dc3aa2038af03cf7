//! `quaymeter dead-letter`: the records that were put away because they are none of ours.

use super::query::output::{Cell, Format, Output};
use super::settings;
use crate::config::Config;
use crate::log::kafka::connection::Connection;
use crate::log::kafka::producer::{Options, Producer};
use crate::log::kafka::record::Reason;
use crate::log::kafka::topics::{Plan, Topics, admin};
use crate::transfer::requeue::{self, Judged, Letter, Letters, Which};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Serialize;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// The exit status when letters were left that are still no events.
const LEFT: u8 = 2;

/// Letters that are judged, then sent, at once.
const TOGETHER: usize = 5_000;

/// How long what is under way may take at the end.
const CLOSING: Duration = Duration::from_secs(30);

/// What `dead-letter` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show what was put away, from where and why; never what is in it
    List(ListArgs),
    /// Put those into the log that are events of ours, or become so under their
    /// facility's key and in the canonical encoding; the others stay. Sent again, an
    /// event counts once
    Requeue(RequeueArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only of this reason; may be given several times
    #[arg(long, value_parser = reason)]
    reason: Vec<String>,
    /// The most that is shown
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// How the answer is printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

#[derive(Debug, clap::Args)]
struct RequeueArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// How the answer is printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true)]
struct WhichArgs {
    /// All of them
    #[arg(long, conflicts_with_all = ["reason", "at"])]
    all: bool,
    /// Those of this reason; may be given several times
    #[arg(long, value_parser = reason)]
    reason: Vec<String>,
    /// The one at this partition and offset of the topic of dead letters
    #[arg(long, value_name = "PARTITION:OFFSET", value_parser = place)]
    at: Option<(u32, u64)>,
}

fn reason(text: &str) -> Result<String, String> {
    let known = Reason::ALL.map(Reason::code);
    match known.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected one of {}", known.join(", "))),
    }
}

fn place(text: &str) -> Result<(u32, u64), String> {
    let parts = text.split_once(':');
    let parts =
        parts.and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    parts.ok_or_else(|| "expected a partition and an offset, such as 3:1204".into())
}

/// Lists, or puts back.
///
/// # Errors
/// A faulty configuration; brokers that do not answer, or refuse.
pub async fn run(args: Args) -> Result<ExitCode> {
    match args.what {
        What::List(args) => list(args).await,
        What::Requeue(args) => requeue(args).await,
    }
}

/// The letters that are meant.
fn letters(config: &Config, which: Which) -> Result<Letters> {
    let connection = Connection::of(config)?;
    admin::require(&connection, &Plan::of(config))?;
    let topic = Topics::of(&config.kafka.prefix).dead_letter;
    let partitions = config.kafka.partitions as u32;
    Ok(Letters::open(&connection, &topic, partitions, which)?)
}

const COLUMNS: [&str; 5] = ["dead letter", "reason", "from", "bytes", "detail"];

fn cells(letter: &Letter) -> Vec<Cell> {
    let Letter {
        partition,
        offset,
        reason,
        detail,
        from_topic,
        from_partition,
        from_offset,
        bytes,
    } = letter;
    [
        format!("{partition}:{offset}"),
        reason.clone(),
        format!("{from_topic} {from_partition}:{from_offset}"),
        bytes.to_string(),
        detail.clone(),
    ]
    .map(Cell::Text)
    .into()
}

async fn list(args: ListArgs) -> Result<ExitCode> {
    let config = args.settings.resolve()?;
    let which = Which {
        reasons: args.reason,
        place: None,
    };
    let listing = move || {
        let mut letters = letters(&config, which)?;
        let mut output = Output::new(args.format, COLUMNS.into(), io::stdout())?;
        for _ in 0..args.limit {
            let Some((letter, _)) = letters.next_meant()? else {
                break;
            };
            output.row(&letter, cells(&letter))?;
        }
        output.finish()
    };
    tokio::task::spawn_blocking(listing).await??;
    Ok(ExitCode::SUCCESS)
}

/// What became of one.
#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    letter: &'a Letter,
    requeued: bool,
    /// Why it is still no event of ours.
    left: Option<String>,
}

async fn requeue(args: RequeueArgs) -> Result<ExitCode> {
    let config = args.settings.resolve()?;
    let which = Which {
        reasons: args.which.reason,
        place: args.which.at,
    };
    let events = Topics::of(&config.kafka.prefix).events;
    let connection = Connection::of(&config)?;
    let now = || Timestamp::now().as_millisecond();
    let producer = Producer::start(&connection, &events, Options::default(), now)?;
    let mut letters = tokio::task::spawn_blocking(move || letters(&config, which)).await??;
    let columns = COLUMNS.into_iter().chain(["outcome"]).collect();
    let mut output = Output::new(args.format, columns, io::stdout())?;
    let mut any_left = false;
    loop {
        let next = tokio::task::spawn_blocking(move || {
            let found = together(&mut letters)?;
            Ok::<_, anyhow::Error>((letters, found))
        });
        let found;
        (letters, found) = next.await??;
        if found.is_empty() {
            break;
        }
        let (mut events, mut outcomes) = (Vec::new(), Vec::new());
        for (letter, mended) in found {
            match mended {
                Ok(event) => {
                    events.push(event);
                    outcomes.push((letter, None));
                }
                Err(refused) => outcomes.push((letter, Some(refused.to_string()))),
            }
        }
        // Nothing is told before it is so.
        let requeued = requeue::requeue(&producer, &events).await;
        requeued.context(
            "put dead letters into the log: some of these may be in it, sent again they count once",
        )?;
        any_left |= outcomes.iter().any(|(_, left)| left.is_some());
        for (letter, left) in outcomes {
            let told = left
                .as_deref()
                .map_or("requeued".into(), |why| format!("left: {why}"));
            let row = cells(&letter).into_iter().chain([Cell::Text(told)]);
            let requeued = left.is_none();
            let letter = &letter;
            let outcome = Outcome {
                letter,
                requeued,
                left,
            };
            output.row(&outcome, row.collect())?;
        }
    }
    output.finish()?;
    producer.close(CLOSING).await?;
    Ok(match any_left {
        true => ExitCode::from(LEFT),
        false => ExitCode::SUCCESS,
    })
}

fn together(letters: &mut Letters) -> Result<Vec<Judged>> {
    let mut found = Vec::new();
    while found.len() < TOGETHER {
        match letters.next_meant()? {
            Some(letter) => found.push(letter),
            None => break,
        }
    }
    Ok(found)
}
