//! GetThroughput: rows of figures, a page at a time.

use super::ask;
use super::asker::Asker;
use super::page::Fingerprint;
use super::plan::Plan;
use super::selection::Selection;
use super::sight::Sight;
use crate::event::{Classifier, Millis, Role};
use crate::meter::cell::{Ahead, Cells, Owner, QUARTER_MS, ToRead};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use crate::view::figures;
use crate::view::history::Touched;
use crate::{pb, status};
use compact_str::CompactString;
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tonic::Status;

/// The most bytes of rows in one message: safely below the 4 MiB that gRPC
/// clients take by default.
pub const MESSAGE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// The most bytes of one figure once encoded …
const FIGURE_BYTES: usize = 20;

/// … and of the rest of a row, percentiles included, names not.
const ROW_BYTES: usize = 300;

/// What tells a row from others, in the order of rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// When its time starts.
    pub start: Millis,
    /// The facility; empty if not split by it.
    pub facility: CompactString,
    /// The enterprise; empty if not split by it.
    pub enterprise: CompactString,
    /// The role's number.
    pub role: i32,
    /// The classifier's number.
    pub classifier: i32,
}

/// One row.
pub type Row = (Key, Figures);

/// A checked question.
#[derive(Clone, Debug)]
pub struct Question {
    selection: Selection,
    plan: Plan,
    by_enterprise: bool,
    by_facility: bool,
}

/// How much of an answer is wanted at once.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Rows.
    pub rows: usize,
    /// Bytes once encoded, at most; a single row is always given.
    pub bytes: usize,
}

impl Question {
    /// What a request asks.
    pub fn parse(
        request: &pb::GetThroughputRequest,
        reporting: &TimeZone,
        sight: &Sight,
    ) -> Result<Self, Status> {
        let selection = Selection::parse(request.filter.as_ref(), sight)?;
        let from = ask::instant("from", request.from)?;
        let to = ask::instant("to", request.to)?;
        let grain = match pb::Grain::try_from(request.grain) {
            Ok(grain) if grain != pb::Grain::Unspecified => grain,
            _ => return Err(status::invalid("grain", request.grain, "a known grain")),
        };
        let zone = ask::zone(&request.zone, reporting)?;
        let (mut by_enterprise, mut by_facility) = (false, false);
        for (at, &dimension) in request.group_by.iter().enumerate().take(3) {
            let once = match pb::Dimension::try_from(dimension) {
                Ok(pb::Dimension::Enterprise) => !std::mem::replace(&mut by_enterprise, true),
                Ok(pb::Dimension::Facility) => !std::mem::replace(&mut by_facility, true),
                _ => false,
            };
            if !once {
                let field = format!("group_by[{at}]");
                return Err(status::invalid(
                    &field,
                    dimension,
                    "a known dimension, none twice",
                ));
            }
        }
        let plan = Plan::new(reporting, grain, &zone, (from, to))?;
        Ok(Self {
            selection,
            plan,
            by_enterprise,
            by_facility,
        })
    }

    /// Whose cells must be posted for it; none if those of all. Totals of days are answered
    /// with what is to be posted.
    pub fn owners(&self, cells: &Cells) -> Option<Vec<Owner>> {
        if self.is_of_totals() {
            return Some(Vec::new());
        }
        self.selection.resolve(&cells.names).named()
    }

    /// What the rows after a key need from the shelf: see [`super::ahead`].
    pub fn to_read(&self, cells: &Cells, after: Option<&Key>) -> ToRead {
        let from = after.map_or(0, |key| self.plan.row_from(key.start));
        let rows = match self.is_of_totals() {
            true => 0..0,
            false => from..self.plan.rows(),
        };
        self.plan.to_read(cells, &self.selection, rows)
    }

    /// What the caller may see.
    pub fn sight(&self) -> &Sight {
        self.selection.sight()
    }

    /// Whether the totals of owners' days are enough.
    fn is_of_totals(&self) -> bool {
        !self.by_facility && self.plan.has_totals(&self.selection)
    }

    /// The rows after a key, by key, and whether there are more.
    ///
    /// Rows of time are evaluated in windows of doubling width until the page is
    /// full, so that a page costs about what it holds, and at most twice that.
    pub fn rows(
        &self,
        cells: &Cells,
        ahead: &Ahead,
        after: Option<&Key>,
        limit: Limit,
    ) -> Result<(Vec<Row>, bool), Status> {
        self.plan.check_reach(cells, self.selection.sight())?;
        let (mut page, mut bytes, mut visits) = (Vec::new(), 0, 0);
        let mut from = after.map_or(0, |key| self.plan.row_from(key.start));
        let mut width = 1;
        while from < self.plan.rows() {
            let to = (from + width).min(self.plan.rows());
            for row in self.window((cells, ahead), from..to, &mut visits)? {
                if after.is_some_and(|after| row.0 <= *after) {
                    continue;
                }
                bytes += weight(&row);
                if page.len() == limit.rows || (bytes > limit.bytes && !page.is_empty()) {
                    return Ok((page, true));
                }
                page.push(row);
            }
            (from, width) = (to, width * 2);
        }
        Ok((page, false))
    }

    /// The keys of the rows that touched cells belong to, whether or not the
    /// rows exist.
    pub fn affected(&self, cells: &Cells, touched: impl Iterator<Item = Touched>) -> BTreeSet<Key> {
        let mut wanted = self.selection.resolve(&cells.names);
        let mut keys = BTreeSet::new();
        for Touched {
            quarter,
            facility,
            owner,
        } in touched
        {
            // All rows start where some quarter-hour does.
            let row = self.plan.row_at(i64::from(quarter) * QUARTER_MS);
            let Some(row) = row.filter(|_| wanted.owner(&owner) && wanted.facility(facility))
            else {
                continue;
            };
            let name = |id, by: bool| if by { cells.names.get(id) } else { "" };
            keys.insert(Key {
                start: self.plan.start(row),
                facility: name(facility, self.by_facility).into(),
                enterprise: name(owner.enterprise, self.by_enterprise).into(),
                role: owner.role.into(),
                classifier: owner.classifier.into(),
            });
        }
        keys
    }

    fn window(
        &self,
        (cells, ahead): (&Cells, &Ahead),
        rows: std::ops::Range<usize>,
        visits: &mut usize,
    ) -> Result<Vec<Row>, Status> {
        type Group = (usize, Option<NameId>, Option<NameId>, Role, Classifier);
        let mut groups: FxHashMap<Group, Figures> = FxHashMap::default();
        let group = |row, facility: Option<NameId>, owner: Owner| {
            let enterprise = self.by_enterprise.then_some(owner.enterprise);
            (row, facility, enterprise, owner.role, owner.classifier)
        };
        let (plan, selection) = (&self.plan, &self.selection);
        let totals = match self.by_facility {
            true => None,
            false => plan.visit_totals(
                cells,
                selection,
                rows.clone(),
                visits,
                |row, owner, total| {
                    let of = groups.entry(group(row, None, owner));
                    total.add_to(of.or_default());
                },
            )?,
        };
        if totals.is_none() {
            plan.visit(
                (cells, ahead),
                selection,
                rows,
                visits,
                |row, facility, owner, cell| {
                    let facility = self.by_facility.then_some(facility);
                    let of = groups.entry(group(row, facility, owner));
                    of.or_default().merge(cell);
                },
            )?;
        }
        let name =
            |id: Option<NameId>| id.map_or_else(Default::default, |id| cells.names.get(id).into());
        let mut rows: Vec<Row> = groups
            .into_iter()
            .filter(|(_, figures)| !figures.is_empty())
            .map(|((row, facility, enterprise, role, classifier), figures)| {
                let (facility, enterprise) = (name(facility), name(enterprise));
                let (role, classifier) = (role.into(), classifier.into());
                let start = self.plan.start(row);
                (
                    Key {
                        start,
                        facility,
                        enterprise,
                        role,
                        classifier,
                    },
                    figures,
                )
            })
            .collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(rows)
    }
}

/// At least as many bytes as the row takes once encoded.
pub fn weight((key, figures): &Row) -> usize {
    weight_of(key, figures)
}

/// The same of the parts of a row.
pub fn weight_of(key: &Key, figures: &Figures) -> usize {
    ROW_BYTES + key.facility.len() + key.enterprise.len() + FIGURE_BYTES * figures.iter().count()
}

/// A row as a message; without figures if there are none.
pub fn message(key: Key, figures: Option<&Figures>) -> pb::ThroughputRow {
    pb::ThroughputRow {
        start: Some(ask::message(key.start)),
        facility: key.facility.into(),
        enterprise: key.enterprise.into(),
        role: key.role,
        classifier: key.classifier,
        figures: figures.map(figures::message),
    }
}

/// What makes two requests pages of the same list, or the same watch.
pub fn fingerprint(asker: &Asker, method: &str, request: &pb::GetThroughputRequest) -> Fingerprint {
    let same = pb::GetThroughputRequest {
        at_least: String::new(),
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    asker.asks(method, &same)
}
