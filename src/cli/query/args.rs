//! The options of `quaymeter query`.

use super::super::service::Service;
use super::super::words;
use super::output::Format;
use crate::pb::{Classifier, Dimension, Grain, Measure, Role};

/// Asks a running service. Without any option: today so far, by role.
///
/// Times are `now`, `today`, `yesterday`, `-24h`, `2026-11-23`,
/// `2026-11-23T08:00` in the zone, or `2026-11-23T08:00:00+08:00`; `--from` is
/// rounded down to the grain and `--to`, which is not included, up.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) service: Service,
    /// Only this enterprise, for example smdg:COS; repeatable.
    #[arg(long, value_name = "ID")]
    pub(super) enterprise: Vec<String>,
    /// Only this role; repeatable.
    #[arg(long, value_parser = words::role())]
    pub(super) role: Vec<Role>,
    /// Only this facility, or all of a UN/LOCODE such as CNNBO; repeatable.
    #[arg(long, value_name = "CODE")]
    pub(super) facility: Vec<String>,
    /// Instead of actual; repeatable.
    #[arg(long, value_parser = words::classifier())]
    pub(super) classifier: Vec<Classifier>,
    /// From when [default: today].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) from: Option<String>,
    /// Until when, not included [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) to: Option<String>,
    /// Rows of a quarter, hour, day, week or month, or one of the total.
    #[arg(long, value_parser = words::grain(), default_value = "total")]
    pub(super) grain: Grain,
    /// The IANA zone of times and rows [default: the service's reporting zone].
    #[arg(long)]
    pub(super) zone: Option<String>,
    /// Split by enterprise, facility or both.
    #[arg(long, value_name = "DIMENSION", value_delimiter = ',', value_parser = words::dimension())]
    pub(super) by: Vec<Dimension>,
    /// Answers that include this position.
    #[arg(
        long,
        value_name = "POSITION",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) at_least: String,
    /// How answers are printed.
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) what: What,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct Kinds {
    /// The N enterprises with the most of a measure, in one role.
    #[arg(long, value_name = "N")]
    pub(super) top: Option<u32>,
    /// Durations with their percentiles.
    #[arg(long)]
    pub(super) durations: bool,
    /// Vessel calls with their moves per berth hour.
    #[arg(long)]
    pub(super) calls: bool,
    /// Appointment slots that have ended, with their no-shows.
    #[arg(long)]
    pub(super) no_shows: bool,
    /// Enterprises that have figures or names.
    #[arg(long)]
    pub(super) enterprises: bool,
    /// Figures, and again whenever they change.
    #[arg(long)]
    pub(super) watch: bool,
    /// What the service has counted of events themselves.
    #[arg(long)]
    pub(super) status: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct What {
    #[command(flatten)]
    pub(super) kind: Kinds,
    /// What `--top` ranks by.
    #[arg(long, value_parser = words::measure(), default_value = "throughput-boxes")]
    pub(super) measure: Measure,
    /// With `--calls`: only this call.
    #[arg(
        long,
        value_name = "CALL",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) call_id: String,
    /// With `--enterprises`: only ids or names that contain this.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) contains: String,
}

#[cfg(test)]
mod tests {
    use super::super::Asked;
    use super::*;
    use clap::Parser as _;
    use jiff::{Timestamp, Zoned};

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        query: Args,
    }

    fn parse(words: &str) -> Result<Args, clap::Error> {
        Ok(Cli::try_parse_from(["query"].into_iter().chain(words.split_whitespace()))?.query)
    }

    fn asked(args: &Args) -> Asked<'_> {
        let now: Zoned = "2026-11-23T12:34:56+08:00[Asia/Shanghai]".parse().unwrap();
        Asked {
            args,
            reporting: now.time_zone().clone(),
            now,
        }
    }

    #[test]
    fn without_options_it_is_today_so_far_up_to_the_quarter() {
        let args = parse("").unwrap();
        let question = asked(&args).question().unwrap();
        let expected = ["2026-11-22T16:00:00Z", "2026-11-23T04:45:00Z"];
        let at = |at: Option<pbjson_types::Timestamp>| Timestamp::from_second(at.unwrap().seconds);
        let found = [question.from, question.to].map(|time| at(time).unwrap().to_string());
        assert_eq!(found, expected);
        assert_eq!(
            (question.grain(), &*question.zone),
            (Grain::Total, "Asia/Shanghai")
        );
    }

    #[test]
    fn options_become_the_question() {
        let args = parse(
            "--from -24h --grain hour --by enterprise,facility --role fleet --role service-provider \
             --facility cnnbo --classifier planned --enterprise ygt:a",
        );
        let args = args.unwrap();
        let question = asked(&args).question().unwrap();
        let filter = question.filter.clone().unwrap();
        assert_eq!(question.group_by, [1, 2]);
        assert_eq!(
            filter.roles,
            [Role::Fleet as i32, Role::ServiceProvider as i32]
        );
        assert_eq!(
            (filter.facilities, filter.enterprises),
            (vec!["cnnbo".into()], vec!["ygt:a".into()])
        );
        assert_eq!(filter.classifiers, [Classifier::Planned as i32]);
        assert_eq!(
            question.to.unwrap().seconds - question.from.unwrap().seconds,
            25 * 3600
        );
    }

    #[test]
    fn only_one_kind_of_question_is_asked_at_once() {
        assert!(parse("--top 5 --calls").is_err());
        assert!(parse("--role captain").is_err());
        assert!(parse("--role unspecified").is_err());
        assert!(parse("--top 5 --measure truck-turns --role fleet").is_ok());
    }
}
