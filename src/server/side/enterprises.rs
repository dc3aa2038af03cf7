//! What is told of enterprises, read bit by bit: thousands of them at once would keep
//! publications waiting.

use super::Tells;
use crate::event::Classifier;
use crate::meter::cell::{Day, Owner, local_day, quarter_of};
use crate::meter::figure::Figures;
use crate::metrics::enterprise::{Enterprise, Enterprises, InRole};
use crate::query::enterprises::Directory as _;
use crate::view::State;
use std::collections::BTreeMap;

/// Enterprises that are read at once.
const AT_ONCE: usize = 64;

/// One enterprise's owners.
type Owners = Vec<Owner>;

impl Tells {
    /// The enterprises that are told of here, as they are now; none if the settings say so.
    pub(super) fn enterprises(&self) -> Option<Enterprises> {
        let mut told = self.metrics.enterprises()?;
        let (today, all) = self.view.scan(|state| (self.today(state), owners(state)));
        let ours = self.ours(all);
        for some in ours.chunks(AT_ONCE) {
            let owners: Owners = some.iter().flatten().copied().collect();
            self.view.scan_of(
                |_| Some(owners.clone()),
                |state| {
                    for owners in some {
                        self.add(&mut told, state, today, owners);
                    }
                },
            );
        }
        Some(told)
    }

    fn today(&self, state: &State) -> Day {
        local_day(quarter_of((self.clock)()), &state.cells.keeping().zone)
    }

    /// Those that are not another instance's to tell of.
    fn ours(&self, all: Vec<Owners>) -> Vec<Owners> {
        let Some(assigned) = &self.assigned else {
            return all;
        };
        let is_ours = assigned.enterprises();
        self.view.scan_of(
            |_| Some(Vec::new()),
            |state| {
                let name = |owner: &Owner| state.cells.names.get(owner.enterprise);
                let ours = |owners: &Owners| owners.first().is_some_and(|of| is_ours(name(of)));
                all.into_iter().filter(ours).collect()
            },
        )
    }

    fn add(&self, told: &mut Enterprises, state: &State, today: Day, owners: &Owners) {
        let Some(first) = owners.first() else {
            return;
        };
        let id = state.cells.names.get(first.enterprise);
        let known = self.names.find(id).unwrap_or_default();
        let roles = owners.iter().filter_map(|&owner| {
            let series = state.cells.owner(owner)?;
            let mut figures = Figures::default();
            for (_, total) in series.totals(today..today + 1) {
                total.add_to(&mut figures);
            }
            Some(InRole {
                role: owner.role,
                totals: series.running(),
                today: figures,
            })
        });
        told.add(&Enterprise {
            id,
            names: [&known.name_zh, &known.name_en],
            roles: roles.collect(),
        });
    }
}

/// The owners of ACTUAL figures by enterprise, in the order in which those were first
/// seen.
fn owners(state: &State) -> Vec<Owners> {
    let mut by: BTreeMap<u32, Owners> = BTreeMap::new();
    for owner in state.cells.totals().into_keys() {
        debug_assert_eq!(owner.classifier, Classifier::Actual);
        by.entry(owner.enterprise).or_default().push(owner);
    }
    by.into_values().collect()
}
