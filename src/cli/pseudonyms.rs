//! `quaymeter pseudonyms`: the keys of the pseudonyms of plates and drivers.

use super::noted::changing;
use super::settings;
use crate::config::Config;
use crate::log::dir::{Error, stored_settings};
use crate::pseudonym::{Day, Known, Pseudonyms, key_file};
use crate::trail::record::Change;
use anyhow::Context as _;
use jiff::civil::Date;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// What is to be done with the keys.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the keys, each with its first day and a check that tells nothing of it
    List(ListArgs),
    /// Add a key that begins on a later day
    Rotate(RotateArgs),
    /// Erase the oldest key, once no event within the correction horizon can need it
    Erase(EraseArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    settings: settings::SettingArgs,
}

/// Events of that UTC day and later have the new key's pseudonyms, whenever they are
/// sent; truck turns across midnight are paired nevertheless. A running service takes
/// the changed file in by itself. Instances that count one log need the same file:
/// bring it to each of them before the day begins.
#[derive(Debug, clap::Args)]
struct RotateArgs {
    /// The first UTC day of the new key, at least two days ahead
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Date,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

/// What is in the log and in the state under this key stays and counts, but nobody can
/// test any more whether a pseudonym is a certain plate's or driver's.
#[derive(Debug, clap::Args)]
struct EraseArgs {
    /// The key's id
    id: u16,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

/// Lists, adds or erases.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => {
            let path = key_path(&args.settings.resolve()?);
            list(Pseudonyms::load(&path)?.known())?;
        }
        Command::Rotate(args) => {
            let config = args.settings.resolve()?;
            let path = key_path(&config);
            let from = key_file::day(args.from).context("the day is out of range")?;
            let id = changing(&config, |noting| {
                noting.note(Change::new("pseudonym_key", "rotate").with("from", args.from))?;
                anyhow::Ok(key_file::rotate(&path, from, today())?)
            })?;
            let (path, from) = (path.display(), args.from);
            writeln!(
                io::stdout(),
                "key {id} begins on {from} (UTC). Copy {path} to every instance that counts this log, and to where the backup of the keys is, before that day"
            )?;
        }
        Command::Erase(args) => {
            let config = args.settings.resolve()?;
            let path = key_path(&config);
            let horizon = horizon(&config).context("find the data's correction horizon")?;
            changing(&config, |noting| {
                noting.note(Change::new("pseudonym_key", "erase").with("id", args.id))?;
                anyhow::Ok(key_file::erase(&path, args.id, today(), horizon)?)
            })?;
            let (id, path) = (args.id, path.display());
            writeln!(
                io::stdout(),
                "key {id} is erased in {path}. Erase it in every other copy of the file, also in backups"
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn key_path(config: &Config) -> PathBuf {
    let own = || config.data_dir.join("pseudonyms.key");
    config.pseudonym_key.clone().unwrap_or_else(own)
}

/// For how many days events may come: by the settings, or by those under which the data
/// came about if these are longer. The service serves by the data's, and what is erased
/// does not come back.
fn horizon(config: &Config) -> Result<Day, Error> {
    let stored = match stored_settings(&config.data_dir) {
        // No horizon is longer than that.
        Ok(stored) => u16::try_from(stored.horizon_days).unwrap_or(u16::MAX),
        Err(Error::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(config.horizon_days.max(stored.into()))
}

fn today() -> Day {
    (jiff::Timestamp::now().as_second().div_euclid(86_400)) as Day
}

fn list(keys: &[Known]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:>3}  {:10}  check", "key", "from")?;
    for key in keys {
        let from = match (key.erased, key.from) {
            (true, _) => "erased".to_owned(),
            (_, None) => "the first".to_owned(),
            (_, Some(from)) => key_file::date(from).to_string(),
        };
        writeln!(out, "{:>3}  {from:10}  {}", key.id, key.check)?;
    }
    Ok(())
}
