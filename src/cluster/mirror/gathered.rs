//! What is committed in all partitions together.

use super::{Error, Slice};
use crate::cluster::naming::Naming;
use crate::event::Millis;
use crate::meter::Counts;
use crate::meter::cell::{Day, Followed, Owner, Packed, Parts, Totals, utc_day_of};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use crate::store::Table;
use crate::view::SourceSeen;
use crate::worker::{checkpoint, keys};
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// What is told beside the cells.
#[derive(Default)]
pub struct Told {
    /// The furthest log clock, as something to follow.
    pub clock: Followed,
    /// When the latest record was appended.
    pub appended_at: Option<Millis>,
    /// What became of all records.
    pub counts: Counts,
    /// What was seen of sources, by partition.
    pub sources: Vec<(CompactString, SourceSeen)>,
}

/// The cells of all slices, but for those that stay on the shelf.
pub fn all(slices: &[Slice], naming: &mut Naming) -> Result<(Parts, Told), Error> {
    let mut told = Told::default();
    let mut parts = Parts::default();
    let mut days: BTreeMap<(Owner, Day), Figures> = BTreeMap::new();
    let mut facilities: BTreeMap<Owner, BTreeSet<NameId>> = BTreeMap::new();
    for (partition, slice) in slices.iter().enumerate() {
        learn(slice, partition, naming)?;
        let stored = checkpoint::parts(&slice.store, &slice.progress)?;
        let nameless = || Error::Nameless {
            partition: partition as u32,
        };
        let common = |owner| naming.owner(partition, owner).ok_or_else(nameless);
        for (owner, day, total) in stored.days {
            let sum = days.entry((common(owner)?, day)).or_default();
            sum.add_all(total.iter());
        }
        for (owner, of) in stored.facilities {
            let here = of.iter().map(|&id| naming.common(partition, id));
            let here: Option<Vec<NameId>> = here.collect();
            let to = facilities.entry(common(owner)?).or_default();
            to.extend(here.ok_or_else(nameless)?);
        }
        for (call, figures) in stored.calls {
            let call = naming.call(partition, call).ok_or_else(nameless)?;
            parts.calls.insert(call, figures);
        }
        for (owner, totals) in stored.totals {
            let sum = parts.totals.entry(common(owner)?).or_default();
            sum.merge(&totals);
        }
        parts.census.merge(&stored.census);
        let progress = &slice.progress;
        told.counts = told.counts + progress.counts;
        told.appended_at = told.appended_at.max(progress.clock);
        told.sources.extend(progress.sources.iter().cloned());
    }
    let packed = days.into_iter().filter(|(_, sum)| !sum.is_empty());
    parts.days = packed
        .map(|((owner, day), sum)| (owner, day, Packed::of(&sum)))
        .collect();
    let lists = facilities.into_iter();
    parts.facilities = lists
        .map(|(owner, of)| (owner, of.into_iter().collect()))
        .collect();
    for name in naming.names_from(0) {
        parts.names.intern(&name);
    }
    told.clock.clock = told.appended_at.map(utc_day_of);
    Ok((parts, told))
}

fn learn(slice: &Slice, partition: usize, naming: &mut Naming) -> Result<(), Error> {
    let names = checkpoint::names(&slice.store)?;
    for own in 0..names.len() as NameId {
        if !naming.learn(partition, own, names.get(own)) {
            let partition = partition as u32;
            return Err(Error::Nameless { partition });
        }
    }
    Ok(())
}

/// The latest instant of owners in all partitions but one.
pub fn latest(
    slices: &[Slice],
    but: u32,
    naming: &Naming,
) -> Result<FxHashMap<Owner, Option<Millis>>, Error> {
    let mut latest: FxHashMap<Owner, Option<Millis>> = FxHashMap::default();
    let others = slices.iter().enumerate();
    let others = others.filter(|(partition, _)| *partition != but as usize);
    for (partition, slice) in others {
        for entry in slice.store.scan(Table::Totals) {
            let (key, value) = entry?;
            let owner = keys::owner_in(&key);
            let Some(owner) = owner.and_then(|owner| naming.owner(partition, owner)) else {
                continue;
            };
            let totals: Totals = checkpoint::decode(&value, "running total")?;
            let known = latest.entry(owner).or_default();
            *known = (*known).max(totals.latest);
        }
    }
    Ok(latest)
}
