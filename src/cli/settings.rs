//! A flag for every setting, made from the table of settings.

use crate::config::{Config, Error, SETTINGS, Setting, Sources};
use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, FromArgMatches};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The flags' names: clap wants them for good.
static FLAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| SETTINGS.iter().map(Setting::flag).collect());

/// Where the configuration comes from.
#[derive(Debug, clap::Args)]
pub struct SettingArgs {
    /// Configuration file (TOML); flags and environment win over it
    #[arg(long, value_name = "FILE", env = crate::config::FILE_VARIABLE)]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl SettingArgs {
    /// The configuration from file, environment and flags.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn resolve(self) -> Result<Config, Error> {
        Config::resolve(Sources {
            file: self.config,
            environment: std::env::vars_os().collect(),
            flags: self.flags.0,
        })
    }
}

/// The defaults, with data in this directory: whatever the environment says.
///
/// # Errors
/// A path that is no text.
pub fn defaults(data_dir: &Path) -> anyhow::Result<Config> {
    let data_dir = data_dir
        .to_str()
        .context("the data directory's path is not UTF-8")?;
    let flags = vec![("data_dir", data_dir.to_owned())];
    Ok(Config::resolve(Sources {
        flags,
        ..Sources::default()
    })?)
}

/// The settings that flags gave.
#[derive(Debug)]
struct Flags(Vec<(&'static str, String)>);

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        command
            .next_help_heading("Settings")
            .args(SETTINGS.iter().zip(&*FLAGS).map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SETTINGS.iter().filter_map(|setting| {
            let text = matches.get_one::<String>(setting.name)?;
            Some((setting.name, text.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn arg((setting, flag): (&Setting, &'static String)) -> Arg {
    let default = match setting.default {
        "" => String::new(),
        text => format!(" [default: {text}]"),
    };
    let help = format!("{}: {}{default}", setting.help, setting.expected());
    let arg = Arg::new(setting.name).long(flag.as_str()).help(help);
    let arg = arg.visible_aliases(setting.alias);
    match setting.switch {
        true => arg
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        false => arg.value_name("VALUE").allow_hyphen_values(true),
    }
}
