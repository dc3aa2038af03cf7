//! What a mirror keeps of a changelog that it has not loaded.

use super::*;
use std::path::Path;

fn opened(dir: &Path) -> Mirror {
    Mirror::open(&Store::open(dir).unwrap(), 1, Arc::new(|| 0)).unwrap()
}

#[test]
fn what_broke_within_a_transaction_is_not_awaited_after_a_death() {
    let dir = tempfile::tempdir().unwrap();
    let mut loading = opened(dir.path());
    // So much that a part of it is kept.
    let (key, value) = (
        mark::key(Table::Cells, b"key"),
        vec![0_u8; LOADED_BYTES / 2],
    );
    for place in 0..3 {
        let taken = loading.take(0, place, (&key[..], Some(&value[..])));
        assert!(taken.unwrap().is_none());
        assert!(!loading.is_whole(0));
    }
    let taken = loading.take(0, 3, (mark::KEY, None));
    assert!(matches!(taken, Err(Error::Broken { .. })));
    loading.doubt(0, 3).unwrap();
    assert!(loading.is_whole(0));

    drop(loading);
    let mut again = opened(dir.path());
    let kept = again.places()[0];
    assert!((1..=3).contains(&kept), "{kept}");
    assert!(again.is_doubted(0) && again.is_whole(0));
    // Until its owner has counted it anew.
    let from = mark::number(0);
    let taken = again.take(0, 4, (mark::ANEW, Some(&from[..])));
    assert!(taken.unwrap().is_none());
    assert!(!again.is_doubted(0) && !again.is_whole(0));
}

/// A mirror of one changelog, whose clock stands still.
fn opened_at(dir: &Path, now: Millis) -> Mirror {
    Mirror::open(&Store::open(dir).unwrap(), 1, Arc::new(move || now)).unwrap()
}

/// A mark of a transaction that counted these records and has so many puts.
fn marked(from: Offset, to: Offset, puts: &[&[u8]]) -> Vec<u8> {
    let mut tally = Tally::default();
    puts.iter().for_each(|key| tally.take(key, None));
    tally.mark((0, 1), from, to).encode().unwrap()
}

#[test]
fn what_comes_after_a_short_absence_must_follow_from_what_was_there() {
    const NOW: Millis = 1_800_000_000_000;
    let keeping = Keeping {
        zone: jiff::tz::TimeZone::UTC,
        quarter_days: 45,
        day_days: 1095,
    };
    let judged = |later: Millis, mark: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        let mut before = opened_at(dir.path(), NOW);
        let first = marked(0, 5, &[]);
        let taken = before.take(0, 0, (mark::KEY, Some(&first)));
        assert!(taken.unwrap().is_none());
        before.load(keeping.clone()).unwrap();
        drop(before);
        let mut mirror = opened_at(dir.path(), NOW + later);
        match mirror.take(0, 1, (mark::KEY, Some(mark))) {
            Ok(_) => Ok(()),
            Err(Error::Broken { broken, .. }) => Err(broken),
            Err(other) => panic!("{other}"),
        }
    };
    let (gap, torn) = (marked(7, 9, &[]), marked(5, 9, &[b"\0key"]));
    assert_eq!(judged(60_000, &marked(5, 9, &[])), Ok(()));
    let (found, expected) = (7, 5);
    assert_eq!(judged(60_000, &gap), Err(Broken::Gap { found, expected }));
    let (found, expected) = (0, 1);
    assert_eq!(judged(60_000, &torn), Err(Broken::Torn { found, expected }));
    // After a longer one, compaction may have taken what was between.
    for mark in [&gap, &torn] {
        assert_eq!(judged(2 * 3_600_000, mark), Ok(()));
        assert_eq!(judged(-60_000, mark), Ok(()), "a clock that went back");
    }
}
