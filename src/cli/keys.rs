//! `quaymeter keys`: makes, lists and takes back the API keys of callers. A service
//! notices by itself.

use super::noted::changing;
use super::query::output::{Cell, Format, Output};
use super::settings;
use crate::auth::callers::Callers;
use crate::auth::keys::{Entry, Keys};
use crate::auth::known::key_file;
use crate::config::Config;
use crate::event::enterprise::is_name;
use crate::trail::record::Change;
use anyhow::{Context as _, Result, bail};
use jiff::{Span, Timestamp, civil, tz::TimeZone};
use serde::Serialize;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// What `keys` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a key for a caller and print it: this once, because only its hash is kept
    Create(CreateArgs),
    /// List the keys: their ids, whose they are and how long they are good
    List(ListArgs),
    /// Take a key back; a service that runs closes what was opened with it
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// The caller's name, as in the callers' file
    #[arg(value_parser = name)]
    caller: String,
    /// When it expires: after a time such as 90d or 12h, at the end of a day such as
    /// 2027-03-31 (UTC), or never
    #[arg(long, value_name = "WHEN", default_value = "never", value_parser = expiry)]
    expires: Expiry,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// How the answer is printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    /// The key's id: what stands between qm_ and the next _
    id: String,
    #[command(flatten)]
    settings: settings::SettingArgs,
}

/// How long a key is good.
#[derive(Clone, Debug)]
enum Expiry {
    Never,
    After(Span),
    At(Timestamp),
}

impl Expiry {
    fn from(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let at = match self {
            Self::Never => return Ok(None),
            Self::After(span) => now.checked_add(*span).context("--expires")?,
            Self::At(at) => *at,
        };
        if at <= now {
            bail!("--expires: found {at}, expected a time to come");
        }
        Ok(Some(at))
    }
}

fn name(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 64 characters A-Z a-z 0-9 . _ : -".into()),
    }
}

/// Days are of 24 hours.
fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    if let Ok(day) = text.parse::<civil::Date>() {
        let next = day.tomorrow().map_err(|error| error.to_string())?;
        let end = next
            .to_zoned(TimeZone::UTC)
            .map_err(|error| error.to_string())?;
        return Ok(Expiry::At(end.timestamp()));
    }
    let (number, hours) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(days), _) => (days, 24),
        (_, Some(hours)) => (hours, 1),
        _ => (text, 0),
    };
    let number = number
        .parse::<u32>()
        .ok()
        .filter(|n| (1..=36_500).contains(n));
    match number {
        Some(number) if hours > 0 => {
            Ok(Expiry::After(Span::new().hours(i64::from(number) * hours)))
        }
        _ => Err("expected a time such as 90d or 12h, a day such as 2027-03-31, or never".into()),
    }
}

/// Makes, lists or takes back.
///
/// # Errors
/// The key file cannot be read or written; there is no such key.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.what {
        What::Create(args) => create(args),
        What::List(args) => list(args),
        What::Revoke(args) => revoke(args),
    }
}

fn create(args: CreateArgs) -> Result<ExitCode> {
    let config = args.settings.resolve()?;
    let now = now()?;
    let expires = args.expires.from(now)?;
    let file = key_file(&config);
    let key = changing(&config, |noting| {
        Keys::change(&file, |keys| {
            let key = keys.create(&args.caller, now, expires)?;
            let change = Change::new("api_key", "create").with("id", key.id());
            let until = expires.map_or_else(|| "never".into(), |at| at.to_string());
            noting.note(change.with("caller", &args.caller).with("expires", until))?;
            Ok(key)
        })
    })?;
    writeln!(io::stdout(), "{}", key.text())?;
    let until = expires.map_or_else(|| "with no end".into(), |at| format!("until {at}"));
    eprintln!(
        "key {} of {} is in {}, good {until}; it is shown this once",
        key.id(),
        args.caller,
        file.display()
    );
    if let Some(advice) = advice(&config, &args.caller, key.id()) {
        eprintln!("{advice}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What is still missing for the key to be good.
fn advice(config: &Config, caller: &str, id: &str) -> Option<String> {
    let Some(path) = &config.callers else {
        return Some("note: no callers' file is set (callers), so keys are not asked for".into());
    };
    let callers = match Callers::load(path) {
        Ok(callers) => callers,
        Err(error) => return Some(format!("note: {error}")),
    };
    let path = path.display();
    match callers.callers.iter().find(|entry| entry.name == caller) {
        None => Some(format!("note: no caller {caller} is in {path} yet")),
        Some(entry) if !entry.keys.has(id) => Some(format!(
            "note: add \"{id}\" to the keys of {caller} in {path}"
        )),
        Some(_) => None,
    }
}

/// A key, as it is listed.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    caller: &'a str,
    state: &'static str,
    created: Timestamp,
    expires: Option<Timestamp>,
    revoked: Option<Timestamp>,
}

fn list(args: ListArgs) -> Result<ExitCode> {
    let config = args.settings.resolve()?;
    let keys = Keys::load(&key_file(&config))?;
    let now = now()?;
    let columns = vec!["id", "caller", "state", "created", "expires", "revoked"];
    let mut output = Output::new(args.format, columns, io::stdout())?;
    for (id, entry) in keys.iter().flat_map(Keys::iter) {
        let row = Row {
            id,
            caller: &entry.caller,
            state: state(entry, now),
            created: entry.created,
            expires: entry.expires,
            revoked: entry.revoked,
        };
        let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let cells = [
            id.into(),
            row.caller.into(),
            row.state.into(),
            at(Some(row.created)),
            at(row.expires),
            at(row.revoked),
        ];
        output.row(&row, cells.map(Cell::Text).into())?;
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Whole seconds are enough for people.
fn now() -> Result<Timestamp> {
    Ok(Timestamp::from_second(Timestamp::now().as_second())?)
}

fn state(entry: &Entry, now: Timestamp) -> &'static str {
    match (entry.revoked, entry.expires) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        (None, _) => "good",
    }
}

fn revoke(args: RevokeArgs) -> Result<ExitCode> {
    let config = args.settings.resolve()?;
    let now = now()?;
    let caller = changing(&config, |noting| {
        Keys::change(&key_file(&config), |keys| {
            let caller = keys.revoke(&args.id, now)?.caller.clone();
            let change = Change::new("api_key", "revoke").with("id", &args.id);
            noting.note(change.with("caller", &caller))?;
            Ok(caller)
        })
    })?;
    eprintln!("key {} of {caller} is revoked", args.id);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_expires_after_a_time_or_at_the_end_of_a_day() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let at = |text: &str| {
            let at = expiry(text).unwrap().from(now).unwrap();
            at.map(|at| at.to_string()).unwrap_or_default()
        };
        assert_eq!(at("never"), "");
        assert_eq!(at("90d"), "2027-02-27T12:00:00Z");
        assert_eq!(at("1h"), "2026-11-29T13:00:00Z");
        assert_eq!(at("2027-03-31"), "2027-04-01T00:00:00Z");
        for bad in [
            "",
            "d",
            "90",
            "-1d",
            "0d",
            "1y",
            "99999999999d",
            "2027-13-01",
        ] {
            assert!(expiry(bad).is_err(), "{bad}");
        }
        assert!(expiry("2026-11-28").unwrap().from(now).is_err());
        assert!(expiry("2026-11-29").unwrap().from(now).is_ok());
    }
}
