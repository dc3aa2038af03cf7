//! ListVesselCalls: what was moved per call, and how fast.

use super::asker::Asker;
use super::page::Fingerprint;
use super::plan::Plan;
use super::selection::{self, Facilities};
use super::sight::Sight;
use super::{ask, grain};
use crate::event::Classifier;
use crate::meter::cell::{Cells, Day};
use crate::meter::figure::{Figure, Figures, Meaning};
use crate::meter::names::NameId;
use crate::pb::{DurationKind, Fullness, Grain, Movement};
use crate::{pb, status};
use compact_str::CompactString;
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::ops::Range;
use tonic::Status;

/// The longest call id.
const CALL_MAX: usize = 64;

const HOUR_MS: f64 = 3_600_000.0;

/// What tells a row from others, in the order of rows: facility and call id.
type Key = (CompactString, CompactString);

/// A checked question.
pub struct Question {
    facilities: Vec<CompactString>,
    plan: Plan,
    days: Range<Day>,
    classifier: Classifier,
    call: String,
    after: Option<Key>,
    limit: usize,
    request: Fingerprint,
    sight: Sight,
}

impl Question {
    /// What a request asks. A call's figures are of all who had a part in it, and are
    /// not kept apart, so only who may see everybody may see them.
    ///
    /// # Errors
    /// What is wrong with the request; who may not see everybody.
    pub fn parse(
        request: &pb::ListVesselCallsRequest,
        reporting: &TimeZone,
        asker: &Asker,
    ) -> Result<Self, Status> {
        if !asker.sight().is_everything() {
            let why = "a vessel call's figures are of all who had a part in it: they are for \
                       callers who may read all";
            return Err(status::not_allowed("ListVesselCalls", why));
        }
        let from = ask::instant("from", request.from)?;
        let to = ask::instant("to", request.to)?;
        let classifier =
            ask::classifier("classifier", request.classifier)?.unwrap_or(Classifier::Actual);
        if request.call_id.chars().count() > CALL_MAX {
            let expected = format!("at most {CALL_MAX} characters");
            return Err(status::invalid("call_id", &request.call_id, expected));
        }
        let facilities = selection::facilities("facilities", &request.facilities)?;
        let fingerprint = asker.asks(
            "ListVesselCalls",
            &pb::ListVesselCallsRequest {
                page_size: 0,
                page_token: String::new(),
                at_least: String::new(),
                ..request.clone()
            },
        );
        Ok(Self {
            sight: asker.sight().clone(),
            facilities,
            plan: Plan::new(reporting, Grain::Day, reporting, (from, to))?,
            days: grain::day_of(reporting, from)..grain::day_of(reporting, to),
            classifier,
            call: request.call_id.clone(),
            after: fingerprint.after(&request.page_token)?,
            limit: ask::page_size(request.page_size)?,
            request: fingerprint,
        })
    }

    /// A page, and the token of the next one.
    pub fn page(&self, cells: &Cells) -> Result<(Vec<pb::VesselCallRow>, String), Status> {
        self.plan.check_reach(cells, &self.sight)?;
        let mut calls = self.calls(cells).into_iter();
        let page: Vec<_> = calls.by_ref().take(self.limit).collect();
        let token = match (page.last(), calls.next()) {
            (Some((last, _)), Some(_)) => self.request.token(last),
            _ => String::new(),
        };
        let row = |(key, call): (Key, Call<'_>)| call.row(self.classifier, key);
        Ok((page.into_iter().map(row).collect(), token))
    }

    /// All matching calls after the page before. One pass over the calls that
    /// are kept: a port has some 50,000 a year.
    fn calls<'a>(&self, cells: &'a Cells) -> BTreeMap<Key, Call<'a>> {
        let mut wanted = Facilities::new(&self.facilities, &cells.names);
        let mut calls: FxHashMap<(NameId, &str), Call<'_>> = FxHashMap::default();
        for (key, figures) in cells.calls.iter() {
            let asked = key.classifier == self.classifier
                && self.days.contains(&key.day)
                && (self.call.is_empty() || key.call.id == self.call);
            if asked && wanted.has(key.facility) {
                let call = calls.entry((key.facility, &*key.call.id)).or_default();
                call.figures.merge(figures);
                *call.vessels.entry(&*key.call.vessel).or_default() += events(figures);
            }
        }
        let named = calls
            .into_iter()
            .map(|((facility, id), call)| ((cells.names.get(facility).into(), id.into()), call));
        named
            .filter(|(key, _)| self.after.as_ref().is_none_or(|after| key > after))
            .collect()
    }
}

#[derive(Default)]
struct Call<'a> {
    figures: Figures,
    /// How many events name each vessel.
    vessels: BTreeMap<&'a str, i64>,
}

impl Call<'_> {
    fn row(self, classifier: Classifier, key: Key) -> pb::VesselCallRow {
        let get = |meaning| self.figures.get(Figure::of(meaning));
        let moved = |movement| boxes(&self.figures, movement);
        let (loaded, discharged) = (moved(Movement::Loaded), moved(Movement::Discharged));
        let berth_stays = get(Meaning::DurationCount(DurationKind::BerthStay));
        let berth_stay_ms = get(Meaning::DurationSumMs(DurationKind::BerthStay));
        let rate = || (loaded + discharged) as f64 * HOUR_MS / berth_stay_ms as f64;
        let by_events = self
            .vessels
            .iter()
            .map(|(&vessel, &events)| (vessel, events));
        let vessel = by_events.max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(a.0)));
        pb::VesselCallRow {
            facility: key.0.into(),
            call_id: key.1.into(),
            vessel: vessel.map_or_else(String::new, |(name, _)| name.into()),
            loaded,
            discharged,
            restowed: moved(Movement::Restowed),
            berth_stays,
            berth_stay_ms,
            // Stays of no length say nothing about a rate.
            moves_per_berth_hour: (berth_stays > 0 && berth_stay_ms > 0).then(rate),
            classifier: classifier.into(),
        }
    }
}

fn boxes(figures: &Figures, movement: Movement) -> i64 {
    let each = [Fullness::Unknown, Fullness::Empty, Fullness::Laden];
    each.map(|fullness| figures.get(Figure::of(Meaning::Boxes(movement, fullness))))
        .iter()
        .sum()
}

/// How many events a call's figures are of: one per box and one per step.
fn events(figures: &Figures) -> i64 {
    let counts = figures
        .iter()
        .filter_map(|(figure, count)| match figure.meaning()? {
            Meaning::Boxes(..) | Meaning::VesselCall(_) => Some(count),
            _ => None,
        });
    counts.sum()
}
