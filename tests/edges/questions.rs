//! Questions that nobody would ask by mistake.

use jiff::tz::TimeZone;
use pbjson_types::Timestamp;
use quaymeter::auth::caller::Caller;
use quaymeter::event::{AppointmentStage, Classifier, Role};
use quaymeter::meter::cell::{Cells, Change, Keeping, Posting};
use quaymeter::meter::figure::{Figure, Meaning};
use quaymeter::pb;
use quaymeter::query::asker::Asker;
use quaymeter::query::no_shows::Question;
use quaymeter::view::token::Tokens;

#[test]
fn a_forged_page_token_has_no_answer_beyond_its_interval() {
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let mut request = pb::ListNoShowsRequest {
        from: at(900),
        to: at(1800),
        ..Default::default()
    };
    let tokens = Tokens::new(&[7; 32]);
    let asker = Asker::new(&Caller::anyone(), &tokens, 0);
    let key = (i64::MAX, 0i64, "", "", 0i32, 0i32);
    request.page_token = asker.asks("ListNoShows", &request).token(&key);
    let keeping = Keeping {
        zone: TimeZone::UTC,
        quarter_days: 45,
        day_days: 1096,
    };
    let mut cells = Cells::new(keeping);
    let confirmed = Meaning::Appointment(AppointmentStage::Confirmed);
    cells.apply(&[Change::Posting(Posting {
        sign: 1,
        facility: 0,
        classifier: Classifier::Actual,
        at: 900_000,
        slot_end: Some(1_800_000),
        call: None,
        parties: [(Role::Fleet, 0)].into_iter().collect(),
        figures: [(Figure::of(confirmed), 1)].into_iter().collect(),
    })]);
    let page = Question::parse(&request, &asker).unwrap().page(&cells, 0);
    let (rows, next) = page.unwrap();
    assert!(rows.is_empty() && next.is_empty());
}
