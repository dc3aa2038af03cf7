//! ListTopEnterprises: who has the most of one measure.

use super::ask;
use super::plan::Plan;
use super::selection::{self, Selection};
use super::sight::Sight;
use crate::event::Classifier;
use crate::meter::cell::{Ahead, Cells, Owner};
use crate::meter::figure::{Figure, Meaning};
use crate::meter::names::NameId;
use crate::pb::{
    DispatchStage, DurationKind, Fullness, Measure, Movement, ServiceKind, ServiceStage,
    VesselCallStage,
};
use crate::{pb, status};
use compact_str::CompactString;
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use tonic::Status;

/// Leaders if the request does not say how many.
const LIMIT_DEFAULT: u32 = 10;

/// The most leaders.
const LIMIT_MAX: u32 = 1_000;

/// A checked question.
pub struct Question {
    selection: Selection,
    plan: Plan,
    figures: Vec<Figure>,
    limit: usize,
}

impl Question {
    /// What a request asks.
    pub fn parse(
        request: &pb::ListTopEnterprisesRequest,
        reporting: &TimeZone,
        sight: &Sight,
    ) -> Result<Self, Status> {
        let role = ask::role("role", request.role)?
            .ok_or_else(|| status::invalid("role", "unspecified", "a role"))?;
        let measure = match Measure::try_from(request.measure) {
            Ok(measure) if measure != Measure::Unspecified => measure,
            _ => {
                return Err(status::invalid(
                    "measure",
                    request.measure,
                    "a known measure",
                ));
            }
        };
        let from = ask::instant("from", request.from)?;
        let to = ask::instant("to", request.to)?;
        let limit = ask::limit("limit", request.limit, LIMIT_DEFAULT, LIMIT_MAX)?;
        let facilities = selection::facilities("facilities", &request.facilities)?;
        let classifier =
            ask::classifier("classifier", request.classifier)?.unwrap_or(Classifier::Actual);
        let plan = Plan::new(reporting, pb::Grain::Total, reporting, (from, to))?;
        Ok(Self {
            selection: Selection::of_role(sight, (role, classifier), facilities),
            plan,
            figures: ascending(figures(measure)),
            limit,
        })
    }

    /// Whose cells must be posted for it; none if those of all.
    pub fn owners(&self, cells: &Cells) -> Option<Vec<Owner>> {
        if self.plan.has_totals(&self.selection) {
            return Some(Vec::new());
        }
        self.selection.resolve(&cells.names).named()
    }

    /// The leaders: ids and values, by rank.
    pub fn leaders(&self, cells: &Cells) -> Result<Vec<(CompactString, i64)>, Status> {
        self.plan.check_reach(cells, self.selection.sight())?;
        let mut values: FxHashMap<NameId, i64> = FxHashMap::default();
        let (plan, selection, visits) = (&self.plan, &self.selection, &mut 0);
        let totals = plan.visit_totals(cells, selection, 0..1, visits, |_, owner, total| {
            *values.entry(owner.enterprise).or_default() += total.sum(&self.figures);
        })?;
        if totals.is_none() {
            let nothing = &Ahead::default();
            plan.visit(
                (cells, nothing),
                selection,
                0..1,
                visits,
                |_, _, owner, cell| {
                    let value: i64 = self.figures.iter().map(|&figure| cell.get(figure)).sum();
                    *values.entry(owner.enterprise).or_default() += value;
                },
            )?;
        }
        let above_zero = values.into_iter().filter(|&(_, value)| value > 0);
        let mut leaders: Vec<_> = above_zero
            .map(|(id, value)| (CompactString::from(cells.names.get(id)), value))
            .collect();
        leaders.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        leaders.truncate(self.limit);
        Ok(leaders)
    }
}

fn ascending(mut figures: Vec<Figure>) -> Vec<Figure> {
    figures.sort_unstable();
    figures
}

/// The figures whose sum a measure is.
fn figures(measure: Measure) -> Vec<Figure> {
    let boxes = |movements: [Movement; 2], meaning: fn(Movement, Fullness) -> Meaning| {
        let each = [Fullness::Unknown, Fullness::Empty, Fullness::Laden];
        let of = |movement| each.map(|fullness| Figure::of(meaning(movement, fullness)));
        movements.into_iter().flat_map(of).collect()
    };
    let quay = [Movement::Loaded, Movement::Discharged];
    let gate = [Movement::GateIn, Movement::GateOut];
    let all = |meanings: &[Meaning]| {
        meanings
            .iter()
            .map(|&meaning| Figure::of(meaning))
            .collect()
    };
    match measure {
        Measure::Unspecified => Vec::new(),
        Measure::ThroughputBoxes => boxes(quay, Meaning::Boxes),
        Measure::ThroughputTeuMilli => boxes(quay, Meaning::TeuMilli),
        Measure::ThroughputMassKg => boxes(quay, Meaning::MassKg),
        Measure::GateBoxes => boxes(gate, Meaning::Boxes),
        Measure::GateTeuMilli => boxes(gate, Meaning::TeuMilli),
        Measure::GateMassKg => boxes(gate, Meaning::MassKg),
        Measure::TruckPassages => all(&[Meaning::TrucksIn, Meaning::TrucksOut]),
        Measure::TruckTurns => all(&[Meaning::DurationCount(DurationKind::TruckTurn)]),
        Measure::DispatchAccepted => all(&[Meaning::Dispatch(DispatchStage::Accepted)]),
        Measure::VesselArrivals => all(&[Meaning::VesselCall(VesselCallStage::Arrived)]),
        Measure::ServicesCompleted => (1..)
            .map_while(|number| ServiceKind::try_from(number).ok())
            .map(|kind| Figure::of(Meaning::Service(kind, ServiceStage::Completed)))
            .collect(),
    }
}
