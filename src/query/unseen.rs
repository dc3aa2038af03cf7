//! How much a question of whoever may see only some looks at: no more than if the others
//! were not there. It is counted, because a clock would tell that badly.

use super::asker::Asker;
use super::{ahead, enterprises, no_shows, throughput, top};
use crate::auth::caller::Caller;
use crate::auth::rights::{Read, Rights, Roles};
use crate::event::{Classifier, Millis, Role};
use crate::meter::Counts;
use crate::meter::cell::{Cells, Change, DAY_MS, Days, Keeping, Owner, Posting, QUARTER_MS, Round};
use crate::meter::figure::{Figure, Meaning};
use crate::pb::{self, AppointmentStage, Dimension, Grain, Measure};
use crate::view::token::Tokens;
use crate::view::{Published, State, View};
use jiff::tz::TimeZone;

const TODAY: i32 = 20_000;
const START: Millis = TODAY as i64 * DAY_MS;
const NOW: Millis = START + DAY_MS - 1;

/// The names of the facility, of whom the caller sees as a fleet, and of whom he does not.
const NAMES: [&str; 3] = ["CNNBO/A", "ygt:seen", "ygt:hidden"];

fn asker(read: Read) -> Asker {
    let rights = Rights {
        read: Some(read),
        ..Rights::default()
    };
    let (_, ended) = tokio::sync::watch::channel(None);
    let caller = Caller::known("a".into(), rights.into(), ended);
    Asker::new(&caller, &Tokens::new(&[7; 32]), NOW)
}

fn limited() -> Asker {
    let fleet = Roles::These([Role::Fleet].into());
    asker(Read::These([(NAMES[1].to_owned(), fleet)].into()))
}

/// A booked truck that comes in, which counts for one.
fn passed(enterprise: u32, role: Role, quarter: i64) -> Change {
    let booked = Meaning::Appointment(AppointmentStage::Confirmed);
    let at = START + quarter * QUARTER_MS;
    Change::Posting(Posting {
        sign: 1,
        facility: 0,
        classifier: Classifier::Actual,
        at,
        slot_end: Some(at + QUARTER_MS),
        call: None,
        parties: [(role, enterprise)].into_iter().collect(),
        figures: [Meaning::TrucksIn, booked]
            .map(|of| (Figure::of(of), 1))
            .into_iter()
            .collect(),
    })
}

/// What those do whom he may see; with others, also what they do, at the same time and
/// before.
fn passages(others: bool) -> Vec<Change> {
    let mut changes: Vec<_> = [-2, 0, 7].map(|n| passed(1, Role::Fleet, n)).into();
    for quarter in (-96..90).filter(|_| others) {
        changes.push(passed(1, Role::Carrier, quarter));
        changes.extend([Role::Fleet, Role::Carrier].map(|role| passed(2, role, quarter)));
    }
    changes
}

/// Half of it is posted, and half is not.
fn world(others: bool) -> View {
    let keeping = Keeping {
        zone: TimeZone::UTC,
        quarter_days: 45,
        day_days: 1095,
    };
    let view = View::new(State::new(Cells::new(keeping), 0, None, Counts::default()));
    let names = NAMES.map(|name| Change::Name(name.into()));
    let begun = [vec![Change::Clock(TODAY)], names.into(), passages(others)].concat();
    for (position, changes) in (1..).zip([begun, passages(others)]) {
        view.read(|_| ());
        view.publish(Published {
            rounds: Round::cut(changes, &mut Days::of(TimeZone::UTC)),
            position,
            appended_at: START,
            counts: Counts::default(),
            sources: &[],
        });
    }
    view
}

/// How many owners and slots a question looks at, and how many changes are not posted
/// after it.
fn looked(others: bool, ask: impl FnOnce(&View)) -> (usize, usize) {
    let view = world(others);
    let count = |view: &View| view.read_of(nobody, |state| state.cells.looked());
    let before = count(&view);
    ask(&view);
    (count(&view) - before, view.unposted())
}

fn nobody(_: &Cells) -> Option<Vec<Owner>> {
    Some(Vec::new())
}

fn at(ms: Millis) -> Option<pbjson_types::Timestamp> {
    Some(super::ask::message(ms))
}

/// How many rows the figures of two days have.
fn figures(view: &View, asker: &Asker, grain: Grain, group_by: &[Dimension]) -> usize {
    let request = pb::GetThroughputRequest {
        from: at(START - DAY_MS),
        to: at(START + DAY_MS),
        grain: grain.into(),
        group_by: group_by.iter().map(|&by| by.into()).collect(),
        ..Default::default()
    };
    let question = throughput::Question::parse(&request, &TimeZone::UTC, asker.sight()).unwrap();
    let limit = throughput::Limit {
        rows: 100,
        bytes: usize::MAX,
    };
    let rows = ahead::evaluate(view, &question, None, |state, ahead| {
        question.rows(&state.cells, ahead, None, limit)
    });
    rows.unwrap().0.len()
}

/// How many fleets lead, at some facilities or at all.
fn leaders(view: &View, asker: &Asker, facilities: &[&str]) -> usize {
    let request = pb::ListTopEnterprisesRequest {
        role: Role::Fleet.into(),
        measure: Measure::TruckPassages.into(),
        from: at(START),
        to: at(START + DAY_MS),
        facilities: facilities.iter().map(|&name| name.into()).collect(),
        ..Default::default()
    };
    let question = top::Question::parse(&request, &TimeZone::UTC, asker.sight()).unwrap();
    let owners = |cells: &Cells| question.owners(cells);
    let leaders = view.read_of(owners, |state| question.leaders(&state.cells));
    leaders.unwrap().len()
}

fn listed(view: &View, asker: &Asker) -> usize {
    let question = enterprises::Question::parse(&Default::default(), asker).unwrap();
    let owners = |cells: &Cells| question.owners(cells);
    let page = view.read_of(owners, |state| question.page(&state.cells, &()));
    page.0.len()
}

/// How many slots of today have ended.
fn ended(view: &View, asker: &Asker) -> usize {
    let request = pb::ListNoShowsRequest {
        from: at(START),
        to: at(START + DAY_MS),
        ..Default::default()
    };
    let question = no_shows::Question::parse(&request, asker).unwrap();
    let owners = |cells: &Cells| Some(question.owners(cells));
    let page = view.read_of(owners, |state| question.page(&state.cells, NOW));
    page.unwrap().0.len()
}

type Ask = fn(&View, &Asker) -> usize;

const QUESTIONS: [(&str, Ask); 7] = [
    ("days", |view, asker| figures(view, asker, Grain::Day, &[])),
    ("days of facilities", |view, asker| {
        figures(view, asker, Grain::Day, &[Dimension::Facility])
    }),
    ("hours", |view, asker| {
        figures(view, asker, Grain::Hour, &[])
    }),
    ("leaders", |view, asker| leaders(view, asker, &[])),
    ("leaders at a place", |view, asker| {
        leaders(view, asker, &["CNNBO"])
    }),
    ("enterprises", listed),
    ("slots", ended),
];

#[test]
fn who_may_not_see_others_looks_at_none_of_them_and_has_nothing_posted_for_them() {
    let (limited, all) = (limited(), asker(Read::All));
    for (what, ask) in QUESTIONS {
        let of_his = |others| {
            let ask = |view: &View| assert!(ask(view, &limited) > 0, "{what}");
            looked(others, ask)
        };
        let ((alone, _), (among, unposted)) = (of_his(false), of_his(true));
        assert!(alone > 0, "{what}");
        assert_eq!(among, alone, "{what}");
        assert_eq!(unposted, passages(true).len(), "{what}");
        let of_all = |others| looked(others, |view| assert!(ask(view, &all) > 0)).0;
        assert!(of_all(true) > of_all(false), "{what}");
    }
}
