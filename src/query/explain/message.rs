//! What is told, as messages.

use crate::audit::explain::{PairAccount, Share};
use crate::audit::{Day, Reach};
use crate::event::Millis;
use crate::meter::cell::DAY_MS;
use crate::meter::figure::{self, Meaning};
use crate::meter::histogram;
use crate::pb;
use crate::query::ask;
use crate::truth::{Figure, Figures};
use crate::view;

/// When a UTC day begins.
pub fn midnight(day: Day) -> pbjson_types::Timestamp {
    ask::message(i64::from(day) * DAY_MS)
}

/// How far back the log reaches, and from when on it vouches.
pub fn reach(reach: Reach, vouches: Option<(Millis, Millis)>) -> pb::LogReach {
    pb::LogReach {
        start_offset: reach.start,
        start_at: reach.first.map(ask::message),
        acts_from: vouches.map(|(acts, _)| ask::message(acts)),
        plans_from: vouches.map(|(_, plans)| ask::message(plans)),
    }
}

/// What is added to a party's cells.
pub fn share(facility: &str, share: Share) -> pb::CellShare {
    pb::CellShare {
        facility: facility.into(),
        enterprise: share.enterprise.into(),
        role: share.role.into(),
        classifier: share.classifier.into(),
        quarter: share.quarter.map(ask::message),
        day: share.day.map(ask::message),
        figures: Some(figures(&share.figures)),
    }
}

/// A duration.
pub fn pair(facility: &str, pair: PairAccount) -> pb::EventPair {
    let cells = pair.shares.into_iter();
    pb::EventPair {
        kind: pair.kind.into(),
        key: pair.key.into(),
        is_end: pair.is_end,
        partner: Some(pb::EventIdentity {
            facility: facility.into(),
            source: pair.partner.source.into(),
            event_id: pair.partner.event_id.into(),
        }),
        start: Some(ask::message(pair.from)),
        end: Some(ask::message(pair.to)),
        duration_ms: pair.to - pair.from,
        frozen_at: pair.frozen_on.map(midnight),
        cells: cells.map(|one| share(facility, one)).collect(),
    }
}

/// Figures in the form of answers, percentiles included.
pub fn figures(of: &Figures) -> pb::Figures {
    let mut figures = figure::Figures::default();
    for (figure, value) in of.iter() {
        figures.add(figure::Figure::of(meaning(figure)), value);
    }
    view::figures::message(&figures)
}

fn meaning(figure: Figure) -> Meaning {
    match figure {
        Figure::Boxes(movement, fullness) => Meaning::Boxes(movement, fullness),
        Figure::TeuMilli(movement, fullness) => Meaning::TeuMilli(movement, fullness),
        Figure::MassKg(movement, fullness) => Meaning::MassKg(movement, fullness),
        Figure::TrucksIn => Meaning::TrucksIn,
        Figure::TrucksOut => Meaning::TrucksOut,
        Figure::Dispatch(stage) => Meaning::Dispatch(stage),
        Figure::Appointment(stage) => Meaning::Appointment(stage),
        Figure::VesselCall(stage) => Meaning::VesselCall(stage),
        Figure::Service(kind, stage) => Meaning::Service(kind, stage),
        Figure::Shipment(stage) => Meaning::Shipment(stage),
        Figure::Count(kind) => Meaning::DurationCount(kind),
        Figure::SumMs(kind) => Meaning::DurationSumMs(kind),
        Figure::Bucket(kind, index) => {
            Meaning::DurationBucket(kind, index.unwrap_or(histogram::ZERO))
        }
    }
}
