//! `quaymeter explain event`.

use super::words::{self, at};
use super::{Answering, Format, How, json};
use crate::cli::query::explained;
use crate::pb::{self, EventState, RecordFate};
use jiff::tz::TimeZone;
use std::io::Write;

/// Which event.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it happened, such as CNNBO/BLCT2
    facility: String,
    /// Who reported it
    source: String,
    /// The reporter's id of it
    event_id: String,
    #[command(flatten)]
    how: How,
}

/// Asks and prints; whether the event was ever seen.
pub async fn print(args: &Args, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut answering = args.how.ask().await?;
    let request = pb::LookupEventRequest {
        facility: args.facility.clone(),
        source: args.source.clone(),
        event_id: args.event_id.clone(),
        at_least: args.how.at_least.clone(),
    };
    let answer = answering.client().lookup_event(request).await;
    answering.bar.clear();
    let answer = answer.map_err(explained)?.into_inner();
    match args.how.format {
        Format::Json => json(&answer, out)?,
        Format::Text => tell(args, &answering, &answer, out)?,
    }
    Ok(answer.state() != EventState::NeverSeen)
}

fn tell(
    args: &Args,
    answering: &Answering,
    answer: &pb::LookupEventResponse,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let zone = &answering.zone;
    let state = words::name(answer.state().as_str_name(), "EVENT_STATE_");
    let Args {
        facility,
        source,
        event_id,
        ..
    } = args;
    let of = &answering.asked.name;
    writeln!(out, "{facility} {source} {event_id}: {state} ({of})")?;
    reach(answer, zone, out)?;
    for other in &answer.elsewhere {
        let facility = &other.facility;
        writeln!(out, "there is {facility} {}", words::identity(Some(other)))?;
    }
    let earlier = answer.lives.len().saturating_sub(1);
    if earlier > 0 {
        writeln!(
            out,
            "it was forgotten and sent again: it counts {} times",
            earlier + 1
        )?;
    }
    for life in &answer.lives {
        writeln!(out)?;
        self::life(life, zone, out)?;
    }
    if answer.records.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nrecords")?;
    if answer.records_omitted > 0 {
        writeln!(out, "  {} older ones, not shown", answer.records_omitted)?;
    }
    let mut records = answer.records.iter();
    records.try_for_each(|one| record(one, zone, out))
}

/// How far back the log can tell.
fn reach(
    answer: &pb::LookupEventResponse,
    zone: &TimeZone,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let log = answer.log.unwrap_or_default();
    let from = at(log.start_at, zone);
    let unseen = answer.state() == EventState::NeverSeen;
    if log.start_offset > 0 {
        let offset = log.start_offset;
        writeln!(
            out,
            "the log begins at offset {offset}, {from}: older records were removed"
        )?;
        if unseen {
            writeln!(
                out,
                "an event whose records are all older is forgotten: if it is sent now, it is new"
            )?;
        }
    } else if unseen && log.start_at.is_some() {
        writeln!(out, "the log is complete and begins {from}")?;
    } else if unseen {
        writeln!(out, "the log is empty")?;
    }
    Ok(())
}

fn life(life: &pb::EventLife, zone: &TimeZone, out: &mut impl Write) -> anyhow::Result<()> {
    let none = pb::Event::default();
    let event = life.event.as_ref().unwrap_or(&none);
    let until = at(life.remembered_until, zone);
    let remembered = if life.forgotten {
        format!("forgotten since {until}")
    } else {
        format!("remembered until {until}")
    };
    let (revision, offset) = (event.revision, life.offset);
    writeln!(
        out,
        "revision {revision} holds (offset {offset}), {remembered} by the log's clock"
    )?;
    if event.retracted {
        writeln!(out, "  retracted: it counts nowhere")?;
    } else {
        writeln!(out, "  {}", words::event(event, zone))?;
    }
    shares("  ", &life.cells, zone, out)?;
    if let Some(call) = &life.vessel_call {
        let day = at(call.day, zone);
        let pb::VesselCallShare {
            call_id, vessel, ..
        } = call;
        writeln!(
            out,
            "  counts for vessel call {call_id} of {vessel}, day {day}"
        )?;
    }
    if let Some(slot) = &life.slot {
        let (start, end) = (at(slot.start, zone), at(slot.end, zone));
        writeln!(out, "  counts in the slot {start} to {end}")?;
    }
    let mut pairs = life.pairs.iter();
    pairs.try_for_each(|pair| self::pair(pair, zone, out))
}

/// Where and for whom something counts: all parties' cells are of the same time
/// and grow by the same figures.
fn shares(
    indent: &str,
    shares: &[pb::CellShare],
    zone: &TimeZone,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(first) = shares.first() else {
        return Ok(());
    };
    let start = |what: &str, at: Option<_>| {
        at.map(|start| format!("{what} {}", words::at(Some(start), zone)))
    };
    let kept = [start("quarter", first.quarter), start("day", first.day)];
    let kept: Vec<_> = kept.into_iter().flatten().collect();
    let kept = if kept.is_empty() {
        "no cell, because none is kept so long".into()
    } else {
        kept.join(" and ")
    };
    let figures = words::figures(first.figures.as_ref());
    writeln!(out, "{indent}counts in {kept}: {figures}")?;
    let party = |share: &pb::CellShare| {
        let role = words::name(share.role().as_str_name(), "ROLE_");
        format!("{role} {}", share.enterprise)
    };
    let parties: Vec<_> = shares.iter().map(party).collect();
    Ok(writeln!(out, "{indent}  for {}", parties.join(", "))?)
}

fn pair(pair: &pb::EventPair, zone: &TimeZone, out: &mut impl Write) -> anyhow::Result<()> {
    let kind = words::name(pair.kind().as_str_name(), "DURATION_KIND_");
    let (how, when) = if pair.is_end {
        ("ends what began with", pair.start)
    } else {
        ("begins what ends with", pair.end)
    };
    let (partner, when) = (words::identity(pair.partner.as_ref()), at(when, zone));
    let lasted = words::lasted(pair.duration_ms);
    let frozen = pair.frozen_at.map(|day| {
        let day = at(Some(day), zone);
        format!("; frozen since {day}")
    });
    let frozen = frozen.unwrap_or_default();
    let key = &pair.key;
    writeln!(
        out,
        "  {kind} of {key}: {how} {partner} at {when}, {lasted}{frozen}"
    )?;
    shares("    ", &pair.cells, zone, out)
}

fn record(record: &pb::EventRecord, zone: &TimeZone, out: &mut impl Write) -> anyhow::Result<()> {
    let fate = match record.fate() {
        RecordFate::Unspecified => "of unknown fate",
        RecordFate::New => "new",
        RecordFate::Duplicate => "a duplicate, without effect",
        RecordFate::Revised => "replaced what was known",
        RecordFate::Retracted => "took the event back",
        RecordFate::Superseded => "older than what was known, without effect",
        RecordFate::ConflictWon => "in conflict with its revision, won by its greater SHA-256",
        RecordFate::ConflictLost => "in conflict with its revision, lost by its smaller SHA-256",
    };
    let then = match record.replaced_by {
        _ if record.holds => "; holds".into(),
        Some(offset) => format!("; held until offset {offset}"),
        None => String::new(),
    };
    let (offset, revision) = (record.offset, record.revision);
    let appended = at(record.appended_at, zone);
    let hash: String = record.content_sha256.iter().take(4).map(hex).collect();
    Ok(writeln!(
        out,
        "  offset {offset}, appended {appended}: revision {revision} (SHA-256 {hash}…), {fate}{then}"
    )?)
}

fn hex(byte: &u8) -> String {
    format!("{byte:02x}")
}
