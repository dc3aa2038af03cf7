//! `quaymeter query`: questions from a shell.

pub(super) mod args;
pub(super) mod output;
pub(super) mod rows;
pub(super) mod when;

use crate::client::Cause;
use crate::client::reach::Line;
use crate::client::watch::{Heard, Watch};
use crate::event::Millis;
use crate::pb::throughput_service_client::ThroughputServiceClient;
use crate::pb::{self, Classifier, Grain, Role};
use crate::query::{ask, grain};
use anyhow::{Context as _, Result, anyhow, bail};
pub use args::Args;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use output::{Format, Output};
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;
use tonic::Status;
use tonic_types::StatusExt as _;

/// The largest answer that is taken.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

type Client = ThroughputServiceClient<Line>;
type To<'a> = &'a mut (dyn Write + Send);

/// Asks and prints to the standard output.
pub async fn run(args: Args) -> Result<ExitCode> {
    let printed = print(&args, &mut io::BufWriter::new(io::stdout())).await;
    // Who reads us has seen enough: `quaymeter query … | head`.
    let closed = |error: &anyhow::Error| {
        let io = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<io::Error>());
        io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    };
    match printed {
        Err(error) if !closed(&error) => Err(error),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Asks and prints.
pub async fn print(args: &Args, to: To<'_>) -> Result<()> {
    let line = args.service.reach()?.connect().await?;
    let mut client = Client::new(line).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let request = pb::GetStatusRequest {
        at_least: args.at_least.clone(),
    };
    let status = client.get_status(request).await.map_err(explained)?;
    let status = status.into_inner();
    let reporting = zone(&status.reporting_zone)?;
    let zone = args
        .zone
        .as_deref()
        .map_or_else(|| Ok(reporting.clone()), zone)?;
    let now = Timestamp::now().to_zoned(zone);
    let asked = Asked {
        args,
        now,
        reporting,
    };
    let kind = &args.what.kind;
    if kind.status {
        asked.status(&status, to)
    } else if let Some(limit) = kind.top {
        asked.top(&mut client, limit, to).await
    } else if kind.calls {
        asked.calls(&mut client, to).await
    } else if kind.no_shows {
        asked.no_shows(&mut client, to).await
    } else if kind.enterprises {
        asked.enterprises(&mut client, to).await
    } else if kind.watch {
        asked.watch(to).await
    } else {
        asked.throughput(&mut client, to).await
    }
}

pub(super) fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).with_context(|| format!("finding the time zone {name:?}"))
}

/// What the server says, with all that it tells beside the message.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(super) fn explained(status: Status) -> anyhow::Error {
    let mut text = format!(
        "the service refused with {:?}: {}",
        status.code(),
        status.message()
    );
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        let mut metadata: Vec<_> = info.metadata.iter().collect();
        metadata.sort();
        let shown: Vec<_> = metadata
            .iter()
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        text += &format!(
            "\n  reason {} of {}: {}",
            info.reason,
            info.domain,
            shown.join(" ")
        );
    }
    for violation in details
        .bad_request()
        .iter()
        .flat_map(|bad| &bad.field_violations)
    {
        text += &format!("\n  field {}: {}", violation.field, violation.description);
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        text += &format!("\n  try again in {delay:?}");
    }
    anyhow!(text)
}

struct Asked<'a> {
    args: &'a Args,
    /// In the zone of the question.
    now: Zoned,
    reporting: TimeZone,
}

impl Asked<'_> {
    /// [from, to), both aligned to a grain in a zone.
    fn interval(&self, grain: Grain, zone: &TimeZone) -> Result<(Millis, Millis)> {
        let read = |text: &Option<String>, default| {
            let text = text.as_deref().unwrap_or(default);
            when::parse(text, &self.now).map(Timestamp::as_millisecond)
        };
        let from = grain::floor(grain, zone, read(&self.args.from, "today")?);
        let to = grain::ceil(grain, zone, read(&self.args.to, "now")?);
        let in_zone = || format!("cutting time in {}", zone.iana_name().unwrap_or_default());
        Ok((from.with_context(in_zone)?, to.with_context(in_zone)?))
    }

    fn zone(&self) -> &TimeZone {
        self.now.time_zone()
    }

    fn filter(&self) -> pb::Filter {
        pb::Filter {
            enterprises: self.args.enterprise.clone(),
            roles: self.args.role.iter().map(|&role| role.into()).collect(),
            facilities: self.args.facility.clone(),
            classifiers: self.args.classifier.iter().map(|&one| one.into()).collect(),
        }
    }

    fn one_classifier(&self) -> Result<i32> {
        match self.args.classifier[..] {
            [] => Ok(Classifier::Actual.into()),
            [one] => Ok(one.into()),
            _ => bail!("this question is about one --classifier"),
        }
    }

    fn question(&self) -> Result<pb::GetThroughputRequest> {
        let (from, until) = self.interval(self.args.grain, self.zone())?;
        Ok(pb::GetThroughputRequest {
            filter: Some(self.filter()),
            from: Some(ask::message(from)),
            to: Some(ask::message(until)),
            grain: self.args.grain.into(),
            zone: self.zone().iana_name().unwrap_or("UTC").into(),
            group_by: self.args.by.iter().map(|&one| one.into()).collect(),
            at_least: self.args.at_least.clone(),
            ..Default::default()
        })
    }

    fn output<'t>(&self, columns: Vec<&'static str>, to: To<'t>) -> Result<Output<To<'t>>> {
        Output::new(self.args.format, columns, to)
    }

    fn status(&self, status: &pb::GetStatusResponse, to: To<'_>) -> Result<()> {
        let mut output = self.output(vec!["figure", "value"], to)?;
        let lines = rows::status(status, self.zone());
        if self.args.format == Format::Json {
            output.row(status, Vec::new())?;
        } else {
            lines
                .into_iter()
                .try_for_each(|line| output.row(status, line))?;
        }
        output.finish()
    }

    async fn throughput(&self, client: &mut Client, to: To<'_>) -> Result<()> {
        let durations = self.args.what.kind.durations;
        let columns = if durations {
            rows::duration_columns()
        } else {
            rows::throughput_columns()
        };
        let mut request = self.question()?;
        let mut output = self.output(columns, to)?;
        loop {
            let page = client
                .get_throughput(request.clone())
                .await
                .map_err(explained)?
                .into_inner();
            for row in &page.rows {
                if !durations || self.args.format == Format::Json {
                    output.row(row, rows::throughput(row, self.zone()))?;
                } else {
                    let lines = rows::durations(row, self.zone());
                    lines
                        .into_iter()
                        .try_for_each(|line| output.row(row, line))?;
                }
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return output.finish();
            }
        }
    }

    async fn top(&self, client: &mut Client, limit: u32, to: To<'_>) -> Result<()> {
        let [role] = self.args.role[..] else {
            bail!("--top ranks in one --role: roles are never summed");
        };
        let (from, until) = self.interval(Grain::Quarter, self.zone())?;
        let measure = self.args.what.measure;
        let request = pb::ListTopEnterprisesRequest {
            role: role.into(),
            measure: measure.into(),
            from: Some(ask::message(from)),
            to: Some(ask::message(until)),
            limit,
            facilities: self.args.facility.clone(),
            classifier: self.one_classifier()?,
            at_least: self.args.at_least.clone(),
        };
        let answer = client
            .list_top_enterprises(request)
            .await
            .map_err(explained)?
            .into_inner();
        let cells = |row: &pb::RankedEnterprise| rows::top(row, measure);
        self.print(rows::top_columns(measure), &answer.enterprises, cells, to)
    }

    fn print<T: Serialize>(
        &self,
        columns: Vec<&'static str>,
        rows: &[T],
        cells: impl Fn(&T) -> Vec<output::Cell>,
        to: To<'_>,
    ) -> Result<()> {
        let mut output = self.output(columns, to)?;
        rows.iter()
            .try_for_each(|row| output.row(row, cells(row)))?;
        output.finish()
    }

    async fn calls(&self, client: &mut Client, to: To<'_>) -> Result<()> {
        // Calls are kept by days of the reporting zone, whatever the zone asked.
        let (from, until) = self.interval(Grain::Day, &self.reporting)?;
        let mut request = pb::ListVesselCallsRequest {
            from: Some(ask::message(from)),
            to: Some(ask::message(until)),
            facilities: self.args.facility.clone(),
            classifier: self.one_classifier()?,
            call_id: self.args.what.call_id.clone(),
            at_least: self.args.at_least.clone(),
            ..Default::default()
        };
        let mut calls = Vec::new();
        loop {
            let page = client
                .list_vessel_calls(request.clone())
                .await
                .map_err(explained)?
                .into_inner();
            calls.extend(page.calls);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return self.print(rows::call_columns(), &calls, rows::call, to);
            }
        }
    }

    async fn no_shows(&self, client: &mut Client, to: To<'_>) -> Result<()> {
        let (from, until) = self.interval(Grain::Quarter, self.zone())?;
        let mut request = pb::ListNoShowsRequest {
            filter: Some(self.filter()),
            from: Some(ask::message(from)),
            to: Some(ask::message(until)),
            at_least: self.args.at_least.clone(),
            ..Default::default()
        };
        let mut slots = Vec::new();
        loop {
            let page = client
                .list_no_shows(request.clone())
                .await
                .map_err(explained)?
                .into_inner();
            slots.extend(page.rows);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                let cells = |row: &pb::NoShowRow| rows::no_show(row, self.zone());
                return self.print(rows::no_show_columns(), &slots, cells, to);
            }
        }
    }

    async fn enterprises(&self, client: &mut Client, to: To<'_>) -> Result<()> {
        let role = match self.args.role[..] {
            [] => Role::Unspecified,
            [role] => role,
            _ => bail!("--enterprises takes at most one --role"),
        };
        let mut request = pb::ListEnterprisesRequest {
            role: role.into(),
            contains: self.args.what.contains.clone(),
            at_least: self.args.at_least.clone(),
            ..Default::default()
        };
        let mut enterprises = Vec::new();
        loop {
            let page = client
                .list_enterprises(request.clone())
                .await
                .map_err(explained)?
                .into_inner();
            enterprises.extend(page.enterprises);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return self.print(
                    rows::enterprise_columns(),
                    &enterprises,
                    rows::enterprise,
                    to,
                );
            }
        }
    }

    async fn watch(&self, to: To<'_>) -> Result<()> {
        let request = pb::WatchThroughputRequest {
            query: Some(self.question()?),
            ..Default::default()
        };
        let mut watch = Watch::over(self.args.service.reach()?, request);
        loop {
            let message = match watch.next().await {
                Ok(Heard::Told(message)) => *message,
                Ok(Heard::Interrupted { why, pause }) => {
                    let seconds = pause.as_secs_f64();
                    eprintln!("waiting {seconds:.1} s to resume: {why}");
                    continue;
                }
                Err(Cause::Status(status)) => return Err(explained(*status)),
                Err(cause) => return Err(cause.into()),
            };
            if self.args.format == Format::Json {
                let mut output = self.output(Vec::new(), &mut *to)?;
                output.row(&message, Vec::new())?;
                output.finish()?;
                continue;
            }
            let changed: Vec<_> = message.rows.into_iter().chain(message.removed).collect();
            // A new token is nothing to show; that there is nothing at all is.
            if message.snapshot || !changed.is_empty() {
                let cells = |row: &pb::ThroughputRow| rows::throughput(row, self.zone());
                self.print(rows::throughput_columns(), &changed, cells, &mut *to)?;
            }
        }
    }
}
