//! What the view promises to those who publish and ask.

use super::*;
use crate::event::Millis;
use crate::event::{Classifier, Role};
use crate::meter::Counts;
use crate::meter::cell::{Days, Keeping, Posting};
use crate::meter::figure::{Figure, Meaning};
use compact_str::CompactString;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

fn view() -> View {
    let keeping = Keeping {
        zone: TimeZone::UTC,
        quarter_days: 45,
        day_days: 1095,
    };
    View::new(State::new(Cells::new(keeping), 0, None, Counts::default()))
}

fn publish(view: &View, position: u64, sources: &[(CompactString, SourceSeen)]) {
    let appended_at = sources
        .iter()
        .map(|(_, seen)| seen.last_active)
        .max()
        .unwrap_or(0);
    let counts = Counts::default();
    view.publish(Published {
        rounds: Vec::new(),
        position,
        appended_at,
        counts,
        sources,
    });
}

fn seen(name: &str, last_active: Millis, actual: Millis) -> (CompactString, SourceSeen) {
    (
        name.into(),
        SourceSeen {
            last_active,
            latest_actual: Some(actual),
        },
    )
}

#[tokio::test]
async fn a_position_is_waited_for_until_the_deadline() {
    let view = view();
    publish(&view, 7, &[]);
    let soon = Instant::now() + Duration::from_millis(20);
    let at = Position::embedded;
    assert_eq!(view.reached(&at(7), soon).await, Ok(()));
    let late = view.reached(&at(8), soon).await;
    let missed = NotReached {
        wanted: at(8),
        reached: at(7),
    };
    assert_eq!(late, Err(missed));
    assert!(Instant::now() >= soon);
    let later = soon + Duration::from_secs(60);
    let nine = at(9);
    let (reached, ()) = tokio::join!(view.reached(&nine, later), async {
        publish(&view, 9, &[]);
    });
    assert_eq!(reached, Ok(()));
}

#[test]
fn complete_through_is_the_least_over_active_sources() {
    let view = view();
    publish(
        &view,
        1,
        &[seen("a", 1_000_000, 900_000), seen("b", 1_000_000, 500_000)],
    );
    assert_eq!(view.read(|s| s.complete_through(1_000_000)), Some(500_000));
    publish(&view, 2, &[seen("a", 1_600_000, 800_000)]);
    // b has been silent for 15 minutes and a millisecond.
    assert_eq!(view.read(|s| s.complete_through(1_900_001)), Some(900_000));
    assert_eq!(view.read(|s| s.complete_through(9_000_000)), None);
}

#[test]
fn questions_count_as_asked_and_what_the_writer_does_does_not() {
    let view = view();
    publish(&view, 7, &[]);
    view.wanted(&[]);
    view.coolable(0);
    view.cut();
    view.gather(9).unwrap();
    assert_eq!(view.scan(|state| state.position), view.position());
    assert!(!view.asked.is_any());
    view.read(|_| ());
    assert!(view.asked.is_any());
}

fn fleet(enterprise: u32) -> Owner {
    Owner {
        enterprise,
        role: Role::Fleet,
        classifier: Classifier::Actual,
    }
}

/// Publishes that a truck of each of these fleets came in.
fn pass(view: &View, position: u64, fleets: impl Iterator<Item = u32>) {
    let passed = |enterprise| {
        Change::Posting(Posting {
            sign: 1,
            facility: 0,
            classifier: Classifier::Actual,
            at: 0,
            slot_end: None,
            call: None,
            parties: [(Role::Fleet, enterprise)].into_iter().collect(),
            figures: [(Figure::of(Meaning::TrucksIn), 1)].into_iter().collect(),
        })
    };
    let changes = fleets.map(passed).collect();
    view.publish(Published {
        rounds: Round::cut(changes, &mut Days::of(TimeZone::UTC)),
        position,
        appended_at: 0,
        counts: Counts::default(),
        sources: &[],
    });
}

/// The trucks of a fleet that came in, as far as they are posted.
fn trucks(state: &State, fleet: Owner) -> i64 {
    let record = state.cells.owner(fleet).into_iter();
    let totals = record.flat_map(|series| series.totals(0..1));
    totals
        .map(|(_, total)| total.sum(&[Figure::of(Meaning::TrucksIn)]))
        .sum()
}

#[test]
fn who_asks_for_many_owners_has_theirs_posted_and_no_others() {
    let view = view();
    let many = SOUGHT_AT_ONCE as u32 + 50;
    let named: Vec<Owner> = (0..many).map(fleet).collect();
    let of = |state: &State, fleets: Range<u32>| -> BTreeSet<i64> {
        fleets.map(|one| trucks(state, fleet(one))).collect()
    };
    for asked in 1..4 {
        pass(&view, u64::from(asked), 0..2 * many);
        let named = |_: &Cells| Some(named.clone());
        let counted = view.read_of(named, |state| {
            [of(state, 0..many), of(state, many..2 * many)]
        });
        let expected = [i64::from(asked), 0].map(|trucks| BTreeSet::from([trucks]));
        assert_eq!(counted, expected);
        assert_eq!(view.unposted(), (2 * many * asked) as usize);
    }
    let all = view.read(|state| trucks(state, fleet(0)) + trucks(state, fleet(many)));
    assert_eq!(all, 6);
}

#[test]
fn who_asks_for_an_owner_sees_what_is_not_posted_for_others() {
    let view = view();
    let owners = [1, 2].map(fleet);
    pass(&view, 7, 1..3);
    let has_cells = |state: &State| owners.map(|owner| state.cells.owner(owner).is_some());
    let of = |owners: Vec<Owner>| move |_: &Cells| Some(owners.clone());
    assert_eq!(view.read_of(of(Vec::new()), has_cells), [false, false]);
    // Between two looks at the state, a name came to it.
    let looks = AtomicUsize::new(0);
    let named = |_: &Cells| match looks.fetch_add(1, Ordering::Relaxed) {
        0 => Some(vec![owners[0]]),
        _ => Some(vec![owners[1]]),
    };
    assert_eq!(view.read_of(named, has_cells), [false, true]);
    assert_eq!(view.unposted(), 2);
    assert_eq!(view.read(has_cells), [true, true]);
    assert_eq!(view.unposted(), 0);
}

#[test]
fn sources_are_bounded_and_the_longest_idle_goes_first() {
    let view = view();
    let many: Vec<_> = (0..SOURCES_MAX as i64 + 5)
        .map(|n| seen(&format!("s{n}"), 1_000_000 + n, 10 + n))
        .collect();
    publish(&view, 1, &many);
    assert_eq!(view.read(|s| s.sources.len()), SOURCES_MAX);
    assert_eq!(view.read(|s| s.complete_through(1_000_000)), Some(15));
}
