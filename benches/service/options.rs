//! What is asked of a run of the benchmarks.

use crate::send::Manner;
use anyhow::{Context as _, bail};
use quaymeter::simulate::FULL_DAY;
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Beginnings of keys; empty means all.
    pub only: Vec<String>,
    /// Runs of each figure.
    pub runs: usize,
    /// How long the sustained load lasts; the others are in proportion.
    pub seconds: u64,
    /// Small days and short loads: for work on the benchmarks themselves.
    pub quick: bool,
    /// About how many distinct events a day has.
    pub events: u32,
    /// In place of all that, so many days of a year.
    pub year: Option<usize>,
}

const USAGE: &str = "flags after `--`: --only KEY,KEY… (beginnings of keys), --runs N (5), \
                     --seconds N (60), --quick (a tenth of everything, one run), \
                     --year DAYS (nothing but so many days, one after the other), \
                     --events N (of a day of that year, distinct: 450000)";

impl Options {
    /// From the flags.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            only: Vec::new(),
            runs: 5,
            seconds: 60,
            quick: false,
            events: FULL_DAY,
            year: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().context(USAGE);
            match argument.as_str() {
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--runs" => options.runs = value()?.parse().context(USAGE)?,
                "--seconds" => options.seconds = value()?.parse().context(USAGE)?,
                "--quick" => {
                    options.quick = true;
                    options.runs = 1;
                    options.seconds = 6;
                }
                "--events" => options.events = value()?.parse().context(USAGE)?,
                "--year" => options.year = Some(value()?.parse().context(USAGE)?),
                // Cargo's own.
                "--bench" => {}
                _ => bail!("unknown flag {argument}; {USAGE}"),
            }
        }
        if options.runs == 0 || options.seconds == 0 || options.events == 0 {
            bail!(USAGE);
        }
        if options.events != FULL_DAY && options.year.is_none() {
            // What is measured with other days compares with nothing.
            bail!("--events goes with --year; {USAGE}");
        }
        Ok(options)
    }

    /// Whether any of these keys is asked for.
    pub fn wants(&self, keys: &[&str]) -> bool {
        let asked = |key: &&str| self.only.iter().any(|only| key.starts_with(only.as_str()));
        self.only.is_empty() || keys.iter().any(asked)
    }

    /// So many, or a tenth of it.
    pub fn scaled(&self, number: u64) -> u64 {
        if self.quick { number / 10 } else { number }
    }

    /// Distinct events of a day.
    pub fn events_per_day(&self) -> u32 {
        self.scaled(self.events.into()) as u32
    }

    /// How long events are sent so: the sustained load lasts longest.
    pub fn time(&self, manner: Manner) -> Duration {
        Duration::from_secs(match manner {
            Manner::Batches => self.seconds,
            Manner::Calls | Manner::Singles => self.seconds.div_ceil(4),
        })
    }
}
