//! ListCellEvents: the events that make up a cell, a part at a time.

use super::{RETRY_AFTER, facility, message, past, told};
use crate::audit::explain::{Cell, Listed};
use crate::event::Classifier;
use crate::meter::cell::Ahead;
use crate::meter::figure::Figures;
use crate::query::asker::Asker;
use crate::query::sight::Sight;
use crate::query::throughput::{self, MESSAGE_BYTES_MAX};
use crate::query::{self, Service, Streamed, ask, place, selection, wait};
use crate::view::{self, State};
use crate::{pb, status};
use futures_util::stream;
use prost::Message as _;
use std::collections::VecDeque;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The most events in one message.
const EVENTS_PER_MESSAGE: usize = 1_000;

/// A checked question.
struct Question {
    cell: Cell,
    /// The same as a question for the cell's figures.
    figures: throughput::Question,
}

/// Answers one question.
pub async fn list(
    service: &Service,
    (asker, metadata): (Asker, &MetadataMap),
    request: &pb::ListCellEventsRequest,
) -> Result<Streamed<pb::ListCellEventsResponse>, Status> {
    asker.must_operate("ListCellEvents")?;
    let Question { cell, figures } = Question::parse(service, request)?;
    let listings = &past(service)?.listings;
    let sending = place(listings, "lists of events of a cell", RETRY_AFTER)?;
    let call = place(&service.0.calls, "calls in progress", query::RETRY_AFTER)?;
    let deadline = wait::deadline(metadata);
    wait::until_reached(&service.0.view, &asker, &request.at_least, deadline).await?;
    let ask = move |state: &State, _| Ok((state.reach.clone(), sum(&figures, state)?));
    let ((reach, figures), freshness) = service.evaluate(asker, ask).await?;
    let place = cell.facility.clone();
    let listing = told(service, (&place, &reach), move |inquiry| {
        let listing = inquiry.cell(&cell)?;
        let vouches = listing.reach.vouches_from(inquiry.rules);
        Ok((listing, vouches))
    });
    let (listing, vouches) = listing.await?;
    drop(call);
    let sending = Sending {
        facility: place.into(),
        first: pb::ListCellEventsResponse {
            events_total: listing.events.len() as u64,
            figures: Some(view::figures::message(&figures)),
            ..Default::default()
        },
        every: pb::ListCellEventsResponse {
            log: Some(message::reach(listing.reach, vouches)),
            freshness: Some(freshness),
            ..Default::default()
        },
        events: listing.events.into(),
        stop: service.0.stop.clone(),
        _place: sending,
    };
    Ok(Box::pin(stream::unfold(Some(sending), |sending| async {
        let mut sending = sending?;
        if *sending.stop.borrow() {
            let stopping = status::unavailable("the service is stopping", RETRY_AFTER);
            return Some((Err(stopping), None));
        }
        let part = sending.part();
        let more = !sending.events.is_empty();
        Some((Ok(part), more.then_some(sending)))
    })))
}

/// The cell's figures as they are answered now.
fn sum(question: &throughput::Question, state: &State) -> Result<Figures, Status> {
    let limit = throughput::Limit {
        rows: 1,
        bytes: MESSAGE_BYTES_MAX,
    };
    let (rows, _) = question.rows(&state.cells, &Ahead::default(), None, limit)?;
    let row = rows.into_iter().next();
    Ok(row.map(|(_, figures)| figures).unwrap_or_default())
}

impl Question {
    fn parse(service: &Service, request: &pb::ListCellEventsRequest) -> Result<Self, Status> {
        let facility = facility(&request.facility)?;
        let enterprise = selection::enterprise("enterprise", &request.enterprise)?;
        let role = ask::role("role", request.role)?
            .ok_or_else(|| status::invalid("role", "unspecified", "a role"))?;
        let classifier =
            ask::classifier("classifier", request.classifier)?.unwrap_or(Classifier::Actual);
        let asked = pb::GetThroughputRequest {
            filter: Some(pb::Filter {
                enterprises: vec![enterprise.to_string()],
                roles: vec![role.into()],
                facilities: vec![facility.to_string()],
                classifiers: vec![classifier.into()],
            }),
            from: request.from,
            to: request.to,
            grain: pb::Grain::Total.into(),
            ..Default::default()
        };
        let everything = Sight::everything((service.0.clock)());
        let figures = throughput::Question::parse(&asked, &service.0.reporting, &everything)?;
        let cell = Cell {
            facility,
            enterprise,
            role,
            classifier,
            from: ask::instant("from", request.from)?,
            to: ask::instant("to", request.to)?,
        };
        Ok(Self { cell, figures })
    }
}

/// A list on its way, pulled by the transport.
struct Sending {
    facility: String,
    /// What only the first part says.
    first: pb::ListCellEventsResponse,
    /// What every part says.
    every: pb::ListCellEventsResponse,
    events: VecDeque<Listed>,
    stop: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Sending {
    fn part(&mut self) -> pb::ListCellEventsResponse {
        let first = std::mem::take(&mut self.first);
        let mut part = pb::ListCellEventsResponse {
            events_total: first.events_total,
            figures: first.figures,
            ..self.every.clone()
        };
        let mut bytes = part.encoded_len();
        while part.events.len() < EVENTS_PER_MESSAGE && bytes < MESSAGE_BYTES_MAX {
            let Some(event) = self.events.pop_front() else {
                break;
            };
            let event = listed(&self.facility, event);
            bytes += event.encoded_len();
            part.events.push(event);
        }
        part
    }
}

fn listed(facility: &str, event: Listed) -> pb::CellEvent {
    let pairs = event.pairs.into_iter();
    pb::CellEvent {
        identity: Some(pb::EventIdentity {
            facility: facility.into(),
            source: event.identity.source.into(),
            event_id: event.identity.event_id.into(),
        }),
        revision: event.revision,
        retracted: event.retracted,
        offset: event.offset,
        appended_at: Some(ask::message(event.appended_at)),
        occurred_at: event.occurred_at.map(ask::message),
        counted_at: Some(ask::message(event.counted_at)),
        figures: Some(message::figures(&event.figures)),
        pairs: pairs.map(|pair| message::pair(facility, pair)).collect(),
        forgotten: event.forgotten,
    }
}
