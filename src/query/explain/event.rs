//! LookupEvent: one event.

use super::message;
use super::{facility, source, told};
use crate::audit::explain::{Account, Fate, Identity, LifeAccount, Told};
use crate::event::Event;
use crate::pb::RecordFate;
use crate::query::asker::Asker;
use crate::query::{Service, ask, place, wait};
use crate::{pb, query, status, wire};
use compact_str::CompactString;
use prost::Message as _;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The most bytes of an event's id.
const ID_BYTES_MAX: usize = 128;

/// Lives that are told of: the latest.
const LIVES_MAX: usize = 32;

/// Durations that are told of for each life.
const PAIRS_MAX: usize = 64;

/// Answers one question.
pub async fn lookup(
    service: &Service,
    (asker, metadata): (Asker, &MetadataMap),
    request: &pb::LookupEventRequest,
) -> Result<pb::LookupEventResponse, Status> {
    asker.must_operate("LookupEvent")?;
    let (facility, of) = question(request)?;
    let _place = place(&service.0.calls, "calls in progress", query::RETRY_AFTER)?;
    let deadline = wait::deadline(metadata);
    wait::until_reached(&service.0.view, &asker, &request.at_least, deadline).await?;
    let (reach, freshness) = service
        .evaluate(asker, |state, _| Ok(state.reach.clone()))
        .await?;
    let at = facility.clone();
    let account = told(service, (&facility, &reach), move |inquiry| {
        let account = inquiry.event(&at, &of)?;
        let vouches = account.reach.vouches_from(inquiry.rules);
        Ok((account, vouches))
    });
    let (account, vouches) = account.await?;
    let log = Some(message::reach(account.reach, vouches));
    let freshness = Some(freshness);
    Ok(pb::LookupEventResponse {
        log,
        freshness,
        ..answer(&facility, &request.event_id, account)
    })
}

fn question(request: &pb::LookupEventRequest) -> Result<(CompactString, Identity), Status> {
    let event_id = &*request.event_id;
    if !(1..=ID_BYTES_MAX).contains(&event_id.len()) || event_id.chars().any(char::is_control) {
        let expected = "1 to 128 bytes without control characters";
        return Err(status::invalid("event_id", event_id, expected));
    }
    let of = Identity {
        source: source(&request.source)?,
        event_id: event_id.into(),
    };
    Ok((facility(&request.facility)?, of))
}

fn answer(facility: &str, event_id: &str, account: Account) -> pb::LookupEventResponse {
    let state = match account.lives.last() {
        None => pb::EventState::NeverSeen,
        Some(life) if life.forgotten => pb::EventState::Forgotten,
        Some(_) => pb::EventState::Known,
    };
    let elsewhere = if account.lives.is_empty() {
        account.elsewhere
    } else {
        Vec::new()
    };
    let holding: Vec<_> = account.lives.iter().map(|life| life.offset).collect();
    let records = account.records.into_iter();
    let records = records.map(|told| {
        let holds = holding.get(told.life) == Some(&told.offset);
        record(told, holds)
    });
    let skipped = account.lives.len().saturating_sub(LIVES_MAX);
    let lives = account.lives.into_iter().skip(skipped);
    pb::LookupEventResponse {
        state: state.into(),
        lives: lives.map(|one| life(facility, one)).collect(),
        records: records.collect(),
        records_omitted: account.records_omitted,
        elsewhere: elsewhere
            .into_iter()
            .map(|(facility, source)| pb::EventIdentity {
                facility: facility.into(),
                source: source.into(),
                event_id: event_id.into(),
            })
            .collect(),
        log: None,
        freshness: None,
    }
}

fn life(facility: &str, life: LifeAccount) -> pb::EventLife {
    let share = |share| message::share(facility, share);
    let pairs = life.pairs.into_iter().take(PAIRS_MAX);
    pb::EventLife {
        forgotten: life.forgotten,
        remembered_until: Some(message::midnight(life.forgotten_on)),
        event: life.event.as_ref().and_then(kept),
        offset: life.offset,
        appended_at: Some(ask::message(life.appended_at)),
        cells: life.shares.into_iter().map(share).collect(),
        vessel_call: life.call.map(|call| pb::VesselCallShare {
            call_id: call.call_id.into(),
            vessel: call.vessel.into(),
            day: Some(ask::message(call.day)),
        }),
        slot: life.slot.map(|(start, end)| pb::SlotShare {
            start: Some(ask::message(start)),
            end: Some(ask::message(end)),
        }),
        pairs: pairs.map(|pair| message::pair(facility, pair)).collect(),
    }
}

/// The event as the log keeps it: its canonical bytes are its message.
fn kept(event: &Event) -> Option<pb::Event> {
    pb::Event::decode(&*wire::encode(event)).ok()
}

fn record(told: Told, holds: bool) -> pb::EventRecord {
    pb::EventRecord {
        offset: told.offset,
        appended_at: Some(ask::message(told.appended_at)),
        revision: told.revision,
        retracted: told.retracted,
        content_sha256: told.content.to_vec(),
        fate: fate(told.fate).into(),
        holds,
        replaced_by: told.replaced_by,
        life: u32::try_from(told.life + 1).unwrap_or(u32::MAX),
    }
}

fn fate(fate: Fate) -> RecordFate {
    match fate {
        Fate::New => RecordFate::New,
        Fate::Duplicate => RecordFate::Duplicate,
        Fate::Revised => RecordFate::Revised,
        Fate::Retracted => RecordFate::Retracted,
        Fate::Superseded => RecordFate::Superseded,
        Fate::Conflict { won: true } => RecordFate::ConflictWon,
        Fate::Conflict { won: false } => RecordFate::ConflictLost,
    }
}
