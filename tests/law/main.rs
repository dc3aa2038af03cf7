//! The one law: cells are a pure function of the set of records, each with the
//! UTC day on which it was appended. Cases shrink; the seed of a failure is
//! printed, kept in `tests/proptest-regressions` and tried first ever after.
//! `PROPTEST_CASES=20000 cargo test --test law` looks longer.

mod audit;
mod followed;
mod forgetting;
mod frozen;
mod gathered;
mod generate;
mod model;
mod rotated;
#[path = "../support/past.rs"]
mod past;
mod shelf;
#[path = "../support/cells.rs"]
mod wherever;

use followed::Follower;
use generate::{DAYS, rec};
use model::{Cells as Dump, Rec};
use past::Past;
use proptest::prelude::*;
use quaymeter::meter::cell::{Cells, Change, Keeping, Owner};
use quaymeter::meter::journal::Chunk;
use quaymeter::meter::restore::{Parts, Restoring};
use quaymeter::meter::{Meter, Record, Rules};
use rand::{SeedableRng, seq::SliceRandom};
use shelf::Shelved;
use std::collections::BTreeMap;

const RULES: Rules = Rules {
    horizon_ms: DAYS.horizon * 86_400_000,
    teu_45ft_milli: 2250,
};

fn keeping() -> Keeping {
    Keeping {
        zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        quarter_days: DAYS.quarters as i32,
        day_days: DAYS.days as i32,
    }
}

/// The real thing, fed record by record; restarted after `restart_at` records.
fn metered(records: &[Rec], restart_at: usize) -> (Meter, Cells) {
    let mut meter = Meter::new(RULES, past::fingerprints());
    let (mut cells, mut past) = (Shelved::new(keeping()), Past::default());
    let mut changes: Vec<Change> = Vec::new();
    let mut journal: Vec<Chunk> = Vec::new();
    for (n, rec) in records.iter().enumerate() {
        if n == restart_at {
            tidy(&mut meter, &mut journal, restart_at % 4);
            meter = restarted(&meter, &journal, &past);
            // Then all of it is on the shelf.
            cells.written(usize::MAX);
            cells.store();
            cells.written(usize::MAX);
            cells = cells.restarted();
        }
        changes.clear();
        apply(&mut meter, rec, &mut past, &mut changes);
        cells.apply(&changes);
        match n % 3 {
            0 => cells.written(restart_at % 3),
            1 => {}
            _ => {
                cells.store();
                journal.extend(meter.take_journal());
            }
        }
    }
    cells.cells.post_all();
    (meter, cells.cells)
}

/// What a record changes; from now on it is a part of the past.
fn apply(meter: &mut Meter, rec: &Rec, past: &mut Past, changes: &mut Vec<Change>) {
    let record = Record {
        source: rec.source,
        appended_at: rec.appended_at,
        event: &rec.event,
        identity: past::identity(rec.source, &rec.event),
        whence: past.keep(&rec.event, rec.content),
    };
    meter.apply(&record, past, changes).unwrap();
}

/// Takes a journal's oldest chunks away, and what is left of them into new ones.
fn tidy(meter: &mut Meter, journal: &mut Vec<Chunk>, oldest: usize) {
    for chunk in journal.drain(..oldest.min(journal.len())) {
        meter.renote(&chunk.bytes).unwrap();
    }
    journal.extend(meter.take_journal());
}

/// The meter restored from what it would have stored, byte for byte.
fn restarted(meter: &Meter, journal: &[Chunk], past: &Past) -> Meter {
    let mut names = quaymeter::meter::names::Names::default();
    for id in 0..meter.names.len() {
        names.intern(meter.names.get(id as u32));
    }
    let mut restoring = Restoring::new(Parts {
        rules: RULES,
        fingerprints: past::fingerprints(),
        names,
        clock: meter.clock(),
        counts: meter.counts(),
    });
    for chunk in journal.iter().rev() {
        assert_eq!(restoring.chunk(&chunk.bytes).unwrap(), chunk.notes);
    }
    restoring.finish(past).unwrap()
}

fn figures(figures: &quaymeter::meter::figure::Figures) -> BTreeMap<String, i64> {
    figures
        .iter()
        .map(|(f, value)| (format!("{:?}", f.meaning().unwrap()), value))
        .collect()
}

fn dump(cells: &Cells) -> Dump {
    let name = |id| cells.names.get(id).to_string();
    let mut dump = Dump::new();
    for ((owner, day, facility), record) in wherever::records(cells) {
        let key = |family, from: i32| {
            let (role, classifier) = (owner.role.into(), owner.classifier.into());
            let enterprise = name(owner.enterprise);
            (
                family,
                name(facility),
                enterprise,
                role,
                classifier,
                from.into(),
                0,
                String::new(),
            )
        };
        dump.insert(key("day", day), figures(&record.day));
        for (quarter, cell) in record.quarters.iter() {
            dump.insert(key("quarter", quarter), figures(&cell));
        }
    }
    for (call, cell) in cells.calls.iter() {
        let (classifier, day) = (call.classifier.into(), call.day.into());
        let (facility, id, vessel) = (
            name(call.facility),
            call.call.id.to_string(),
            call.call.vessel.to_string(),
        );
        dump.insert(
            ("call", facility, id, 0, classifier, day, 0, vessel),
            figures(cell),
        );
    }
    for (slot, cell) in wherever::slots(cells) {
        let (role, classifier) = (slot.owner.role.into(), slot.owner.classifier.into());
        let (facility, enterprise) = (name(slot.facility), name(slot.owner.enterprise));
        let key = (
            "slot",
            facility,
            enterprise,
            role,
            classifier,
            slot.start,
            slot.end,
            String::new(),
        );
        dump.insert(key, figures(&cell));
    }
    dump
}

fn totals(cells: &Cells) -> BTreeMap<String, i64> {
    let mut totals: BTreeMap<String, i64> = BTreeMap::new();
    for (owner, sums) in cells.totals() {
        let mut add = |figures: &quaymeter::meter::figure::Figures, sign: i64| {
            for (figure, value) in figures.iter() {
                let enterprise = cells.names.get(owner.enterprise);
                let key = format!(
                    "{enterprise} {:?} {:?}",
                    owner.role,
                    figure.meaning().unwrap()
                );
                *totals.entry(key).or_default() += sign * value;
            }
        };
        add(&sums.added, 1);
        add(&sums.taken_back, -1);
    }
    totals.retain(|_, value| *value != 0);
    totals
}

/// Figures by day.
type DayTotals = BTreeMap<i32, BTreeMap<String, i64>>;

/// Owners' totals of days.
fn days(cells: &Cells) -> BTreeMap<Owner, DayTotals> {
    let mut all = BTreeMap::new();
    for (owner, series) in cells.owners() {
        let mut totals = BTreeMap::new();
        for (day, total) in series.totals(i32::MIN..i32::MAX) {
            let mut sum = quaymeter::meter::figure::Figures::default();
            total.add_to(&mut sum);
            totals.insert(day, figures(&sum));
        }
        all.insert(owner, totals);
    }
    all
}

/// Another order of arrival within each day, some records twice.
fn rearranged(records: &[Rec], seed: u64) -> Vec<Rec> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut other: Vec<Rec> = records.to_vec();
    other.extend(records.iter().skip(seed as usize % 3).step_by(3).cloned());
    other.shuffle(&mut rng);
    other.sort_by_key(|rec| rec.appended_at.div_euclid(86_400_000));
    other
}

/// Many cases, unless the environment asks for another number.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if asked { usual.cases } else { 1500 },
        max_shrink_iters: 20_000,
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn cells_are_what_a_recount_of_all_records_gives(
        mut records in prop::collection::vec(rec(), 1..60),
        seed in any::<u64>(),
    ) {
        records.sort_by_key(|rec| rec.appended_at.div_euclid(86_400_000));
        let (expected, expected_totals) = model::cells(&records, DAYS);
        let restart_at = seed as usize % records.len();
        let (_, cells) = metered(&records, restart_at);
        prop_assert_eq!(&dump(&cells), &expected);
        prop_assert_eq!(&totals(&cells), &expected_totals);
        let count = |family| expected.keys().filter(|key| key.0 == family).count() as i64;
        let census = cells.census();
        prop_assert_eq!(census.quarters(), count("quarter"));
        prop_assert_eq!(census.days(), count("day"));
        prop_assert_eq!(census.slots(), count("slot"));
        for (owner, series) in cells.owners() {
            let name = cells.names.get(owner.enterprise);
            let of = |key: &&model::Key| {
                let (role, classifier): (i32, i32) = (owner.role.into(), owner.classifier.into());
                (key.0, &*key.2, key.3, key.4) == ("day", name, role, classifier)
            };
            let mut by_day: BTreeMap<i64, BTreeMap<String, i64>> = BTreeMap::new();
            for key in expected.keys().filter(of) {
                let day = by_day.entry(key.5).or_default();
                for (figure, value) in &expected[key] {
                    *day.entry(figure.clone()).or_default() += value;
                }
            }
            let mut told = BTreeMap::new();
            for (day, total) in series.totals(i32::MIN..i32::MAX) {
                let mut sum = quaymeter::meter::figure::Figures::default();
                total.add_to(&mut sum);
                told.insert(i64::from(day), figures(&sum));
            }
            prop_assert_eq!(told, by_day);
        }
    }

    #[test]
    fn the_audit_counts_what_the_model_counts(
        mut records in prop::collection::vec(rec(), 1..60),
    ) {
        records.sort_by_key(|rec| rec.appended_at.div_euclid(86_400_000));
        let (expected, expected_totals) = model::cells(&records, DAYS);
        let (cells, totals, identities) = audit::recounted(&records);
        prop_assert_eq!(&cells, &expected);
        prop_assert_eq!(&totals, &expected_totals);
        let (meter, _) = metered(&records, usize::MAX);
        prop_assert_eq!(identities, meter.counts().identities);
    }

    #[test]
    fn who_follows_has_the_cells_of_whom_he_follows(
        mut records in prop::collection::vec(rec(), 1..60),
        seed in any::<u64>(),
    ) {
        records.sort_by_key(|rec| rec.appended_at.div_euclid(86_400_000));
        let (mut cells, mut follower) = (Shelved::new(keeping()), Follower::new(keeping()));
        let mut meter = Meter::new(RULES, past::fingerprints());
        let (mut past, mut changes) = (Past::default(), Vec::new());
        for (n, rec) in records.iter().enumerate() {
            changes.clear();
            apply(&mut meter, rec, &mut past, &mut changes);
            cells.apply(&changes);
            // Some transactions are of one record, others of many.
            if n + 1 == records.len() || seed.rotate_left(n as u32).is_multiple_of(3) {
                cells.store();
                follower.follow(&cells, n % 3);
                cells.written(n % 2);
            }
        }
        cells.cells.post_all();
        prop_assert_eq!(dump(&follower.cells), dump(&cells.cells));
        prop_assert_eq!(totals(&follower.cells), totals(&cells.cells));
        prop_assert_eq!(follower.cells.census(), cells.cells.census());
        prop_assert_eq!(days(&follower.cells), days(&cells.cells));
        for ((owner, _, facility), _) in wherever::records(&follower.cells) {
            let series = follower.cells.owner(owner).unwrap();
            prop_assert!(series.facilities().contains(&facility));
        }
    }

    #[test]
    fn neither_order_nor_repetition_of_records_changes_a_cell(
        mut records in prop::collection::vec(rec(), 1..60),
        seed in any::<u64>(),
    ) {
        records.sort_by_key(|rec| rec.appended_at.div_euclid(86_400_000));
        let (meter, cells) = metered(&records, usize::MAX);
        let (other_meter, other) = metered(&rearranged(&records, seed), seed as usize % 60);
        prop_assert_eq!(dump(&other), dump(&cells));
        prop_assert_eq!(other_meter.counts().identities, meter.counts().identities);
    }
}
