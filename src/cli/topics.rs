//! `quaymeter topics`: what the topics in Kafka must be, makes them, tells what is
//! otherwise, and fills them with what was appended elsewhere.

mod copy;

use super::query::output::{Cell, Format, Output};
use super::{FAILED, settings};
use crate::config::Config;
use crate::log::kafka::Error;
use crate::log::kafka::connection::Connection;
use crate::log::kafka::topics::admin::Admin;
use crate::log::kafka::topics::{Difference, Plan, TopicPlan, differences};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// What `topics` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show what the topics must be; no broker is asked
    Plan(How),
    /// Make the topics that are missing, alter none, and check them all
    Create(How),
    /// Tell in what the topics are not as planned; the exit status is 1 if in
    /// anything
    Check(How),
    /// Copy the log of a stopped service into the topics, each event once, as it was
    /// appended; begun again after a failure, it goes on where it ended
    Import(copy::ImportArgs),
    /// Copy the events of other topics, for another number of partitions; begun again,
    /// it goes on where it ended, also with what came since
    Migrate(copy::MigrateArgs),
}

/// All settings, of which the plan and the connection are made.
#[derive(Debug, clap::Args)]
struct How {
    /// How the answer is printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

/// Shows, makes or checks.
///
/// # Errors
/// A faulty configuration; brokers that do not answer, or refuse.
pub async fn run(args: Args) -> Result<ExitCode> {
    match args.what {
        What::Plan(how) => plan(how),
        What::Create(how) => create(how).await,
        What::Check(how) => check(how).await,
        What::Import(args) => copy::import(args).await,
        What::Migrate(args) => copy::migrate(args).await,
    }
}

fn plan(how: How) -> Result<ExitCode> {
    let format = how.format;
    let plan = Plan::of(&how.settings.resolve()?);
    let columns = vec!["topic", "setting", "wanted"];
    let mut output = Output::new(format, columns, io::stdout())?;
    for topic in &plan.topics {
        if format == Format::Json {
            output.row(topic, Vec::new())?;
            continue;
        }
        for (setting, wanted) in rows(topic) {
            let cells = [topic.name.clone(), setting.into(), wanted];
            output.row(topic, cells.map(Cell::Text).into())?;
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn rows(topic: &TopicPlan) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("partitions", topic.partitions.to_string()),
        ("replicas", format!("at least {}", topic.replication)),
    ];
    let settings = topic.settings.iter();
    rows.extend(settings.map(|(name, required)| (*name, required.to_string())));
    rows
}

async fn check(how: How) -> Result<ExitCode> {
    let differences = ask(how.settings.resolve()?, |admin, plan| {
        Ok(differences(plan, &admin.found(plan)?))
    });
    tell(how.format, &differences.await?)
}

async fn create(how: How) -> Result<ExitCode> {
    let format = how.format;
    let differences = ask(how.settings.resolve()?, move |admin, plan| {
        admin.create(plan, &mut |topic| created(format, topic))?;
        Ok(differences(plan, &admin.found(plan)?))
    });
    tell(format, &differences.await?)
}

/// A topic that was made.
#[derive(Serialize)]
struct Created<'a> {
    created: &'a TopicPlan,
}

/// Told as soon as it is so, whatever comes then. Who does not read it any more
/// has the topic nevertheless.
fn created(format: Format, topic: &TopicPlan) {
    let (name, partitions, replicas) = (&topic.name, topic.partitions, topic.replication);
    let line = format!("created {name} with {partitions} partitions of {replicas} replicas");
    let _ = match format {
        Format::Table => writeln!(io::stdout(), "{line}"),
        // What is not a row.
        Format::Csv => writeln!(io::stderr(), "{line}"),
        Format::Json => {
            let line = serde_json::to_string(&Created { created: topic });
            writeln!(io::stdout(), "{}", line.unwrap_or_default())
        }
    };
}

/// Brokers are waited for on a thread for that.
async fn ask<T: Send + 'static>(
    config: Config,
    question: impl FnOnce(&Admin, &Plan) -> Result<T, Error> + Send + 'static,
) -> Result<T> {
    let connection = Connection::of(&config)?;
    let plan = Plan::of(&config);
    let asked = move || question(&Admin::of(&connection)?, &plan);
    Ok(tokio::task::spawn_blocking(asked).await??)
}

/// Prints what differs; the advice once, however many topics it is for.
fn tell(format: Format, differences: &[Difference]) -> Result<ExitCode> {
    if differences.is_empty() {
        if format == Format::Table {
            writeln!(io::stdout(), "the topics are as planned")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let columns = vec!["topic", "setting", "found", "wanted"];
    let mut output = Output::new(format, columns, io::stdout())?;
    for difference in differences {
        let Difference {
            topic,
            setting,
            found,
            wanted,
            ..
        } = difference.clone();
        let cells = [topic, setting, found, wanted].map(Cell::Text);
        output.row(difference, cells.into())?;
    }
    output.finish()?;
    let advice = differences
        .iter()
        .map(|one| (one.setting.as_str(), one.advice));
    for (setting, advice) in advice.collect::<BTreeSet<_>>() {
        eprintln!("{setting}: {advice}");
    }
    Ok(ExitCode::from(FAILED))
}
