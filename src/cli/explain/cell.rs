//! `quaymeter explain cell`.

use super::words::{self, at};
use super::{Answering, Format, How, json};
use crate::cli::query::{explained, when};
use crate::cli::words as proto;
use crate::event::Millis;
use crate::pb::{self, Classifier, Grain, Role};
use crate::query::{ask, grain};
use crate::truth::{Figure, Figures, flatten};
use anyhow::Context as _;
use jiff::{Timestamp, tz::TimeZone};
use std::io::Write;

/// Which cell. Times are as in `quaymeter query`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where, such as CNNBO/BLCT2
    #[arg(long, value_name = "CODE")]
    facility: String,
    /// Whose, such as smdg:COS
    #[arg(long, value_name = "ID")]
    enterprise: String,
    /// In which role
    #[arg(long, value_parser = proto::role())]
    role: Role,
    /// Instead of actual: estimated or planned
    #[arg(long, value_parser = proto::classifier(), default_value = "actual")]
    classifier: Classifier,
    /// The cell that holds this instant
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    at: Option<String>,
    /// With --at: how long the cell is: quarter, hour, day, week or month
    #[arg(long, value_parser = proto::grain(), default_value = "quarter", conflicts_with = "from")]
    grain: Grain,
    /// From when, rounded down to a quarter-hour
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Until when, not included, rounded up to a quarter-hour [default: now]
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        requires = "from"
    )]
    to: Option<String>,
    #[command(flatten)]
    how: How,
}

/// Asks and prints; whether the events come to the cell's figures.
pub async fn print(args: &Args, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut answering = args.how.ask().await?;
    let interval = args.interval(&answering.zone)?;
    let request = pb::ListCellEventsRequest {
        facility: args.facility.clone(),
        enterprise: args.enterprise.clone(),
        role: args.role.into(),
        classifier: args.classifier.into(),
        from: Some(ask::message(interval.0)),
        to: Some(ask::message(interval.1)),
        at_least: args.how.at_least.clone(),
    };
    let asked = answering.client().list_cell_events(request).await;
    let mut parts = asked.map_err(explained)?.into_inner();
    let mut listed = Listed::default();
    while let Some(part) = parts.message().await.map_err(explained)? {
        answering.bar.clear();
        if listed.log.is_none() {
            listed.events = part.events_total;
            listed.cell = part.figures.as_ref().map(flatten).unwrap_or_default();
            listed.log = part.log;
            if args.how.format == Format::Text {
                args.head(&answering, interval, &part, out)?;
            }
        }
        for event in &part.events {
            let figures = event.figures.as_ref().map(flatten).unwrap_or_default();
            listed.sum.merge(&figures);
            if args.how.format == Format::Text {
                tell(event, &answering.zone, out)?;
            }
        }
        if args.how.format == Format::Json {
            json(&part, out)?;
        }
    }
    listed.judge(args, interval.0, &answering.zone, out)
}

/// What was listed.
#[derive(Default)]
struct Listed {
    events: u64,
    /// What is answered about the cell.
    cell: Figures,
    /// What the events come to.
    sum: Figures,
    log: Option<pb::LogReach>,
}

impl Args {
    fn interval(&self, zone: &TimeZone) -> anyhow::Result<(Millis, Millis)> {
        let now = Timestamp::now().to_zoned(zone.clone());
        let read = |text: &str| when::parse(text, &now).map(Timestamp::as_millisecond);
        let cut = "cut time into cells";
        match (&self.at, &self.from) {
            (Some(at), _) => {
                let from = grain::floor(self.grain, zone, read(at)?).context(cut)?;
                let to = grain::ceil(self.grain, zone, from + 1).context(cut)?;
                Ok((from, to))
            }
            (None, from) => {
                let from = read(from.as_deref().unwrap_or("today"))?;
                let to = read(self.to.as_deref().unwrap_or("now"))?;
                let from = grain::floor(Grain::Quarter, zone, from).context(cut)?;
                let to = grain::ceil(Grain::Quarter, zone, to).context(cut)?;
                Ok((from, to))
            }
        }
    }

    fn head(
        &self,
        answering: &Answering,
        (from, to): (Millis, Millis),
        part: &pb::ListCellEventsResponse,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let role = words::name(self.role.as_str_name(), "ROLE_");
        let classifier = words::name(self.classifier.as_str_name(), "CLASSIFIER_");
        let shown = |ms| at(Some(ask::message(ms)), &answering.zone);
        let (from, to, events) = (shown(from), shown(to), part.events_total);
        let (facility, enterprise) = (&self.facility, &self.enterprise);
        let of = &answering.asked.name;
        writeln!(
            out,
            "{facility} {role} {enterprise} {classifier}, {from} to {to}, of {of}: {events} events"
        )?;
        Ok(())
    }
}

fn tell(event: &pb::CellEvent, zone: &TimeZone, out: &mut impl Write) -> anyhow::Result<()> {
    let (when, figures) = (
        at(event.counted_at, zone),
        words::figures(event.figures.as_ref()),
    );
    let (identity, revision) = (words::identity(event.identity.as_ref()), event.revision);
    let retracted = if event.retracted { ", retracted" } else { "" };
    writeln!(
        out,
        "{when}  {identity} (revision {revision}{retracted}): {figures}"
    )?;
    for pair in &event.pairs {
        let kind = words::name(pair.kind().as_str_name(), "DURATION_KIND_");
        let (partner, began) = (words::identity(pair.partner.as_ref()), at(pair.start, zone));
        let lasted = words::lasted(pair.duration_ms);
        let frozen = pair.frozen_at.map_or("", |_| ", frozen");
        writeln!(
            out,
            "    {kind} that began with {partner} at {began}: {lasted}{frozen}"
        )?;
    }
    Ok(())
}

impl Listed {
    /// From when on the log tells all of the cell.
    fn tells_all_from(&self, classifier: Classifier) -> Millis {
        let log = self.log.unwrap_or_default();
        let figures = self.sum.iter().chain(self.cell.iter());
        let mut ahead = figures.filter(|(figure, _)| matches!(figure, Figure::Appointment(_)));
        let acts = classifier == Classifier::Actual && ahead.next().is_none();
        let from = if acts { log.acts_from } else { log.plans_from };
        from.map_or(Millis::MIN, |at| at.seconds * 1000)
    }

    /// Says what the events come to; whether that is what the cell says, or need
    /// not be.
    fn judge(
        &self,
        args: &Args,
        from: Millis,
        zone: &TimeZone,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let same = self.sum == self.cell;
        let log = self.log.unwrap_or_default();
        let vouches = from >= self.tells_all_from(args.classifier);
        if args.how.format == Format::Json {
            return Ok(same || !vouches);
        }
        let differing = |one: &Figures, other: &Figures| -> Vec<String> {
            let differs = one
                .iter()
                .filter(|&(figure, value)| other.get(figure) != value);
            differs
                .map(|(figure, value)| format!("{figure} {value}"))
                .collect()
        };
        match (same, vouches) {
            (true, _) => writeln!(out, "they come to the cell's figures")?,
            (false, true) => {
                let (sum, cell) = (
                    differing(&self.sum, &self.cell),
                    differing(&self.cell, &self.sum),
                );
                writeln!(
                    out,
                    "THEY DO NOT COME TO THE CELL'S FIGURES: run `quaymeter audit`"
                )?;
                writeln!(
                    out,
                    "  they come to {}\n  the cell says {}",
                    sum.join(", "),
                    cell.join(", ")
                )?;
            }
            (false, false) => {
                let (acts, plans) = (at(log.acts_from, zone), at(log.plans_from, zone));
                writeln!(
                    out,
                    "they do not come to the cell's figures, because older records were removed from the log: it tells what happened from {acts} on, and plans, estimates and appointments from {plans} on"
                )?;
            }
        }
        Ok(same || !vouches)
    }
}
