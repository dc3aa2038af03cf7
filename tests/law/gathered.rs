//! A checkpoint that is gathered bit by bit, while records go on to come, holds
//! what one does that is gathered at once.

use super::{RULES, config, generate, keeping, past};
use generate::rec;
use past::Past;
use proptest::prelude::*;
use quaymeter::meter::Meter;
use quaymeter::meter::cell::{CellKey, Cells, Days, Round, Stored, Sweep};
use std::collections::BTreeMap;

/// What is stored, and which keys are removed. The last of two puts counts.
fn put(stored: Vec<Stored>) -> (BTreeMap<CellKey, Vec<u8>>, Vec<CellKey>) {
    let last: BTreeMap<CellKey, Option<Vec<u8>>> = stored.into_iter().collect();
    let gone = last.iter().filter(|(_, value)| value.is_none());
    let gone = gone.map(|(key, _)| key.clone()).collect();
    let kept = last.into_iter();
    (
        kept.filter_map(|(key, value)| Some((key, value?)))
            .collect(),
        gone,
    )
}

/// Owners are visited in an order that depends on when they came to the cells.
fn in_no_order(sweeps: &[Sweep]) -> Vec<String> {
    let mut told: Vec<_> = sweeps.iter().map(|sweep| format!("{sweep:?}")).collect();
    told.sort_unstable();
    told
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_gathered_bit_by_bit_is_what_was_there_at_the_cut(
        mut records in prop::collection::vec(rec(), 1..60),
        bits in prop::collection::vec(0..6usize, 1..20),
    ) {
        records.sort_by_key(|rec| rec.appended_at.div_euclid(86_400_000));
        let mut meter = Meter::new(RULES, past::fingerprints());
        let (mut at_once, mut by_bits) = (Cells::new(keeping()), Cells::new(keeping()));
        let (mut past, mut changes) = (Past::default(), Vec::new());
        let (mut days, mut under_way) = (Days::of(keeping().zone), None);
        let mut cuts = 0;
        for (n, rec) in records.iter().enumerate() {
            changes.clear();
            super::apply(&mut meter, rec, &mut past, &mut changes);
            at_once.apply(&changes);
            let rounds = Round::cut(changes.clone(), &mut days);
            rounds.into_iter().for_each(|round| by_bits.take(round));
            if bits[n % bits.len()] == 0 {
                by_bits.post_all();
            }
            if under_way.is_none() {
                let (stored, swept) = super::shelf::stored(&mut at_once);
                prop_assert_eq!(in_no_order(&by_bits.cut()), in_no_order(&swept));
                under_way = Some((stored, Vec::new()));
                cuts += 1;
            }
            let last = n + 1 == records.len();
            let most = if last { usize::MAX } else { bits[n % bits.len()] };
            let (some, done) = by_bits.gather(most).unwrap();
            if let Some((_, gathered)) = &mut under_way {
                gathered.extend(some);
            }
            if done && let Some((stored, gathered)) = under_way.take() {
                let ((kept, gone), (gathered, removed)) = (put(stored), put(gathered));
                prop_assert_eq!(&gathered, &kept);
                prop_assert_eq!(&removed, &gone);
            }
        }
        prop_assert!(cuts > 0);
    }
}
