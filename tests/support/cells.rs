//! All cells, wherever they are kept.

use quaymeter::meter::cell::{Cells, Day, DayRecord, Owner, SlotKey, Unread};
use quaymeter::meter::figure::Figures;
use quaymeter::meter::names::NameId;

/// Every record that has figures: whose, of which day, at which facility.
pub fn records(cells: &Cells) -> Vec<((Owner, Day, NameId), DayRecord)> {
    let mut found = Vec::new();
    for (owner, _) in cells.owners() {
        let each = |day, facility, record: &DayRecord| {
            found.push(((owner, day, facility), record.clone()));
            Ok::<(), Unread>(())
        };
        cells.records(owner, Day::MIN..Day::MAX, each).unwrap();
    }
    found.retain(|(_, record)| !record.is_empty());
    found.sort_unstable_by_key(|(key, _)| *key);
    found
}

/// Every slot that has figures, in order.
#[allow(dead_code, reason = "not every target asks for slots")]
pub fn slots(cells: &Cells) -> Vec<(SlotKey, Figures)> {
    let asked = |whose: Option<&[Owner]>| {
        let mut found = Vec::new();
        let each = &mut |key: &SlotKey, figures: &Figures| {
            found.push((*key, figures.clone()));
            true
        };
        cells.slots(i64::MIN..i64::MAX, whose, each).unwrap();
        found
    };
    let all = asked(None);
    let owners: Vec<Owner> = cells.owners().map(|(owner, _)| owner).collect();
    assert_eq!(asked(Some(&owners)), all);
    all
}
